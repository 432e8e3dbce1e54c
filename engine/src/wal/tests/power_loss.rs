//! Power fails between two syncs: of what was written to a file since its last one, any sectors are on the disk and
//! others not. Recovery must always succeed, keep what was flushed, and go on from there, over many crashes and
//! checkpoints.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::error::Error;
use crate::vfs::SimulatedVfs;
use crate::vfs::simulated::{self, Survival, choices};
use crate::wal::WalSync;

/// Writes that wait for a sync; direct ones are durable at once.
fn cached() -> WalOptions {
    WalOptions {
        sync: WalSync::Fdatasync,
        ..options()
    }
}

fn disk(seed: u64) -> SimulatedVfs {
    SimulatedVfs::from_image(&simulated::Image::with_dirs([DIR]), seed)
}

/// A log that lives through crashes.
struct Survivor {
    rng: ChaCha8Rng,
    vfs: SimulatedVfs,
    wal: Wal,
    /// Where recovery would begin, and the first commit after it.
    from: LogPosition,
    first: u64,
    /// The commits after `from`, and how many of them are durable.
    commits: Vec<TestCommit>,
    durable_count: usize,
    lost: usize,
    kept_unsynced: usize,
}

impl Survivor {
    fn new(seed: u64) -> Self {
        let vfs = disk(seed);
        let wal = Wal::start(Arc::new(vfs.clone()), cached(), LogPosition(0)).unwrap();
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            from: wal.end(),
            first: 1,
            commits: Vec::new(),
            durable_count: 0,
            lost: 0,
            kept_unsynced: 0,
            wal,
            vfs,
        }
    }

    fn append_some(&mut self, count: usize) {
        for _ in 0..count {
            let id = self.first + self.commits.len() as u64;
            // After a crash the same number may come again with other contents.
            let mut commit = commit(id, 200);
            commit.wall_clock_ms += self.rng.random_range(0..100_000);
            append(&self.wal, &commit).unwrap();
            self.commits.push(commit);
        }
    }

    fn flush(&mut self) {
        self.wal.flush().unwrap();
        self.durable_count = self.commits.len();
    }

    fn checkpoint(&mut self) {
        self.flush();
        self.from = self.wal.end();
        self.first += self.commits.len() as u64;
        self.commits.clear();
        self.durable_count = 0;
        self.wal.checkpoint(self.from).unwrap();
    }

    fn crash(&mut self) {
        self.wal.write_out().unwrap();
        let must_reach = self.wal.durable();
        let choices = choices(self.vfs.pending(), 12, 12, self.rng.random());
        let survival = choices[self.rng.random_range(0..choices.len())];
        self.vfs = SimulatedVfs::from_image(&self.vfs.crash(survival), self.rng.random());
        let (recovered, read) = recover(&self.vfs, self.from, must_reach).unwrap();
        assert!(read.len() >= self.durable_count, "an acknowledged commit is lost");
        assert_eq!(read, self.commits[..read.len()], "a prefix of what was written");
        self.lost += self.commits.len() - read.len();
        self.kept_unsynced += read.len() - self.durable_count;
        self.commits = read;
        self.durable_count = self.commits.len();
        self.wal = Wal::start(Arc::new(self.vfs.clone()), cached(), recovered.end).unwrap();
        // Unless a checkpoint follows, the next recovery begins in the old log and goes over into the new.
        let (again, read) = recover(&self.vfs, self.from, must_reach).unwrap();
        assert_eq!((again.end, read.len()), (recovered.end, self.commits.len()));
    }
}

#[test]
fn no_flushed_commit_is_lost_over_many_crashes() {
    let (mut lost, mut kept_unsynced) = (0, 0);
    for seed in 0..200 {
        let mut survivor = Survivor::new(seed);
        for _ in 0..40 {
            match survivor.rng.random_range(0..10) {
                0..4 => {
                    let count = survivor.rng.random_range(1..60);
                    survivor.append_some(count);
                }
                4..6 => survivor.flush(),
                6 => survivor.wal.write_out().unwrap(),
                7 => survivor.wal.prepare().unwrap(),
                8 => survivor.checkpoint(),
                _ => survivor.crash(),
            }
        }
        survivor.crash();
        lost += survivor.lost;
        kept_unsynced += survivor.kept_unsynced;
    }
    // Both outcomes are really reached.
    assert!(
        lost > 1000 && kept_unsynced > 1000,
        "lost {lost}, kept {kept_unsynced}"
    );
}

#[test]
fn what_recovery_read_is_durable_afterwards() {
    let vfs = disk(1);
    let wal = Wal::start(Arc::new(vfs.clone()), cached(), LogPosition(0)).unwrap();
    let begin = wal.end();
    for id in 1..=60 {
        append(&wal, &commit(id, 200)).unwrap();
    }
    wal.write_out().unwrap();
    let certain = || SimulatedVfs::from_image(&vfs.crash(Survival::None), 1);
    assert!(recover(&certain(), begin, begin).unwrap().1.is_empty());
    let shown = recover(&vfs, begin, begin).unwrap().1.len();
    assert_eq!(shown, 60);
    assert_eq!(recover(&certain(), begin, begin).unwrap().1.len(), shown);
}

/// Where the log ends, if there is one: its creation may have been cut off.
fn recovered_end(vfs: &SimulatedVfs, begin: LogPosition) -> Result<Option<LogPosition>> {
    match recover(vfs, begin, begin) {
        Ok((found, _)) => Ok(Some(found.end)),
        // No file has a header yet.
        Err(Error::Mismatch { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A process that is killed leaves files that only the machine's memory has. The next one goes on with them, and then power is
/// lost: none of them may look as if it had been used and cut.
#[test]
fn power_is_lost_after_a_restart_from_what_a_killed_process_left() {
    let first = disk(1);
    first.record();
    let shared: Arc<dyn Vfs> = Arc::new(first.clone());
    let wal = Wal::start(Arc::clone(&shared), cached(), LogPosition(0)).unwrap();
    let begin = wal.end();
    for id in 1..=20 {
        append(&wal, &commit(id, 200)).unwrap();
    }
    wal.prepare().unwrap();
    let trace = first.take_trace();
    let mut killed = trace.replay();
    for point in 0..=trace.operations.len() {
        killed.step_to(point);
        let second = SimulatedVfs::after_kill(killed.medium(), killed.position(), 2);
        second.record_on();
        let end = recovered_end(&second, begin).unwrap().unwrap_or(begin);
        let wal = Wal::start(Arc::new(second.clone()), cached(), end).unwrap();
        append(&wal, &commit(1, 200)).unwrap();
        wal.write_out().unwrap();
        let after = second.take_trace();
        let mut lost = after.replay();
        for at in 0..=after.operations.len() {
            lost.step_to(at);
            for survival in choices(lost.pending(), 12, 12, (point ^ at) as u64) {
                let third = SimulatedVfs::from_image(&lost.image(survival), 3);
                recovered_end(&third, begin).unwrap_or_else(|error| {
                    panic!("killed after {point} operations, lost after {at} more, {survival:?}: {error}")
                });
            }
        }
    }
}
