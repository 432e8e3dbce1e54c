//! The engine through its public interface.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bad_sectors;
mod beside;
mod checkpoints;
mod collection;
mod common;
mod concurrency;
mod damage;
mod damage_met;
mod dropped;
mod faults;
mod freed_on_bad_disks;
mod full_disk;
mod gate;
mod half_commits;
mod identity;
mod isolation;
mod left_open;
mod limits;
mod lost_blocks;
mod memory;
mod model;
mod names;
mod nearly_full;
mod ordered;
mod panics;
mod places;
mod plans;
mod poisoned;
mod promises;
mod ranges;
mod read_only;
mod reads;
mod salvage;
mod waits;
mod whole_api;
