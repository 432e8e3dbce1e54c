//! Group commit.

#[path = "../../src/txn/group.rs"]
#[expect(dead_code, reason = "who is asked to apply is no part of the protocol")]
mod group;
pub mod models;
