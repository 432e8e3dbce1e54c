//! Runs that are more than a mix of transactions.

pub(crate) mod crash;
#[cfg(all(feature = "fuse", target_os = "linux"))]
pub(crate) mod powerloss;
pub(crate) mod ratios;
pub(crate) mod recovery;
pub(crate) mod space;
