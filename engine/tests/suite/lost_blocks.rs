//! Each block and each sector of each log file is lost in turn, zeroed or garbled, and each file whole.
//!
//! Every commit here is synchronised and acknowledged before the next begins, so each is a flush of its own, some of one
//! small row, some of several blocks. What may come of a lost block: the opening reports it; or everything is there; or,
//! only where the last flush wrote, the database ends before that flush, as if it had never been. Never less, never
//! silently.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::vfs::simulated::{Image, Survival};
use engine::vfs::{MemoryVfs, SimulatedVfs, Vfs};
use engine::{Options, WalSync};

use crate::common::PATH;
use crate::damage::{read_file, wal_files, write_file};
use crate::gate::{GatedVfs, OpenAtEnd};

const BLOCK: usize = 4096;
const SECTOR: usize = 512;

fn options(vfs: &(impl Vfs + Clone + 'static), sync: WalSync) -> Options {
    Options::new()
        .page_size(4096)
        .cache_size(0)
        .wal_segment_size(32 << 10)
        .wal_sync(sync)
        .background(false)
        .vfs(Arc::new(vfs.clone()))
}

/// A database as a kill leaves it, before and after its last commit.
struct Killed {
    before: Image,
    after: Image,
    commits: u32,
    sync: WalSync,
}

/// Makes `commits` commits, each durable when it returns. The size of commit `n` is `size(n)`; before it there is a checkpoint
/// where `has_checkpoint(n)`.
fn killed(
    commits: u32,
    sync: WalSync,
    has_checkpoint: impl Fn(u32) -> bool,
    size: impl Fn(u32) -> usize,
) -> Killed {
    let vfs = SimulatedVfs::from_image(&Image::with_dirs(["/"]), 3);
    let db = options(&vfs, sync).open(PATH).unwrap();
    let table = db.create_table("rows").unwrap();
    let mut before = Image::default();
    for n in 0..commits {
        if has_checkpoint(n) {
            db.checkpoint().unwrap();
        }
        if n + 1 == commits {
            before = vfs.crash(Survival::All);
        }
        db.write(|tx| tx.put(table, &n.to_be_bytes(), &vec![n as u8 | 0x80; size(n)]))
            .unwrap();
    }
    let after = vfs.crash(Survival::All);
    Killed {
        before,
        after,
        commits,
        sync,
    }
}

/// What came of one lost block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Reported,
    Whole,
    LastFlushCutOff,
}

impl Killed {
    fn log_files(&self) -> Vec<PathBuf> {
        let files = self.after.files.keys();
        let is_log = |path: &&PathBuf| path.extension() == Some("wal".as_ref());
        files.filter(is_log).cloned().collect()
    }

    /// Loses `len` bytes at `start` of a log file.
    fn lose(&self, path: &Path, start: usize, len: usize, garble: bool) -> Result<Outcome, String> {
        let mut image = self.after.clone();
        let bytes = Arc::make_mut(image.files.get_mut(path).unwrap());
        for (at, byte) in bytes[start..start + len].iter_mut().enumerate() {
            // Neither the old byte nor a pattern that any field has.
            *byte = if garble { (at * 151 + 77) as u8 ^ 0x5A } else { 0 };
        }
        let was_last = self
            .before
            .files
            .get(path)
            .is_none_or(|old| old[start..start + len] != self.after.files[path][start..start + len]);
        let what = if garble { "garbled" } else { "zeroed" };
        let context = format!("{} bytes at {start} of {} {what}", len, path.display());
        self.open(&image, was_last, &context)
    }

    /// Loses a file whole.
    fn lose_file(&self, path: &Path) -> Result<Outcome, String> {
        let mut image = self.after.clone();
        image.files.remove(path);
        let was_last = self.before.files.get(path) != self.after.files.get(path);
        self.open(&image, was_last, &format!("{} removed", path.display()))
    }

