//! Filling a log segment to its last byte, so that a frame ends where the segment does.

use engine::Database;

use super::play::Player;
use super::script::{Step, TableNumber, Value};
use super::session::{Session, Trouble};

/// Rows that fill a log segment have values of this many bytes, but for the last one.
const FILLER_LEN: u32 = 500;
/// Bytes at either end of a segment that hold no frames.
const HEADER: u64 = 4096;
/// Rows that are tried for it, at most.
const FILLERS_MAX: u32 = 200;

impl Player<'_> {
    /// Commits rows until a frame ends with the last byte of a log segment. How long a frame is beside its value is
    /// learnt from the row before.
    pub(super) fn fill_segment<'db>(
        &mut self,
        database: &'db Database,
        session: &mut Session<'db>,
        table: TableNumber,
        key: u32,
    ) -> Result<(), Trouble> {
        // An own slot, which no script has.
        let slot = u8::MAX;
        let segment = self.settings.segment_bytes;
        let base = database.checkpoint()?.redo.0;
        let end = || base + database.storage_info().wal_size;
        let mut beside = None;
        for at in 0..FILLERS_MAX {
            let before = end();
            // The last block has a copy of the header.
            let room = (segment - HEADER).saturating_sub(before % segment);
            if at > 0 && room == 0 {
                break;
            }
            let exact = beside
                .and_then(|beside| room.checked_sub(beside))
                .map(|len| len as u32);
            let len = exact
                .filter(|len| (FILLER_LEN / 2..2 * FILLER_LEN).contains(len))
                .unwrap_or(FILLER_LEN);
            let value = Value { len, version: at };
            for step in [
                Step::Begin {
                    slot,
                    sync: false,
                    snapshot: false,
                },
                Step::Put {
                    slot,
                    table,
                    key: key + at % 4,
                    value,
                },
                Step::Commit { slot },
            ] {
                self.transaction_step(database, session, &step)?;
            }
            let written = end() - before;
            if written <= room && written < u64::from(2 * FILLER_LEN) {
                beside = Some(written - u64::from(len));
            }
        }
        database.sync()?;
        self.ledger.promise(&self.vfs, self.ledger.states.last());
        Ok(())
    }
}
