//! Tables of crash tests: what was tried, and what it found.

use super::cells::{as_it_must, bad, figure, long, word};
use super::model::{Table, number, text};
use crate::record::{CrashScenario, CrashTest, RandomMixes, Reached};
use units::{MISSING, count};

/// All of them, in the order in which they are shown.
pub(super) fn crash(crash: &CrashTest) -> impl Iterator<Item = Table> {
    [
        scenarios(crash),
        faults(crash),
        damage(crash),
        injected(crash),
        orders(crash),
        schedules_reach(crash),
        reach(crash),
    ]
    .into_iter()
    .flatten()
}

/// A row of scenarios: a scripted one or the random mixes.
#[derive(Clone, Copy)]
enum Tried<'a> {
    Scripted(&'a CrashScenario),
    Random(&'a RandomMixes),
}

impl Tried<'_> {
    /// A figure that both have.
    fn both<T>(self, scripted: fn(&CrashScenario) -> T, random: fn(&RandomMixes) -> T) -> T {
        match self {
            Self::Scripted(of) => scripted(of),
            Self::Random(of) => random(of),
        }
    }

    /// A count that only scripted ones have.
    fn scripted(self, of_scripted: fn(&CrashScenario) -> u64) -> String {
        match self {
            Self::Scripted(of) => count(of_scripted(of)),
            Self::Random(_) => MISSING.to_owned(),
        }
    }
}

fn scenarios(crash: &CrashTest) -> Option<Table> {
    let caption = "Each scenario runs once; then power is lost at each of its file operations, and each time with many choices \
                   of what survives. Choices that give an image that was checked already are not checked again. Operations \
                   are those that change files. Recoveries are openings of the database.";
    let scripted = crash.scenarios.iter().map(Tried::Scripted);
    let tried = scripted.chain(crash.random.iter().map(Tried::Random));
    Table::of("crash_scenarios", caption, tried)
        .title("Scenarios")
        .text("Scenario", 0, |of| {
            of.both(
                |of| of.name.clone(),
                |of| format!("{} random mixes", count(of.mixes)),
            )
        })
        .column(text("About").page(), |of| {
            of.both(|of| long(&of.title), |_| long("mixes of steps at random"))
        })
        .number("Commits", 3, |of| of.scripted(|of| of.commits))
        .number("Operations", 4, |of| {
            count(of.both(|of| of.operations, |of| of.operations))
        })
        .number("Points", 2, |of| of.scripted(CrashScenario::points))
        .number("Choices", 5, |of| of.scripted(|of| of.choices))
        .number("Images", 0, |of| count(of.both(|of| of.images, |of| of.images)))
        .number("Recoveries", 1, |of| {
            count(of.both(|of| of.recoveries, |of| of.recoveries))
        })
        .number("Each second", 1, |of| {
            figure(of.both(
                CrashScenario::recoveries_per_second,
                RandomMixes::recoveries_per_second,
            ))
        })
        .number("Lost", 0, |of| bad(of.both(|of| of.failures, |of| of.failures)))
        .build()
}

fn faults(crash: &CrashTest) -> Option<Table> {
    let caption = "The scenarios run with their first, second, third, ... operation of a kind failing, until none is left to \
                   fail. Refusals are calls of the engine that answered with an error; poisoned are runs after which it \
                   accepted no more commits. After each run the database is opened again and compared with what was \
                   acknowledged.";
    Table::of("crash_faults", caption, &crash.faults)
        .title("Failing file operations")
        .column(text("Operation").short("failing operation"), |of| &of.kind)
        .text("Effect", 0, |of| &of.effect)
        .text("Lasting", 0, |of| of.how_long())
        .number("Runs", 0, |of| count(of.runs))
        .column(
            number("Operations failed").short("failed operations").rank(3),
            |of| count(of.struck),
        )
        .number("Refusals", 2, |of| count(of.refused))
        .number("Poisoned", 1, |of| count(of.poisoned))
        .number("Reopened", 1, |of| count(of.reopened))
        .number("Time", 4, |of| units::duration(of.duration_ns))
        .number("Wrong", 0, |of| bad(of.failures))
        .build()
}

