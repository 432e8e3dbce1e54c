//! Pages that could not be redone, in the hope that the log has a whole image of them, or their freeing, further on.
//!
//! Were all of the log known at once, what comes before that would never be looked at: a page whose image in the data file
//! is damaged is recovered from the log, if the log has all of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Result};
use crate::ids::PageNumber;
use crate::sync::Mutex;

/// Pages whose errors are kept; of more, only the numbers are.
const ERRORS_MAX: usize = 1000;

#[derive(Debug, Default)]
struct Pages {
    errors: BTreeMap<PageNumber, Error>,
    /// Pages that a checkpoint does not have any more because they are freed further on can be very many.
    others: BTreeSet<PageNumber>,
    /// That of the first of the others.
    error_of_others: Option<Error>,
}

#[derive(Debug, Default)]
pub(super) struct Aside {
    pages: Mutex<Pages>,
}

impl Aside {
    /// Puts a page aside. What can be read and fits the rest is no reason.
    ///
    /// # Errors
    /// `error` itself, when it is of another kind.
    pub(super) fn put(&self, page: PageNumber, error: Error) -> Result<()> {
        if !error.is_unreadable() {
            return Err(error);
        }
        let mut pages = self.pages.lock();
        if pages.errors.len() < ERRORS_MAX {
            pages.errors.insert(page, error);
        } else {
            pages.others.insert(page);
            pages.error_of_others.get_or_insert(error);
        }
        Ok(())
    }

    /// Whether the page was put aside.
    pub(super) fn has(&self, page: PageNumber) -> bool {
        let pages = self.pages.lock();
        pages.errors.contains_key(&page) || pages.others.contains(&page)
    }

    /// The log has all of the page.
    pub(super) fn take_back(&self, page: PageNumber) {
        let mut pages = self.pages.lock();
        pages.errors.remove(&page);
        pages.others.remove(&page);
    }

    /// At the end of the log.
    ///
    /// # Errors
    /// That of the first page that is left, or of one like it.
    pub(super) fn into_result(self) -> Result<()> {
        let mut pages = self.pages.into_inner();
        let first = pages.errors.pop_first().map(|(_, error)| error);
        let other = pages.error_of_others.filter(|_| !pages.others.is_empty());
        first.or(other).map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(page: PageNumber) -> Error {
        Error::corruption(std::path::Path::new("/db"), Some(page), 0, "gone")
    }

    #[test]
    fn any_number_of_pages_can_wait_and_each_that_is_left_is_an_error() {
        for left in [None, Some(1), Some(5000)] {
            let aside = Aside::default();
            let pages = || (1..=5000).map(PageNumber);
            for page in pages() {
                aside.put(page, error(page)).unwrap();
            }
            for page in pages().filter(|page| Some(page.0) != left) {
                assert!(aside.has(page));
                aside.take_back(page);
                assert!(!aside.has(page));
            }
            assert_eq!(aside.into_result().is_err(), left.is_some());
        }
    }
}
