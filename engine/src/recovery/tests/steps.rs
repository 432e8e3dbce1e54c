//! Redo in many small steps: leads to what redo at once does, whatever the sizes.

use std::collections::BTreeMap;

use proptest::test_runner::{RngAlgorithm, TestRng};
use rand_chacha::rand_core::Rng as _;

use super::*;
use crate::injected::{self, Bug};

/// Rows of each page; no entry for a page that does not exist.
type Model = BTreeMap<u32, (u64, BTreeMap<String, String>)>;

const PAGES: u32 = 90;

fn below(random: &mut TestRng, bound: u32) -> u32 {
    random.next_u32() % bound
}

/// A log of so many commits, and what the pages are after them.
fn random_log(random: &mut TestRng, commits: u32) -> (Crashed, Model) {
    let mut crashed = Crashed::new(&[(1, 1, &[("a", "first")]), (2, 1, &[])]);
    let row = ("a".to_owned(), "first".to_owned());
    let mut model = Model::from([(1, (1, BTreeMap::from([row]))), (2, (1, BTreeMap::new()))]);
    for _ in 0..commits {
        let commit = crashed.next;
        let first = below(random, PAGES);
        let count = [1, 2, 5, PAGES][below(random, 4) as usize];
        let mut frames = Vec::new();
        for page in (first..first + count).map(|page| 1 + page % PAGES) {
            let key = ["a", "b", "c"][below(random, 3) as usize];
            let value = format!("{commit}{}", "+".repeat(below(random, 60) as usize));
            let what = below(random, 8);
            match model.get_mut(&page) {
                Some(_) if what == 0 => {
                    model.remove(&page);
                    frames.push((page, FrameKind::Freed, Vec::new()));
                }
                Some((last, rows)) if what > 1 => {
                    *last = commit;
                    frames.push(put(page, key, &value));
                    rows.insert(key.to_owned(), value);
                }
                _ => {
                    frames.push(image_frame(page, commit, &[(key, &value)]));
                    model.insert(page, (commit, BTreeMap::from([(key.to_owned(), value)])));
                }
            }
        }
        crashed = crashed.log(&frames);
    }
    (crashed, model)
}

fn pages_of(pool: &Pool) -> Model {
    let all = (1..=PAGES).filter_map(|number| Some((number, page(pool, number)?)));
    all.map(|(number, (commit, rows))| (number, (commit, rows.into_iter().collect())))
        .collect()
}

/// The limits: of a batch, of a window, of a part of a commit.
fn limits(options: &WalOptions, window: usize, part: usize) -> WalOptions {
    WalOptions {
        read_window: window,
        commit_part: part,
        ..options.clone()
    }
}

#[test]
fn steps_of_any_size_lead_to_the_same_pages() {
    for seed in 0..12u8 {
        let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
        let (crashed, model) = random_log(&mut random, 60);
        for (batch, window, part) in [
            (BATCH_BYTES, 1 << 20, 4 << 20),
            (1, 1 << 20, 4 << 20),
            (1, 1, 1),
            (700, 100, 4 << 20),
            (5000, 4096, 900),
            (20_000, 30_000, 300),
            (BATCH_BYTES, 5000, 1),
        ] {
            for threads in [1, 3] {
                let options = limits(&crashed.options, window, part);
                let (pool, redone) = crashed.recover_within(threads, batch, &options).unwrap();
                let what =
                    format!("seed {seed}, batch {batch}, window {window}, part {part}, {threads} threads");
                assert!(pages_of(&pool) == model, "{what}");
                assert_eq!(redone.report.commits, 60, "{what}");
                let allocated = pool.store().allocated_pages();
                assert_eq!(
                    allocated.iter().map(|page| page.0).collect::<Vec<_>>(),
                    model.keys().copied().collect::<Vec<_>>(),
                    "{what}"
                );
                assert!(pool.dirty_count() <= model.len(), "{what}");
            }
        }
    }
}

#[test]
fn a_long_commit_that_was_cut_off_is_not_redone() {
    let crashed = Crashed::new(&[(1, 1, &[])]).log(&[put(1, "a", "1")]);
    let wal = crashed.wal.as_ref().unwrap();
    let end = wal.durable();
    for number in 2..200 {
        let (number, kind, body) = image_frame(number, 3, &[("k", "v")]);
        wal.append(PageNumber(number), CommitId(3), kind, None, &body)
            .unwrap();
    }
    wal.flush().unwrap();
    let options = limits(&crashed.options, 4096, 1000);
    for fault in [None, Some(Bug::LongCommitNotAwaited)] {
        injected::with(fault, || {
            let (pool, redone) = crashed.recover_within(2, 2000, &options).unwrap();
            assert!(redone.report.torn_tail);
            assert_eq!((redone.last, redone.end), (CommitId(2), end));
            let is_redone = (2..200).any(|number| page(&pool, number).is_some());
            assert_eq!(is_redone, fault.is_some() && injected::are_possible());
        });
    }
}

