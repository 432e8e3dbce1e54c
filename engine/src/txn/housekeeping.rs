//! What commits leave behind comes back: versions, ghosts, the pages of replaced long values and of dropped tables.
//!
//! Versions go by moving the tail of their ring, which costs a commit next to nothing. Everything else has its own pace
//! and its own commits: a step reads what it will need before it takes the applier, and then gives back a few pages. The
//! background thread takes one step after the other; without it committers do, now and then, when their own commit is
//! done; [`crate::Database::gc`] does until nothing is left.
//!
//! | what | found through | when |
//! |---|---|---|
//! | versions | the ring, oldest first | the horizon has passed their commit |
//! | ghosts, small leaves | [`crate::pool::Pool::ghost_pages`] | the horizon has passed the ghost's commit |
//! | replaced long values | the catalog | the horizon has passed the commit that replaced them |
//! | dropped tables | the catalog | no snapshot from before the drop is open |
//!
//! A snapshot that is too old for some version is no longer regarded in the first three: where something has changed, it
//! is told so. It still keeps dropped tables, which it may be reading.

use std::collections::HashSet;

use super::TransactionManager;
use super::apply::{Applier, CATALOG};
use super::catalog::{Dropped, Entry, Retired};
use crate::btree::{Budget, Changer, Cursor, Direction, NewRow, Purged, Quarantine, Tree, verify_chain};
use crate::error::{Error, Result};
use crate::ids::{CommitId, PageNumber, TableId};
use crate::injected::{self, Bug};
use crate::mvcc::VersionStore;
use crate::page::node::OverflowRef;
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::thread;
use crate::work::{Kind, done};

/// Pages that one step purges, and frees of replaced values and of a dropped table.
const PAGES_AT_ONCE: usize = 16;
/// Steps that a committer takes at most where nobody else takes any.
const STEPS_OF_A_COMMITTER: usize = 4;
/// Pages with ghosts past which the background thread does not rest between its steps.
const BEHIND: usize = 1024;

/// What is left to do after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// Nothing for now, or nothing that can be done.
    Nothing,
    More,
}

/// How far something has been freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Freed {
    NotDue,
    InPart,
    Whole,
    /// A page could not be read, which the next opening may be able to.
    PutAside,
}

impl TransactionManager {
    /// Drops versions that no snapshot needs, of commits up to `most`, a few pieces of memory; returns whether there is more.
    /// What else can go follows from the horizon found here.
    pub(super) fn collect_versions(&self, applier: &mut Applier, most: CommitId) -> bool {
        applier.since_collect = 0;
        let horizon = self.registry.horizon_from(self.versions.floor()).min(most);
        crate::interleave::here(crate::interleave::Place::HorizonKnown);
        let collected = self.versions.collect(horizon);
        self.counters
            .versions_collected
            .fetch_add(collected.dropped as u64, Relaxed);
        applier.ghost_horizon = collected.ghost_horizon;
        if injected::makes(Bug::GhostPurgedTooEarly) {
            applier.ghost_horizon = self.registry.visible();
        }
        collected.has_more
    }

