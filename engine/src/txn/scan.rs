//! Scans: the rows of a range as a snapshot sees them, with the transaction's own changes laid over them.

use std::collections::btree_map;
use std::ops::Bound;

use super::transaction::Statement;
use super::write_set::TableWrites;
use super::{KeyRange, Table, TransactionManager};
use crate::btree::{Cursor, Direction};
use crate::error::Result;
use crate::ids::CommitId;

/// A row: its key and its value.
pub type Row<'s> = (&'s [u8], &'s [u8]);

type Own<'s> = btree_map::Range<'s, Box<[u8]>, Option<Box<[u8]>>>;
type OwnRow<'s> = (&'s [u8], Option<&'s [u8]>);

/// A scan in progress. [`Scan::next_row`] lends each row without copying it again; as an [`Iterator`] it gives owned
/// keys and values.
#[derive(Debug)]
pub struct Scan<'s> {
    stored: Cursor<'s>,
    /// Whether the cursor is on a row that has not been handed out.
    has_stored: bool,
    direction: Direction,
    left: usize,
    /// The commit that is read, if it may not be visible yet: the scan ends when that commit is lost.
    ahead: Option<(CommitId, &'s TransactionManager)>,
    own: Option<Own<'s>>,
    next_own: Option<OwnRow<'s>>,
    /// Ends with the scan.
    _statement: Option<Statement<'s>>,
}

/// Where the next row comes from.
enum Source {
    Stored,
    Own,
    End,
}

impl<'s> Scan<'s> {
    #[expect(clippy::too_many_arguments, reason = "two callers, side by side")]
    pub(super) fn new(
        manager: &'s TransactionManager,
        table: Table,
        range: impl KeyRange,
        direction: Direction,
        snapshot: CommitId,
        may_be_ahead: bool,
        own: Option<&'s TableWrites>,
        statement: Option<Statement<'s>>,
    ) -> Self {
        let (low, high) = range.into_half_open();
        let is_empty = high.as_ref().is_some_and(|high| *high <= low);
        let mut scan = Self {
            own: own.filter(|_| !is_empty).map(|own| {
                let high = high.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
                own.range::<[u8], _>((Bound::Included(&low[..]), high))
            }),
            next_own: None,
            stored: Cursor::new(
                manager.tree(table),
                &manager.versions,
                snapshot,
                direction,
                low,
                high,
            ),
            has_stored: false,
            direction,
            left: usize::MAX,
            ahead: may_be_ahead.then_some((snapshot, manager)),
            _statement: statement,
        };
        scan.advance_own();
        scan
    }

    /// Ends the scan after `rows` rows.
    #[must_use]
    pub fn limit(mut self, rows: usize) -> Self {
        self.left = rows;
        self
    }

    fn advance_own(&mut self) {
        self.next_own = self
            .own
            .as_mut()
            .and_then(|own| match self.direction {
                Direction::Forward => own.next(),
                Direction::Backward => own.next_back(),
            })
            .map(|(key, value)| (&key[..], value.as_deref()));
    }

    /// What comes next, when so many rows are still wanted.
    fn choose(&mut self, wanted: usize) -> Result<Source> {
        loop {
            if !self.has_stored {
                self.has_stored = self.stored.advance(wanted)?;
            }
            let Some((own_key, own_value)) = self.next_own else {
                return Ok(if self.has_stored {
                    Source::Stored
                } else {
                    Source::End
                });
            };
            if self.has_stored {
                let stored_key = self.stored.row().0;
                let own_first = match self.direction {
                    Direction::Forward => own_key <= stored_key,
                    Direction::Backward => own_key >= stored_key,
                };
                if !own_first {
                    return Ok(Source::Stored);
                }
                if own_key == stored_key {
                    // The transaction's own change hides the stored row.
                    self.has_stored = false;
                }
            }
            if own_value.is_some() {
                return Ok(Source::Own);
            }
            self.advance_own();
        }
    }

    /// The next row, `None` after the last and after an error.
    ///
    /// # Errors
    /// [`crate::Error::SnapshotTooOld`], I/O errors and corruption; [`crate::Error::Poisoned`] when the database has stopped
    /// and the scan would show what never became durable.
    pub fn next_row(&mut self) -> Result<Option<Row<'_>>> {
        if self.left == 0 {
            return Ok(None);
        }
        let left = std::mem::take(&mut self.left);
        let source = self.choose(left)?;
        if let Some((commit, manager)) = self.ahead {
            manager.check_not_lost(commit)?;
        }
        // After an error the scan is over: its place is lost.
        self.left = left - 1;
        match source {
            Source::End => {
                self.left = 0;
                Ok(None)
            }
            Source::Stored => {
                self.has_stored = false;
                Ok(Some(self.stored.row()))
            }
            Source::Own => {
                let own = self.next_own;
                self.advance_own();
                Ok(own.and_then(|(key, value)| value.map(|value| (key, value))))
            }
        }
    }
}

impl Iterator for Scan<'_> {
    type Item = Result<(Vec<u8>, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_row()
            .map(|row| row.map(|(key, value)| (key.to_vec(), value.to_vec())))
            .transpose()
    }
}
