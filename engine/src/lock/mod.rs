//! Row write locks: who may change a row, and who waits for it.

mod rows;

pub(crate) use rows::{RowLockKey, RowLocks};
