//! Explores a model, and says how much there was to explore.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use crate::sync::{Sequential, new_execution};

/// Accesses of all threads in one execution.
const POINTS_MAX: usize = 5_000;

/// An exploration that found nothing wrong.
#[derive(Clone, Copy, Debug)]
pub struct Explored {
    /// Orders of the threads, with different values found by their loads.
    pub executions: usize,
    /// Switches away from a thread that could have gone on; `None` for all there are.
    pub bound: Option<usize>,
    /// How long it took.
    pub took: Duration,
}

impl fmt::Display for Explored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} executions", self.executions)?;
        match self.bound {
            Some(bound) => write!(f, " with at most {bound} preemptions")?,
            None => write!(f, ", all there are")?,
        }
        write!(f, ", in {:.1} s", self.took.as_secs_f64())
    }
}

/// Runs `model` in every order, up to `bound` preemptions.
///
/// # Panics
/// In the first execution that panics, deadlocks or does not end.
pub(crate) fn explore(
    bound: Option<usize>,
    sequential: Sequential,
    model: impl Fn() + Send + Sync + 'static,
) -> Explored {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = bound;
    builder.max_branches = POINTS_MAX;
    // Nothing from the environment: an exploration is the same wherever it runs.
    builder.max_permutations = None;
    builder.max_duration = None;
    builder.checkpoint_file = None;
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let begun = Instant::now();
    builder.check(move || {
        counted.fetch_add(1, Relaxed);
        new_execution(sequential);
        model();
    });
    Explored {
        executions: count.load(Relaxed),
        bound,
        took: begun.elapsed(),
    }
}

/// Something that has to be met in some execution, so that a model which never gets to it is not taken for one that
/// finds nothing wrong with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sometimes(Arc<AtomicUsize>);

impl Sometimes {
    pub(crate) fn mark_if(&self, happened: bool) {
        self.0.fetch_add(usize::from(happened), Relaxed);
    }

    /// # Panics
    /// If it never was.
    pub(crate) fn expect(&self, what: &str) {
        assert!(self.0.load(Relaxed) > 0, "no execution in which {what}");
    }
}
