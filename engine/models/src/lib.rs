//! Exhaustive models of the engine's smallest protocols: the page latch, the snapshot registry, and group commit.
//!
//! The files of the engine that have these protocols are compiled here once more, word for word, with a door (`sync`) to
//! the crate `loom`. It runs a model in every order of its threads' accesses that can make a difference, and lets each
//! load find every value that the memory order allows, which a schedule under `shuttle` and a test on x86 do not.
//!
//! 1. `pool`, `mvcc` and `txn` are these files, each beside its models: a few threads, a few operations each, and what
//!    has to be true of them. What the files need and is no part of a protocol is the engine's own as well where that is
//!    possible, and a stand-in otherwise (`page`, `wal`).
//! 2. [`check`] explores a model and counts the executions. A model with a *bound* leaves out the executions that switch
//!    away more often than that from a thread which could go on; without one it is exhaustive.
//! 3. The models are proven: each injected bug that is a mistake in one of the protocols makes one fail.
//!
//! What this does not see: loads that find what is stored later only (relaxed loads and stores can, by the language's
//! rules; no processor does it here), more than seven stores to one atomic, and what `OnceLock` and `Arc` order. How
//! sequentially consistent accesses are modelled is told in `sync/atomics.rs`.

// The engine's files bring their own tests, which run with the engine and need all of it.
#![cfg(not(test))]

pub mod check;
#[path = "../../src/injected.rs"]
pub mod injected;

#[path = "../../src/error.rs"]
#[expect(
    dead_code,
    unreachable_pub,
    reason = "the engine's errors, of which the models meet one"
)]
mod error;
#[path = "../../src/growing.rs"]
mod growing;
#[path = "../../src/ids.rs"]
#[expect(
    dead_code,
    unreachable_pub,
    reason = "the engine's numbers, of which the models need a few"
)]
mod ids;
#[path = "../../src/interleave.rs"]
#[expect(dead_code, reason = "the engine's places, of which the models pass a few")]
mod interleave;
#[path = "../../src/metrics.rs"]
#[expect(
    dead_code,
    unreachable_pub,
    reason = "the engine's figures, of which the models count one"
)]
mod metrics;
pub mod mvcc;
mod page;
pub mod pool;
#[path = "../../src/reach.rs"]
#[expect(
    dead_code,
    unreachable_pub,
    reason = "the engine's marks, of which the models make a few"
)]
mod reach;
mod sync;
pub mod txn;
mod wal;
mod work;
