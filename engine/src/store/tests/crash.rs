//! A crash at any moment leaves the checkpoint before or the one being made, whole, and never a mixture.

use super::*;
use crate::injected::{self, Bug};
use crate::vfs::SimulatedVfs;
use crate::vfs::simulated::{Image, Survival, Trace, choices};

/// A run with checkpoints: what the file holds durably from which operation on.
struct Run {
    trace: Trace,
    /// Operations before a checkpoint began and after it ended, and what it made durable.
    checkpoints: Vec<(usize, usize, Model)>,
}

fn run(codec: Codec, seed: u64) -> Run {
    let vfs = disk(&directory());
    vfs.record();
    let file = DataFile::create(
        Arc::new(vfs.clone()),
        Path::new(PATH),
        handle(&vfs),
        &options(codec),
    )
    .unwrap();
    // The name is the business of whoever opens the database.
    vfs.sync_dir(Path::new("/db")).unwrap();
    let mut numbers = Numbers(seed);
    let mut model = Model::new();
    let mut checkpoints = vec![(0, vfs.position(), model.clone())];
    let mut in_use: Vec<PageNumber> = Vec::new();
    for commit in 1..=25 {
        let commit = CommitId(commit);
        for _ in 0..numbers.below(4) {
            in_use.push(file.allocate_page().unwrap());
        }
        if commit.0 == 10 {
            // Pages of another chunk of the map.
            for number in [600, 1200] {
                file.mark_allocated(PageNumber(number)).unwrap();
                in_use.push(PageNumber(number));
            }
        }
        let chosen: Vec<PageNumber> = in_use.iter().copied().filter(|_| numbers.below(3) == 0).collect();
        write(&file, commit, &chosen, &mut model).unwrap();
        if numbers.below(4) == 0 && !in_use.is_empty() {
            let page = in_use.swap_remove(numbers.below(in_use.len() as u64) as usize);
            assert!(file.free_page(page, commit));
            model.remove(&page);
        }
        if numbers.below(3) > 0 {
            let began = vfs.position();
            checkpoint(&file, commit).unwrap();
            checkpoints.push((began, vfs.position(), model.clone()));
        }
    }
    verified(&file).unwrap();
    Run {
        trace: vfs.take_trace(),
        checkpoints,
    }
}

impl Run {
    /// What may be found after a crash behind `len` operations.
    fn allowed(&self, len: usize) -> Vec<&Model> {
        let done = self
            .checkpoints
            .iter()
            .rposition(|&(_, ended, _)| ended <= len)
            .unwrap();
        let next = self.checkpoints.get(done + 1).filter(|&&(began, ..)| began < len);
        let mut allowed = vec![&self.checkpoints[done].2];
        allowed.extend(next.map(|(.., model)| model));
        allowed
    }

    fn first_operation(&self) -> usize {
        self.checkpoints[0].1
    }
}

fn directory() -> Image {
    Image::with_dirs(["/db"])
}

fn disk(image: &Image) -> SimulatedVfs {
    SimulatedVfs::from_image(image, 1)
}

fn handle(vfs: &SimulatedVfs) -> Arc<dyn VfsFile> {
    vfs.open(Path::new(PATH), CREATE).unwrap()
}

fn open(vfs: &SimulatedVfs) -> Result<DataFile> {
    DataFile::open(Arc::new(vfs.clone()), Path::new(PATH), handle(vfs))
}

/// Opens the files, compares, and goes on working. Returns whether all was well, or the error.
fn survives(files: &Image, allowed: &[&Model]) -> Result<bool, String> {
    open_and_go_on(files, allowed).map_err(|error| error.to_string())
}

fn open_and_go_on(files: &Image, allowed: &[&Model]) -> Result<bool> {
    let vfs = disk(files);
    let file = open(&vfs)?;
    let mut found = contents(&file)?;
    if !allowed.contains(&&found) {
        return Ok(false);
    }
    verified(&file)?;
    let commit = CommitId(100);
    let page = file.allocate_page()?;
    write(&file, commit, &[page], &mut found)?;
    checkpoint(&file, commit)?;
    drop(file);
    let file = open(&disk(&vfs.crash(Survival::None)))?;
    verified(&file)?;
    Ok(contents(&file)? == found)
}

/// Loses power after every operation of a run, in at least `choices` ways each; returns how often that did damage.
fn damaged(run: &Run, at_least: usize, seed: u64) -> Vec<String> {
    let mut damaged = Vec::new();
    let mut replay = run.trace.replay();
    for operations in run.first_operation()..=run.trace.operations.len() {
        replay.step_to(operations);
        for survival in choices(replay.pending(), at_least, at_least, seed ^ operations as u64) {
            match survives(&replay.image(survival), &run.allowed(operations)) {
                Ok(true) => {}
                other => damaged.push(format!("after {operations} operations, {survival:?}: {other:?}")),
            }
        }
    }
    damaged
}

#[test]
fn every_prefix_of_the_operations_is_a_whole_checkpoint() {
    for codec in [Codec::None, Codec::Lz4] {
        let run = run(codec, 1);
        assert!(run.checkpoints.len() > 10);
        let mut both_seen = (false, false);
        let mut replay = run.trace.replay();
        for operations in run.first_operation()..=run.trace.operations.len() {
            replay.step_to(operations);
            let allowed = run.allowed(operations);
            let files = replay.image(Survival::All);
            assert_eq!(
                survives(&files, &allowed),
                Ok(true),
                "after {operations} operations"
            );
            if let [old, new] = allowed[..]
                && old != new
            {
                let found = contents(&open(&disk(&files)).unwrap()).unwrap();
                both_seen.0 |= found == *old;
                both_seen.1 |= found == *new;
            }
        }
        assert_eq!(
            both_seen,
            (true, true),
            "crashes before and after the moment were reached"
        );
    }
}

#[test]
fn a_power_loss_leaves_a_whole_checkpoint() {
    for seed in 1..=3 {
        assert_eq!(damaged(&run(Codec::Lz4, seed), 8, seed), [""; 0], "seed {seed}");
    }
}

#[test]
fn the_test_above_would_notice_a_superblock_that_is_durable_before_its_data() {
    let run = injected::with(Some(Bug::SuperblockBeforeData), || run(Codec::Lz4, 1));
    let damaged = damaged(&run, 8, 5);
    assert!(damaged.len() > 10, "{damaged:?}");
}
