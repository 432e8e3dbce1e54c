//! Report pages: complete, self-contained, escaped, and honest about what is missing.

use crate::{strange, synthetic};
use reports::record::Verification;
use reports::{ReportError, RunRecord};

#[test]
fn every_record_makes_a_page() {
    for (name, record) in strange::all() {
        let page = reports::render_report(&record).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(
            page.starts_with("<!DOCTYPE html>") && page.trim_end().ends_with("</html>"),
            "{name}"
        );
        assert_balanced(name, &page);
    }
}

/// Opening and closing tags of each kind occur equally often.
fn assert_balanced(name: &str, page: &str) {
    for tag in [
        "section", "table", "tr", "td", "th", "figure", "svg", "text", "ul", "li", "dl", "div", "details",
        "p",
    ] {
        let opened = page.matches(&format!("<{tag} ")).count() + page.matches(&format!("<{tag}>")).count();
        let closed = page.matches(&format!("</{tag}>")).count();
        assert_eq!(opened, closed, "{name}: <{tag}>");
    }
}

#[test]
fn a_page_needs_no_network_and_runs_no_script() {
    let page = reports::render_report(&synthetic::record(2)).unwrap();
    let without_namespace = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for forbidden in [
        "http://", "https://", "<script", "<link", "@import", "url(", "<img", "<iframe",
    ] {
        assert!(!without_namespace.contains(forbidden), "{forbidden}");
    }
}

#[test]
fn a_page_shows_what_the_run_was() {
    let record = synthetic::record(2);
    let page = reports::render_report(&record).unwrap();
    for expected in [
        "cargo run -p harness -- --workload oltp",
        "Dev build: figures are not for quoting",
        "Synthetic data.",
        "values read agree with the oracle",
        "4 threads ran on 2 processors",
        "Example CPU at 2.50 GHz",
        "Group commit sizes",
        "Latency percentiles: read-write",
        "WAL and checkpoint activity: palimpsest",
        "docs/methodology.md",
        "durability sync",
        "keeps everything in memory; nothing is durable",
        "seed <code>2</code>",
    ] {
        assert!(page.contains(expected), "{expected}");
    }
    let mut release = record;
    release.build.profile = reports::record::Profile::Release;
    release.build.debug_assertions = false;
    release.synthetic = false;
    release.warnings.clear();
    let page = reports::render_report(&release).unwrap();
    assert!(!page.contains("not for quoting") && !page.contains("Synthetic data"));
}

#[test]
fn the_banner_follows_verification_and_criteria() {
    let mut record = synthetic::record(2);
    let page = reports::render_report(&record).unwrap();
    assert!(page.contains("class=\"banner pass\""));
    record.measurements[2].verification = Verification::Failed {
        what: vec!["row 17 is gone".into()],
    };
    let page = reports::render_report(&record).unwrap();
    assert!(page.contains("class=\"banner fail\"") && page.contains("row 17 is gone"));
    assert!(page.contains("the figures below must not be used"));
    let page = reports::render_report(&strange::bare()).unwrap();
    assert!(page.contains("class=\"banner open\""));
}

#[test]
fn what_was_not_measured_is_a_dash_and_never_a_zero() {
    let page = reports::render_report(&strange::bare()).unwrap();
    let start = page.find("id=\"summary\"").unwrap();
    let summary = &page[start..start + page[start..].find("</section>").unwrap()];
    assert!(summary.contains("<td class=\"number \">–</td>"), "{summary}");
    assert!(
        !summary.contains(">0</td>") && !summary.contains("0 ns"),
        "{summary}"
    );
    for wrong in ["NaN", "inf</", "null", "None"] {
        assert!(!page.contains(wrong), "{wrong}");
    }
}

#[test]
fn foreign_text_is_escaped_everywhere() {
    let record = strange::hostile();
    for page in [
        reports::render_report(&record).unwrap(),
        reports::compare(&[record.clone(), strange::bare()]).unwrap(),
    ] {
        assert!(!page.contains("<script"), "a name reached the page as markup");
        assert!(page.contains("&lt;script&gt;"));
        assert!(!page.contains("aria-label=\"<") && !page.contains("x')</script>"));
    }
}

#[test]
fn a_report_is_written_with_its_record_and_pictures() {
    let directory = tempfile::tempdir().unwrap();
    let inside = directory.path().join("deep/run");
    let record = synthetic::record(4);
    let files = reports::write_report(&inside, &record).unwrap();
    assert_eq!(files.html, inside.join("report.html"));
    let loaded = RunRecord::load(&inside).unwrap();
    assert_eq!(loaded.measurements, record.measurements);
    assert_eq!(loaded.verdicts, reports::evaluate(&record));
    assert!(files.plots.len() >= 8, "{:?}", files.plots);
    for plot in &files.plots {
        assert!(plot.metadata().unwrap().len() > 1_000, "{}", plot.display());
    }
    // A page made again from the record is the same page.
    assert_eq!(
        reports::render_report(&loaded).unwrap(),
        std::fs::read_to_string(files.html).unwrap()
    );
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let error = reports::write_report(file.join("inside"), &strange::bare()).unwrap_err();
    assert!(
        matches!(error, ReportError::Write { .. }) && error.to_string().contains("file/inside"),
        "{error}"
    );
}

