//! What crash tests tried and found, in the words around their tables.

use crate::record::RunRecord;
use crate::table::text::wrapped;

/// All of it in a sentence, and that of schedules; empty when the record has no crash test.
pub(super) fn headline(record: &RunRecord, width: usize) -> String {
    let Some(crash) = &record.crash else {
        return String::new();
    };
    let lost = crash.images_lost();
    let lost = if crash.images() == 0 {
        "none checked".to_owned()
    } else if lost == 0 {
        "all as promised".to_owned()
    } else {
        format!("{} images NOT AS PROMISED", units::count(lost))
    };
    let mut words = format!(
        "crash tests of {}: {} images at {} points, {lost}; {} recoveries",
        crash.engine,
        units::count(crash.images()),
        units::count(crash.points()),
        units::count(crash.recoveries()),
    );
    if let Some(rate) = crash.recoveries_per_second() {
        words.push_str(&format!(", {} each second", units::number(rate)));
    }
    if !crash.injected.is_empty() {
        words.push_str(&format!(
            "; {} of {} injected bugs found",
            crash.injected_caught(),
            crash.injected.len()
        ));
    }
    let mut text = wrapped(&words, width, "");
    if let Some(schedules) = &crash.schedules {
        text.push_str(&wrapped(&schedules.headline(), width, ""));
    }
    text
}

/// What went wrong, each with the command that shows it again.
pub(super) fn failures(record: &RunRecord, width: usize) -> String {
    let mut text = String::new();
    for failure in record.crash.iter().flat_map(|crash| &crash.failures) {
        let place = [&failure.point, &failure.choice].map(String::as_str);
        let place: Vec<&str> = place.into_iter().filter(|part| !part.is_empty()).collect();
        let line = format!("{}, {}: {}", failure.scenario, place.join(", "), failure.finding);
        text.push_str(&wrapped(&line, width, "  ! "));
        if let Some(command) = failure.command() {
            text.push_str(&wrapped(&command, width, "    "));
        }
    }
    text
}
