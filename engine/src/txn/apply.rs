//! What the applier does: takes the next commit ID, changes pages, appends the commit to the log.
//!
//! Before the first page changes, room in the log and frames for new pages are made sure of, so that a full disk or an
//! exhausted cache refuses the commit and nothing else. After that a commit must be completed: if it cannot be, the
//! database is poisoned, and recovery finds the log without it.

use hashbrown::HashSet;

use super::Table;
use super::catalog::{Dropped, Entry};
use super::manager::{TransactionManager, Work};
use super::panics::{NewPanic, PANICKED};
use super::write_set::WriteSet;
use crate::btree::{Budget, Change, Changer, Need, NewRow, Quarantine, Touched, Tree};
use crate::error::{Error, Result};
use crate::ids::{CommitId, LogPosition, PageNumber, TableId};
use crate::mvcc::Reclaimed;
use crate::page::image;
use crate::planted::{self, Fault};
use crate::wal::{CommitMark, FrameKind};
use std::sync::atomic::Ordering::Relaxed;

/// Pages of a dropped table that one commit frees.
const DROP_BUDGET: usize = 256;
/// Leaves whose ghosts one commit removes at least, and the part of the keys that are waiting beyond that.
const PURGE_LEAVES: usize = 64;
const PURGE_PART: usize = 64;
/// Codec byte of page images in the log.
pub(crate) const IMAGE_CODEC_NONE: u8 = 0;

/// What only the holder of the applier has.
#[derive(Debug)]
pub(crate) struct Applier {
    /// The last commit applied.
    pub(crate) last: CommitId,
    touched: Touched,
    image: Vec<u8>,
    /// Ghosts of commits up to this one can go.
    ghost_horizon: CommitId,
    pub(super) since_collect: usize,
    /// Deleted rows whose ghosts can go, sorted.
    reclaimed: Vec<Reclaimed>,
    pub(crate) dropped: Vec<Dropped>,
    /// Pages that housekeeping leaves alone.
    pub(crate) quarantine: Quarantine,
    pub(crate) next_table: TableId,
    /// Tables that can be written.
    pub(crate) live: HashSet<TableId>,
}

impl Applier {
    pub(super) fn new(last: CommitId, page_size: usize) -> Self {
        Self {
            last,
            touched: Touched::new(page_size),
            image: Vec::new(),
            ghost_horizon: CommitId(0),
            since_collect: 0,
            reclaimed: Vec::new(),
            dropped: Vec::new(),
            quarantine: Quarantine::default(),
            next_table: TableId(1),
            live: HashSet::new(),
        }
    }
}

/// A panic in the middle of a commit leaves half of it on the pages: nothing may be committed after it.
struct PoisonOnPanic<'m>(&'m TransactionManager, NewPanic);

impl Drop for PoisonOnPanic<'_> {
    fn drop(&mut self) {
        if self.1.is_happening() {
            self.0.wal.poison(PANICKED);
        }
    }
}

const CATALOG: Table = Table {
    id: TableId::CATALOG,
    root: PageNumber::CATALOG,
    database: 0,
};

