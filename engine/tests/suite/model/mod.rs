//! Random operations compared with an oracle.
//!
//! [`volume`] does many operations on one table, beside concurrent readers. The rest is a model of the whole public
//! interface, one operation after the other, so that a failing seed fails again:
//!
//! | file | covers |
//! |---|---|
//! | `transactions`, `commits` | up to three open transactions of both levels: puts, deletes, gets, gets for update, scans over own writes, nested savepoints, conflicts, locked rows, `write` |
//! | `snapshots` | more than 64 snapshots at once, `refresh`, `begin_at`, `read` |
//! | `tables` | tables that come and go while handles, transactions and snapshots of them are open |
//! | `waiting` | commits that are applied and not visible, because the disk does not answer |
//! | `upkeep` | checkpoints, flushes, collection with kept versions, verification, figures, copies as after a crash |
//! | `rounds` | closing, dropping, crashing and opening again; at the end every page comes back |
//! | `keys`, `reads` | keys, bounds and scans of every shape |
//! | `oracle`, `rules` | what the answers have to be |

mod commits;
mod gate;
mod keys;
mod oracle;
mod plan;
mod reads;
mod rounds;
mod rules;
mod snapshots;
mod tables;
mod transactions;
mod upkeep;
pub(crate) mod volume;
mod waiting;
mod world;

pub(crate) use plan::{Plan, Reached};
pub(crate) use rounds::run;
