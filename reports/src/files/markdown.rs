//! The main tables of a run as Markdown, in the order of the page.

use crate::record::RunRecord;
use crate::summary;
use crate::table::{self, markdown::escaped};

/// The tables with the heading that each has here; a heading stands once for those that follow with the same.
const TABLES: [(&str, &str); 15] = [
    ("Results", "summary"),
    ("Ratios", "ratios"),
    ("Time to open", "recovery_open"),
    ("Recovery", "recovery"),
    ("Crash tests", "crash_scenarios"),
    ("Space over time", "space"),
    ("Findings", "findings"),
    ("Latency", "latencies"),
    ("Transactions", "outcomes"),
    ("Reads", "reads"),
    ("Amplification", "amplification"),
    ("Storage", "storage"),
    ("Resources", "resources"),
    ("Settings", "settings"),
    ("Success criteria", "criteria"),
];
/// After these comes what to know about the figures.
const RESULTS: usize = 7;

/// The whole file.
#[must_use]
pub fn to_markdown(record: &RunRecord) -> String {
    let verdicts = crate::evaluate(record);
    let record = &*record.by_case();
    let tables = table::of_judged(record, &verdicts);
    let title = [&record.workload.title, &record.workload.name];
    let title = title.into_iter().find(|title| !title.is_empty());
    let mut text = format!(
        "# {}\n\n",
        title.map_or_else(|| "Run".to_owned(), |title| escaped(title))
    );
    text.push_str(&format!(
        "Run {}, started {}, seed {}, version {}.\n",
        escaped(&record.run_id),
        escaped(&record.created),
        record.workload.seed,
        escaped(&record.build.version)
    ));
    for (applies, caution) in [
        (record.synthetic, "Synthetic data: nothing was measured."),
        (
            summary::is_dev_build(record),
            "Dev build: figures are not for quoting.",
        ),
        (
            record.interrupted,
            "Interrupted: what was measured until then is shown.",
        ),
        (
            record.verification_failed(),
            "Verification failed: the figures must not be used.",
        ),
    ] {
        if applies {
            text.push_str(&format!("\n**{caution}**\n"));
        }
    }
    for (at, (heading, id)) in TABLES.into_iter().enumerate() {
        if at == RESULTS {
            text.push_str(&known(record));
        }
        if let Some(table) = tables.get(id) {
            text.push_str(&format!("\n## {heading}\n\n{}", table.to_markdown()));
            if !table.caption.is_empty() {
                text.push_str(&format!("\n{}\n", escaped(&table.caption)));
            }
        }
    }
    text.push_str(&format!(
        "\nMade by:\n\n    {}\n",
        table::text::one_line(&record.command.to_shell())
    ));
    text
}

/// What went wrong, and the warnings.
fn known(record: &RunRecord) -> String {
    let engines = summary::engines(record);
    let problems = engines.iter().flat_map(|of| {
        let problems = of.problems.iter();
        problems.map(move |problem| format!("{}: {problem}", of.engine))
    });
    let lines: Vec<String> = problems
        .chain(summary::warnings(record))
        .map(|line| format!("- {}\n", escaped(&line)))
        .collect();
    if lines.is_empty() {
        return String::new();
    }
    format!("\n## What to know about these figures\n\n{}", lines.concat())
}
