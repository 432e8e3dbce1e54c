//! Injected bugs: engines that break one rule each.
//!
//! They prove that verification and `conform` fail when they should. They exist only in builds with debug assertions, are left out of
//! every listing, and wrap a real engine: `memory-lossy`, `palimpsest-liar-moving-snapshot`. Each lie says which rule it breaks
//! first; it may break others.

mod session;
mod target;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use workloads::driver::{
    Capabilities, EngineSetting, Isolation, OpenMode, OpenOptions, TableRef, Target, TargetError,
    TargetFactory,
};

use target::LiarTarget;

/// What a lie is called behind `-liar-`, and what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    /// Every 50th commit that wrote something is rolled back, and its caller is told that it committed.
    Lossy,
    /// A scan gives one row, whatever its limit.
    OneRowScans,
    /// A scan of more than one row leaves out the one in the middle.
    ScansMissRows,
    /// A scan of two rows or more gives the first one twice.
    ScansRepeat,
    /// A scan gives its rows in the wrong order.
    WrongOrder,
    /// A scan begins behind its start.
    StartExclusive,
    /// A scan gives one row more than its limit.
    IgnoresLimit,
    /// A scan tells a row more than it gives.
    WrongCount,
    /// A scan clears the buffer that it appends to.
    ClearsSink,
    /// A scan does not see what its own transaction wrote.
    ScansCommittedOnly,
    /// A get does not see what its own transaction wrote.
    GetsCommittedOnly,
    /// A get of a row that is there finds nothing, one time in three.
    MissesRows,
    /// A get gives what the row held before its last change.
    StaleValues,
    /// A get of an absent row leaves the buffer as it was.
    StaleBuffer,
    /// A get sees what others have not committed.
    DirtyReads,
    /// Snapshots are none: each statement reads what is committed.
    MovingSnapshot,
    /// Levels that are not declared are taken for the weakest that is.
    WeakensIsolation,
    /// Durabilities that are not declared are taken for the weakest that is.
    WeakensDurability,
    /// Serializable is declared, and is a snapshot.
    DeclaresSerializable,
    /// Compressions and settings that it does not know are ignored.
    IgnoresOptions,
    /// Asked before whether it takes some options, it has no objection, whatever they are.
    ObjectsLate,
    /// Commit IDs begin anew when the database is opened again.
    CommitIdsRestart,
    /// Commit IDs fall.
    CommitIdsFall,
    /// Reads for update lock nothing.
    UnlockedUpdates,
    /// A delete always tells that the row existed.
    DeletesAlways,
    /// What is rolled back is committed.
    KeepsRolledBack,
    /// What is open when a session is dropped is committed.
    CommitsDropped,
    /// A database that is opened again is empty.
    ForgetsAtClose,
    /// Opening a database that is not there makes one.
    OpensMissing,
    /// The count of commits falls.
    CountsFall,
    /// Figures that are not known are 0.
    ZeroForUnknown,
    /// A writer that had to wait gets an error that is not retryable.
    BusyIsFatal,
    /// A transaction waits for another for ever.
    WaitsForEver,
    /// Values of more than 50,000 bytes are cut.
    CutsValues,
    /// Keys that end in a zero byte lose it.
    CutsKeys,
    /// All tables are the first one.
    OneTable,
    /// Read-only transactions write.
    ReadOnlyWrites,
    /// A delete panics.
    Panics,
}

