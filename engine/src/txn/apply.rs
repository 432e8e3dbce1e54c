//! What the applier does: takes the next commit ID, changes pages, appends the commit to the log.
//!
//! Before the first page changes, room in the log and frames for new pages are made sure of, so that a full disk or an
//! exhausted cache refuses the commit and nothing else. After that a commit must be completed: if it cannot be, the
//! database is poisoned, and recovery finds the log without it.

use std::collections::VecDeque;

use super::Table;
use super::catalog::{Dropped, Entry, Retired};
use super::manager::{TransactionManager, Work};
use super::panics::{NewPanic, PANICKED};
use super::tables::CATALOG_SLOT;
use super::write_set::WriteSet;
use crate::btree::{Change, Changer, Need, NewRow, Quarantine, Touched};
use crate::error::{Error, Result};
use crate::ids::{CommitId, LogPosition, PageNumber, TableId};
use crate::injected::{self, Bug};
use crate::page::image;
use crate::pool::Pages;
use crate::sync::atomic::Ordering::Relaxed;
use crate::wal::{CommitMark, FrameKind};
use crate::work::{Kind, done};

/// Codec byte of page images in the log.
pub(crate) const IMAGE_CODEC_NONE: u8 = 0;

/// Pages that rows of so many bytes fill when pages are half full, and one.
fn pages_of(bytes: usize, page_size: usize) -> u64 {
    (2 * bytes / page_size + 1) as u64
}

/// What only the holder of the applier has.
#[derive(Debug)]
pub(crate) struct Applier {
    /// The last commit applied.
    pub(crate) last: CommitId,
    touched: Touched,
    image: Vec<u8>,
    /// Ghosts of commits up to this one can go.
    pub(super) ghost_horizon: CommitId,
    pub(super) since_collect: usize,
    /// Whether overflow pages may be waiting to be freed, and the keys from which on the catalog is searched for them.
    pub(super) has_retired: bool,
    pub(super) retired_from: Vec<u8>,
    pub(crate) dropped: VecDeque<Dropped>,
    /// Pages that housekeeping leaves alone.
    pub(crate) quarantine: Quarantine,
    pub(crate) next_table: TableId,
}

impl Applier {
    pub(super) fn new(last: CommitId, page_size: usize) -> Self {
        Self {
            last,
            touched: Touched::new(page_size),
            image: Vec::new(),
            ghost_horizon: CommitId(0),
            since_collect: 0,
            has_retired: true,
            retired_from: Retired::keys_from(CommitId(0)),
            dropped: VecDeque::new(),
            quarantine: Quarantine::default(),
            next_table: TableId(1),
        }
    }
}

/// A panic in the middle of a commit leaves half of it on the pages: nothing may be committed after it.
struct PoisonOnPanic<'m>(&'m TransactionManager, NewPanic);

impl Drop for PoisonOnPanic<'_> {
    fn drop(&mut self) {
        if self.1.is_happening() {
            let _ = self.0.poison.set(PANICKED);
        }
    }
}

impl Applier {
    /// Whether a dropped table can be freed, now or later.
    pub(super) fn has_dropped(&self) -> bool {
        self.dropped.iter().any(|dropped| !dropped.is_put_aside)
    }
}

pub(super) const CATALOG: Table = Table {
    id: TableId::CATALOG,
    root: PageNumber::CATALOG,
    database: 0,
    slot: CATALOG_SLOT,
};

impl TransactionManager {
    /// Applies work as the next commit. Returns the commit and the log position behind it; work that changes nothing
    /// is no commit and returns the last one.
    pub(super) fn apply_work(&self, applier: &mut Applier, work: &Work) -> Result<(CommitId, LogPosition)> {
        match work {
            Work::Rows { writes, .. } => {
                // A table whose changes were all taken back need not be there.
                for (table, _) in writes.tables().iter().filter(|(_, rows)| !rows.is_empty()) {
                    self.check_writable(*table)?;
                }
                let mut has_retired = false;
                let applied = self.apply_commit(applier, |changer| {
                    self.change_rows(changer, writes)?;
                    has_retired = self.retire(changer)?;
                    Ok(())
                });
                applier.has_retired |= has_retired;
                applied
            }
            Work::CreateTable { name, created } => {
                let (commit, end, table) = self.create_table(applier, name)?;
                let _ = created.set(table);
                Ok((commit, end))
            }
            Work::DropTable(name) => self.drop_table(applier, name),
        }
    }

