//! The hiccup baseline: how late this machine wakes a thread that has nothing to do.
//!
//! After Gil Tene's jHiccup: an idle thread sleeps for a fixed time again and again and records by how much each sleep
//! overran. What it sees is stolen from every other thread as well (scheduler, hypervisor, a neighbour's load), so
//! no latency percentile below it says anything about an engine.
//! A long stall is one overslept interval here but would have delayed many short ones; as jHiccup does, the missed
//! wake-ups in it are counted as well.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::latency::Recorder;

const SLEEP: Duration = Duration::from_millis(1);

/// A running hiccup thread.
#[derive(Debug)]
pub(crate) struct HiccupMeter {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Recorder>,
}

impl HiccupMeter {
    /// Starts the idle thread.
    ///
    /// # Errors
    /// When the operating system has no thread to give.
    pub(crate) fn start() -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("hiccup".into())
            .spawn(move || watch(&seen))?;
        Ok(Self { stop, thread })
    }

    /// Stops the thread and returns the overruns, in nanoseconds.
    pub(crate) fn stop(self) -> Recorder {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

fn watch(stop: &AtomicBool) -> Recorder {
    let mut overruns = Recorder::default();
    // The timer's own slack is part of no engine: the shortest overrun seen so far is taken off, as jHiccup does.
    let mut shortest = u64::MAX;
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        std::thread::sleep(SLEEP);
        let overrun = begun.elapsed().saturating_sub(SLEEP).as_nanos() as u64;
        shortest = shortest.min(overrun);
        record_with_missed(&mut overruns, overrun - shortest, SLEEP.as_nanos() as u64);
    }
    overruns
}

fn record_with_missed(recorder: &mut Recorder, overrun: u64, interval: u64) {
    recorder.record(overrun);
    let mut missed = overrun.saturating_sub(interval);
    while missed >= interval {
        recorder.record(missed);
        missed -= interval;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_counts_for_every_wake_up_that_it_swallowed() {
        let mut recorder = Recorder::default();
        record_with_missed(&mut recorder, 10, 100);
        assert_eq!(recorder.count(), 1);
        record_with_missed(&mut recorder, 450, 100);
        assert_eq!(recorder.count(), 5, "450 counts with 350, 250 and 150");
    }

    #[test]
    fn the_meter_runs_and_stops() {
        let meter = HiccupMeter::start().unwrap();
        std::thread::sleep(Duration::from_millis(20));
        assert!(meter.stop().count() > 0);
    }
}