#[test]
fn mistakes_between_steps_show() {
    for fault in [Bug::RedoBatchLosesLast, Bug::PageFreedInCacheStays] {
        for seed in 0..3u8 {
            let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
            let (crashed, model) = random_log(&mut random, 60);
            let recovered = injected::with(Some(fault), || crashed.recover_within(1, 5000, &crashed.options));
            let is_right = recovered.is_ok_and(|(pool, _)| pages_of(&pool) == model);
            assert_eq!(is_right, !injected::are_possible(), "{fault:?}, seed {seed}");
        }
    }
}

#[test]
fn damage_further_on_leaves_the_durable_checkpoint_and_the_log_as_they_were() {
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[9; 32]);
    let (crashed, model) = random_log(&mut random, 60);
    let whole = crashed.vfs.fork();
    // The last but one of the segments, which holds what was durable long before the end.
    let paths: Vec<_> = whole.list(Path::new("/db/wal")).unwrap().into_iter().collect();
    let mode = OpenMode::default();
    let file = crashed.vfs.open(&paths[paths.len() - 2], mode).unwrap();
    let mut byte = [0];
    file.read_at(&mut byte, 9000).unwrap();
    file.write_at(&[!byte[0]], 9000).unwrap();
    // The fewest frames, so that pages have to make way before the damage is met.
    let vfs = crashed.vfs.fork();
    let store = DataFile::open(Arc::new(vfs.clone()), Path::new(DATA), open_file(&vfs)).unwrap();
    let pool = Pool::new(Arc::new(store), PAGE_SIZE as usize, 0);
    let error = recover(&vfs, &pool, &crashed.options, 2, 3000).unwrap_err();
    assert!(matches!(error, crate::Error::Corruption { .. }), "{error}");
    assert!(
        pool.counters
            .evicted_dirty
            .load(std::sync::atomic::Ordering::Relaxed)
            > 0
    );
    drop(pool);
    // With the byte as it was everything is there, on the data file that the failed recovery has left.
    let file = vfs.open(&paths[paths.len() - 2], mode).unwrap();
    file.write_at(&byte, 9000).unwrap();
    let crashed = Crashed { vfs, ..crashed };
    let (pool, _) = crashed.recover(1).unwrap();
    assert!(pages_of(&pool) == model);
}

#[test]
fn a_page_whose_image_is_damaged_is_recovered_from_one_further_on() {
    let crashed = Crashed::new(&[(1, 1, &[("a", "1")])])
        .log(&[(1, FrameKind::Delta, vec![99, 0]), put(2, "x", "no such page")])
        .log(&[put(1, "a", "2")])
        .log(&[image_frame(1, 4, &[("a", "whole")]), image_frame(2, 4, &[])]);
    let (pool, _) = crashed.recover_within(1, 1, &crashed.options).unwrap();
    assert_eq!(page(&pool, 1), Some((4, rows(&[("a", "whole")]))));
    // And not if that does not come.
    let crashed = Crashed::new(&[(1, 1, &[])])
        .log(&[(1, FrameKind::Delta, vec![99, 0])])
        .log(&[put(1, "a", "2")]);
    let error = crashed.recover_within(1, 1, &crashed.options).unwrap_err();
    assert!(error.to_string().contains("malformed page delta"), "{error}");
}

#[test]
fn a_second_frame_for_a_page_in_a_later_part_of_its_commit_is_corruption() {
    let mut frames: Vec<_> = (2..40).map(|number| image_frame(number, 2, &[])).collect();
    frames.insert(0, put(1, "a", "b"));
    frames.push(put(1, "a", "c"));
    let crashed = Crashed::new(&[(1, 1, &[])]).log(&frames);
    let options = limits(&crashed.options, 4096, 300);
    for threads in [1, 4] {
        let error = crashed.recover_within(threads, 300, &options).unwrap_err();
        assert!(
            error.to_string().contains("the second one of its commit"),
            "{error}"
        );
    }
}
