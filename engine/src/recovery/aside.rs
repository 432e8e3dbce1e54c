//! Pages that could not be redone, in the hope that the log has a whole image of them, or their freeing, further on.
//!
//! Were all of the log known at once, what comes before that would never be looked at: a page whose image in the data file
//! is damaged is recovered from the log, if the log has all of it.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::ids::PageNumber;
use crate::sync::Mutex;

/// So many pages, and one more is an error at once.
const PAGES_MAX: usize = 1000;

#[derive(Debug, Default)]
pub(super) struct Aside {
    pages: Mutex<BTreeMap<PageNumber, Error>>,
}

impl Aside {
    /// Puts a page aside. What can be read and fits the rest is no reason.
    ///
    /// # Errors
    /// `error` itself, when it is of another kind, or there are too many.
    pub(super) fn put(&self, page: PageNumber, error: Error) -> Result<()> {
        if !error.is_unreadable() {
            return Err(error);
        }
        let mut pages = self.pages.lock();
        if pages.len() >= PAGES_MAX {
            return Err(error);
        }
        pages.insert(page, error);
        Ok(())
    }

    /// Whether the page was put aside.
    pub(super) fn has(&self, page: PageNumber) -> bool {
        self.pages.lock().contains_key(&page)
    }

    /// The log has all of the page.
    pub(super) fn take_back(&self, page: PageNumber) {
        self.pages.lock().remove(&page);
    }

    /// At the end of the log.
    ///
    /// # Errors
    /// That of the first page that is left.
    pub(super) fn into_result(self) -> Result<()> {
        let first = self.pages.into_inner().pop_first();
        first.map_or(Ok(()), |(_, error)| Err(error))
    }
}