    /// One step, as a commit of its own.
    fn housekeep(&self, applier: &mut Applier) -> Left {
        let horizon = applier.ghost_horizon;
        let dropped = self.due_table(applier);
        let has_ghosts = !self.pool.ghost_pages().first(1, horizon).is_empty();
        if !has_ghosts && !applier.has_retired && dropped.is_none() || self.check_usable().is_err() {
            return Left::Nothing;
        }
        let mut quarantine = std::mem::take(&mut applier.quarantine);
        let mut retired_from = std::mem::take(&mut applier.retired_from);
        let (mut purged, mut chain, mut table) = (Left::Nothing, None, Freed::NotDue);
        let has_retired = applier.has_retired;
        let result = self.apply_commit(applier, |changer| {
            // Each step of any is complete or has not begun, whatever it ran into; the rest is for a later one.
            let put_off = |error: Error| tracing::warn!(%error, "housekeeping was put off");
            purged = self
                .purge(changer, horizon, &mut quarantine)
                .inspect_err(|error| put_off(error.clone()))
                .unwrap_or(Left::Nothing);
            if has_retired {
                let released = self.versions.take_released(PAGES_AT_ONCE);
                let freed = free_retired(changer, &mut retired_from, horizon, released, &mut quarantine);
                chain = freed?.inspect_err(|error| put_off(error.clone())).ok();
            }
            if let Some(dropped) = dropped {
                table = free_dropped(changer, dropped, &mut quarantine).unwrap_or_else(|error| {
                    put_off(error);
                    Freed::NotDue
                });
            }
            Ok(())
        });
        self.counters
            .quarantined_pages
            .store(quarantine.len() as u64, Relaxed);
        applier.quarantine = quarantine;
        applier.retired_from = retired_from;
        let is_done = match result {
            Ok((commit, end)) if commit > self.applied() => self.announce(commit, end, false, None),
            Ok(_) => Ok(true),
            Err(error) => Err(error),
        };
        if let Err(error) = is_done {
            tracing::warn!(%error, "housekeeping failed");
            return Left::Nothing;
        }
        let chains = chain.map_or(Left::Nothing, |chain| self.note_retired(applier, chain));
        let tables = self.note_dropped(applier, dropped, table);
        match (purged, chains, tables) {
            (Left::Nothing, Left::Nothing, Left::Nothing) => Left::Nothing,
            _ => Left::More,
        }
    }

    /// A dropped table whose pages can be freed: nobody begins to read it any more, and nobody reads it.
    fn due_table(&self, applier: &Applier) -> Option<Dropped> {
        let waiting = applier.dropped.iter();
        let first = *waiting
            .inspect(|_| done(Kind::CatalogEntries, 1))
            .find(|dropped| !dropped.is_put_aside)?;
        let is_needed = first.commit > self.registry.horizon();
        crate::reach::mark_if(is_needed, crate::reach::Mechanism::DropUnderSnapshot);
        // `keep_versions` keeps versions of rows, not dropped tables.
        let is_due = !is_needed && self.can_free(&first) || injected::makes(Bug::DroppedTableFreedTooEarly);
        is_due.then_some(first)
    }

    /// Lets nobody begin to read a dropped table any more. Whether its pages can be freed: somebody who began to read an
    /// old commit just now may still need them.
    fn can_free(&self, dropped: &Dropped) -> bool {
        if let Some(slot) = dropped.slot {
            self.tables.mark_freed(slot);
        }
        dropped.commit <= self.registry.horizon()
    }

