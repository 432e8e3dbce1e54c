//! Crash tests of our own engine on a simulated disk: nothing acknowledged may ever be lost, nothing may survive in part.
//!
//! 1. A *script* ([`script`]) is run once, on a simulated file system that records every file operation ([`play`]); a ledger
//!    notes what the database must hold after each commit, and from which operation on it was promised to be durable.
//! 2. The *explorer* ([`explore`]) loses power after every operation, with many choices of which unsynced changes survive;
//!    kills the process there and lets the machine go on; and loses power again while the database recovers.
//! 3. Each outcome is *checked* ([`check`]): it opens, holds exactly the state of some commit not older than what was
//!    promised, its structure is sound, it can be written to, and what is written survives the next power loss.
//!
//! Scripts are scripted ([`scripts`]) or random ([`random`]); what fails is made shorter ([`minimise`]) and can be replayed
//! ([`mod@replay`]). The checks are proven on bugs injected into the engine ([`prove`]). Files at rest are damaged as well
//! ([`damage`]), and file operations made to fail ([`faults`]). With `--deep` the threads of the engine are scheduled
//! ([`schedules`]).
//!
//! The [`search`] over all of this is given two callbacks ([`watch`]) and returns plain results; [`describe`] makes the record
//! of them, [`failures`] keeps what went wrong, and only [`run`] knows the terminal and Ctrl-C.

mod check;
mod company;
mod damage;
mod describe;
mod effort;
mod explore;
mod failures;
mod faults;
mod filling;
mod held;
mod ledger;
mod minimise;
mod place;
mod play;
mod prepared;
mod prove;
mod quiet;
mod random;
mod replay;
mod rescue;
mod run;
#[cfg(feature = "schedules")]
mod schedules;
#[cfg(not(feature = "schedules"))]
#[path = "schedules_absent.rs"]
mod schedules;
mod script;
mod scripts;
mod search;
mod seen;
mod session;
mod start;
mod state;
#[cfg(test)]
mod tests;
mod threads;
mod watch;
mod workers;

pub(crate) use replay::replay;

use super::{EMPTY, Scenario};

/// The scenario.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "crash",
    about: "power loss between file operations, on a simulated disk: thousands of images recovered and compared",
    text: include_str!("about.txt"),
    accepts: &[
        ("seed", "of every choice (1)"),
        ("threads", "threads that recover and compare images (2)"),
        (
            "deep",
            "many more choices, places and kinds of damage; then what the next two say",
        ),
        (
            "duration",
            "with --deep: time for random mixes, and for controlled schedules in a build with --features schedules (10m)",
        ),
        ("rounds", "with --deep: rounds of killing real processes (3000)"),
    ],
    lacks_part: schedules::LACKS,
    prepare: run::prepare,
    ..EMPTY
};
