//! Terminal text: aligned, within its width, and honest about what is missing.

use crate::{crash_test, strange, synthetic};
use reports::record::Verification;

#[test]
fn every_record_has_text_without_control_characters() {
    for (name, record) in strange::all() {
        let text = reports::text_table(&record);
        assert!(!text.is_empty(), "{name}");
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{name}");
        assert!(!text.contains("NaN"), "{name}");
        for line in text.lines() {
            assert_eq!(line, line.trim_end(), "{name}");
        }
    }
}

#[test]
fn text_fits_its_width() {
    for record in [synthetic::record(1), synthetic::ratios(1), crash_test::failed(1)] {
        for width in [80, 100, 160] {
            for line in reports::text_table_within(&record, width).lines() {
                assert!(line.chars().count() <= width, "{width}: {line}");
            }
        }
    }
}

#[test]
fn the_text_says_what_matters() {
    let text = reports::text_table(&synthetic::record(1));
    for expected in [
        "DEV BUILD",
        "SYNTHETIC",
        "palimpsest",
        "memory",
        "read-write",
        "verified: ",
        "WAL append",
        "PASS",
        "not measured by this run",
        "warning: 4 threads ran on 2 processors",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
}

#[test]
fn failures_are_loud() {
    let mut record = synthetic::record(1);
    record.measurements[0].verification = Verification::Failed {
        what: vec!["row 17 is gone".into()],
    };
    let text = reports::text_table(&record);
    assert!(
        text.contains("VERIFICATION FAILED") && text.contains("row 17 is gone") && text.contains("FAIL"),
        "{text}"
    );
}

#[test]
fn missing_figures_are_dashes() {
    let text = reports::text_table(&strange::bare());
    let line = text.lines().find(|line| line.starts_with("engine-a")).unwrap();
    assert!(line.contains('–') && !line.contains("0 ns"), "{line}");
}

#[test]
fn ratios_have_a_table_of_their_own() {
    assert_eq!(reports::text_ratios(&synthetic::record(1)), "");
    let text = reports::text_ratios(&synthetic::ratios(1));
    assert!(
        text.contains("durable commits, 64 writers") && text.contains("NOT MEASURED"),
        "{text}"
    );
    assert!(text.contains("PASS, stretch") && text.contains("FAIL"), "{text}");
    assert!(text.contains("fewer than 64 threads could be started"), "{text}");
}
