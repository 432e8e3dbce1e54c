//! The command line: what was asked, checked, and who answers.

pub(crate) mod args;
pub(crate) mod suggest;
pub(crate) mod units;