fn damage(crash: &CrashTest) -> Option<Table> {
    let caption = "Files of a closed database, damaged in one place at a time. Harmless: the contents were right all the same, \
                   from a second copy, or because nothing uses those bytes. Cut off: the log ends before its last flush, as \
                   if that had never been; nothing behind it could tell. Missed: a wrong value or a panic.";
    let blocks = crash.damage.iter().flat_map(|damage| &damage.blocks);
    Table::of("crash_damage", caption, blocks)
        .title("Damage at rest")
        .column(text("Block and damage").short("damage at rest"), |of| &of.kind)
        .number("Tried", 0, |of| count(of.flips))
        .number("Detected", 1, |of| count(of.detected))
        .number("Harmless", 1, |of| count(of.harmless))
        .number("Cut off", 1, |of| count(of.cut_off))
        .number("Missed", 0, |of| bad(of.missed))
        .build()
}

fn injected(crash: &CrashTest) -> Option<Table> {
    let caption = "Mistakes injected in the engine, one at a time. A fault that the checks do not find is a hole in them.";
    Table::of("crash_injected", caption, &crash.injected)
        .title("Injected bugs")
        .column(text("Fault").short("injected bug"), |of| &of.name)
        .column(text("Mistake").page(), |of| long(&of.description))
        .text("Found", 0, |of| {
            as_it_must(format!("{} of {} seeds", of.seeds_caught, of.seeds), of.caught)
        })
        .text("Check", 2, |of| word(of.check.as_ref()))
        .text("Script", 3, |of| word(of.scenario.as_ref()))
        .number("Images", 0, |of| count(of.images))
        .number("Time", 1, |of| units::duration(of.duration_ns))
        .column(text("What was found").page(), |of| {
            long(of.finding.as_deref().unwrap_or(MISSING))
        })
        .build()
}

fn orders(crash: &CrashTest) -> Option<Table> {
    let caption = "Mistakes injected in the engine that only a particular order of threads shows. Schedules are counted from \
                   each of several first seeds on, until one fails.";
    let injected = crash.schedules.iter().flat_map(|schedules| &schedules.injected);
    Table::of("crash_orders", caption, injected)
        .title("Schedules: injected bugs that take two threads")
        .column(text("Fault").short("injected bug, by schedules"), |of| &of.name)
        .column(text("Mistake").page(), |of| long(&of.description))
        .number("Found after", 0, |of| as_it_must(of.schedules_text(), of.caught))
        .number("Time", 1, |of| units::duration(of.duration_ns))
        .column(text("What was found").page(), |of| {
            long(of.finding.as_deref().unwrap_or(MISSING))
        })
        .build()
}

fn reach(crash: &CrashTest) -> Option<Table> {
    let caption = "What the engine does only now and then, and how often it did so in this run, injected bugs not counted. \
                   What is never gone through is not checked.";
    reached("crash_reach", "Reach", caption, &crash.reach)
}

fn schedules_reach(crash: &CrashTest) -> Option<Table> {
    let caption = "What schedules are there to bring together, and how often they came to it.";
    let reach = &crash.schedules.as_ref()?.reach;
    reached("schedules_reach", "Schedules: reach", caption, reach)
}

fn reached(id: &'static str, title: &str, caption: &str, reach: &[Reached]) -> Option<Table> {
    let never = |of: &Reached| match of.count {
        0 => as_it_must("0", false),
        times => count(times).into(),
    };
    Table::of(id, caption, reach)
        .title(title)
        .text("Mechanism", 0, |of| &of.name)
        .column(text("What happens").page(), |of| long(&of.description))
        .number("Times", 0, never)
        .build()
}