impl TransactionManager {
    fn catalog_tree(&self) -> Tree<'_> {
        self.tree(CATALOG)
    }

    /// Applies work as the next commit. Returns the commit and the log position behind it; work that changes nothing
    /// is no commit and returns the last one.
    pub(super) fn apply_work(&self, applier: &mut Applier, work: &Work) -> Result<(CommitId, LogPosition)> {
        match work {
            Work::Rows { writes, .. } => {
                for (table, _) in writes.tables() {
                    if !applier.live.contains(&table.id) {
                        return Err(Error::NoSuchTable {
                            name: format!("(table {} was dropped)", table.id),
                        });
                    }
                }
                self.apply_commit(applier, |changer| self.change_rows(changer, writes))
            }
            Work::CreateTable(name) => self.create_table(applier, name),
            Work::DropTable(name) => self.drop_table(applier, name),
        }
    }

    fn change_rows<'a>(&'a self, changer: &mut Changer<'a, '_>, writes: &WriteSet) -> Result<()> {
        let mut need = Need::default();
        for (table, changes) in writes.tables() {
            let rows = changes.iter().map(|(key, value)| (&key[..], value.as_deref()));
            need += changer.need_of_rows(self.tree(*table), rows)?;
        }
        changer.secure(need)?;
        let mut rows = 0;
        let mut bytes = 0;
        for (table, changes) in writes.tables() {
            let tree = self.tree(*table);
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

    fn create_table(&self, applier: &mut Applier, name: &str) -> Result<(CommitId, LogPosition)> {
        if self.catalog.get(name).is_some() {
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
        let done = self.apply_commit(applier, |changer| {
            let entry = |root| Entry::Table {
                name: name.to_owned(),
                id,
                root,
            };
            let (next_key, next_value) = Entry::NextTable(next).encode();
            let (key, value) = entry(root).encode();
            let rows: [NewRow<'_>; 2] = [(&next_key, Some(&next_value)), (&key, Some(&value))];
            let mut need = changer.need_to_create_tree();
            need += changer.need_of_rows(self.catalog_tree(), rows.into_iter())?;
            changer.secure(need)?;
            root = changer.create_tree(id)?;
            let (key, value) = entry(root).encode();
            changer.put(self.catalog_tree(), &next_key, &next_value)?;
            changer.put(self.catalog_tree(), &key, &value)
        })?;
        applier.next_table = next;
        applier.live.insert(id);
        self.catalog.insert(
            name,
            Table {
                id,
                root,
                database: self.database,
            },
        );
        Ok(done)
    }

    fn drop_table(&self, applier: &mut Applier, name: &str) -> Result<(CommitId, LogPosition)> {
        let Some(Table { id, root, .. }) = self.catalog.get(name) else {
            return Err(Error::NoSuchTable {
                name: name.to_owned(),
            });
        };
        let done = self.apply_commit(applier, |changer| {
            let name = Entry::table_key(name);
            let (key, value) = Entry::Dropped { id, root }.encode();
            let rows: [NewRow<'_>; 2] = [(&key, Some(&value)), (&name, None)];
            let need = changer.need_of_rows(self.catalog_tree(), rows.into_iter())?;
            changer.secure(need)?;
            changer.delete(self.catalog_tree(), &name)?;
            changer.put(self.catalog_tree(), &key, &value)
        })?;
        applier.live.remove(&id);
        applier.dropped.push(Dropped {
            table: id,
            root,
            commit: done.0,
        });
        self.catalog.remove(name);
        Ok(done)
    }

    /// Runs `change` as the next commit and appends it to the log. Before it changes anything it secures the room that
    /// it needs.
    fn apply_commit<'a>(
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
        let mut changer = Changer::new(
            &self.pool,
            &self.versions,
            &self.wal,
            touched,
            commit,
            *ghost_horizon,
        );
        let result = change(&mut changer);
        let has_changed = changer.has_changed();
        // Until the commit is in the log, what is held back for it stays at hand.
        let _committing = changer.finish_changes();
        match result {
            Ok(()) if !has_changed => return Ok((*last, self.wal.end())),
            Ok(()) => {}
            Err(error) if !has_changed => {
                self.versions.withdraw(commit);
                return Err(error);
            }
            Err(error) => return Err(self.stop_in_commit(&error)),
        }
        let end = self
            .log(touched, commit, image)
            .map_err(|error| self.stop_in_commit(&error))?;
        *last = commit;
        Ok((commit, end))
    }

    /// Pages hold half a commit, and it cannot be completed.
    fn stop_in_commit(&self, error: &Error) -> Error {
        if self.check_usable().is_ok() {
            self.wal
                .poison(&format!("a commit could not be completed ({error})"));
        }
        self.wal.poisoned().unwrap_or_else(|| error.clone())
    }

    /// Appends a commit's frames to the log; the last carries the commit mark.
    fn log(&self, touched: &Touched, commit: CommitId, image: &mut Vec<u8>) -> Result<LogPosition> {
        let pages = touched.pages();
        let left_out = usize::from(pages.len() > 1 && planted::makes(Fault::PageMissingFromLog));
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
                        out.extend_from_slice(operations);
                    })?
                }
                Change::Image => {
                    self.copy_image(*page, image)?;
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

    fn copy_image(&self, page: PageNumber, image: &mut Vec<u8>) -> Result<()> {
        loop {
            let Some(found) = self.pool.get(page)? else {
                return Err(self
                    .pool
                    .store()
                    .damage(page, "a page of the commit does not exist"));
            };
            // Latched, because encoding relies on a well-formed page; nobody but the applier could change it.
            let Some(latched) = found.latch() else { continue };
            image.clear();
            image::encode(latched.node(), image);
            return Ok(());
        }
    }

    /// Drops old versions; then ghosts, small pages and dropped tables that nobody can read any more, as much as fits in
    /// one commit of the engine's own. Returns whether there is more that could be done at once.
    pub(super) fn collect(&self, applier: &mut Applier) -> bool {
        applier.since_collect = 0;
        let horizon = self.registry.horizon();
        let mut reclaimed = std::mem::take(&mut applier.reclaimed);
        let known = reclaimed.len();
        let dropped = self.versions.collect(horizon, &mut reclaimed);
        self.counters
            .versions_collected
            .fetch_add(dropped as u64, Relaxed);
        if reclaimed.len() > known {
            reclaimed.sort();
            reclaimed.dedup();
        }
        applier.ghost_horizon = self.versions.ghost_horizon(horizon);
        let due = applier
            .dropped
            .first()
            .copied()
            // `keep_versions` keeps versions of rows, not dropped tables.
            .filter(|d| d.commit <= horizon);
        if reclaimed.is_empty() && due.is_none() || self.check_usable().is_err() {
            return false;
        }
        let waiting = (reclaimed.len(), due.is_some());
        let mut quarantine = std::mem::take(&mut applier.quarantine);
        let put_aside = quarantine.len();
        let mut finished = None;
        let result = self.apply_commit(applier, |changer| {
            // Each step of either is complete or has not begun, whatever it ran into; the rest is for a later collection.
            let put_off = |error: Error| tracing::warn!(%error, "housekeeping was put off");
            self.purge(changer, &mut reclaimed, &mut quarantine)
                .unwrap_or_else(put_off);
            if let Some(due) = due {
                finished = self
                    .free_dropped(changer, due, &mut quarantine)
                    .unwrap_or_else(|error| {
                        put_off(error);
                        None
                    });
            }
            Ok(())
        });
        if let Some(table) = finished.filter(|_| result.is_ok()) {
            applier.dropped.retain(|d| d.table != table);
        }
        let is_waiting = !reclaimed.is_empty() || due.is_some() && !applier.dropped.is_empty();
        let has_advanced = reclaimed.len() < waiting.0 || finished.is_some() || quarantine.len() > put_aside;
        applier.reclaimed = reclaimed;
        self.counters
            .quarantined_pages
            .store(quarantine.len() as u64, Relaxed);
        applier.quarantine = quarantine;
        match result {
            Ok((commit, _)) if commit > self.applied() => {
                self.announce(commit, LogPosition(0), None);
                is_waiting
            }
            Ok(_) => is_waiting && has_advanced,
            Err(error) => {
                tracing::warn!(%error, "old row versions could not be collected");
                false
            }
        }
    }

    /// Removes the ghosts of reclaimed rows, leaf by leaf from the end, until there is no room or enough is done. What
    /// was seen to is taken off the list.
    fn purge<'a>(
        &'a self,
        changer: &mut Changer<'a, '_>,
        reclaimed: &mut Vec<Reclaimed>,
        quarantine: &mut Quarantine,
    ) -> Result<()> {
        let tables = self.catalog.tables();
        let leaves = PURGE_LEAVES + reclaimed.len() / PURGE_PART;
        for _ in 0..leaves {
            let Some(Reclaimed { table, key }) = reclaimed.last() else {
                break;
            };
            let table = *table;
            let Some((_, found)) = tables.iter().find(|(_, t)| t.id == table) else {
                reclaimed.retain(|r| r.table != table);
                continue;
            };
            let Some(low) = changer.purge(self.tree(*found), key, quarantine)? else {
                break;
            };
            reclaimed.pop();
            while reclaimed.pop_if(|r| r.table == table && r.key >= low).is_some() {}
        }
        Ok(())
    }

    /// Frees pages of a dropped table; returns the table when there is nothing left to do for it.
    fn free_dropped<'a>(
        &'a self,
        changer: &mut Changer<'a, '_>,
        Dropped { table, root, .. }: Dropped,
        quarantine: &mut Quarantine,
    ) -> Result<Option<TableId>> {
        let key = Entry::dropped_key(table);
        if changer.barrier(self.catalog_tree(), &key, quarantine)?.is_some() {
            // The catalog cannot be told, so the table stays as it is: the next opening meets it again.
            return Ok(Some(table));
        }
        let tree = Tree {
            pool: &self.pool,
            root,
            table,
        };
        let row: [NewRow<'_>; 1] = [(&key, None)];
        let need = changer.need_of_rows(self.catalog_tree(), row.into_iter())?;
        let mut budget = Budget::new(DROP_BUDGET, need);
        if !changer.drop_tree(tree, &mut budget, quarantine)? {
            return Ok(None);
        }
        changer.delete(self.catalog_tree(), &key)?;
        Ok(Some(table))
    }

    /// Whether ghosts or dropped tables may be waiting to be freed.
    pub(crate) fn has_housekeeping(&self) -> bool {
        let applier = self.pause();
        !applier.dropped.is_empty() || !applier.reclaimed.is_empty()
    }
}
