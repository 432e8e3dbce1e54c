//! What crash tests tried and found, as text.

use super::table::{Align, Table, wrapped};
use crate::record::{CrashTest, RunRecord};
use crate::units::{self, MISSING, or_missing};

/// The whole section; empty when the record has no crash test.
pub(super) fn crash(record: &RunRecord, width: usize) -> String {
    let Some(crash) = &record.crash else {
        return String::new();
    };
    let mut text = headline(crash, width);
    if let Some(schedules) = &crash.schedules {
        text.push_str(&wrapped(&schedules.headline(), width, ""));
    }
    let tables = [
        scenarios(crash),
        faults(crash),
        damage(crash),
        planted(crash),
        orders(crash),
        reach(crash),
    ];
    for table in tables.into_iter().flatten() {
        text.push('\n');
        text.push_str(&table.render(width));
    }
    if !crash.failures.is_empty() {
        text.push('\n');
    }
    for failure in &crash.failures {
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

fn headline(crash: &CrashTest, width: usize) -> String {
    let lost = crash.images_lost();
    let lost = if lost == 0 {
        "none lost".to_owned()
    } else {
        format!("{} LOST", units::count(lost))
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
    if !crash.planted.is_empty() {
        words.push_str(&format!(
            "; {} of {} planted faults found",
            crash.planted_caught(),
            crash.planted.len()
        ));
    }
    wrapped(&words, width, "")
}

/// A count of what must not be.
fn bad(count: u64) -> String {
    if count == 0 {
        "0".to_owned()
    } else {
        format!("{} !", units::count(count))
    }
}

fn scenarios(crash: &CrashTest) -> Option<Table> {
    let mut table = Table::new()
        .column("scenario", Align::Left, 0)
        .column("commits", Align::Right, 3)
        .column("operations", Align::Right, 4)
        .column("points", Align::Right, 2)
        .column("choices", Align::Right, 5)
        .column("images", Align::Right, 0)
        .column("recoveries", Align::Right, 1)
        .column("each second", Align::Right, 1)
        .column("lost", Align::Right, 0);
    for scenario in &crash.scenarios {
        table.row(vec![
            scenario.name.clone(),
            units::count(scenario.commits),
            units::count(scenario.operations),
            units::count(scenario.points()),
            units::count(scenario.choices),
            units::count(scenario.images),
            units::count(scenario.recoveries),
            or_missing(scenario.recoveries_per_second(), units::number),
            bad(scenario.failures),
        ]);
    }
    if let Some(random) = &crash.random {
        table.row(vec![
            format!("{} random mixes", units::count(random.mixes)),
            MISSING.to_owned(),
            units::count(random.operations),
            MISSING.to_owned(),
            MISSING.to_owned(),
            units::count(random.images),
            units::count(random.recoveries),
            or_missing(random.recoveries_per_second(), units::number),
            bad(random.failures),
        ]);
    }
    (!crash.scenarios.is_empty() || crash.random.is_some()).then_some(table)
}

fn faults(crash: &CrashTest) -> Option<Table> {
    let mut table = Table::new()
        .column("failing operation", Align::Left, 0)
        .column("how", Align::Left, 0)
        .column("runs", Align::Right, 0)
        .column("failed operations", Align::Right, 3)
        .column("refusals", Align::Right, 2)
        .column("poisoned", Align::Right, 1)
        .column("reopened", Align::Right, 1)
        .column("wrong", Align::Right, 0);
    for sweep in &crash.faults {
        table.row(vec![
            sweep.kind.clone(),
            format!("{}, {}", sweep.effect, sweep.how_long()),
            units::count(sweep.runs),
            units::count(sweep.struck),
            units::count(sweep.refused),
            units::count(sweep.poisoned),
            units::count(sweep.reopened),
            bad(sweep.failures),
        ]);
    }
    (!crash.faults.is_empty()).then_some(table)
}

fn damage(crash: &CrashTest) -> Option<Table> {
    let damage = crash.damage.as_ref()?;
    let mut table = Table::new()
        .column("damage at rest", Align::Left, 0)
        .column("tried", Align::Right, 0)
        .column("detected", Align::Right, 1)
        .column("harmless", Align::Right, 1)
        .column("cut off", Align::Right, 1)
        .column("missed", Align::Right, 0);
    for block in &damage.blocks {
        table.row(vec![
            block.kind.clone(),
            units::count(block.flips),
            units::count(block.detected),
            units::count(block.harmless),
            units::count(block.cut_off),
            bad(block.missed),
        ]);
    }
    (!damage.blocks.is_empty()).then_some(table)
}

fn planted(crash: &CrashTest) -> Option<Table> {
    let mut table = Table::new()
        .column("planted fault", Align::Left, 0)
        .column("seeds", Align::Left, 0)
        .column("check", Align::Left, 2)
        .column("script", Align::Left, 3)
        .column("images", Align::Right, 0)
        .column("time", Align::Right, 1);
    for fault in &crash.planted {
        table.row(vec![
            fault.name.clone(),
            format!(
                "{} of {}{}",
                fault.seeds_caught,
                fault.seeds,
                if fault.caught { "" } else { " !" }
            ),
            fault.check.clone().unwrap_or_else(|| MISSING.to_owned()),
            fault.scenario.clone().unwrap_or_else(|| MISSING.to_owned()),
            units::count(fault.images),
            units::duration(fault.duration_ns),
        ]);
    }
    (!crash.planted.is_empty()).then_some(table)
}

fn orders(crash: &CrashTest) -> Option<Table> {
    let schedules = crash.schedules.as_ref()?;
    let mut table = Table::new()
        .column("planted fault, by schedules", Align::Left, 0)
        .column("found after", Align::Left, 0)
        .column("time", Align::Right, 1);
    for fault in &schedules.planted {
        let mark = if fault.caught { "" } else { " !" };
        table.row(vec![
            fault.name.clone(),
            format!("{}{mark}", fault.schedules_text()),
            units::duration(fault.duration_ns),
        ]);
    }
    (!schedules.planted.is_empty()).then_some(table)
}

fn reach(crash: &CrashTest) -> Option<Table> {
    let mut table = Table::new()
        .column("mechanism", Align::Left, 0)
        .column("times", Align::Right, 0);
    for reached in &crash.reach {
        let count = units::count(reached.count);
        table.row(vec![
            reached.name.clone(),
            if reached.count > 0 {
                count
            } else {
                format!("{count} !")
            },
        ]);
    }
    (!crash.reach.is_empty()).then_some(table)
}
