//! Which part of the harness uses which: no arrow points back.

use std::collections::BTreeSet;
use std::path::Path;

/// Each part, and the parts that it may use beside itself. `probe` looks at the machine and knows of no engine, so that drivers
/// and options may ask it how much memory there is.
const ARROWS: [(&str, &[&str]); 10] = [
    (
        "cli",
        &[
            "request",
            "engine_options",
            "scenarios",
            "child",
            "drivers",
            "error",
            "console",
        ],
    ),
    (
        "scenarios",
        &[
            "request",
            "engine_options",
            "values",
            "child",
            "drivers",
            "probe",
            "error",
            "console",
        ],
    ),
    ("child", &["request", "error", "console"]),
    ("drivers", &["probe", "error"]),
    ("probe", &["error"]),
    ("request", &["engine_options", "values", "drivers", "error"]),
    ("engine_options", &["values", "drivers", "probe", "error"]),
    ("values", &[]),
    ("console", &[]),
    ("error", &[]),
];

/// The explorer of the crash test gets callbacks and returns plain results: only these modules of it know records, the
/// terminal, and child processes with their progress and Ctrl-C.
const EXPLORER: [(&str, &[&str]); 3] = [
    ("reports", &["describe", "run"]),
    ("console", &["replay", "run"]),
    ("child", &["run"]),
];

/// The words of a source, tests and comments left out. However a module is reached, its name is one of them.
fn words(text: &str) -> BTreeSet<&str> {
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let lines = text[..end].lines();
    let code = lines.map(|line| line.split_once("//").map_or(line, |(code, _)| code));
    code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_'))
        .collect()
}

/// The parts that a source names behind `crate::`.
fn used(text: &str) -> BTreeSet<&str> {
    let names = text.split("crate::").skip(1).flat_map(|rest| {
        let group = rest.strip_prefix('{').and_then(|list| list.split('}').next());
        group
            .unwrap_or(rest)
            .split(", ")
            .take(if group.is_some() { usize::MAX } else { 1 })
    });
    let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
    names
        .map(|name| &name[..name.find(|c| !is_part(c)).unwrap_or(name.len())])
        .collect()
}

/// Looks at each source below, and returns how many there were.
fn each_source(path: &Path, look: &mut dyn FnMut(&Path, &str)) -> usize {
    if path.is_dir() {
        let entries = std::fs::read_dir(path).unwrap();
        return entries
            .map(|entry| each_source(&entry.unwrap().path(), look))
            .sum();
    }
    let is_source = path.extension().is_some_and(|extension| extension == "rs");
    if is_source {
        look(path, &std::fs::read_to_string(path).unwrap());
    }
    usize::from(is_source)
}

#[test]
fn no_arrow_points_back() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut checked = BTreeSet::from(["main", "lib"].map(str::to_owned));
    let mut files = 0;
    for (part, allowed) in ARROWS {
        let folder = source.join(part);
        let path = if folder.is_dir() {
            folder
        } else {
            source.join(format!("{part}.rs"))
        };
        files += each_source(&path, &mut |path, text| {
            for name in used(text) {
                let is_allowed = name == part || allowed.contains(&name);
                assert!(is_allowed, "{} uses crate::{name}", path.display());
            }
        });
        checked.insert(part.to_owned());
    }
    let parts = std::fs::read_dir(&source).unwrap();
    for part in parts.map(|entry| entry.unwrap().path()) {
        let name = part.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(checked.contains(&name), "{} is in no rule", part.display());
    }
    assert!(files > 90, "{files} files were read");
}

#[test]
fn the_explorer_knows_no_records_no_terminal_and_no_signals() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/scenarios/crash");
    let mut seen = BTreeSet::new();
    let files = each_source(&folder, &mut |path, text| {
        let module = path.file_stem().unwrap().to_string_lossy().into_owned();
        let names = words(text);
        for (part, allowed) in EXPLORER.iter().filter(|(part, _)| names.contains(part)) {
            assert!(allowed.contains(&&*module), "{} uses {part}", path.display());
            seen.insert((*part, module.clone()));
        }
    });
    let allowed: usize = EXPLORER.iter().map(|(_, modules)| modules.len()).sum();
    assert!(files > 30 && seen.len() == allowed, "{files} files, {seen:?}");
}

#[test]
fn modules_are_seen_however_they_are_reached() {
    let text = "//! reports\nuse super::super::child::interrupt;\nuse crate::{error, console as c}; // probe\n\
                #[cfg(test)]\nmod tests {\nuse reports::x;";
    let words = words(text);
    assert!(["child", "console"].iter().all(|word| words.contains(word)));
    assert!(["reports", "probe"].iter().all(|word| !words.contains(word)));
}

#[test]
fn uses_are_seen_alone_and_in_groups() {
    assert_eq!(
        used("use crate::{child::process, cli};\nuse crate::error::Result;\n x: &crate::probe::Meter"),
        BTreeSet::from(["child", "cli", "error", "probe"])
    );
}
