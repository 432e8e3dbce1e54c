//! What must hold for any text that is given as a record. A fuzzer (`fuzz`) searches for texts that break it; the test below
//! replays those that it kept.

use std::path::Path;

use crate::{DEFAULT_WIDTH, RunRecord, compare, evaluate, render_report, text_table_within};

/// A record is refused with the name of its file, or it can be judged, drawn, compared and written out again.
///
/// # Panics
/// If a property does not hold.
pub fn record(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let record = match RunRecord::parse(&text, Path::new("run.json")) {
        Ok(record) => record,
        Err(error) => {
            assert!(error.to_string().contains("run.json"), "{error}");
            return;
        }
    };
    let _verdicts = evaluate(&record);
    for width in [20, DEFAULT_WIDTH] {
        let text = text_table_within(&record, width);
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    }
    for measurement in &record.measurements {
        for latency in measurement
            .transaction_types
            .iter()
            .filter_map(|of| of.latency.as_ref())
        {
            let _histogram = latency.decode();
        }
    }
    let page = render_report(&record).expect("what is read can be drawn");
    assert!(
        page.ends_with("</html>\n") || page.ends_with("</html>"),
        "a whole page"
    );
    let _comparison = compare(&[record.clone(), record.clone()]).expect("what is read can be compared");
    // Figures that JSON has no words for do not come out of JSON.
    let written = record.to_json().expect("what is read can be written");
    let again = RunRecord::parse(&written, Path::new("again")).expect("what is written can be read");
    assert_eq!(again, record);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_input_that_the_fuzzer_kept_passes() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/record");
        let mut inputs = 0;
        for entry in std::fs::read_dir(corpus).expect("the corpus is in the repository") {
            let path = entry.expect("an entry").path();
            record(&std::fs::read(&path).expect("an input"));
            inputs += 1;
        }
        assert!(inputs >= 3);
    }
}
