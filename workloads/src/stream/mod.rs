//! Concrete operations from a spec.
//!
//! A [`Plan`] is the spec compiled once, shared by all threads. Each worker has an [`OperationStream`], which gives one
//! [`Transaction`] after another: rows and versions chosen, keys and values not yet made. They are made by
//! [`TablePlan`] into buffers that the worker reuses, so that generating costs little beside executing.
//!
//! The choices of thread `t` depend on the seed and on `t` alone, never on timing (but see
//! [`latest`](crate::keys::Distribution::Latest) for where "newest" is), and not on how many attempts a transaction
//! took.

mod operations;
mod plan;
mod transaction;

pub use operations::{OperationStream, StreamOptions};
pub use plan::{Plan, TablePlan};
pub use transaction::{Operation, OperationKind, Transaction};
