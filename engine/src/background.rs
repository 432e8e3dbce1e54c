//! The background thread: log segments ahead of need, unsynchronised log bytes, old versions, checkpoints, replaced extents that
//! take much room, and files that are longer than they need be.
//!
//! None of it is needed for correctness. An error is logged and the work tried again later; an error that is final has
//! poisoned the database, and the next commit says so.

use std::sync::Arc;
use std::time::Duration;

use crate::checkpoint::Pace;
use crate::database::Shared;
use crate::error::{Error, Result};
use crate::store::Slack;
use crate::sync::thread::JoinHandle;
use crate::sync::{Condvar, Mutex, thread};

/// How often to look while commits come in, and while none do.
const BUSY_TICK: Duration = Duration::from_millis(10);
const IDLE_TICK: Duration = Duration::from_millis(250);
/// How long to leave a checkpoint alone that failed.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How long after making files shorter to look again, where checkpoints have no interval.
const COMPACT_AFTER: Duration = Duration::from_secs(60);
/// Unsynchronised log bytes that are worth a write.
const WRITE_OUT_FROM: usize = 256 << 10;

#[derive(Debug, Default)]
struct State {
    stop: bool,
    closed: bool,
    woken: bool,
}

/// Wakes and stops the background thread.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    state: Mutex<State>,
    changed: Condvar,
}

impl Signal {
    pub(crate) fn wake(&self) {
        self.state.lock().woken = true;
        self.changed.notify_all();
    }

    pub(crate) fn stop(&self) {
        let mut state = self.state.lock();
        state.closed = state.stop;
        state.stop = true;
        self.changed.notify_all();
    }

    /// Whether the last work before closing has been done or begun.
    pub(crate) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    fn should_stop(&self) -> bool {
        self.state.lock().stop
    }

    fn wait(&self, tick: Duration) {
        let mut state = self.state.lock();
        if !state.stop && !state.woken {
            self.changed.wait_for(&mut state, crate::interleave::tick(tick));
        }
        state.woken = false;
    }
}

pub(crate) fn start(shared: Arc<Shared>) -> Result<JoinHandle<()>> {
    let inherited = crate::injected::inherit();
    thread::Builder::new()
        .name("palimpsest-background".into())
        .spawn(move || inherited.with(|| run(&shared)))
        .map_err(|error| {
            Error::io(
                "start the background thread of",
                std::path::Path::new("the database"),
                error,
            )
        })
}

fn run(shared: &Shared) {
    let manager = &shared.manager;
    let mut last_commit = manager.applied();
    let mut last_checkpoint = manager.vfs.monotonic();
    let mut last_change = last_checkpoint;
    let mut smaller_from = last_checkpoint;
    let mut freed_from = last_checkpoint;
    while !shared.signal.should_stop() {
        let commit = manager.applied();
        let is_idle = commit == last_commit;
        last_commit = commit;
        if !is_idle {
            last_change = manager.vfs.monotonic();
        }
        shared.signal.wait(if is_idle { IDLE_TICK } else { BUSY_TICK });
        if manager.check_usable().is_err() {
            continue;
        }
        let report = |what: &str, result: Result<()>| {
            if let Err(error) = result {
                tracing::warn!(%error, what, "background work failed and will be tried again");
            }
        };
        report("prepare log segments", manager.wal.prepare());
        let buffered = manager.wal.buffered_bytes();
        if buffered >= WRITE_OUT_FROM || is_idle && buffered > 0 {
            report("write the log", manager.wal.write_out());
        }
        if manager.has_housekeeping() {
            manager.tend(|| shared.signal.should_stop());
        }
        let now = manager.vfs.monotonic();
        let interval = shared.options.checkpoint_interval;
        let slack = match interval {
            Some(interval) if now.saturating_sub(last_change) >= interval => Slack::Idle,
            _ => Slack::Busy,
        };
        if now >= freed_from && manager.has_much_replaced() {
            let result = {
                let _one = shared.checkpointing.lock();
                manager.free_replaced_if_much()
            };
            if result.is_err() {
                freed_from = now + RETRY_AFTER;
            }
            report("free what pages have replaced", result);
        }
        let mut is_moved = false;
        if now >= smaller_from && manager.is_too_large(slack) {
            let step = manager.make_smaller(slack);
            is_moved = matches!(step, Ok(Some(true)));
            if !matches!(step, Ok(None)) {
                // What can be given back has been, or cannot be read; not again at once.
                smaller_from = now + interval.unwrap_or(COMPACT_AFTER);
            }
            report("make the data file shorter", step.map(drop));
        }
        if is_moved || is_due(shared, now.saturating_sub(last_checkpoint)) {
            let result = checkpoint(shared);
            crate::reach::mark_if(result.is_ok(), crate::reach::Mechanism::BackgroundCheckpoint);
            last_checkpoint = match &result {
                Ok(()) => manager.vfs.monotonic(),
                Err(_) => now,
            };
            if result.is_err() {
                report("checkpoint", result);
                shared.signal.wait(RETRY_AFTER);
            }
        }
    }
}

fn is_due(shared: &Shared, since_last: Duration) -> bool {
    let (manager, options) = (&shared.manager, &shared.options);
    manager.needs_checkpoint()
        && (manager.pool.dirty_count() >= options.checkpoint_pages
            || manager.wal.live_bytes() >= options.checkpoint_wal_bytes
            || options
                .checkpoint_interval
                .is_some_and(|interval| since_last >= interval))
}

fn checkpoint(shared: &Shared) -> Result<()> {
    let _one = shared.checkpointing.lock();
    let manager = &shared.manager;
    let in_a_hurry = shared.options.checkpoint_wal_bytes.saturating_mul(2);
    manager
        .checkpoint(|| {
            if shared.signal.should_stop() || manager.wal.live_bytes() > in_a_hurry {
                Pace::Fast
            } else {
                Pace::Gentle
            }
        })
        .map(|_| ())
}