    /// Removes ghosts, leaf by leaf, and merges leaves that this leaves small.
    fn purge<'a>(
        &'a self,
        changer: &mut Changer<'a, '_>,
        horizon: CommitId,
        quarantine: &mut Quarantine,
    ) -> Result<Left> {
        let ghost_pages = self.pool.ghost_pages();
        for _ in 0..PAGES_AT_ONCE {
            let Some(page) = ghost_pages.take(horizon) else {
                return Ok(Left::Nothing);
            };
            let root_of = |table| match table {
                TableId::CATALOG => Some(PageNumber::CATALOG),
                _ => self.catalog.newest_of(table).map(|table| table.root),
            };
            match changer.purge_page(page, root_of, quarantine) {
                Ok(Purged::Done) => {}
                Ok(Purged::NoRoom) => {
                    ghost_pages.add(page, horizon);
                    return Ok(Left::Nothing);
                }
                Err(error) => {
                    ghost_pages.add(page, horizon);
                    return Err(error);
                }
            }
        }
        Ok(Left::More)
    }

    fn note_retired(&self, applier: &mut Applier, chain: Chain) -> Left {
        match chain {
            Chain::None => {
                applier.has_retired = false;
                Left::Nothing
            }
            Chain::NotDue => Left::Nothing,
            Chain::Freed => Left::More,
            Chain::PutAside(behind) => {
                applier.retired_from = behind;
                Left::More
            }
        }
    }

    fn note_dropped(&self, applier: &mut Applier, due: Option<Dropped>, freed: Freed) -> Left {
        let Some(due) = due else { return Left::Nothing };
        let dropped = &mut applier.dropped;
        // Most often it is the first.
        let at = dropped.iter().position(|d| {
            done(Kind::CatalogEntries, 1);
            d.table == due.table
        });
        let Some(at) = at else { return Left::Nothing };
        match freed {
            Freed::NotDue => return Left::Nothing,
            Freed::InPart => {}
            Freed::Whole => {
                dropped.remove(at);
                if let Some(slot) = due.slot {
                    self.tables.remove(slot);
                }
            }
            Freed::PutAside => dropped[at].is_put_aside = true,
        }
        Left::More
    }

    /// Reads what the next step will need, so that commits do not wait for it.
    fn read_ahead(&self) {
        if !self.pool.may_be_absent() {
            return;
        }
        let (horizon, retired_from, dropped) = {
            let applier = self.pause();
            let retired = applier.has_retired.then(|| applier.retired_from.clone());
            (applier.ghost_horizon, retired, self.due_table(&applier))
        };
        let pages = self.pool.reader();
        // What cannot be read now is met again by the step itself.
        for page in self.pool.ghost_pages().first(PAGES_AT_ONCE, horizon) {
            let _ = pages.get(page);
        }
        let catalog = self.tree(CATALOG);
        if let Some(from) = retired_from
            && let Ok(Some(retired)) = first_retired(catalog, &self.versions, from)
            && retired.by <= horizon
        {
            catalog.of(retired.table).read_ahead(retired.chain, PAGES_AT_ONCE);
        }
        if let Some(dropped) = dropped {
            Tree {
                pool: pages,
                root: dropped.root,
                table: dropped.table,
            }
            .read_ahead_from_the_right(PAGES_AT_ONCE);
        }
    }

    /// One step and what comes before it.
    fn step(&self, most: CommitId) -> Left {
        self.read_ahead();
        let mut applier = self.pause();
        let has_versions = self.collect_versions(&mut applier, most);
        match self.housekeep(&mut applier) {
            Left::Nothing if !has_versions => Left::Nothing,
            _ => Left::More,
        }
    }

    /// Gives everything back that nobody needs. Commits that are waiting go in between; what they leave behind is not waited
    /// for, or this might never end.
    pub(crate) fn collect_now(&self) {
        let most = self.applied();
        while self.step(most) == Left::More {}
    }

    /// Takes steps until nothing is left, `should_stop` says so, or there have been enough for one time. Unless a lot has
    /// piled up, it rests after each step as long as the step took.
    pub(crate) fn tend(&self, should_stop: impl Fn() -> bool) {
        const STEPS: usize = 64;
        for _ in 0..STEPS {
            let begun = self.vfs.monotonic();
            if should_stop() || self.step(CommitId(u64::MAX)) == Left::Nothing {
                return;
            }
            crate::reach::mark(crate::reach::Mechanism::BackgroundCollection);
            if self.pool.ghost_pages().len() < BEHIND {
                thread::sleep(self.vfs.monotonic().saturating_sub(begun));
            }
        }
    }

    /// The same in small, by a committer whose commit is done, where there is no background thread.
    pub(super) fn tend_a_little(&self) {
        if !self.wants_tending.swap(false, Relaxed) {
            return;
        }
        for _ in 0..STEPS_OF_A_COMMITTER {
            if self.step(CommitId(u64::MAX)) == Left::Nothing {
                return;
            }
        }
    }

    /// Whether anything may be waiting to be given back.
    pub(crate) fn has_housekeeping(&self) -> bool {
        let applier = self.pause();
        self.versions.has_backlog() || self.has_due_pages(&applier)
    }

    /// Checks the chains that wait to be freed while the caller holds the applier, as [`crate::btree::verify_tree`] does
    /// with a tree.
    pub(crate) fn verify_retired(&self, pages: &mut HashSet<PageNumber>, problems: &mut Vec<String>) {
        let catalog = self.tree(CATALOG);
        let mut from = Retired::keys_from(CommitId(0));
        loop {
            match first_retired(catalog, &self.versions, from) {
                Ok(Some(retired)) => {
                    verify_chain(catalog.of(retired.table), retired.chain, pages, problems);
                    from = behind(retired.key());
                }
                Ok(None) => return,
                Err(error) => {
                    problems.push(format!("catalog: {error}"));
                    return;
                }
            }
        }
    }

    /// Whether pages may be waiting to be given back.
    pub(super) fn has_due_pages(&self, applier: &Applier) -> bool {
        applier.has_retired || applier.has_dropped() || self.pool.ghost_pages().len() > 0
    }
}

