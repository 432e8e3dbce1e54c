//! Runs that are more than a mix of transactions.

pub(crate) mod crash;
pub(crate) mod ratios;
pub(crate) mod recovery;
