//! Which row, and which write to it: the two names that values carry and that the oracle compares.
//!
//! Rows are numbered in each table: `0..rows` are loaded before the run, inserted rows follow. Every write, also that
//! of an attempt which is later rolled back, has a *version*: its thread and the thread's count of writes so far. So no
//! two writes ever share a version, a value found anywhere tells who wrote it and in which attempt, and a thread's
//! versions rise in its program order.

use std::fmt;

use crate::driver::TableRef;

/// Row numbers and write sequences are below this.
pub const NUMBER_LIMIT: u64 = 1 << 48;

/// A row: its table and its number in the table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowRef(u64);

impl RowRef {
    /// Row `row` of `table`; `row` must be below [`NUMBER_LIMIT`].
    #[inline]
    pub fn new(table: TableRef, row: u64) -> Self {
        debug_assert!(row < NUMBER_LIMIT, "row number {row} is too large");
        RowRef(u64::from(table.0) << 48 | row)
    }

    /// The table.
    #[inline]
    pub fn table(self) -> TableRef {
        TableRef((self.0 >> 48) as u16)
    }

    /// The number in the table.
    #[inline]
    pub fn row(self) -> u64 {
        self.0 & (NUMBER_LIMIT - 1)
    }

    /// Table and number in one word: the table in the upper 16 bits.
    #[inline]
    pub fn to_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Debug for RowRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {} of table {}", self.row(), self.table().0)
    }
}

/// A write: its thread and the thread's count of writes so far.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(u64);

impl Version {
    /// The thread number of whoever loaded the tables before the run.
    pub const LOADER: u16 = u16::MAX;
    /// The version of every loaded row.
    pub const LOADED: Version = Version((Version::LOADER as u64) << 48);

    /// Write number `sequence` of `thread`; `sequence` must be below [`NUMBER_LIMIT`].
    #[inline]
    pub fn new(thread: u16, sequence: u64) -> Self {
        debug_assert!(sequence < NUMBER_LIMIT, "write sequence {sequence} is too large");
        Version(u64::from(thread) << 48 | sequence)
    }

    /// The thread.
    #[inline]
    pub fn thread(self) -> u16 {
        (self.0 >> 48) as u16
    }

    /// The thread's count of writes.
    #[inline]
    pub fn sequence(self) -> u64 {
        self.0 & (NUMBER_LIMIT - 1)
    }

    /// Thread and sequence in one word: the thread in the upper 16 bits.
    #[inline]
    pub fn to_u64(self) -> u64 {
        self.0
    }

    /// The inverse of [`to_u64`](Self::to_u64).
    #[inline]
    pub fn from_u64(word: u64) -> Self {
        Version(word)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Version::LOADED {
            f.write_str("the loaded value")
        } else {
            write!(f, "write {} of thread {}", self.sequence(), self.thread())
        }
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_back() {
        let row = RowRef::new(TableRef(7), NUMBER_LIMIT - 1);
        assert_eq!((row.table(), row.row()), (TableRef(7), NUMBER_LIMIT - 1));
        let version = Version::new(9, 1234);
        assert_eq!((version.thread(), version.sequence()), (9, 1234));
        assert_eq!(Version::from_u64(version.to_u64()), version);
        assert_eq!(Version::LOADED.thread(), Version::LOADER);
    }
}
