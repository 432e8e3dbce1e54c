//! Transactions that are run again when they lose against another.
//!
//! What they waited for locked rows is counted over all attempts ([`crate::txn::Patience`]).

use std::time::Duration;

use crate::database::Database;
use crate::error::{Error, Result};
use crate::sync::thread;
use crate::txn::{Patience, Transaction, TxOptions};

/// Attempts of [`Database::write`].
const ATTEMPTS_MAX: u32 = 100;

impl Database {
    /// Runs `f` in a transaction and commits it; runs it again when it lost against another transaction.
    ///
    /// `busy_timeout` bounds what all attempts together wait for rows that others have locked, with the pauses after such a
    /// wait. Each attempt may use half of what is left of it, so that two that wait for each other do not give up at the
    /// same moment; a row that stays locked is tried a few times. The time that `f` itself and the flush of the
    /// commit take does not count. A [`Error::WriteConflict`] is not a wait: it is answered by another attempt whatever
    /// the `busy_timeout`, up to 100 of them, with pauses of at most 5 ms.
    ///
    /// # Errors
    /// Those of `f` and of the commit; [`Error::Busy`] with the time of all waits when that is used up; after 100 attempts,
    /// the error that asked for the next.
    pub fn write<T>(&self, f: impl FnMut(&mut Transaction<'_>) -> Result<T>) -> Result<T> {
        self.write_with(TxOptions::default(), f)
    }

    /// [`Database::write`] with options.
    ///
    /// # Errors
    /// As [`Database::write`].
    pub fn write_with<T>(
        &self,
        options: TxOptions,
        mut f: impl FnMut(&mut Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        let timeout = options.busy_timeout.unwrap_or(self.manager().busy_timeout);
        let mut patience = Patience::new(timeout);
        let mut attempt = 0;
        loop {
            let mut transaction = self.begin_with(options)?;
            transaction.limit_waits(patience.for_attempt());
            let result = f(&mut transaction);
            patience.spend(transaction.waited());
            let result = result.and_then(|value| transaction.commit().map(|_| value));
            attempt += 1;
            match result {
                Err(Error::Busy { .. }) if patience.left().is_zero() => {
                    let waited = patience.waited();
                    return Err(Error::Busy { waited });
                }
                Err(Error::Busy { .. }) if attempt < ATTEMPTS_MAX => {
                    patience.spend(self.pause(attempt, patience.left()));
                }
                Err(error) if error.is_retryable() && attempt < ATTEMPTS_MAX => {
                    self.back_off(&error, attempt)?;
                }
                result => return result,
            }
        }
    }

    /// Waits before a transaction that failed with a retryable error is run again: for the winner of a conflict to
    /// become visible, then a moment that grows with the number of attempts.
    ///
    /// # Errors
    /// Those of waiting for a commit: [`Error::Poisoned`].
    pub fn back_off(&self, error: &Error, attempt: u32) -> Result<()> {
        if let Error::WriteConflict { winner } = error {
            self.wait_visible(*winner)?;
        }
        self.pause(attempt, Duration::MAX);
        Ok(())
    }

    /// A pause after the second and later attempts, random so that those who met do not meet again. Returns how long it was.
    fn pause(&self, attempt: u32, at_most: Duration) -> Duration {
        if attempt < 2 {
            return Duration::ZERO;
        }
        let ceiling = 10u64 << attempt.min(9);
        let pause = Duration::from_micros(self.manager().vfs.random() % ceiling).min(at_most);
        thread::sleep(pause);
        pause
    }
}
