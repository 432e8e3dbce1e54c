//! Completing a checkpoint: the page map as it is becomes the durable one.
//!
//! 1. Freeze ([`DataFile::freeze`]): take pages out of the map that commits up to `last_commit` freed, seal what is
//!    pending (the durable checkpoint may refer to it, the new one cannot), copy each changed chunk of the map.
//! 2. The caller makes the log durable up to the newest commit that any frozen page holds.
//! 3. Write each copied chunk to a new extent; write the root that lists all chunks.
//! 4. Sync: pages, chunks and root are durable, but nothing refers to them yet.
//! 5. Write the superblock into the other slot and sync. *This is the moment*: before it the old checkpoint is in force,
//!    after it the new one, and a crash in between leaves one or the other.
//! 6. Free what was sealed and the replaced pieces of the map; cut the file's free tail.
//!
//! Pages written after the freeze are not in the new checkpoint. What they replace is not sealed, so it waits for the
//! next one, unless it was written after the freeze itself: then no map but the one in memory has ever referred to it.
//!
//! | fails | then |
//! |---|---|
//! | step 2, or a write in step 3 | as if it had not begun: chunks dirty again, their extents free, nothing sealed |
//! | the sync of step 4, or step 5 | what is in force is unknown until the file is opened again: it stops writing |

use std::collections::BTreeMap;
use std::sync::Arc;

use super::data_file::{DataFile, DurableState};
use super::extent::{ExtentIdentity, ExtentKind, ExtentPlace};
use super::map_format::{ChunkRef, encode_chunk, encode_root_entry};
use super::opening::{milliseconds, root_place};
use super::page_map::{CHUNK_ENTRIES, MapEntry};
use super::room::Purpose;
use super::superblock::{SUPERBLOCK_BYTES, Superblock};
use super::writing::{Batch, Written};
use crate::compress::NoCompression;
use crate::error::{Error, Result};
use crate::ids::{CommitId, LogPosition};
use crate::injected::{self, Bug};
use crate::sync::MutexGuard;
use crate::sync::atomic::Ordering;
use crate::vfs::{self, read_exact_at};

const GENERATIONS_EXHAUSTED: Error = Error::CapacityExceeded {
    what: "the number of checkpoints",
    limit: u64::MAX,
};

/// The pieces of the page map that a checkpoint has written.
#[derive(Debug, Default)]
struct NewMap {
    /// Chunks that changed; `None` for those without pages now.
    changed: BTreeMap<u32, Option<ChunkRef>>,
    /// Every extent written, still reserved.
    written: Vec<Written>,
    root: Option<ExtentPlace>,
    page_count: u64,
    page_high: u32,
}

/// A chunk that is encoded and not written yet.
#[derive(Clone, Copy, Debug)]
struct EncodedChunk {
    chunk: u32,
    pages: u32,
    raw_length: u32,
}

/// The page map as it was at one moment, on its way to become the durable one. Dropped, it is as if it had not been.
#[derive(Debug)]
pub(crate) struct FrozenMap<'s> {
    store: &'s DataFile,
    durable: MutexGuard<'s, DurableState>,
    last_commit: CommitId,
    chunks: Vec<(u32, Box<[Option<MapEntry>; CHUNK_ENTRIES]>)>,
    is_adopted: bool,
}

impl Drop for FrozenMap<'_> {
    fn drop(&mut self) {
        if !self.is_adopted {
            self.store.has_moved.store(true, Ordering::Relaxed);
            let chunks = self.chunks.iter().map(|(chunk, _)| *chunk);
            chunks
                .filter(|_| !injected::makes(Bug::FailedCheckpointForgetsMap))
                .for_each(|chunk| self.store.map.mark_dirty(chunk));
            if injected::makes(Bug::FailedCheckpointFreesExtents) {
                self.store.space.lock().release_sealed();
            }
            self.store.space.lock().unseal();
        }
        self.store.note_replaced();
        self.store.replaced.map_ended(self.is_adopted);
    }
}

