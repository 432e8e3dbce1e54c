//! The poison: what stops a database for good, shared by log, data file and commit pipeline.
//!
//! Once a write or sync of the log, or a sync of the data file, has failed, nobody knows which bytes are durable, and a
//! second try may succeed without writing them (the kernel drops failed pages). Once a commit has stopped half way, the
//! pages in memory hold a part of it. Either is final: the first cause stays, and everything that would write is
//! answered with it until the database is opened again.

use std::sync::{Arc, OnceLock};

use crate::error::{Error, Result};

/// The first failure, if there was one.
#[derive(Debug, Default)]
pub(crate) struct Poison {
    cause: OnceLock<Arc<str>>,
}

impl Poison {
    /// Keeps the first cause; later ones change nothing. Returns the error that everything is answered with now.
    pub(crate) fn set(&self, cause: &str) -> Error {
        let mut is_first = false;
        let cause = self.cause.get_or_init(|| {
            is_first = true;
            Arc::from(cause)
        });
        if is_first {
            tracing::error!(%cause, "the database is poisoned");
        }
        Error::Poisoned {
            cause: Arc::clone(cause),
        }
    }

    pub(crate) fn error(&self) -> Option<Error> {
        let cause = Arc::clone(self.cause.get()?);
        Some(Error::Poisoned { cause })
    }

    pub(crate) fn check(&self) -> Result<()> {
        self.error().map_or(Ok(()), Err)
    }
}
