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

/// The one script of a page, which is the same on all.
const SCRIPT: &str = include_str!("../../templates/script.js");

#[test]
fn a_page_needs_no_network() {
    let record = synthetic::record(2);
    for page in [
        reports::render_report(&record).unwrap(),
        reports::compare(&[record.clone(), record]).unwrap(),
    ] {
        let without_namespace = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
        for forbidden in [
            "http://", "https://", "<link", "@import", "url(", "<img", "<iframe", " src=", "fetch(",
            "XMLHttp", "import(",
        ] {
            assert!(!without_namespace.contains(forbidden), "{forbidden}");
        }
        assert_eq!(page.matches("<script").count(), 1);
        assert!(page.contains(&format!("<script>{SCRIPT}</script>")));
    }
}

#[test]
fn results_come_first_then_what_to_know_and_criteria_last() {
    let mut record = synthetic::record(2);
    let places = |text: &str, wanted: &[&str]| -> Vec<usize> {
        let place = |words: &&str| text.find(*words).unwrap_or_else(|| panic!("no {words}\n{text}"));
        wanted.iter().map(place).collect()
    };
    let page = |record: &RunRecord| reports::render_report(record).unwrap();
    let wanted = [
        "<h2 id=\"summary\">",
        "agree with the oracle",
        "<h2 id=\"warnings\">",
        "<h2 id=\"plots\">",
        "<h2 id=\"transactions\">",
        "<h2 id=\"storage\">",
        "<h2 id=\"criteria\">",
    ];
    assert!(places(&page(&record), &wanted).is_sorted());
    let text = |record: &RunRecord| reports::text_table_within(record, 200);
    let wanted = [
        "tx/s",
        "verified: ",
        "warning: ",
        "samples",
        "write ampl.",
        "criterion",
        "criteria: ",
    ];
    assert!(places(&text(&record), &wanted).is_sorted(), "{}", text(&record));
    // A run that was made for the criteria has them among its results.
    record.workload.name = "all".into();
    assert!(places(&page(&record), &["id=\"criteria\">", "id=\"warnings\">"]).is_sorted());
    assert!(places(&text(&record), &["criteria: ", "warning: "]).is_sorted());
}

#[test]
fn a_page_opens_with_rate_uncertainty_percentiles_and_verification() {
    let tables = reports::table::tables(&synthetic::record(2));
    let headings: Vec<&str> = tables["summary"]
        .columns
        .iter()
        .map(|of| of.heading.as_str())
        .collect();
    let first = [
        "Engine",
        "Transactions/s",
        "Range",
        "p50",
        "p95",
        "p99",
        "Max",
        "Verified",
    ];
    assert_eq!(headings[..8], first);
    let words = |id: &str| -> Vec<&str> { tables[id].columns.iter().map(|of| of.heading.as_str()).collect() };
    assert!(words("latencies").ends_with(&["Min", "Mean", "p50", "p90", "p95", "p99", "p99.9", "Max"]));
    assert!(words("outcomes").contains(&"Aborted"));
}