impl DataFile {
    /// Begins to complete a checkpoint. The caller keeps commits from being applied meanwhile, so that the frozen map
    /// holds no page with half a commit; `last_commit` is the newest one applied.
    pub(crate) fn freeze(&self, last_commit: CommitId) -> FrozenMap<'_> {
        let durable = self.durable.lock();
        self.has_moved.store(false, Ordering::Relaxed);
        self.end_promise();
        self.drop_freed_pages(last_commit);
        self.space.lock().seal();
        let chunks = self
            .map
            .take_dirty()
            .into_iter()
            .filter(|chunk| *chunk == 0 || !injected::makes(Bug::OnlyFirstMapChunkWritten))
            .map(|chunk| (chunk, Box::new(self.map.copy_chunk(chunk))))
            .collect();
        self.space.lock().end_freeze();
        FrozenMap {
            store: self,
            durable,
            last_commit,
            chunks,
            is_adopted: false,
        }
    }

    /// Completes a checkpoint: the frozen map becomes the durable one, and redo will start at `redo`.
    ///
    /// `must_reach` is how far the log is durable now: at least to the end of the frozen map's last commit.
    ///
    /// # Errors
    /// [`Error::Io`] when a write failed; the checkpoint before stays in force and trying again is possible, unless
    /// it was a sync or the superblock: then every later write gives [`Error::Poisoned`]. [`Error::CapacityExceeded`]
    /// when generations have run out.
    ///
    /// # Panics
    /// When `redo` lies behind `must_reach`, or one of them or the commit goes back: they only grow.
    pub(crate) fn commit_checkpoint(
        &self,
        frozen: FrozenMap<'_>,
        redo: LogPosition,
        must_reach: LogPosition,
    ) -> Result<()> {
        self.commit_map(frozen, redo, must_reach)?;
        self.shrink();
        Ok(())
    }

    /// [`DataFile::commit_checkpoint`] without giving the end of the file back: what it has freed will be needed at once.
    pub(crate) fn commit_map(
        &self,
        mut frozen: FrozenMap<'_>,
        redo: LogPosition,
        must_reach: LogPosition,
    ) -> Result<()> {
        self.poison.check()?;
        let before = frozen.durable.superblock;
        self.check_is_in_place(&before)?;
        let last_commit = frozen.last_commit;
        assert!(redo <= must_reach, "redo starts in the durable part of the log");
        assert!(
            before.redo <= redo && before.must_reach <= must_reach && before.last_commit <= last_commit,
            "checkpoints go forward"
        );
        // Only a superblock that no checkpoint wrote is anywhere near it.
        let generation = before.generation.checked_add(1).ok_or(GENERATIONS_EXHAUSTED)?;
        let mut new_map = NewMap::default();
        if let Err(error) = self.write_map(&frozen, generation, &mut new_map) {
            self.cancel(&new_map.written);
            // What of it was kept for a full disk is so again.
            self.settle_aside();
            return Err(error);
        }

        let (codec, level) = self.codec();
        let superblock = Superblock {
            generation,
            codec,
            level,
            redo,
            must_reach,
            last_commit,
            root_offset: new_map.root.map_or(0, |place| place.offset),
            root_length: new_map.root.map_or(0, |place| place.length),
            page_count: u32::try_from(new_map.page_count).unwrap_or(u32::MAX),
            page_high: new_map.page_high,
            wall_clock_ms: milliseconds(self.vfs.wall_clock()),
            // That of the redo position: a checkpoint in rounds begins redo where it began before, in another opening perhaps.
            time_line: if redo == before.redo {
                before.time_line
            } else {
                self.time_line.load(Ordering::Relaxed)
            },
            root_generation: generation,
            ..before
        };
        self.make_durable(&superblock)?;
        self.adopt(&mut frozen.durable, superblock, &new_map);
        frozen.is_adopted = true;
        drop(frozen);
        self.settle_aside();
        Ok(())
    }

    /// Notes the time line that the log is written in from now on: every checkpoint is taken in it.
    pub(crate) fn follow(&self, time_line: u64) {
        self.time_line.store(time_line, Ordering::Relaxed);
    }

    /// Binds the file to a log that was just started at `begin`, with nothing before it to be redone: the checkpoint in
    /// force is the same, and its redo starts there. From then on an older copy of the log is refused.
    ///
    /// # Errors
    /// [`Error::Io`]; the file then stops writing.
    pub(crate) fn begin_time_line(&self, time_line: u64, begin: LogPosition) -> Result<()> {
        self.poison.check()?;
        self.follow(time_line);
        let mut durable = self.durable.lock();
        let before = durable.superblock;
        let superblock = Superblock {
            generation: before.generation.checked_add(1).ok_or(GENERATIONS_EXHAUSTED)?,
            redo: begin,
            must_reach: begin,
            time_line,
            ..before
        };
        self.write_superblock(&superblock)
            .and_then(|()| self.sync())
            .inspect_err(|error| drop(self.poison.set(&error.to_string())))?;
        durable.superblock = superblock;
        *self.superblock.write() = superblock;
        Ok(())
    }

    /// Checks that the file is still at its name, and that nobody has written a copy over it. Else what a checkpoint writes
    /// into it may be lost with it, and the log is needed as it is: the database stops.
    fn check_is_in_place(&self, in_force: &Superblock) -> Result<()> {
        let mut slot = [0; SUPERBLOCK_BYTES];
        let answer = match read_exact_at(&*self.file, &mut slot, in_force.slot_offset()) {
            Ok(()) if in_force.is_replaced_in(&slot) => Err(Error::Moved {
                path: self.path.clone(),
            }),
            // Damage is for `verify` to report; the new superblock goes into the other slot.
            _ => vfs::check_identity(&*self.vfs, &self.path, self.id),
        };
        answer.inspect_err(|error| {
            if matches!(error, Error::Moved { .. }) {
                drop(self.poison.set(&error.to_string()));
            }
        })
    }

    /// Takes pages out of the map whose freeing commit is at most `last_commit`; their numbers are free then.
    fn drop_freed_pages(&self, last_commit: CommitId) {
        let mut numbers = self.numbers.lock();
        for page in numbers.freed_by(last_commit) {
            if let Some(entry) = self.map.set(page, None) {
                self.space.lock().retire_of(entry.place().units(), entry.epoch);
            }
            numbers.finish_freeing(page);
        }
    }

    /// Writes the changed chunks and the root (step 3).
    fn write_map(&self, frozen: &FrozenMap<'_>, generation: u64, new_map: &mut NewMap) -> Result<()> {
        let compressor = Arc::clone(&self.compressor.read());
        let mut batch = Batch::new();
        let mut encoded: Vec<EncodedChunk> = Vec::new();
        let mut raw = Vec::new();
        for (chunk, entries) in &frozen.chunks {
            let chunk = *chunk;
            raw.clear();
            let pages = encode_chunk(entries, &mut raw);
            if pages == 0 {
                crate::reach::mark(crate::reach::Mechanism::MapChunkEmptied);
                new_map.changed.insert(chunk, None);
                continue;
            }
            if batch.would_overflow(raw.len()) && !batch.is_empty() {
                self.write_chunks(&mut batch, &mut encoded, generation, new_map)?;
            }
            let identity = ExtentIdentity {
                kind: ExtentKind::MapChunk,
                number: chunk,
                stamp: generation,
            };
            batch.push(self, identity, &raw, &*compressor)?;
            encoded.push(EncodedChunk {
                chunk,
                pages,
                raw_length: raw.len() as u32,
            });
        }
        if !batch.is_empty() {
            self.write_chunks(&mut batch, &mut encoded, generation, new_map)?;
        }

        raw.clear();
        let unchanged = frozen
            .durable
            .chunks
            .values()
            .filter(|of| !new_map.changed.contains_key(&of.chunk));
        let mut all: Vec<&ChunkRef> = unchanged.chain(new_map.changed.values().flatten()).collect();
        all.sort_unstable_by_key(|of| of.chunk);
        crate::reach::mark_if(all.len() > 1, crate::reach::Mechanism::SecondMapChunk);
        for of in &all {
            encode_root_entry(of, &mut raw);
            new_map.page_count += u64::from(of.pages);
        }
        let Some(last) = all.last() else {
            return Ok(());
        };
        new_map.page_high = last.page_high();
        let identity = ExtentIdentity {
            kind: ExtentKind::MapRoot,
            number: 0,
            stamp: generation,
        };
        batch.push(self, identity, &raw, &NoCompression)?;
        let written = self.write_batch(&mut batch, None, Purpose::Map)?;
        new_map.root = written.first().map(|root| ExtentPlace {
            offset: root.offset(),
            length: root.length,
            raw_length: raw.len() as u32,
        });
        new_map.written.extend(written);
        Ok(())
    }

    /// Writes a batch of encoded chunks and notes where they are; leaves both empty.
    fn write_chunks(
        &self,
        batch: &mut Batch,
        encoded: &mut Vec<EncodedChunk>,
        generation: u64,
        new_map: &mut NewMap,
    ) -> Result<()> {
        let written = self.write_batch(batch, None, Purpose::Map)?;
        for (of, written) in encoded.drain(..).zip(&written) {
            let place = ExtentPlace {
                offset: written.offset(),
                length: written.length,
                raw_length: of.raw_length,
            };
            let chunk_ref = ChunkRef {
                chunk: of.chunk,
                pages: of.pages,
                place,
                generation,
            };
            new_map.changed.insert(of.chunk, Some(chunk_ref));
        }
        new_map.written.extend(written);
        Ok(())
    }

    /// Writes the superblock in force once more and makes it durable. To be called before anything relies on it.
    ///
    /// A process that died, or whose sync failed, can leave it where only this machine's memory holds it: after a failed
    /// sync it may even be marked clean there, so that no later sync would write it. Written to the same place, it cannot
    /// be torn into something else.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn settle(&self) -> Result<()> {
        let durable = self.durable.lock();
        self.write_superblock(&durable.superblock)
            .and_then(|()| self.sync())
            .inspect_err(|error| drop(self.poison.set(&error.to_string())))
    }

    fn sync(&self) -> Result<()> {
        self.file
            .sync_data()
            .map_err(|source| self.io_error("sync", source))
    }

    fn write_superblock(&self, superblock: &Superblock) -> Result<()> {
        let block = superblock.encode();
        self.counters.wrote(block.len());
        self.file
            .write_at(&block[..], superblock.slot_offset())
            .map_err(|source| self.io_error("write the superblock of", source))
    }

    /// Steps 4 and 5. A failure is final.
    fn make_durable(&self, superblock: &Superblock) -> Result<()> {
        self.sync()
            .and_then(|()| self.write_superblock(superblock))
            .and_then(|()| self.sync())
            .inspect_err(|error| drop(self.poison.set(&error.to_string())))
    }

    /// Step 6: the new checkpoint is the durable one.
    fn adopt(&self, durable: &mut DurableState, superblock: Superblock, new_map: &NewMap) {
        let mut replaced: Vec<ExtentPlace> = root_place(&durable.superblock).into_iter().collect();
        for (&chunk, of) in &new_map.changed {
            let before = match of {
                Some(of) => durable.chunks.insert(chunk, *of),
                None => durable.chunks.remove(&chunk),
            };
            replaced.extend(before.map(|of| of.place));
        }
        durable.superblock = superblock;
        *self.superblock.write() = superblock;

        let mut space = self.space.lock();
        for extent in &new_map.written {
            space.keep(extent.units);
        }
        for place in replaced {
            space.retire_with_sealed(place.units());
        }
        space.release_sealed();
    }
}
