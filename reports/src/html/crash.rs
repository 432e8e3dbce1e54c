//! Crash tests on the page: a headline, facts, and what was tried and found in plots and tables.

use super::context::{Fact, Picture};
use super::sections::fact;
use super::tables::{Cell, Table, filled, number, table};
use crate::record::{CrashTest, Reached, RunRecord, Schedules};
use crate::units::{self, MISSING, or_missing};
use serde::Serialize;

/// Everything about crash tests.
#[derive(Debug, Serialize)]
pub(super) struct CrashSection {
    class: &'static str,
    headline: String,
    facts: Vec<Fact>,
    schedules: Option<String>,
    failures: Vec<FailureLine>,
    plots: Vec<Picture>,
    tables: Vec<CrashTable>,
}

/// A table under its heading.
#[derive(Debug, Serialize)]
struct CrashTable {
    title: &'static str,
    table: Table,
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
    let tables = [
        ("Scenarios", scenarios(crash)),
        ("Failing file operations", faults(crash)),
        ("Damage at rest", damage(crash)),
        ("Planted faults", planted(crash)),
        ("Schedules: planted faults that take two threads", orders(crash)),
        ("Schedules: reach", schedules_reach(crash)),
        ("Reach", reach(crash)),
    ];
    Some(CrashSection {
        class: if crash.is_good() { "pass" } else { "fail" },
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
        tables: tables
            .into_iter()
            .filter_map(|(title, table)| Some(CrashTable { title, table: table? }))
            .collect(),
    })
}

fn headline(crash: &CrashTest) -> String {
    let lost = match crash.images_lost() {
        0 => "nothing was lost".to_owned(),
        1 => "1 image was not as promised".to_owned(),
        lost => format!("{} images were not as promised", units::count(lost)),
    };
    let planted = match (crash.planted_caught(), crash.planted.len()) {
        (_, 0) => String::new(),
        (caught, all) if caught == all => format!("; all {all} planted faults were found"),
        (caught, all) => format!("; {} of {all} planted faults were NOT found", all - caught),
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
        "{} images of {}: {lost}{planted}{other}{unreached}.",
        units::count(crash.images()),
        crash.engine
    )
}

fn facts(crash: &CrashTest) -> Vec<Fact> {
    let choices = crash
        .scenarios
        .iter()
        .fold(0u64, |sum, scenario| sum.saturating_add(scenario.choices));
    let planted = match crash.planted.len() {
        0 => MISSING.to_owned(),
        all => format!("{} of {all}", crash.planted_caught()),
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
        fact("Planted faults found", planted),
        fact("Threads", crash.threads.to_string()),
        fact("Time", units::duration(crash.duration_ns)),
        fact("Seed", crash.seed.to_string()),
    ]
}

fn count(value: u64) -> Cell {
    units::count(value).into()
}

/// A count of what must not be.
fn bad(value: u64) -> Cell {
    Cell {
        text: units::count(value),
        class: if value == 0 { "pass" } else { "fail" },
    }
}

fn scenarios(crash: &CrashTest) -> Option<Table> {
    let mut table = table(
        "Each scenario runs once; then power is lost at each of its file operations, and each time with many choices of \
         what survives. Choices that give an image that was checked already are not checked again. Operations are those \
         that change files. Recoveries are openings of the database.",
        &[
            "Scenario",
            "About",
            "#Commits",
            "#Operations",
            "#Points",
            "#Choices",
            "#Images",
            "#Recoveries",
            "#Each second",
            "#Lost",
        ],
    );
    for scenario in &crash.scenarios {
        table.rows.push(vec![
            scenario.name.clone().into(),
            long(&scenario.title),
            count(scenario.commits),
            count(scenario.operations),
            count(scenario.points()),
            count(scenario.choices),
            count(scenario.images),
            count(scenario.recoveries),
            number(scenario.recoveries_per_second()),
            bad(scenario.failures),
        ]);
    }
    if let Some(random) = &crash.random {
        let title = format!("{} random mixes of steps", units::count(random.mixes));
        table.rows.push(vec![
            "random".into(),
            long(&title),
            MISSING.into(),
            count(random.operations),
            MISSING.into(),
            MISSING.into(),
            count(random.images),
            count(random.recoveries),
            number(random.recoveries_per_second()),
            bad(random.failures),
        ]);
    }
    filled(table)
}