    fn open(&self, image: &Image, was_last: bool, context: &str) -> Result<Outcome, String> {
        let vfs = SimulatedVfs::from_image(image, 9);
        let db = match options(&vfs, self.sync).open(PATH) {
            Ok(db) => db,
            Err(error) if error.to_string().contains(PATH) => return Ok(Outcome::Reported),
            Err(error) => return Err(format!("{context}: {error} names no file")),
        };
        let count = match db.table("rows") {
            Ok(table) => db.snapshot().scan(table, ..).unwrap().count() as u32,
            Err(_) => 0,
        };
        match count {
            all if all == self.commits => Ok(Outcome::Whole),
            less if less + 1 == self.commits && was_last => Ok(Outcome::LastFlushCutOff),
            less => Err(format!(
                "{context}: silently {less} of {} acknowledged commits",
                self.commits
            )),
        }
    }

    /// Loses each piece of `len` bytes of each log file; `which` chooses pieces by the file and the place. A block is lost in
    /// either way, a sector in one of them.
    fn lose_each(
        &self,
        len: usize,
        which: impl Fn(&Path, usize) -> bool,
        misses: &mut Vec<String>,
    ) -> [u32; 3] {
        let mut outcomes = [0; 3];
        for path in self.log_files() {
            let file_len = self.after.files[&path].len();
            for start in (0..file_len).step_by(len).filter(|&start| which(&path, start)) {
                let is_odd = (start / len + self.commits as usize) % 2 == 1;
                let ways = if len == BLOCK {
                    &[false, true][..]
                } else {
                    &[is_odd][..]
                };
                for &garble in ways {
                    match self.lose(&path, start, len, garble) {
                        Ok(outcome) => outcomes[outcome as usize] += 1,
                        Err(miss) => misses.push(miss),
                    }
                }
            }
        }
        outcomes
    }

    /// Whether the last flush wrote near `start` of a file.
    fn is_near_last_flush(&self, path: &Path, start: usize, len: usize) -> bool {
        let (old, new) = (self.before.files.get(path), &self.after.files[path]);
        let near = start.saturating_sub(2 * len)..(start + 2 * len).min(new.len());
        old.is_none_or(|old| old[near.clone()] != new[near])
    }
}

fn assert_none(misses: &[String]) {
    assert!(
        misses.is_empty(),
        "{} misses, for instance: {:#?}",
        misses.len(),
        &misses[..misses.len().min(8)]
    );
}

/// Rows of 100 bytes, now and then one of several blocks.
fn mostly_small(n: u32) -> usize {
    match n % 29 {
        7 => 900,
        13 => 9000,
        _ => 100,
    }
}

#[test]
fn every_lost_block_of_the_log_is_reported_but_for_the_last_flush() {
    for (sync, with_checkpoint) in [
        (WalSync::Fdatasync, false),
        (WalSync::Fdatasync, true),
        (WalSync::Direct, false),
    ] {
        // Segments are recycled by it.
        let has_checkpoint = |n| with_checkpoint && n == 101;
        let killed = killed(200, sync, has_checkpoint, mostly_small);
        let used = |path: &&PathBuf| {
            killed.after.files[*path][BLOCK..2 * BLOCK]
                .iter()
                .any(|&byte| byte != 0)
        };
        assert!(
            killed.log_files().iter().filter(used).count() >= 3,
            "several segments"
        );
        let mut misses = Vec::new();
        let blocks = killed.lose_each(BLOCK, |_, _| true, &mut misses);
        let is_whole = sync == WalSync::Fdatasync && !with_checkpoint;
        for path in killed.log_files() {
            let len = killed.after.files[&path].len();
            for (start, garble) in [(0, false), (0, true), (len - BLOCK, false), (len - BLOCK, true)] {
                let outcome = killed.lose(&path, start, BLOCK, garble);
                assert_eq!(outcome, Ok(Outcome::Whole), "the other copy of the header serves");
            }
            misses.extend(killed.lose_file(&path).err());
            misses.extend(killed.lose(&path, 0, len, false).err());
        }
        let sectors = killed.lose_each(
            SECTOR,
            |_, start| start % (if is_whole { 3 } else { 13 } * SECTOR) == 0,
            &mut misses,
        );
        assert_none(&misses);
        for (kind, outcomes) in [("blocks", blocks), ("sectors", sectors)] {
            let enough = [Outcome::Reported, Outcome::Whole].map(|outcome| outcomes[outcome as usize] > 3);
            assert_eq!(
                enough, [true; 2],
                "{kind} lost: {outcomes:?} reported, whole, cut off"
            );
        }
    }
}

