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
    /// Nothing is ever written, so nothing fails.
    is_read_only: bool,
}

impl Poison {
    /// For a database that is only read.
    pub(crate) fn read_only() -> Self {
        Self {
            is_read_only: true,
            ..Self::default()
        }
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.is_read_only
    }

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

    /// Whether anything may be written.
    ///
    /// # Errors
    /// [`Error::Poisoned`]; [`Error::ReadOnly`] for a database that was opened for reading.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_read_only {
            return Err(Error::ReadOnly);
        }
        self.error().map_or(Ok(()), Err)
    }
}
