//! The numbers the engine is made of, one newtype each so that none can be taken for another.

use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// A commit's place in the one order of all commits; dense, the first commit is 1.
    /// `CommitId(0)` is the state of an empty database, before any commit.
    CommitId(u64)
}
number! {
    /// A page of the database. Page 0 does not exist; page 1 is the root of the catalog.
    PageNumber(u32)
}
number! {
    /// A table. Table 0 is the catalog.
    TableId(u32)
}
number! {
    /// A position in the log: where its segment starts plus the byte offset in that segment.
    /// Positions only grow, also across restarts and recycled segment files.
    LogPosition(u64)
}

impl CommitId {
    /// The commit after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl PageNumber {
    /// No page.
    pub const NONE: Self = Self(0);
    /// The root page of the catalog table.
    pub const CATALOG: Self = Self(1);
}

impl TableId {
    /// The catalog: table names to table roots.
    pub const CATALOG: Self = Self(0);
}
