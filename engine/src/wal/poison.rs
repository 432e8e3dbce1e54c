//! The poison: once a write or sync of the log has failed, nobody knows which bytes are durable, and a second try may
//! succeed without writing them (the kernel drops failed pages). So the first failure is final, and every later call
//! is answered with it until the database is opened again.

use std::sync::{Arc, OnceLock};

use crate::error::{Error, Result};

/// The first failure, if there was one.
#[derive(Debug, Default)]
pub(super) struct Poison {
    cause: OnceLock<Arc<str>>,
}

impl Poison {
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

    pub(super) fn check(&self) -> Result<()> {
        self.error().map_or(Ok(()), Err)
    }
}