#[test]
fn contents_link_to_every_heading() {
    let page = reports::render_report(&synthetic::record(2)).unwrap();
    let ids: Vec<&str> = page
        .split("<h2 id=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert!(ids.len() > 8, "{ids:?}");
    let contents = page
        .split("class=\"contents\"")
        .nth(1)
        .unwrap()
        .split("</nav>")
        .next()
        .unwrap();
    for id in ids {
        assert!(contents.contains(&format!("<a href=\"#{id}\">")), "{id}");
    }
    // A heading is escaped in the list as it is in its place.
    assert!(
        reports::render_report(&strange::hostile())
            .unwrap()
            .contains("class=\"contents\"")
    );
}

#[test]
fn one_failure_is_told_in_one_line() {
    let mut record = synthetic::record(2);
    record.measurements[0].verification = Verification::Failed {
        what: vec!["row 17 is gone".into()],
    };
    let failed = record
        .measurements
        .iter_mut()
        .find(|one| one.engine == "memory")
        .unwrap();
    failed.status = reports::record::Status::Failed {
        reason: "run: out of luck".into(),
    };
    failed.warnings.push(reports::record::Warning::Errors {
        count: 1,
        first: "out of luck".into(),
    });
    let page = reports::render_report(&record).unwrap();
    let text = reports::text_table_within(&record, 200);
    for (name, output) in [("page", page), ("text", text)] {
        for words in ["row 17 is gone", "out of luck"] {
            assert_eq!(output.matches(words).count(), 1, "{name}: {words}\n{output}");
        }
    }
}

#[test]
fn an_interrupted_run_says_so_once() {
    let mut record = synthetic::record(2);
    record.interrupted = true;
    record.warnings.push(reports::record::Warning::Interrupted);
    record.measurements[0]
        .warnings
        .push(reports::record::Warning::Interrupted);
    let text = reports::text_table_within(&record, 200);
    assert_eq!(text.to_lowercase().matches("interrupted").count(), 1, "{text}");
    let page = reports::render_report(&record).unwrap();
    assert_eq!(page.matches("nterrupted.").count(), 1);
}

#[test]
fn engines_have_one_colour_in_tables_and_plots_of_all_pages() {
    let record = synthetic::record(2);
    let mut turned = record.clone();
    turned.measurements.reverse();
    for record in [record, turned] {
        let page = reports::render_report(&record).unwrap();
        for (engine, place) in [("palimpsest", 1), ("memory", 2)] {
            let swatch =
                format!("<span class=\"swatch s{place}\" aria-hidden=\"true\"></span>{engine}</span>");
            assert!(page.matches(&swatch).count() >= 5, "{engine}");
            let start = page
                .find(&format!("<figure id=\"throughput-over-time-{engine}\">"))
                .unwrap();
            let figure = &page[start..start + page[start..].find("</figure>").unwrap()];
            assert!(
                figure.contains(&format!("var(--plot-series-{place})")),
                "{engine}"
            );
            assert!(
                !figure.contains(&format!("var(--plot-series-{})", 3 - place)),
                "{engine}"
            );
        }
    }
}

#[test]
fn a_criterion_that_is_told_in_the_ratio_table_is_not_told_again() {
    let page = reports::render_report(&synthetic::ratios(1)).unwrap();
    assert_eq!(
        page.matches(">point get, 1 thread</th>").count(),
        2,
        "ratios, and the figures behind them"
    );
    assert!(!page.contains("point get, 1 thread &#x2f; memory"));
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
    assert!(page.contains("class=\"results pass\"") && !page.contains("class=\"banner"));
    record.measurements[2].verification = Verification::Failed {
        what: vec!["row 17 is gone".into()],
    };
    let page = reports::render_report(&record).unwrap();
    assert!(page.contains("class=\"banner fail\"") && page.contains("row 17 is gone"));
    assert!(page.contains("the figures below must not be used"));
    let page = reports::render_report(&strange::bare()).unwrap();
    assert!(page.contains("class=\"results open\""));
    // A run without measurements stands by its rounds or its checks.
    let mut record = synthetic::ratios(2);
    record.ratios.clear();
    for (rounds, title) in [
        (40, "Nothing that was promised was lost"),
        (0, "All checks passed"),
    ] {
        record.recovery[0].rounds = rounds;
        assert!(
            reports::render_report(&record).unwrap().contains(title),
            "{title}"
        );
    }
    record.recovery[0].findings.push("row 17 is gone".into());
    assert!(
        reports::render_report(&record)
            .unwrap()
            .contains("class=\"banner fail\"")
    );
    // Where no target is judged, green is not for the targets.
    let mut small = synthetic::ratios(2);
    small.recovery.clear();
    for row in &mut small.ratios {
        row.rows = Some(5000);
    }
    let page = reports::render_report(&small).unwrap();
    assert!(page.contains("no target is judged at this scale"), "{page}");
}

#[test]
fn what_was_not_measured_is_a_dash_and_never_a_zero() {
    let page = reports::render_report(&strange::bare()).unwrap();
    let start = page.find("id=\"summary\"").unwrap();
    let summary = &page[start..start + page[start..].find("</section>").unwrap()];
    assert!(
        summary.contains("<td class=\"number \" data-label=\"p99\">–</td>"),
        "{summary}"
    );
    assert!(
        !summary.contains(">0</td>") && !summary.contains("0 ns"),
        "{summary}"
    );
    let page = page.replace(SCRIPT, "");
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
        assert_eq!(
            page.matches("<script").count(),
            1,
            "a name reached the page as markup"
        );
        assert_eq!(page.matches("</script>").count(), 1);
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
    let name = |path: &std::path::Path| path.file_name().unwrap().to_string_lossy().into_owned();
    assert!(
        files.plots.iter().all(|path| name(path).starts_with("oltp-")),
        "{:?}",
        files.plots
    );
    let text = |path: Option<std::path::PathBuf>| std::fs::read_to_string(path.unwrap()).unwrap();
    assert_eq!(text(files.csv), reports::to_csv(&record));
    assert_eq!(text(files.markdown), reports::to_markdown(&loaded));
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
    assert!(
        !alone.contains("1.00x"),
        "what is there once is compared with nothing"
    );
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
        let named = format!("data-label=\"Not comparable for\">{what}</td>");
        assert!(page.contains(&named), "{what} is named");
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

#[test]
fn options_that_differ_between_runs_are_named_and_others_not() {
    let run = |id: &str, sync: &str| {
        let mut record = RunRecord::new(id, "now");
        record.measurements.push(reports::record::Measurement {
            engine: "a".into(),
            status: reports::record::Status::Ok,
            settings: reports::record::Settings {
                engine_options: [("wal-sync", sync), ("page-size", "4096")]
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .into(),
                ..Default::default()
            },
            ..Default::default()
        });
        record
    };
    let page = |other| reports::compare(&[run("one", "fdatasync"), run("two", other)]).unwrap();
    let differ = page("direct");
    assert!(
        differ.contains("a: wal-sync") && differ.contains("two: direct"),
        "{differ}"
    );
    assert!(!differ.contains("a: page-size"));
    assert!(!page("fdatasync").contains("a: wal-sync"));
}

#[test]
fn repetitions_that_were_cut_short_or_not_run_are_named() {
    let mut record = RunRecord::new("r", "now");
    for (repetition, status) in [
        (1, reports::record::Status::Ok),
        (2, reports::record::Status::NotRun),
    ] {
        record.measurements.push(reports::record::Measurement {
            engine: "a".into(),
            repetition,
            warnings: vec![reports::record::Warning::Interrupted],
            duration_ns: (repetition == 1).then_some(250_000_000),
            status,
            ..Default::default()
        });
    }
    let text = reports::text_table(&record);
    assert!(
        text.contains("repetition 1 was cut short, after 250 ms"),
        "{text}"
    );
    assert!(text.contains("repetition 2 was not run"), "{text}");
}
