//! A log that is nothing but its contract: what a flush has covered is durable, one flushes at a time, and after a failed
//! flush everything fails.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::ids::LogPosition;
use crate::sync::Mutex;
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use crate::sync::atomic::{AtomicBool, AtomicU64};

#[derive(Debug, Default)]
pub(crate) struct Wal {
    end: AtomicU64,
    durable: AtomicU64,
    is_poisoned: AtomicBool,
    /// How often it was flushed, or something tried to.
    writer: Mutex<u64>,
    /// The flush that fails, counted from 1; 0 for none.
    fails_at: u64,
}

impl Wal {
    pub(crate) fn new(fails_at: u64) -> Self {
        Self {
            fails_at,
            ..Self::default()
        }
    }

    /// The next record; where it ends.
    pub(crate) fn append(&self) -> LogPosition {
        LogPosition(self.end.fetch_add(1, AcqRel) + 1)
    }

    pub(crate) fn durable(&self) -> LogPosition {
        LogPosition(self.durable.load(Acquire))
    }

    pub(crate) fn poisoned(&self) -> Option<Error> {
        // A log that does not fail is not looked at: that would be more orders, and no others.
        let is_poisoned = self.fails_at > 0 && self.is_poisoned.load(Acquire);
        is_poisoned.then(|| Error::Poisoned {
            cause: Arc::from("a flush failed"),
        })
    }

    pub(crate) fn flush(&self) -> Result<LogPosition> {
        let mut writer = self.writer.lock();
        if let Some(error) = self.poisoned() {
            return Err(error);
        }
        // What another thread has appended is found for certain, as under the lock of the log's buffer.
        let end = self.end.fetch_add(0, AcqRel);
        *writer += 1;
        if *writer == self.fails_at {
            self.is_poisoned.store(true, Release);
            return Err(self.poisoned().expect("it has just been poisoned"));
        }
        self.durable.store(end, Release);
        Ok(LogPosition(end))
    }

    /// How often it was flushed, or something tried to.
    pub(crate) fn flushes(&self) -> u64 {
        *self.writer.lock()
    }
}
