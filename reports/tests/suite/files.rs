//! Figures in lines and tables as Markdown: what they hold is what the record holds.

use crate::{strange, synthetic};
use reports::record::{Settings, Status};
use reports::{CSV_COLUMNS, RunRecord, to_csv, to_markdown};

/// Lines of fields, by the rules of RFC 4180.
fn parsed(csv: &str) -> Vec<Vec<String>> {
    let (mut lines, mut fields, mut field, mut inside) = (Vec::new(), Vec::new(), String::new(), false);
    let mut chars = csv.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if inside && chars.peek() == Some(&'"') => field.extend(chars.next()),
            '"' => inside = !inside,
            ',' if !inside => fields.push(std::mem::take(&mut field)),
            '\r' if !inside => assert_eq!(chars.peek(), Some(&'\n')),
            '\n' if !inside => {
                fields.push(std::mem::take(&mut field));
                lines.push(std::mem::take(&mut fields));
            }
            c => field.push(c),
        }
    }
    assert!(
        fields.is_empty() && field.is_empty() && !inside,
        "the last line ends"
    );
    lines
}

#[test]
fn every_measurement_and_transaction_type_has_a_line() {
    let mut record = synthetic::record(3);
    record.measurements[1].status = Status::Failed { reason: "x".into() };
    record.measurements[1].transaction_types.clear();
    let lines = parsed(&to_csv(&record));
    let names: Vec<&str> = CSV_COLUMNS.iter().map(|(name, _)| *name).collect();
    assert_eq!(lines[0], names);
    assert_eq!(lines.len(), 1 + 5 * 2 + 1);
    let at = |line: &[String], name: &str| line[names.iter().position(|of| *of == name).unwrap()].clone();
    let first = &record.measurements[0];
    let of = &first.transaction_types[0];
    for (name, value) in [
        ("run", record.run_id.clone()),
        ("engine", first.engine.clone()),
        ("transaction", of.name.clone()),
        ("committed", of.committed.to_string()),
        ("durability", "sync".into()),
        ("isolation", "read-committed".into()),
        ("rows_returned", of.rows_returned.unwrap().to_string()),
        (
            "latency_ns_p95",
            of.latency
                .as_ref()
                .unwrap()
                .summary
                .latency_ns_p95
                .unwrap()
                .to_string(),
        ),
        ("offered_per_second", String::new()),
    ] {
        assert_eq!(at(&lines[1], name), value, "{name}");
    }
    let rate: f64 = at(&lines[1], "transactions_per_second").parse().unwrap();
    let expected = of.committed as f64 / (first.duration_ns.unwrap() as f64 / 1e9);
    assert!((rate - expected).abs() < 1e-6, "{rate} {expected}");
    let failed = lines.iter().find(|line| at(line, "status") == "failed").unwrap();
    assert_eq!(
        (at(failed, "transaction"), at(failed, "committed")),
        (String::new(), String::new())
    );
}

#[test]
fn columns_are_documented() {
    let document = include_str!("../../../docs/methodology.md");
    for (name, meaning) in CSV_COLUMNS {
        assert!(
            document.contains(&format!("| `{name}` | {meaning} |")),
            "| `{name}` | {meaning} |"
        );
    }
}

#[test]
fn strange_records_make_whole_lines_and_no_markup() {
    for (name, record) in strange::all() {
        for line in parsed(&to_csv(&record)) {
            assert_eq!(line.len(), CSV_COLUMNS.len(), "{name}");
        }
        let markdown = to_markdown(&record);
        // What is set in as code is no markup.
        let is_markup = |line: &&str| !line.starts_with("    ");
        let marked: Vec<&str> = markdown.lines().filter(is_markup).collect();
        assert!(
            marked[0].starts_with("# ") && !marked.concat().contains("<script"),
            "{name}"
        );
        assert!(markdown.chars().all(|c| c == '\n' || !c.is_control()), "{name}");
    }
}

#[test]
fn markdown_has_the_main_tables_and_the_warnings() {
    let markdown = to_markdown(&synthetic::record(3));
    for expected in [
        "## Results",
        "| Engine | Transactions/s |",
        "## Latency",
        "## Amplification",
        "- 4 threads ran on 2 processors",
        "**Dev build",
        "    cargo run -p harness -- --workload oltp",
    ] {
        assert!(markdown.contains(expected), "{expected}\n{markdown}");
    }
}

#[test]
fn old_spellings_of_levels_are_read_as_the_same() {
    let settings = |durability: &str, isolation: &str| -> Settings {
        let json = serde_json::json!({"durability": durability, "isolation": isolation});
        serde_json::from_value(json).unwrap()
    };
    let new = settings("no-sync", "read-committed");
    assert_eq!(new.durability.as_deref(), Some("no-sync"));
    assert_eq!(settings("no_sync", "read_committed"), new);
    assert_eq!(settings("none", "snapshot"), settings("in-memory", "snapshot"));
    // A record of before is comparable with one of now.
    let record = synthetic::record(3);
    let json = record.to_json().unwrap();
    let old = json
        .replace("read-committed", "read_committed")
        .replace("\"in-memory\"", "\"none\"");
    assert_ne!(old, json);
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("run.json"), old).unwrap();
    let old = RunRecord::load(directory.path()).unwrap();
    assert_eq!(old.measurements, record.measurements);
    assert!(!reports::render_report(&old).unwrap().contains("read_committed"));
}
