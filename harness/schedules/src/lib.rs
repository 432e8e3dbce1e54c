//! The whole engine under controlled schedules, on the simulated disk, power loss included.
//!
//! 1. A *seed* gives everything: where the database begins (`base`), what each thread does (`plan`), and which thread
//!    goes on at each point (`chooser`). So a schedule is a number, and the same number is the same schedule again.
//! 2. The threads commit, read, take checkpoints, collect, make and drop tables (`actors`), in an engine whose door to
//!    threads and locks is a scheduler's (`engine::sync`). A deadlock and a run without end are failures.
//! 3. What they did is put together afterwards (`history`) and judged by the oracle of the crash tests, which is not
//!    written twice: its files are taken from there. What readers saw was there, and is there after any later power loss; the
//!    end is the state that the commits lead to, and sound.
//! 4. Then the power is lost at some of the recorded file operations, with several choices of what survives, and what is
//!    found is checked as the crash tests do (`one`).
//!
//! Many schedules run at once, each in a thread of the operating system of its own (`many`). The checks are proven on
//! injected bugs that take two threads in a particular order (`prove`).

#[path = "../../src/scenarios/crash/check.rs"]
#[expect(dead_code, reason = "processes that are killed are the explorer's")]
mod check;
#[path = "../../src/scenarios/crash/ledger.rs"]
#[expect(dead_code, reason = "phases and what a script was for are the explorer's")]
mod ledger;
#[path = "../../src/scenarios/crash/place.rs"]
mod place;
#[path = "../../src/scenarios/crash/quiet.rs"]
mod quiet;
#[path = "../../src/scenarios/crash/rescue.rs"]
#[expect(dead_code, reason = "files are damaged by the explorer")]
mod rescue;
#[path = "../../src/scenarios/crash/script.rs"]
#[expect(
    dead_code,
    reason = "whole scripts, and what their files may say, are the explorer's"
)]
mod script;
#[path = "../../src/scenarios/crash/seen.rs"]
mod seen;
#[path = "../../src/scenarios/crash/session.rs"]
mod session;
#[path = "../../src/scenarios/crash/state.rs"]
#[expect(
    dead_code,
    reason = "commits whose fate is open come with faults, which are the explorer's"
)]
mod state;

mod actors;
mod base;
mod chooser;
mod history;
mod many;
mod one;
mod plan;
mod prove;
mod reached;
mod reader;
#[cfg(test)]
mod tests;

pub use engine::injected;
pub use many::{Limit, Summary, run, watched};
pub use one::{Outcome, replay};
pub use prove::{Proof, QUICK, SLOW, prove};
pub use reached::{REACHED_AFTER, reached};
