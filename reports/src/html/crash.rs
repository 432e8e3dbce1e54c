//! Crash tests on the page: a headline, facts, plots, and what went wrong.

use super::context::{Fact, Picture};
use super::sections::fact;
use crate::record::{CrashTest, RunRecord, Schedules};
use serde::Serialize;
use units::{MISSING, or_missing};

/// Everything about crash tests.
#[derive(Debug, Serialize)]
pub(super) struct CrashSection {
    class: &'static str,
    headline: String,
    facts: Vec<Fact>,
    schedules: Option<String>,
    failures: Vec<FailureLine>,
    plots: Vec<Picture>,
}

/// A failure with the command that shows it again.
#[derive(Debug, Serialize)]
struct FailureLine {
    place: String,
    finding: String,
    command: Option<String>,
}

/// The section, when the record has crash tests.
pub(super) fn crash(record: &RunRecord, plots: Vec<Picture>) -> Option<CrashSection> {
    let crash = record.crash.as_ref()?;
    Some(CrashSection {
        class: match (crash.is_good(), crash.images()) {
            (false, _) => "fail",
            (true, 0) => "open",
            (true, _) => "pass",
        },
        headline: headline(crash),
        facts: facts(crash),
        schedules: crash.schedules.as_ref().map(Schedules::headline),
        plots,
        failures: crash
            .failures
            .iter()
            .map(|failure| FailureLine {
                place: [&failure.scenario, &failure.point, &failure.choice]
                    .into_iter()
                    .filter(|part| !part.is_empty())
                    .cloned()
                    .collect::<Vec<String>>()
                    .join(", "),
                finding: failure.finding.clone(),
                command: failure.command(),
            })
            .collect(),
    })
}

fn headline(crash: &CrashTest) -> String {
    let lost = match crash.images_lost() {
        0 if crash.images() == 0 => "none was checked".to_owned(),
        0 => "nothing was lost".to_owned(),
        1 => "1 image was not as promised".to_owned(),
        lost => format!("{} images were not as promised", units::count(lost)),
    };
    let injected = match (crash.injected_caught(), crash.injected.len()) {
        (_, 0) => String::new(),
        (caught, all) if caught == all => format!("; all {all} injected bugs were found"),
        (caught, all) => format!("; {} of {all} injected bugs were NOT found", all - caught),
    };
    let unreached = match crash.unreached().count() {
        0 => String::new(),
        never => format!("; mechanisms that were never reached: {never}"),
    };
    let other = crash.failure_count().saturating_sub(crash.images_lost());
    let other = if other == 0 {
        String::new()
    } else {
        format!("; faults and damages that ended wrong: {}", units::count(other))
    };
    format!(
        "{} images of {}: {lost}{injected}{other}{unreached}.",
        units::count(crash.images()),
        crash.engine
    )
}

fn facts(crash: &CrashTest) -> Vec<Fact> {
    let choices = crash
        .scenarios
        .iter()
        .fold(0u64, |sum, scenario| sum.saturating_add(scenario.choices));
    let injected = match crash.injected.len() {
        0 => MISSING.to_owned(),
        all => format!("{} of {all}", crash.injected_caught()),
    };
    vec![
        fact("Crash points", units::count(crash.points())),
        fact("Survival choices", units::count(choices)),
        fact("Different images checked", units::count(crash.images())),
        fact("Recoveries", units::count(crash.recoveries())),
        fact(
            "Recoveries each second, checks included",
            or_missing(crash.recoveries_per_second(), units::number),
        ),
        fact("Images lost", units::count(crash.images_lost())),
        fact("Injected bugs found", injected),
        fact("Threads", crash.threads.to_string()),
        fact("Time", units::duration(crash.duration_ns)),
        fact("Seed", crash.seed.to_string()),
    ]
}
