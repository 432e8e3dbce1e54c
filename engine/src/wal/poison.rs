//! The poison: once a write or sync of the log has failed, nobody knows which bytes are durable, and a second try may
//! succeed without writing them (the kernel drops failed pages). So the first failure is final, and every later call
//! is answered with it until the database is opened again.

use std::sync::{Arc, OnceLock};

use crate::error::{Error, Result};

/// The first failure, if there was one.
#[derive(Debug, Default)]
pub(super) struct Poison {
    cause: OnceLock<Arc<str>>,
    /// Nothing is ever written, so nothing fails.
    is_read_only: bool,
}

impl Poison {
    /// For a log that is only read.
    pub(super) fn read_only() -> Self {
        Self {
            is_read_only: true,
            ..Self::default()
        }
    }

    /// Keeps the first cause; later ones change nothing.
    pub(super) fn set(&self, cause: &str) {
        if self.cause.set(Arc::from(cause)).is_ok() {
            tracing::error!(cause, "the log is poisoned");
        }
    }

    pub(super) fn error(&self) -> Option<Error> {
        let cause = Arc::clone(self.cause.get()?);
        Some(Error::Poisoned { cause })
    }

    /// # Errors
    /// [`Error::Poisoned`], or [`Error::ReadOnly`].
    pub(super) fn check(&self) -> Result<()> {
        if self.is_read_only {
            return Err(Error::ReadOnly);
        }
        self.error().map_or(Ok(()), Err)
    }
}
