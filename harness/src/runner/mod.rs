//! Running: children, their order, their pace, their progress.

pub(crate) mod interrupt;
pub(crate) mod pacing;
pub(crate) mod process;
pub(crate) mod progress;
pub(crate) mod schedule;