/// The log ends at every place in a block and in a segment: only what its last flush wrote may go with it.
#[test]
fn wherever_the_log_ends_only_its_last_flush_can_be_cut_off() {
    let mut misses = Vec::new();
    let mut cut_off = 0;
    let small = (1..=45).step_by(4).map(|commits| (commits, 100));
    let large = (1..=12).step_by(3).map(|commits| (commits, 3000));
    for (commits, row) in small.chain(large).chain([(3, 4000), (5, 4001), (3, 9000)]) {
        let killed = killed(commits, WalSync::Fdatasync, |_| false, |_| row);
        for len in [BLOCK, SECTOR] {
            let outcomes = killed.lose_each(
                len,
                |path, start| killed.is_near_last_flush(path, start, len),
                &mut misses,
            );
            cut_off += outcomes[Outcome::LastFlushCutOff as usize];
        }
    }
    assert_none(&misses);
    assert!(cut_off > 10, "{cut_off}: the last flush can be cut off, and was");
}

/// A recovery does not see what lies before a checkpoint's redo position, in the same block or not.
#[test]
fn a_lost_block_is_reported_wherever_a_checkpoint_was_taken() {
    let mut misses = Vec::new();
    for sync in [WalSync::Fdatasync, WalSync::Direct] {
        for before in 0..20 {
            for behind in [2, 5, 30] {
                // Not all of them of the longer ones.
                let is_cheap = sync == WalSync::Fdatasync && behind < 5;
                if is_cheap || before % 6 == behind % 6 {
                    let killed = killed(before + behind, sync, |n| n == before, |_| 5);
                    killed.lose_each(BLOCK, |_, _| true, &mut misses);
                }
            }
        }
        for every in 1..6 {
            let killed = killed(20, sync, |n| n % every == 0, |_| 5);
            killed.lose_each(BLOCK, |_, _| true, &mut misses);
        }
    }
    assert_none(&misses);
}

/// Losses of which an opening says nothing, although more than the last of `commits` commits is gone.
fn silent_losses(files: &MemoryVfs, commits: u8) -> Vec<String> {
    let mut silent = Vec::new();
    for path in wal_files(files) {
        for start in (0..read_file(files, &path).len()).step_by(BLOCK) {
            let lost = files.fork();
            write_file(&lost, &path, &[0; BLOCK], start);
            let Ok(db) = options(&lost, WalSync::Fdatasync).open(PATH) else {
                continue;
            };
            let count = db.snapshot().scan(db.table("rows").unwrap(), ..).unwrap().count();
            if count + 1 < usize::from(commits) {
                silent.push(format!(
                    "{count} of {commits} without {start} of {}",
                    path.display()
                ));
            }
        }
    }
    silent
}

/// Commits go on while a checkpoint waits for its syncs: for that of its pages, and for that of its superblock, which is in
/// the file by then and counts if the process is killed, before the checkpoint can tell the log of it.
#[test]
fn a_lost_block_is_reported_although_a_checkpoint_was_under_way() {
    for first in 1..4 {
        let files = MemoryVfs::default();
        let vfs = GatedVfs::new(files.clone());
        let db = options(&vfs, WalSync::Fdatasync).open(PATH).unwrap();
        let table = db.create_table("rows").unwrap();
        let (mut commits, mut silent) = (0, Vec::new());
        let mut go_on = |count: u8| {
            for _ in 0..count {
                db.write(|tx| tx.put(table, &[commits], b"value")).unwrap();
                commits += 1;
                silent.extend(silent_losses(&files, commits));
            }
        };
        go_on(first);
        std::thread::scope(|scope| {
            let _open = OpenAtEnd(&vfs);
            vfs.close_for(PATH);
            let checkpoint = scope.spawn(|| db.checkpoint());
            vfs.wait_for_sync();
            go_on(if first == 3 { 3 } else { 0 });
            vfs.admit_one_and_wait_for(2);
            go_on(4);
            vfs.open();
            checkpoint.join().unwrap().unwrap();
        });
        go_on(4);
        assert_none(&silent);
    }
}
