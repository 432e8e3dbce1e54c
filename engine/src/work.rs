//! How much is done: counters of what an operation looks at, follows and copies, so that a test can say that its work
//! does not grow with what it has nothing to do with. Unlike a time, a count is the same in every run.
//!
//! The counters are the thread's: what others do meanwhile is not in them. Builds without debug assertions count nothing,
//! nor do those for controlled schedules.

use std::cell::Cell;

use crate::sync::thread_local;

/// Whether this build counts.
const IS_COUNTED: bool = cfg!(all(debug_assertions, not(shuttle)));

macro_rules! kinds {
    ($($name:ident $field:ident: $what:literal,)*) => {
        /// What is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Kind {
            $(#[doc = $what] $name,)*
        }

        const KINDS: usize = [$(Kind::$name),*].len();

        /// Work done, by kind.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Work {
            $(#[doc = $what] pub $field: u64,)*
        }

        impl Work {
            /// Names and numbers, always in the same order.
            #[must_use]
            pub fn all(&self) -> [(&'static str, u64); KINDS] {
                [$((stringify!($field), self.$field)),*]
            }

            fn of(counts: [u64; KINDS]) -> Self {
                Self { $($field: counts[Kind::$name as usize],)* }
            }
        }
    };
}

kinds! {
    VersionLinks version_links: "Row versions that were looked at on the way to one, or moved.",
    VersionBytes version_bytes: "Bytes that went into row versions.",
    Pages pages: "Pages that were looked at, on the way down a tree and otherwise.",
    Bytes bytes: "Bytes of rows and pages that were copied.",
    CatalogEntries catalog_entries: "Tables that were looked at: names, and those that are dropped and not free.",
    Locks locks: "Row locks that were looked at, and those who wait for them.",
    FreeRanges free_ranges: "Ranges of free units or page numbers, and extents on their way there, that were looked at.",
    Slots slots: "Slots of the snapshot registry that were looked at.",
    Queued queued: "Commits not applied yet, or queued to become visible, that were looked at.",
    Left left: "Leaves with ghosts and replaced long values that were looked at.",
    MapEntries map_entries: "Entries of the page map, or page numbers, that were looked at one after the other, or copied.",
    Frames frames: "Frames of the cache that were looked at one after the other.",
    OwnChanges own_changes: "Tables, savepoints and undone changes of a transaction that were looked at.",
}

thread_local! {
    static COUNTS: Cell<[u64; KINDS]> = const { Cell::new([0; KINDS]) };
}

/// Counts so much work.
#[inline]
pub(crate) fn done(kind: Kind, amount: usize) {
    if IS_COUNTED {
        let mut counts = COUNTS.get();
        counts[kind as usize] += amount as u64;
        COUNTS.set(counts);
    }
}

/// Whether this build counts.
#[must_use]
pub const fn is_counted() -> bool {
    IS_COUNTED
}

/// Runs `f` and says how much work this thread has done meanwhile.
pub fn measure<R>(f: impl FnOnce() -> R) -> (R, Work) {
    let before = COUNTS.get();
    let answer = f();
    let mut counts = COUNTS.get();
    counts
        .iter_mut()
        .zip(before)
        .for_each(|(count, before)| *count -= before);
    (answer, Work::of(counts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_that_of_the_thread_and_of_the_time_between() {
        done(Kind::Pages, 5);
        let ((), work) = measure(|| {
            done(Kind::Pages, 2);
            done(Kind::Locks, 1);
            std::thread::scope(|scope| drop(scope.spawn(|| done(Kind::Locks, 7))));
        });
        let expected = Work {
            pages: 2,
            locks: 1,
            ..Work::default()
        };
        assert_eq!(work, if is_counted() { expected } else { Work::default() });
    }
}
