//! An author's own program, as `docs/adding.md` shows it: it does all that the harness does, with one engine more.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const SOURCE: &str = include_str!("../../examples/own_engine.rs");

/// The example, which is built with the tests.
fn program() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let path = own.ancestors().nth(2).unwrap().join("examples/own_engine");
    assert!(
        path.exists(),
        "{} is not there: cargo build -p harness --examples",
        path.display()
    );
    path
}

fn start(directory: &Path, arguments: &str) -> Output {
    let mut command = Command::new(program());
    let command = command.args(arguments.split_whitespace()).current_dir(directory);
    command.output().unwrap()
}

#[track_caller]
fn run(directory: &Path, arguments: &str, code: i32) -> Output {
    let output = start(directory, arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments}: {output:?}");
    output
}

/// It declares synchronous commits, and keeps them. The example must have been built with the features of these tests.
#[cfg(all(feature = "fuse", target_os = "linux"))]
#[test]
fn an_engine_of_ones_own_keeps_its_commits_when_the_power_goes() {
    let directory = tempfile::tempdir().unwrap();
    for (more, code, found) in [("", 0, "\"lost\": 0"), (" --drop-syncs", 3, "\"lost\": ")] {
        let out = format!("out{code}");
        let arguments = format!("--workload powerloss --engine own --rounds 40 --seed 5 --out {out}{more}");
        let output = start(directory.path(), &arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !said.contains("not in this build"),
            "cargo build -p harness --example own_engine --features fuse"
        );
        if said.contains("needs /dev/fuse") || said.contains("it needs the right to mount") {
            eprintln!("skipped: {said}");
            return;
        }
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let record = std::fs::read_to_string(directory.path().join(out).join("run.json")).unwrap();
        assert!(record.contains(found), "{record}");
    }
}

#[test]
fn the_documentation_has_the_program_that_is_tested() {
    let documentation = include_str!("../../../docs/adding.md");
    assert!(
        documentation.contains(SOURCE),
        "docs/adding.md has another own_engine.rs"
    );
}

/// The fields of a value, by their names in records.
fn fields(value: &impl serde::Serialize) -> Vec<String> {
    let value = serde_json::to_value(value).unwrap();
    value.as_object().unwrap().keys().cloned().collect()
}

#[test]
fn the_documentation_explains_every_capability_statistic_and_method() {
    let documentation = include_str!("../../../docs/adding.md");
    let section = documentation.split("### The contract in short").nth(1).unwrap();
    let section = section.split("\n### ").next().unwrap();
    // The first column of each table names them.
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let named: Vec<&str> = rows
        .flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2))
        .map(|name| name.rsplit("::").next().unwrap())
        .collect();
    let mut expected = fields(&harness::driver::Capabilities::new("x", "1", ""));
    expected.extend(fields(&harness::driver::TargetStats::default()));
    let traits = include_str!("../../../workloads/src/driver/mod.rs");
    let methods = traits.lines().filter_map(|line| line.strip_prefix("    fn "));
    let methods = methods.filter(|line| line.contains("self"));
    expected.extend(methods.map(|line| line.split('(').next().unwrap().to_owned()));
    // `get_for_update` has its arguments on the same line; `scan` has them on the next ones.
    expected.push("scan".into());
    for name in &expected {
        assert!(
            named.contains(&name.as_str()),
            "`{name}` is not in docs/adding.md"
        );
    }
    for name in &named {
        assert!(
            expected.iter().any(|known| known == name),
            "docs/adding.md explains `{name}`, which there is not"
        );
    }
}

#[test]
fn an_engine_of_ones_own_is_listed_measured_killed_and_checked() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let text = |output: Output| String::from_utf8(output.stdout).unwrap();
    let list = text(run(place, "list", 0));
    assert!(list.contains("  own ") && list.contains("  memory "), "{list}");
    run(place, "explain oltp", 0);
    let mix = "--engine own --rows 300 --threads 2 --warmup 30ms --duration 150ms";
    run(
        place,
        &format!("--workload oltp {mix} --isolation serializable --out mix"),
        0,
    );
    let record = std::fs::read_to_string(place.join("mix/run.json")).unwrap();
    assert!(
        record.contains("\"own\"") && record.contains("cargo run --bin own_engine --"),
        "{record}"
    );
    run(
        place,
        "--workload recovery --engine own --rounds 2 --duration 300ms --out recovery",
        0,
    );
    let conform = text(run(place, "conform own --data-dir .", 0));
    assert!(
        conform.contains("own: ") && conform.contains(" 0 broken"),
        "{conform}"
    );
    run(place, "conform another", 2);
}