#[test]
fn a_comparison_names_differences_and_relates_to_the_first_run() {
    let first = synthetic::record(7);
    let mut second = synthetic::record(8);
    second.run_id = "second".into();
    second.environment.kernel = Some("Linux 99".into());
    for measurement in &mut second.measurements {
        measurement.transactions_per_second = measurement.transactions_per_second.map(|rate| rate * 2.0);
    }
    let page = reports::compare(&[first.clone(), second]).unwrap();
    assert_balanced("comparison", &page);
    assert!(
        page.contains("<strong>Kernel</strong>") && page.contains("second: Linux 99"),
        "the difference is named"
    );
    assert!(
        !page.contains("<strong>CPU</strong>"),
        "what is equal is not named"
    );
    assert!(page.contains("1.00x") && (page.contains("1.9") || page.contains("2.0")));
    let alone = reports::compare(&[first]).unwrap();
    assert!(!alone.contains("In what these runs differ"));
    // An interrupted run is not what it was planned to be, and a killed process promises less than the device.
    let mut other = synthetic::record(1);
    other.interrupted = true;
    for measurement in &mut other.measurements {
        measurement.settings.survival = Some(reports::record::Survival {
            kills: 3,
            acknowledged: 300,
            missing: 3,
        });
    }
    let page = reports::compare(&[synthetic::record(1), other]).unwrap();
    assert!(page.contains("interrupted before its end"), "is named");
    assert!(page.contains("(survives nothing)"), "is named");
    assert!(matches!(
        reports::compare(&[]),
        Err(ReportError::NothingToCompare)
    ));
}

/// Something that makes a run unlike another.
type Change = Box<dyn Fn(&mut RunRecord)>;

#[test]
fn runs_that_cannot_be_compared_are_not() {
    let first = synthetic::record(7);
    let settings = |change: fn(&mut reports::record::Settings)| {
        move |record: &mut RunRecord| {
            for measurement in &mut record.measurements {
                change(&mut measurement.settings);
            }
        }
    };
    let changes: [(&str, Change); 11] = [
        ("threads", Box::new(settings(|of| of.threads = Some(99)))),
        ("rows", Box::new(settings(|of| of.rows = Some(99)))),
        (
            "value size",
            Box::new(settings(|of| of.value_size_bytes = Some(99))),
        ),
        (
            "offered rate",
            Box::new(settings(|of| of.offered_per_second = Some(99.0))),
        ),
        (
            "isolation",
            Box::new(settings(|of| of.isolation = Some("x".into()))),
        ),
        (
            "durability",
            Box::new(settings(|of| of.durability = Some("x".into()))),
        ),
        (
            "checkpoints asked for",
            Box::new(|of| {
                let overrides = &mut of.workload.overrides;
                overrides.insert("checkpoint-every".into(), "50ms".into());
            }),
        ),
        ("machine", Box::new(|of| of.environment.cpu_cores = Some(99))),
        (
            "file system",
            Box::new(|of| of.environment.file_system = Some("x".into())),
        ),
        (
            "build",
            Box::new(|of| of.build.debug_assertions = !of.build.debug_assertions),
        ),
        (
            "specification",
            Box::new(|of| {
                of.workload
                    .spec_toml
                    .push_str("\n[[transaction]]\nname = \"x\"\n")
            }),
        ),
    ];
    let page_with = |second: RunRecord| reports::compare(&[first.clone(), second]).unwrap();
    let ratios = |page: &str| page.matches("1.00x").count();
    let alike = ratios(&page_with(first.clone()));
    for (what, change) in changes {
        let mut second = first.clone();
        change(&mut second);
        let page = page_with(second);
        assert!(page.contains(&format!(">{what}</td>")), "{what} is named");
        assert!(ratios(&page) < alike, "{what}: no ratio");
    }
    // What is not the load does not make a difference.
    let mut second = first.clone();
    second.workload.spec_toml = format!("seed = 99\nthreads = 99\n{}", second.workload.spec_toml);
    assert_eq!(ratios(&page_with(second)), alike);
}

#[test]
fn a_comparison_of_strange_records_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let records: Vec<RunRecord> = strange::all().into_iter().map(|(_, record)| record).collect();
    let files = reports::write_comparison(directory.path(), &records).unwrap();
    assert!(files.html.ends_with("comparison.html") && files.record.is_none());
    assert_balanced("strange", &std::fs::read_to_string(files.html).unwrap());
}

#[test]
fn flushes_faster_than_the_probe_are_doubted() {
    let mut record = synthetic::record(2);
    let doubted = |record: &RunRecord| {
        reports::render_report(record)
            .unwrap()
            .contains("mean nothing here")
    };
    assert!(!doubted(&record));
    record.measurements[0].engine_stats.flushes = Some(200_000);
    assert!(doubted(&record));
    record.probes.raw_flush.clear();
    assert!(!doubted(&record));
}