/// What became of the first retired chain.
enum Chain {
    /// There is none.
    None,
    /// Somebody may still read it, or there is no room for the work.
    NotDue,
    /// Some or all of its pages.
    Freed,
    /// It is left to the next opening; the keys behind it.
    PutAside(Vec<u8>),
}

/// The first retired chain whose key is not below `from`.
fn first_retired(catalog: Tree<'_>, versions: &VersionStore, from: Vec<u8>) -> Result<Option<Retired>> {
    let to = Some(Retired::KEYS_END.to_vec());
    let newest = CommitId(u64::MAX);
    let mut rows = Cursor::new(catalog, versions, newest, Direction::Forward, from, to);
    while rows.advance(1)? {
        let (key, value) = rows.row();
        if let Some(Entry::Retired(retired)) = Entry::decode(key, value) {
            return Ok(Some(retired));
        }
    }
    Ok(None)
}

/// Frees pages of replaced long values: first some that were kept for their row and are not any more (`released`), then those
/// that the horizon has passed. `from` is where the search for these begins, and moves on with them: later commits have
/// greater keys.
///
/// # Errors
/// The outer error: pages have been freed, and the catalog cannot be told.
fn free_retired(
    changer: &mut Changer<'_, '_>,
    from: &mut Vec<u8>,
    horizon: CommitId,
    released: Vec<(CommitId, OverflowRef)>,
    quarantine: &mut Quarantine,
) -> Result<Result<Chain>> {
    let catalog = changer.tree(CATALOG.root, CATALOG.id);
    let mut pages = PAGES_AT_ONCE;
    let mut has_freed = false;
    for (by, chain) in released {
        done(Kind::Left, 1);
        let key = Retired::key_of(by, chain.first.0);
        let found = first_retired(catalog, changer.versions(), key.clone());
        // One that is put aside waits for the floor, or for the next opening.
        let Some(retired) = found.ok().flatten().filter(|retired| retired.key() == key) else {
            // It has been seen to, but there may be others behind it.
            has_freed = true;
            continue;
        };
        let freed = match pages {
            0 => Ok(Chain::NotDue),
            _ => free_chain(changer, retired, &mut pages, quarantine)?,
        };
        has_freed |= matches!(freed, Ok(Chain::Freed));
        if pages == 0 || !matches!(freed, Ok(Chain::Freed | Chain::PutAside(_))) {
            // Looked at again; if it is all free by now, it is not found then.
            changer.versions().release_again(by, chain);
        }
    }
    while pages > 0 {
        let retired = match first_retired(catalog, changer.versions(), from.clone()) {
            Ok(Some(retired)) => retired,
            Ok(None) if has_freed => break,
            Ok(None) => return Ok(Ok(Chain::None)),
            Err(error) => return Ok(Err(error)),
        };
        let is_due = retired.by <= horizon || injected::makes(Bug::RetiredFreedTooEarly);
        let freed = match is_due {
            true => free_chain(changer, retired, &mut pages, quarantine)?,
            false => Ok(Chain::NotDue),
        };
        match freed {
            Ok(Chain::Freed) => {
                has_freed = true;
                // Those to come are behind it, and leaves that are empty by now before it.
                *from = retired.key();
            }
            Ok(Chain::NotDue) if has_freed => break,
            other => return Ok(other),
        }
    }
    Ok(Ok(Chain::Freed))
}

