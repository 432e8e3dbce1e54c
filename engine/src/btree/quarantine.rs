//! What housekeeping leaves alone because it could not be read.
//!
//! A page that cannot be read fails whoever needs it, but housekeeping needs no page in particular. It puts such a page
//! aside, does not try it again until the database is opened anew, and goes on with the rest: ghosts below the page stay,
//! and a neighbour is not merged with it. Of a dropped table a page whose bytes are wrong, and whatever only it points to,
//! is lost to the file; where the device refused to read, that can be different next time, and the table waits for the
//! next opening.

use std::collections::BTreeMap;

use super::{Changer, Tree};
use crate::error::{Error, Result};
use crate::ids::PageNumber;
use crate::pool::Optimistic;

/// Pages put aside, and why.
#[derive(Debug, Default)]
pub(crate) struct Quarantine {
    pages: BTreeMap<PageNumber, Error>,
}

impl Quarantine {
    pub(crate) fn len(&self) -> usize {
        self.pages.len()
    }

    pub(crate) fn pages(&self) -> impl Iterator<Item = (PageNumber, &Error)> {
        self.pages.iter().map(|(page, why)| (*page, why))
    }

    fn contains(&self, page: PageNumber) -> bool {
        self.pages.contains_key(&page)
    }

    /// Why the device refused to read a page, if it did.
    fn refused(&self, page: PageNumber) -> Option<Error> {
        let why = self.pages.get(&page)?;
        matches!(why, Error::Io { .. }).then(|| why.clone())
    }

    pub(super) fn put_aside(&mut self, page: PageNumber, why: Error) {
        tracing::warn!(%page, error = %why, "housekeeping leaves a page alone that it cannot read");
        self.pages.entry(page).or_insert(why);
    }
}

impl<'a> Changer<'a, '_> {
    /// A page for housekeeping; `None` if it has to be left alone.
    pub(super) fn page_to_keep(
        &self,
        page: PageNumber,
        quarantine: &mut Quarantine,
    ) -> Result<Option<Optimistic<'a>>> {
        if quarantine.contains(page) {
            return Ok(None);
        }
        match self.pool.get(page) {
            Ok(Some(found)) => return Ok(Some(found)),
            Ok(None) => {
                let why = self.damaged(page, "a page that is pointed to does not exist");
                quarantine.put_aside(page, why);
            }
            Err(error) if error.is_unreadable() => quarantine.put_aside(page, error),
            Err(error) => return Err(error),
        }
        Ok(None)
    }

    /// If a page on the path to a key has to be left alone: the least key below it.
    pub(crate) fn barrier(
        &self,
        tree: Tree<'a>,
        key: &[u8],
        quarantine: &mut Quarantine,
    ) -> Result<Option<Vec<u8>>> {
        let mut low = Vec::new();
        let mut page = tree.root;
        loop {
            let Some(found) = self.page_to_keep(page, quarantine)? else {
                return Ok(Some(low));
            };
            let node = found.node();
            let is_leaf = node.is_leaf();
            let at = node.child_index(key);
            let (child, separator) = (node.child(at), at.checked_sub(1).map(|slot| node.key(slot)));
            if !found.is_valid() {
                continue;
            }
            if is_leaf {
                return Ok(None);
            }
            low = separator.unwrap_or(low);
            page = child;
        }
    }

    /// A page of a dropped table; `None` if it has to be left alone, or is not one of the table's any more: then it was
    /// freed before the page that points to it was changed.
    ///
    /// # Errors
    /// A device that refused to read it, which it may do next time.
    pub(super) fn page_of_dropped(
        &self,
        tree: Tree<'a>,
        page: PageNumber,
        quarantine: &mut Quarantine,
    ) -> Result<Option<Optimistic<'a>>> {
        if !self.pool.store().is_allocated(page) {
            return Ok(None);
        }
        loop {
            let Some(found) = self.page_to_keep(page, quarantine)? else {
                return quarantine.refused(page).map_or(Ok(None), Err);
            };
            let is_its_own = found.node().table() == tree.table;
            if found.is_valid() {
                return Ok(Some(found).filter(|_| is_its_own));
            }
        }
    }
}
