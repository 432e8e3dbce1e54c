//! Tables of cutting engines off and reopening them: how long it took to open against how much log there was, and what was kept.

use super::cells::{bad, word};
use super::model::{Table, number};
use crate::record::{Recovery, RunRecord};
use crate::statistics::median;
use units::{count, or_missing};

/// Groups of openings by their bytes of log.
const GROUPS: usize = 4;
/// With fewer openings there are fewer groups.
const GROUP_MIN: usize = 5;

/// Openings of one engine with about as much log.
struct Openings<'a> {
    of: &'a Recovery,
    /// `None` where the bytes of each are not known.
    redo_bytes: Option<(u64, u64)>,
    ns: Vec<u64>,
    all: bool,
}

/// All openings of each engine, then these by how much log there was.
fn openings(record: &RunRecord) -> Vec<Openings<'_>> {
    let mut found = Vec::new();
    for of in record
        .recovery
        .iter()
        .filter(|of| !of.open_duration_ns.is_empty())
    {
        let openings = of.openings();
        let ends = |openings: &[(u64, u64)]| Some((openings.first()?.0, openings.last()?.0));
        found.push(Openings {
            of,
            redo_bytes: ends(&openings),
            ns: of.open_duration_ns.clone(),
            all: true,
        });
        let groups = GROUPS.min(openings.len() / GROUP_MIN);
        let size = openings.len().div_ceil(groups.max(1)).max(1);
        for group in openings.chunks(size).filter(|_| groups > 1) {
            found.push(Openings {
                of,
                redo_bytes: ends(group),
                ns: group.iter().map(|(_, ns)| *ns).collect(),
                all: false,
            });
        }
    }
    found
}

/// How long it took to open, by how much log there was.
pub(super) fn open_times(record: &RunRecord) -> Option<Table> {
    let caption = "From the call to the open database, replay of the log included: all openings, then these in groups by how much log \
                   there was to replay.";
    Table::of("recovery_open", caption, &openings(record))
        .title("Time to open")
        .text("Engine", 0, |of| &of.of.engine)
        .text("Log replayed", 0, |of| {
            let span = or_missing(of.redo_bytes, |(low, high)| {
                format!("{} to {}", units::bytes(low), units::bytes(high))
            });
            match (of.all, of.redo_bytes) {
                (true, Some(_)) => format!("all: {span}"),
                (true, None) => "all".to_owned(),
                (false, _) => span,
            }
        })
        .number("Openings", 1, |of| count(of.ns.len() as u64))
        .number("p50", 0, |of| {
            let ns: Vec<f64> = of.ns.iter().map(|ns| *ns as f64).collect();
            or_missing(median(&ns), |ns| units::duration(ns as u64))
        })
        .number("Max", 0, |of| {
            or_missing(of.ns.iter().max().copied(), units::duration)
        })
        .build()
}

/// Rounds of cutting off and reopening, for each engine.
pub(super) fn recovery(record: &RunRecord) -> Option<Table> {
    let caption = "Commits are transactions that were acknowledged before the cut, over all rounds. Rows missing are rows of such commits \
                   that were not there after it, or not as these left them; each state that was opened counts, and a commit has several \
                   rows.";
    Table::of("recovery", caption, &record.recovery)
        .title("Recovery")
        .text("Engine", 0, |of| &of.engine)
        .text("How", 8, |of| of.kind.title())
        .number("Rounds", 0, |of| {
            let planned = of.rounds_planned;
            let planned = planned.map_or_else(String::new, |planned| format!(" of {}", count(planned)));
            format!("{}{planned}", count(of.rounds))
        })
        .number("Time", 3, |of| or_missing(of.duration_ns, units::duration))
        .column(number("Acknowledged commits").short("acknowledged"), |of| {
            count(of.acknowledged)
        })
        .text("Durability", 5, |of| word(of.durability.as_ref()))
        .column(
            number("Missing, as it allows").short("missing, allowed").rank(4),
            |of| count(of.missing_with_leave),
        )
        .column(
            number("Did not open").short("not opened"),
            |of| bad(of.unreadable),
        )
        .column(number("Rows missing").short("rows missing"), |of| bad(of.lost))
        .column(number("Partial commits").short("partial"), |of| bad(of.partial))
        .column(
            number("Unacknowledged but present")
                .short("unacknowledged")
                .rank(7),
            |of| or_missing(of.unacknowledged_present, count),
        )
        .column(number("Unsynced changes").short("unsynced").rank(6), |of| {
            or_missing(of.unsynced_changes, count)
        })
        .number("Log replayed", 2, |of| or_missing(of.redo_bytes, units::bytes))
        .column(number("Replay speed").short("redo").rank(1), |of| {
            or_missing(of.redo_bytes_per_second(), |rate| {
                format!("{}/s", units::bytes(rate as u64))
            })
        })
        .build()
}
