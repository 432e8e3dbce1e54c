//! Power fails between two syncs: of what was written to a file since its last one, any sectors are on the disk and
//! others not. Recovery must always succeed, keep what was flushed, and go on from there, over many crashes and
//! checkpoints.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::synced::SyncedVfs;
use super::*;

const SECTOR_BYTES: usize = 512;

/// What may be on the disk after a power failure: each sector as of the last sync or as written since.
fn mix(synced: &Image, written: &Image, rng: &mut impl Rng) -> Image {
    let kept_per_mille = rng.random_range(0..=1000);
    let mut mixed = written.clone();
    for ((_, bytes), (_, old)) in mixed.iter_mut().zip(synced) {
        for (sector, old) in bytes.chunks_mut(SECTOR_BYTES).zip(old.chunks(SECTOR_BYTES)) {
            if rng.random_range(0..1000) >= kept_per_mille {
                sector.copy_from_slice(old);
            }
        }
    }
    mixed
}

/// A log that lives through crashes.
struct Survivor {
    rng: ChaCha8Rng,
    vfs: SyncedVfs,
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
        let vfs = SyncedVfs::new(MemoryVfs::with_seed(seed), &Image::new());
        let wal = Wal::start(Arc::new(vfs.clone()), options(), LogPosition(0)).unwrap();
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
        let (synced, written) = self.vfs.images();
        let on_disk = mix(&synced, &written, &mut self.rng);
        self.vfs = SyncedVfs::new(restore(&on_disk), &on_disk);
        let (recovered, read) = recover(&self.vfs, self.from, must_reach).unwrap();
        assert!(read.len() >= self.durable_count, "an acknowledged commit is lost");
        assert_eq!(read, self.commits[..read.len()], "a prefix of what was written");
        self.lost += self.commits.len() - read.len();
        self.kept_unsynced += read.len() - self.durable_count;
        self.commits = read;
        self.durable_count = self.commits.len();
        self.wal = Wal::start(Arc::new(self.vfs.clone()), options(), recovered.end).unwrap();
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
    let vfs = SyncedVfs::new(MemoryVfs::default(), &Image::new());
    let wal = Wal::start(Arc::new(vfs.clone()), options(), LogPosition(0)).unwrap();
    let begin = wal.end();
    for id in 1..=60 {
        append(&wal, &commit(id, 200)).unwrap();
    }
    wal.write_out().unwrap();
    let (synced, _) = vfs.images();
    assert!(recover(&restore(&synced), begin, begin).unwrap().1.is_empty());
    let shown = recover(&vfs, begin, begin).unwrap().1.len();
    assert_eq!(shown, 60);
    let (synced, _) = vfs.images();
    assert_eq!(recover(&restore(&synced), begin, begin).unwrap().1.len(), shown);
}
