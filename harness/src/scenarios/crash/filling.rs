//! Filling a log segment to its last byte, so that a frame ends where the segment does; and a disk until a commit has
//! little more than the room that it asks for, so that it uses what was reserved for it.

use engine::Database;

use super::play::Player;
use super::script::{Step, TableNumber, Value};
use super::session::{Session, Trouble};

/// A slot that no script has.
const OWN_SLOT: u8 = u8::MAX;
/// Rows that fill a log segment have values of this many bytes, but for the last one.
const FILLER_LEN: u32 = 500;
/// Bytes at either end of a segment that hold no frames.
const HEADER: u64 = 4096;
/// Rows that are tried for it, at most.
const FILLERS_MAX: u32 = 200;

/// By how much the room on a full disk grows at least, and how much there is at most, in bytes.
const ROOM_STEP: u64 = 2048;
const ROOM_MAX: u64 = 4 << 20;
/// Rows of a commit on a full disk, the distance of their keys, and the length of their values in bytes.
const ROWS: u32 = 90;
const ROW_STEP: u32 = 3;
const ROW_LEN: u32 = 900;

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
        let slot = OWN_SLOT;
        let segment = self.settings.segment_bytes;
        let base = database.checkpoint()?.redo.0;
        let end = || base + database.storage_info().wal_size;
        let mut beside = None;
        for at in 0..FILLERS_MAX {
            let before = end();
            // The last block has a copy of the header.
            let room = (segment - HEADER).saturating_sub((before - HEADER) % segment);
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

    /// Commits rows on a disk that is full, and has a little more room each time, until they are accepted.
    pub(super) fn fill_disk<'db>(
        &mut self,
        database: &'db Database,
        session: &mut Session<'db>,
        table: TableNumber,
        key: u32,
    ) -> Result<(), Trouble> {
        let used = self.vfs.used_bytes();
        let before = self.vfs.set_capacity(Some(used));
        // A run that has little room anyway gets no more.
        let most = before.unwrap_or(used + ROOM_MAX);
        let mut room = 0;
        let done = loop {
            self.vfs.set_capacity(Some(most.min(used + room)));
            let done = self.put_rows(database, session, table, key);
            let is_refused = matches!(&done, Err(Trouble::Refused(error)) if error.is_disk_full());
            if !is_refused || used + room > most {
                break done;
            }
            room += room / 16 + ROOM_STEP;
        };
        // What is there can be made durable with the room that there is.
        if done.is_ok()
            && let Err(error) = database.checkpoint()
            && !error.is_disk_full()
        {
            self.vfs.set_capacity(before);
            return Err(error.into());
        }
        self.vfs.set_capacity(before);
        done
    }

    fn put_rows<'db>(
        &mut self,
        database: &'db Database,
        session: &mut Session<'db>,
        table: TableNumber,
        key: u32,
    ) -> Result<(), Trouble> {
        let begin = Step::Begin {
            slot: OWN_SLOT,
            sync: true,
            snapshot: false,
        };
        self.transaction_step(database, session, &begin)?;
        for row in 0..ROWS {
            let put = Step::Put {
                slot: OWN_SLOT,
                table,
                key: key + row * ROW_STEP,
                value: Value {
                    len: ROW_LEN,
                    version: row,
                },
            };
            self.transaction_step(database, session, &put)?;
        }
        self.transaction_step(database, session, &Step::Commit { slot: OWN_SLOT })
    }
}
