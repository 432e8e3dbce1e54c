//! What the model holds the engine to where that is about to change: to be switched on together with the engine's change.

/// A read through the handle of a dropped table: a snapshot older than the drop goes on seeing the whole table, everything
/// else gets `TableDropped` at once; a commit with changes of it fails with that, one whose changes of it were all
/// rolled back does not. While this is `false`, only snapshots older than the drop are looked at.
pub(super) const DROPPED_TABLES_ARE_TYPED: bool = true;

/// Within a transaction no read of a row is older than one before it, and a row that it has locked reads as its newest
/// committed state everywhere. While this is `false`, a READ COMMITTED transaction may see any state that is not older
/// than the newest visible one, at each read anew.
pub(super) const READS_DO_NOT_GO_BACK: bool = true;

/// Whether an error says that the table was dropped.
pub(super) fn says_dropped(error: &engine::Error) -> bool {
    let name = format!("{error:?}");
    name.starts_with("TableDropped") || !DROPPED_TABLES_ARE_TYPED && name.starts_with("NoSuchTable")
}
