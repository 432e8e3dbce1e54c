//! The last write of a thread to each row.
//!
//! It grows beside measured transactions, one write at a time, so it must never grow all at once: a map of a million rows takes half
//! a second to double. It is many small maps, of which one doubles now and then.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::version::RowRef;

use super::record::LoggedWrite;

/// Enough that one of them has a thousand rows when all have a million.
const PARTS: usize = 1024;

type Part = HashMap<RowRef, LoggedWrite, FixedState>;

/// Last writes by row.
#[derive(Debug, Default)]
pub(in crate::oracle) struct Folded {
    /// Empty until the first write comes.
    parts: Vec<Part>,
}

impl Folded {
    /// Takes the place of an earlier write to the same row.
    pub(super) fn insert(&mut self, write: LoggedWrite) {
        if self.parts.is_empty() {
            self.parts.resize_with(PARTS, Part::default);
        }
        let part = crate::random::permute(write.row.to_u64()) as usize % PARTS;
        if let Some(part) = self.parts.get_mut(part) {
            part.insert(write.row, write);
        }
    }

    /// All of them, in no order.
    pub(in crate::oracle) fn writes(&self) -> impl Iterator<Item = &LoggedWrite> {
        self.parts.iter().flat_map(Part::values)
    }
}
