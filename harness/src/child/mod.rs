//! Child processes of a run: started, watched, stopped; their progress; the directories they work in. It knows no scenario.

pub(crate) mod directories;
pub(crate) mod files;
pub(crate) mod interrupt;
pub(crate) mod paths;
pub(crate) mod process;
pub(crate) mod progress;
