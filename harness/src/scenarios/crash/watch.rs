//! What a search is given by whoever asked for it: one callback that is told how far it is, and one that says whether it is
//! over. A search looks at the second before anything that takes long, and then ends with what it has found until then.
//!
//! It knows nothing of terminals and signals, nor of records: what it returns are plain results.

/// How far a search is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Progress<'a> {
    /// A part begins.
    Phase {
        name: &'static str,
        /// Its size, in units of `unit`.
        total: u64,
        unit: &'static str,
    },
    /// The part has come this far, with so much found: whole numbers, and rates.
    Done {
        done: u64,
        found: &'a [(f64, &'static str)],
    },
    /// Something that this build does not have.
    LeftOut(&'a str),
}

/// The two callbacks. Both are called from any thread.
#[derive(Clone, Copy)]
pub(crate) struct Watch<'a> {
    pub tell: &'a (dyn Fn(Progress<'_>) + Sync),
    pub is_over: fn() -> bool,
}

impl Watch<'_> {
    /// Nobody watches, and nothing ends it.
    #[cfg(test)]
    pub(crate) const NONE: Watch<'static> = Watch {
        tell: &|_| {},
        is_over: || false,
    };

    /// Tells that a part begins.
    pub(crate) fn phase(&self, name: &'static str, total: u64, unit: &'static str) {
        (self.tell)(Progress::Phase { name, total, unit });
    }

    /// Tells how far the part is.
    pub(crate) fn done(&self, done: u64, found: &[(f64, &'static str)]) {
        (self.tell)(Progress::Done { done, found });
    }
}
