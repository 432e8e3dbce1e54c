//! A crash at any moment leaves the checkpoint before or the one being made, whole, and never a mixture.

use super::recorder::{Recorder, Step, bytes_after, bytes_after_crash};
use super::*;

/// A run with checkpoints: what the file holds durably from which step on.
struct Run {
    steps: Vec<Step>,
    /// Steps before a checkpoint began and after it ended, and what it made durable.
    checkpoints: Vec<(usize, usize, Model)>,
}

fn run(codec: Codec, seed: u64) -> Run {
    let vfs = MemoryVfs::default();
    let recorder = Recorder::over(open_file(&vfs));
    let handle: Arc<dyn VfsFile> = Arc::clone(&recorder) as Arc<dyn VfsFile>;
    let file = DataFile::create(Arc::new(vfs.clone()), Path::new(PATH), handle, &options(codec)).unwrap();
    let mut numbers = Numbers(seed);
    let mut model = Model::new();
    let mut checkpoints = vec![(0, recorder.len_now(), model.clone())];
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
            let began = recorder.len_now();
            checkpoint(&file, commit).unwrap();
            checkpoints.push((began, recorder.len_now(), model.clone()));
        }
    }
    file.verify().unwrap();
    Run {
        steps: recorder.steps(),
        checkpoints,
    }
}

impl Run {
    /// What may be found after a crash behind `len` steps.
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

    fn first_step(&self) -> usize {
        self.checkpoints[0].1
    }
}

/// Opens the bytes, compares, and goes on working with the file. Returns whether all was well, or the error.
fn survives(bytes: &[u8], allowed: &[&Model]) -> Result<bool, String> {
    open_and_go_on(bytes, allowed).map_err(|error| error.to_string())
}

fn open_and_go_on(bytes: &[u8], allowed: &[&Model]) -> Result<bool> {
    let vfs = vfs_of(bytes);
    let file = reopen(&vfs)?;
    let mut found = contents(&file)?;
    if !allowed.contains(&&found) {
        return Ok(false);
    }
    file.verify()?;
    let commit = CommitId(100);
    let page = file.allocate_page()?;
    write(&file, commit, &[page], &mut found)?;
    checkpoint(&file, commit)?;
    let file = reopen(&vfs)?;
    file.verify()?;
    Ok(contents(&file)? == found)
}

#[test]
fn every_prefix_of_the_writes_is_a_whole_checkpoint() {
    for codec in [Codec::None, Codec::Lz4] {
        let run = run(codec, 1);
        assert!(run.checkpoints.len() > 10);
        let mut both_seen = (false, false);
        for len in run.first_step()..=run.steps.len() {
            let allowed = run.allowed(len);
            let bytes = bytes_after(&run.steps[..len]);
            assert_eq!(survives(&bytes, &allowed), Ok(true), "after {len} steps");
            if let [old, new] = allowed[..]
                && old != new
            {
                let found = contents(&reopen(&vfs_of(&bytes)).unwrap()).unwrap();
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
fn a_power_loss_that_drops_unsynced_sectors_leaves_a_whole_checkpoint() {
    for seed in 1..=3 {
        let run = run(Codec::Lz4, seed);
        let mut numbers = Numbers(seed * 1000);
        for len in run.first_step()..=run.steps.len() {
            for _ in 0..8 {
                let bytes = bytes_after_crash(&run.steps[..len], &mut numbers, true);
                assert_eq!(
                    survives(&bytes, &run.allowed(len)),
                    Ok(true),
                    "seed {seed}, after {len} steps"
                );
            }
        }
    }
}

#[test]
fn the_test_above_would_notice_missing_syncs() {
    let run = run(Codec::Lz4, 1);
    let mut numbers = Numbers(5);
    let lost = (run.first_step()..=run.steps.len())
        .filter(|&len| {
            let bytes = bytes_after_crash(&run.steps[..len], &mut numbers, false);
            survives(&bytes, &run.allowed(len)) != Ok(true)
        })
        .count();
    assert!(lost > 10, "only {lost} crashes were noticed");
}