fn faults(crash: &CrashTest) -> Option<Table> {
    let mut table = table(
        "The scenarios run with their first, second, third, ... operation of a kind failing, until none is left to fail. \
         Refusals are calls of the engine that answered with an error; poisoned are runs after which it accepted no more \
         commits. After each run the database is opened again and compared with what was acknowledged.",
        &[
            "Operation",
            "Effect",
            "Lasting",
            "#Runs",
            "#Operations failed",
            "#Refusals",
            "#Poisoned",
            "#Reopened",
            "#Time",
            "#Wrong",
        ],
    );
    for sweep in &crash.faults {
        table.rows.push(vec![
            sweep.kind.clone().into(),
            sweep.effect.clone().into(),
            sweep.how_long().into(),
            count(sweep.runs),
            count(sweep.struck),
            count(sweep.refused),
            count(sweep.poisoned),
            count(sweep.reopened),
            units::duration(sweep.duration_ns).into(),
            bad(sweep.failures),
        ]);
    }
    filled(table)
}

fn damage(crash: &CrashTest) -> Option<Table> {
    let mut table = table(
        "Files of a closed database, damaged in one place at a time. Harmless: the contents were right all the same, from \
         a second copy, or because nothing uses those bytes. Cut off: the log ends before its last flush, as if that had \
         never been; nothing behind it could tell. Missed: a wrong value or a panic.",
        &[
            "Block and damage",
            "#Tried",
            "#Detected",
            "#Harmless",
            "#Cut off",
            "#Missed",
        ],
    );
    for block in crash.damage.iter().flat_map(|damage| &damage.blocks) {
        table.rows.push(vec![
            block.kind.clone().into(),
            count(block.flips),
            count(block.detected),
            count(block.harmless),
            count(block.cut_off),
            bad(block.missed),
        ]);
    }
    filled(table)
}

fn planted(crash: &CrashTest) -> Option<Table> {
    let mut table = table(
        "Mistakes planted in the engine, one at a time. A fault that the checks do not find is a hole in them.",
        &[
            "Fault",
            "Mistake",
            "Found",
            "Check",
            "Script",
            "#Images",
            "#Time",
            "What was found",
        ],
    );
    for fault in &crash.planted {
        let class = if fault.caught { "pass" } else { "fail" };
        let text = format!("{} of {} seeds", fault.seeds_caught, fault.seeds);
        table.rows.push(vec![
            fault.name.clone().into(),
            long(&fault.description),
            Cell { text, class },
            or_missing(fault.check.clone(), |name| name).into(),
            or_missing(fault.scenario.clone(), |name| name).into(),
            count(fault.images),
            units::duration(fault.duration_ns).into(),
            long(fault.finding.as_deref().unwrap_or(MISSING)),
        ]);
    }
    filled(table)
}

fn orders(crash: &CrashTest) -> Option<Table> {
    let mut table = table(
        "Mistakes planted in the engine that only a particular order of threads shows. Schedules are counted from each of \
         several first seeds on, until one fails.",
        &["Fault", "Mistake", "#Found after", "#Time", "What was found"],
    );
    for fault in crash.schedules.iter().flat_map(|schedules| &schedules.planted) {
        table.rows.push(vec![
            fault.name.clone().into(),
            long(&fault.description),
            Cell {
                text: fault.schedules_text(),
                class: if fault.caught { "pass" } else { "fail" },
            },
            units::duration(fault.duration_ns).into(),
            long(fault.finding.as_deref().unwrap_or(MISSING)),
        ]);
    }
    filled(table)
}

fn reach(crash: &CrashTest) -> Option<Table> {
    reached(
        "What the engine does only now and then, and how often it did so in this run, planted faults not counted. What is \
         never gone through is not checked.",
        &crash.reach,
    )
}

fn schedules_reach(crash: &CrashTest) -> Option<Table> {
    reached(
        "What schedules are there to bring together, and how often they came to it.",
        &crash.schedules.as_ref()?.reach,
    )
}

fn reached(caption: &str, all: &[Reached]) -> Option<Table> {
    let mut table = table(caption, &["Mechanism", "What happens", "#Times"]);
    for reached in all {
        let class = if reached.count > 0 { "" } else { "fail" };
        table.rows.push(vec![
            reached.name.clone().into(),
            long(&reached.description),
            Cell {
                text: units::count(reached.count),
                class,
            },
        ]);
    }
    filled(table)
}

fn long(text: &str) -> Cell {
    Cell {
        text: text.to_owned(),
        class: "long",
    }
}
