//! One transaction as generated: rows and versions, but no bytes yet.

use crate::driver::{Direction, TableRef};
use crate::version::{RowRef, Version};

/// What one operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationKind {
    /// Read one row.
    Read,
    /// Read `len` rows from `row` on.
    Range(Direction),
    /// Write the row without having read it. Inserts are this too.
    Put,
    /// Read the row for update, then write it.
    ReadModifyWrite,
    /// Delete the row.
    Delete,
}

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// What it does.
    pub kind: OperationKind,
    /// The table.
    pub table: TableRef,
    /// Rows to read, for ranges; otherwise 1.
    pub len: u32,
    /// The row, or where the range starts.
    pub row: u64,
    /// Position of this write among the writes of the transaction; 0 for reads.
    pub write_index: u32,
}

impl Operation {
    /// True if it changes data.
    #[inline]
    pub fn writes(&self) -> bool {
        matches!(
            self.kind,
            OperationKind::Put | OperationKind::ReadModifyWrite | OperationKind::Delete
        )
    }

    /// The oracle's name of its row.
    #[inline]
    pub fn row_ref(&self) -> RowRef {
        RowRef::new(self.table, self.row)
    }
}

/// One transaction. A stream reuses it for the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    pub(super) type_index: usize,
    pub(super) thread: u16,
    pub(super) operations: Vec<Operation>,
    pub(super) write_count: u32,
    pub(super) first_sequence: u64,
}

impl Transaction {
    /// One that does only this operation, which writes nothing.
    #[cfg(test)]
    pub(crate) fn reading(&self, operation: Operation) -> Self {
        Self {
            operations: vec![operation],
            write_count: 0,
            ..self.clone()
        }
    }

    /// Its type: position in [`Spec::transactions`](crate::spec::Spec::transactions).
    pub fn type_index(&self) -> usize {
        self.type_index
    }

    /// The thread that runs it.
    pub fn thread(&self) -> u16 {
        self.thread
    }

    /// What it does, in this order.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// Number of its writes. They take the sequences from [`first_sequence`](Self::first_sequence) on.
    pub fn write_count(&self) -> u32 {
        self.write_count
    }

    /// Sequence of its first write in the current attempt.
    pub fn first_sequence(&self) -> u64 {
        self.first_sequence
    }

    /// True if it writes nothing.
    pub fn is_read_only(&self) -> bool {
        self.write_count == 0
    }

    /// The version that `operation`, one of this transaction's writes, makes in the current attempt.
    #[inline]
    pub fn version(&self, operation: &Operation) -> Version {
        Version::new(
            self.thread,
            self.first_sequence + u64::from(operation.write_index),
        )
    }

    /// True if `version` was written by the current attempt of this transaction.
    #[inline]
    pub fn wrote(&self, version: Version) -> bool {
        version.thread() == self.thread
            && version.sequence().wrapping_sub(self.first_sequence) < u64::from(self.write_count)
    }

    /// The last write to `row` among the first `operations` of it: its version, and whether it deletes.
    pub fn own_write(&self, row: RowRef, operations: usize) -> Option<(Version, bool)> {
        if self.is_read_only() {
            return None;
        }
        let mut before = self.operations.iter().take(operations).rev();
        let own = before.find(|operation| operation.writes() && operation.row_ref() == row)?;
        Some((self.version(own), own.kind == OperationKind::Delete))
    }

    /// Its writes: row, version, and whether the row is deleted.
    pub fn writes(&self) -> impl Iterator<Item = (RowRef, Version, bool)> + '_ {
        self.operations
            .iter()
            .filter(|operation| operation.writes())
            .map(|operation| {
                (
                    operation.row_ref(),
                    self.version(operation),
                    operation.kind == OperationKind::Delete,
                )
            })
    }
}