/// Frees pages of one chain, at most so many, and tells the catalog.
///
/// # Errors
/// As [`free_retired`].
fn free_chain(
    changer: &mut Changer<'_, '_>,
    retired: Retired,
    pages: &mut usize,
    quarantine: &mut Quarantine,
) -> Result<Result<Chain>> {
    let catalog = changer.tree(CATALOG.root, CATALOG.id);
    let (key, value) = (retired.key(), retired.value());
    let row: [NewRow<'_>; 1] = [(&key, Some(&value))];
    let mut prepare = || {
        if changer.barrier(catalog, &key, quarantine)?.is_some() {
            return Ok(None);
        }
        let need = changer.need_of_rows(catalog, catalog, row.into_iter())?;
        changer.reserve(need)?;
        Ok(Some(need))
    };
    let need = match prepare() {
        Ok(Some(need)) => need,
        Ok(None) => return Ok(Ok(Chain::PutAside(behind(key)))),
        Err(error) => return Ok(Err(error)),
    };
    let mut budget = Budget::new(*pages, need);
    let of_table = catalog.of(retired.table);
    let rest = match changer.free_overflow_part(of_table, retired.chain, &mut budget, quarantine) {
        Ok(rest) => rest,
        Err(error) if error.is_unreadable() => return Ok(Ok(Chain::PutAside(behind(key)))),
        Err(error) => return Ok(Err(error)),
    };
    *pages = budget.pages();
    match rest {
        // There is no room for the work now.
        Some(rest) if rest == retired.chain => return Ok(Ok(Chain::NotDue)),
        Some(chain) => {
            crate::reach::mark(crate::reach::Mechanism::ChainFreedInPart);
            changer.put(catalog, &key, &Retired { chain, ..retired }.value())?;
        }
        None => {
            changer.delete(catalog, &key)?;
            crate::reach::mark(crate::reach::Mechanism::ChainFreed);
        }
    }
    Ok(Ok(Chain::Freed))
}

/// The keys behind a key.
fn behind(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0);
    key
}

/// Frees pages of a dropped table.
fn free_dropped(
    changer: &mut Changer<'_, '_>,
    dropped: Dropped,
    quarantine: &mut Quarantine,
) -> Result<Freed> {
    let catalog = changer.tree(CATALOG.root, CATALOG.id);
    let key = Entry::dropped_key(dropped.table);
    if changer.barrier(catalog, &key, quarantine)?.is_some() {
        // The catalog cannot be told, so the table stays as it is.
        return Ok(Freed::PutAside);
    }
    let tree = changer.tree(dropped.root, dropped.table);
    let row: [NewRow<'_>; 1] = [(&key, None)];
    let need = changer.need_of_rows(catalog, catalog, row.into_iter())?;
    // Also where no page of the table can be read, and no budget is taken.
    changer.reserve(need)?;
    let mut budget = Budget::new(PAGES_AT_ONCE, need);
    match changer.drop_tree(tree, &mut budget, quarantine) {
        Ok(true) => {}
        // There is no room for the work now.
        Ok(false) if budget.taken() == 0 => return Ok(Freed::NotDue),
        Ok(false) => return Ok(Freed::InPart),
        Err(error) if error.is_unreadable() => return Ok(Freed::PutAside),
        Err(error) => return Err(error),
    }
    changer.delete(catalog, &key)?;
    Ok(Freed::Whole)
}