impl Lie {
    /// Every lie: its name, the rule that must find it, and the engine that can be made to tell it.
    pub(crate) const ALL: [(Lie, &str, &str, &str); 38] = [
        (Lie::Lossy, "lossy", "threads", "memory"),
        (Lie::OneRowScans, "one-row-scans", "scan-order", "memory"),
        (Lie::ScansMissRows, "scans-miss-rows", "scan-order", "memory"),
        (Lie::ScansRepeat, "scans-repeat", "scan-order", "memory"),
        (Lie::WrongOrder, "wrong-order", "scan-order", "memory"),
        (Lie::StartExclusive, "start-exclusive", "scan-start", "memory"),
        (Lie::IgnoresLimit, "ignores-limit", "scan-limit", "memory"),
        (Lie::WrongCount, "wrong-count", "scan-appends", "memory"),
        (Lie::ClearsSink, "clears-sink", "scan-appends", "memory"),
        (
            Lie::ScansCommittedOnly,
            "scans-committed-only",
            "own-writes-scan",
            "memory",
        ),
        (
            Lie::GetsCommittedOnly,
            "gets-committed-only",
            "own-writes-get",
            "memory",
        ),
        (Lie::MissesRows, "misses-rows", "values", "memory"),
        (Lie::StaleValues, "stale-values", "commit-visible", "memory"),
        (Lie::StaleBuffer, "stale-buffer", "get-absent", "memory"),
        (Lie::DirtyReads, "dirty-reads", "no-dirty-read", "memory"),
        (
            Lie::MovingSnapshot,
            "moving-snapshot",
            "snapshot-stands",
            "palimpsest",
        ),
        (
            Lie::WeakensIsolation,
            "weakens-isolation",
            "isolation-refused",
            "memory",
        ),
        (
            Lie::WeakensDurability,
            "weakens-durability",
            "durability-refused",
            "memory",
        ),
        (
            Lie::DeclaresSerializable,
            "declares-serializable",
            "no-write-skew",
            "palimpsest",
        ),
        (
            Lie::IgnoresOptions,
            "ignores-options",
            "setting-refused",
            "memory",
        ),
        (Lie::ObjectsLate, "objects-late", "checked-before", "memory"),
        (
            Lie::CommitIdsRestart,
            "commit-ids-restart",
            "commit-ids-reopened",
            "palimpsest",
        ),
        (Lie::CommitIdsFall, "commit-ids-fall", "commit-ids-rise", "memory"),
        (
            Lie::UnlockedUpdates,
            "unlocked-updates",
            "rows-locked",
            "palimpsest",
        ),
        (Lie::DeletesAlways, "deletes-always", "delete-tells", "memory"),
        (
            Lie::KeepsRolledBack,
            "keeps-rolled-back",
            "rollback-undone",
            "memory",
        ),
        (Lie::CommitsDropped, "commits-dropped", "dropped-undone", "memory"),
        (Lie::ForgetsAtClose, "forgets-at-close", "reopened", "palimpsest"),
        (Lie::OpensMissing, "opens-missing", "open-missing", "memory"),
        (Lie::CountsFall, "counts-fall", "counters", "memory"),
        (
            Lie::ZeroForUnknown,
            "zero-for-unknown",
            "no-zero-for-unknown",
            "memory",
        ),
        (Lie::BusyIsFatal, "busy-is-fatal", "busy", "palimpsest"),
        (Lie::WaitsForEver, "waits-for-ever", "busy", "palimpsest"),
        (Lie::CutsValues, "cuts-values", "values", "memory"),
        (Lie::CutsKeys, "cuts-keys", "keys", "memory"),
        (Lie::OneTable, "one-table", "tables-apart", "memory"),
        (Lie::ReadOnlyWrites, "read-only-writes", "read-only", "memory"),
        (Lie::Panics, "panics", "delete-tells", "memory"),
    ];
}

/// Wraps another factory.
pub(crate) struct LiarFactory {
    inner: Box<dyn TargetFactory>,
    capabilities: Capabilities,
    lie: Lie,
}

impl LiarFactory {
    /// An engine named like `inner` with `suffix` after it.
    pub(crate) fn new(inner: Box<dyn TargetFactory>, lie: Lie, suffix: &str) -> Self {
        let mut capabilities = inner.capabilities().clone();
        capabilities.name.push_str(suffix);
        if lie == Lie::DeclaresSerializable {
            capabilities.isolations.insert(Isolation::Serializable);
        }
        Self {
            inner,
            capabilities,
            lie,
        }
    }

    /// The liar that is called so, if there is one: an engine's name, and `-lossy` or `-liar-` and a lie.
    pub(crate) fn named(name: &str, engine: impl Fn(&str) -> Option<Box<dyn TargetFactory>>) -> Option<Self> {
        if let Some((inner, lie)) = name.split_once("-liar-") {
            let &(kind, ..) = Lie::ALL.iter().find(|(_, known, ..)| *known == lie)?;
            return Some(Self::new(engine(inner)?, kind, &format!("-liar-{lie}")));
        }
        Some(Self::new(
            engine(name.strip_suffix("-lossy")?)?,
            Lie::Lossy,
            "-lossy",
        ))
    }
}

impl TargetFactory for LiarFactory {
    fn name(&self) -> &str {
        &self.capabilities.name
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn settings(&self) -> &[EngineSetting] {
        self.inner.settings()
    }

    fn check(&self, options: &OpenOptions) -> Result<(), TargetError> {
        match self.lie {
            Lie::ObjectsLate => Ok(()),
            _ => self.inner.check(options),
        }
    }

    fn open(&self, options: &OpenOptions) -> Result<Box<dyn Target>, TargetError> {
        let mut options = options.clone();
        match self.lie {
            Lie::IgnoresOptions => {
                options.compression = None;
                options.engine_settings.clear();
            }
            Lie::OpensMissing => options.mode = OpenMode::Create,
            Lie::ForgetsAtClose if options.mode == OpenMode::Existing => {
                let gone = std::fs::remove_dir_all(&options.dir);
                gone.map_err(|error| TargetError::fatal(format!("cannot forget: {error}")))?;
                options.mode = OpenMode::Create;
            }
            Lie::WaitsForEver => options.busy_timeout = std::time::Duration::from_secs(86_400),
            _ => {}
        }
        Ok(Box::new(LiarTarget::new(
            self.inner.open(&options)?,
            self.capabilities.clone(),
            self.lie,
        )))
    }
}

type Values = HashMap<(TableRef, Vec<u8>), Vec<u8>>;

/// Values by row, for lies that remember.
#[derive(Debug, Default)]
struct Memory(Mutex<Values>);

impl Memory {
    fn keep(&self, table: TableRef, key: &[u8], value: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert((table, key.to_vec()), value.to_vec());
    }

    fn get(&self, table: TableRef, key: &[u8]) -> Option<Vec<u8>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&(table, key.to_vec())).cloned()
    }

    fn forget(&self, table: TableRef, key: &[u8]) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&(table, key.to_vec()));
    }
}