    fn change_rows<'a>(&'a self, changer: &mut Changer<'a, '_>, writes: &WriteSet) -> Result<()> {
        let mut need = Need::default();
        let catalog = changer.tree(CATALOG.root, CATALOG.id);
        let new_bytes: usize = writes
            .tables()
            .iter()
            .flat_map(|(_, changes)| changes)
            .filter_map(|(key, value)| Some(key.len() + value.as_ref()?.len()))
            .sum();
        if new_bytes > 0 {
            self.pool
                .store()
                .ensure_room(pages_of(new_bytes, self.pool.page_size()))?;
        }
        for (table, changes) in writes.tables() {
            let rows = changes.iter().map(|(key, value)| (&key[..], value.as_deref()));
            need += changer.need_of_rows(changer.tree(table.root, table.id), catalog, rows)?;
        }
        changer.reserve(need)?;
        let mut rows = 0;
        let mut bytes = 0;
        for (table, changes) in writes.tables() {
            let tree = changer.tree(table.root, table.id);
            for (key, value) in changes {
                match value {
                    Some(value) => changer.put(tree, key, value)?,
                    None => {
                        changer.delete(tree, key)?;
                    }
                }
                rows += 1;
                bytes += key.len() + value.as_ref().map_or(0, |v| v.len());
            }
        }
        self.counters.rows_written.fetch_add(rows, Relaxed);
        self.counters.logical_bytes.fetch_add(bytes as u64, Relaxed);
        Ok(())
    }

    /// Has the catalog remember the long values that the commit has replaced; returns whether there are any.
    fn retire<'a>(&'a self, changer: &mut Changer<'a, '_>) -> Result<bool> {
        let catalog = changer.tree(CATALOG.root, CATALOG.id);
        let mut chains = changer.take_retired();
        // In the order of their keys, as they were reserved for.
        chains.sort_unstable_by_key(|(_, chain)| chain.first);
        for (table, chain) in &chains {
            let retired = Retired {
                by: changer.commit(),
                number: chain.first.0,
                table: *table,
                chain: *chain,
            };
            changer.put(catalog, &retired.key(), &retired.value())?;
        }
        Ok(!chains.is_empty())
    }

    fn create_table(&self, applier: &mut Applier, name: &str) -> Result<(CommitId, LogPosition, Table)> {
        if self.catalog.newest(name).is_some() {
            return Err(Error::TableExists {
                name: name.to_owned(),
            });
        }
        let id = applier.next_table;
        let next = id.0.checked_add(1).map(TableId).ok_or(Error::CapacityExceeded {
            what: "the table number space",
            limit: u64::from(u32::MAX),
        })?;
        let mut root = PageNumber::NONE;
        let (commit, end) = self.apply_commit(applier, |changer| {
            let catalog = changer.tree(CATALOG.root, CATALOG.id);
            let entry = |root| Entry::Table {
                name: name.to_owned(),
                id,
                root,
            };
            let (next_key, next_value) = Entry::NextTable(next).encode();
            let (key, value) = entry(root).encode();
            let rows: [NewRow<'_>; 2] = [(&next_key, Some(&next_value)), (&key, Some(&value))];
            self.pool.store().ensure_room(1)?;
            let mut need = changer.need_to_create_tree();
            need += changer.need_of_rows(catalog, catalog, rows.into_iter())?;
            changer.reserve(need)?;
            root = changer.create_tree(id)?;
            let (key, value) = entry(root).encode();
            changer.put(catalog, &next_key, &next_value)?;
            changer.put(catalog, &key, &value)
        })?;
        applier.next_table = next;
        let table = self.adopt_table(name, id, root, commit);
        Ok((commit, end, table))
    }

    /// Puts a table into the catalog, from `since` on.
    pub(crate) fn adopt_table(&self, name: &str, id: TableId, root: PageNumber, since: CommitId) -> Table {
        let table = Table {
            id,
            root,
            database: self.database,
            slot: self.tables.add(id),
        };
        self.catalog.set(name, since, Some(table), &self.registry);
        table
    }

    fn drop_table(&self, applier: &mut Applier, name: &str) -> Result<(CommitId, LogPosition)> {
        let Some(Table { id, root, slot, .. }) = self.catalog.newest(name) else {
            return Err(Error::NoSuchTable {
                name: name.to_owned(),
            });
        };
        let (commit, end) = self.apply_commit(applier, |changer| {
            let catalog = changer.tree(CATALOG.root, CATALOG.id);
            let name = Entry::table_key(name);
            let (key, value) = Entry::Dropped { id, root }.encode();
            let rows: [NewRow<'_>; 2] = [(&key, Some(&value)), (&name, None)];
            let need = changer.need_of_rows(catalog, catalog, rows.into_iter())?;
            changer.reserve(need)?;
            changer.delete(catalog, &name)?;
            changer.put(catalog, &key, &value)
        })?;
        self.tables.mark_dropped(slot, commit);
        applier.dropped.push_back(Dropped {
            table: id,
            root,
            commit,
            slot: Some(slot),
            is_put_aside: false,
        });
        self.catalog.set(name, commit, None, &self.registry);
        Ok((commit, end))
    }

    /// Runs `change` as the next commit and appends it to the log. Before it changes anything it reserves what
    /// it needs.
    pub(super) fn apply_commit<'a>(
        &'a self,
        applier: &mut Applier,
        change: impl FnOnce(&mut Changer<'a, '_>) -> Result<()>,
    ) -> Result<(CommitId, LogPosition)> {
        let Applier {
            last,
            touched,
            image,
            ghost_horizon,
            ..
        } = applier;
        self.check_usable()?;
        let _guard = PoisonOnPanic(self, NewPanic::watch());
        let commit = last.next();
        // Until the commit is in the log.
        let unfinished = self.pool.begin_commit(commit);
        let mut changer = Changer::new(
            &unfinished,
            &self.versions,
            &self.wal,
            touched,
            commit,
            *ghost_horizon,
        );
        let result = change(&mut changer);
        let has_changed = changer.finish_changes();
        match result {
            Ok(()) if !has_changed => return Ok((*last, self.wal.end())),
            Ok(()) => {}
            Err(error) if !has_changed => {
                if error.is_disk_full() {
                    self.wal.be_sparing();
                    crate::reach::mark(crate::reach::Mechanism::ReservationRefused);
                }
                self.versions.withdraw(commit);
                return Err(error);
            }
            Err(error) => return Err(self.stop_in_commit(&error)),
        }
        let end = self
            .log(unfinished.pages(), touched, commit, image)
            .map_err(|error| self.stop_in_commit(&error))?;
        *last = commit;
        Ok((commit, end))
    }

    /// Pages hold half a commit, and it cannot be completed.
    fn stop_in_commit(&self, error: &Error) -> Error {
        self.poison
            .set(&format!("a commit could not be completed ({error})"))
    }

    /// Appends a commit's frames to the log; the last carries the commit mark.
    fn log(
        &self,
        pool: Pages<'_>,
        touched: &Touched,
        commit: CommitId,
        image: &mut Vec<u8>,
    ) -> Result<LogPosition> {
        let pages = touched.pages();
        let left_out = usize::from(pages.len() > 1 && injected::makes(Bug::PageMissingFromLog));
        let pages = &pages[left_out..];
        let mark = CommitMark {
            frame_count: pages.len() as u32,
            wall_clock_ms: self.wall_clock_ms(),
        };
        let mut appender = self.wal.appender();
        let mut end = appender.end();
        for (at, (page, change)) in pages.iter().enumerate() {
            let mark = (at + 1 == pages.len()).then_some(mark);
            end = match change {
                Change::Delta(operations) => {
                    appender.frame(*page, commit, FrameKind::Delta, mark, |out| {
                        done(Kind::Bytes, operations.len());
                        out.extend_from_slice(operations);
                    })?
                }
                Change::Image => {
                    copy_image(pool, *page, image)?;
                    appender.frame(*page, commit, FrameKind::Image, mark, |out| {
                        out.push(IMAGE_CODEC_NONE);
                        out.extend_from_slice(image);
                    })?
                }
                Change::Freed => appender.frame(*page, commit, FrameKind::Freed, mark, |_| ())?,
            };
        }
        Ok(end)
    }
}

fn copy_image(pool: Pages<'_>, page: PageNumber, image: &mut Vec<u8>) -> Result<()> {
    loop {
        let Some(found) = pool.get(page)? else {
            return Err(pool.store().damage(page, "a page of the commit does not exist"));
        };
        // Latched, because encoding relies on a well-formed page; nobody but the applier could change it.
        let Some(latched) = found.latch() else { continue };
        image.clear();
        image::encode(latched.node(), image);
        return Ok(());
    }
}

#[cfg(test)]
mod tests;
