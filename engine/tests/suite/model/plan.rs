//! What one run looks like, and what it has been through.

use std::sync::Arc;
use std::time::Duration;

use engine::Options;

use super::gate::Gate;

pub(super) const PATH: &str = "/model.db";

/// A run: rounds of random steps, with the database closed or crashed in between.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) rounds: u64,
    pub(crate) steps: u64,
    pub(crate) page_size: usize,
    pub(crate) cache_pages: usize,
    pub(crate) keys: u32,
    pub(crate) keep_versions: usize,
    /// Most bytes of old versions; with a limit, snapshots may be too old.
    pub(crate) version_budget: Option<usize>,
    /// Most bytes of a transaction.
    pub(crate) transaction_max: Option<usize>,
    pub(crate) compression: &'static str,
    /// With the background thread a run cannot be repeated exactly.
    pub(crate) background: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            seed: 1,
            rounds: 3,
            steps: 1500,
            page_size: 4096,
            cache_pages: 64,
            keys: 300,
            keep_versions: 1,
            version_budget: None,
            transaction_max: None,
            compression: "NONE",
            background: false,
        }
    }
}

impl Plan {
    pub(super) fn options(&self, gate: &Gate) -> Options {
        let options = Options::new()
            .page_size(self.page_size)
            .cache_size(self.cache_pages * (self.page_size + 64))
            .compression(self.compression, 3)
            .expect("a codec")
            .keep_versions(self.keep_versions)
            .wal_segment_size(64 << 10)
            .wal_sync(engine::WalSync::Fdatasync)
            .busy_timeout(Duration::ZERO)
            .redo_threads(1 + self.seed as usize % 2)
            .background(self.background)
            .vfs(Arc::new(gate.clone()));
        // Without a limit of the plan's own there is room for all versions of a round.
        let options = options.version_budget(self.version_budget.unwrap_or(4 << 20));
        match self.transaction_max {
            Some(bytes) => options.max_transaction_size(bytes),
            None => options,
        }
    }
}

/// How often, or how far, a run got to what it is there for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reached {
    pub(crate) scans: u64,
    pub(crate) scans_in_motion: u64,
    pub(crate) busy: u64,
    pub(crate) conflicts: u64,
    pub(crate) too_large: u64,
    pub(crate) too_old: u64,
    pub(crate) older_snapshots: u64,
    pub(crate) transactions_at_once: u64,
    pub(crate) snapshots_at_once: u64,
    pub(crate) savepoints_nested: u64,
    /// Savepoints gone back over at once.
    pub(crate) savepoints_passed: u64,
    pub(crate) waiting_at_once: u64,
    pub(crate) drops_under_snapshots: u64,
    pub(crate) handles_of_dropped_tables: u64,
    pub(crate) commits_into_dropped_tables: u64,
    pub(crate) checkpoints: u64,
    pub(crate) evictions: u64,
    pub(crate) crash_copies: u64,
    pub(crate) commits_redone: u64,
    pub(crate) levels: u64,
    pub(crate) overflow_pages: u64,
}

impl Reached {
    /// Adds another run: counts are added, heights compared.
    pub(crate) fn add(&mut self, other: Self) {
        self.scans += other.scans;
        self.scans_in_motion += other.scans_in_motion;
        self.busy += other.busy;
        self.conflicts += other.conflicts;
        self.too_large += other.too_large;
        self.too_old += other.too_old;
        self.older_snapshots += other.older_snapshots;
        self.transactions_at_once = self.transactions_at_once.max(other.transactions_at_once);
        self.snapshots_at_once = self.snapshots_at_once.max(other.snapshots_at_once);
        self.savepoints_nested = self.savepoints_nested.max(other.savepoints_nested);
        self.savepoints_passed = self.savepoints_passed.max(other.savepoints_passed);
        self.waiting_at_once = self.waiting_at_once.max(other.waiting_at_once);
        self.drops_under_snapshots += other.drops_under_snapshots;
        self.handles_of_dropped_tables += other.handles_of_dropped_tables;
        self.commits_into_dropped_tables += other.commits_into_dropped_tables;
        self.checkpoints += other.checkpoints;
        self.evictions += other.evictions;
        self.crash_copies += other.crash_copies;
        self.commits_redone += other.commits_redone;
        self.levels = self.levels.max(other.levels);
        self.overflow_pages = self.overflow_pages.max(other.overflow_pages);
    }
}
