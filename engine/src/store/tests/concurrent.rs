//! Readers, writers and checkpoints at the same time, on so few pages that extents are reused all the time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;

const PAGES: u32 = 40;
const WRITERS: u32 = 2;
const ROUNDS: u64 = 400;

#[test]
fn every_read_sees_a_whole_image_that_is_not_older_than_the_last_one_seen() {
    for codec in [Codec::None, Codec::Lz4] {
        let vfs = MemoryVfs::default();
        let file = create_with(&vfs, codec);
        let all = allocate(&file, PAGES as usize);
        write(&file, CommitId(1), &all, &mut Model::new()).unwrap();
        let running = AtomicBool::new(true);
        let reads = AtomicU64::new(0);
        std::thread::scope(|scope| {
            let (file, running, reads, all) = (&file, &running, &reads, &all);
            let writers: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    scope.spawn(move || {
                        let mut numbers = Numbers(writer.into());
                        for round in 2..ROUNDS {
                            let chosen: Vec<PageNumber> = all
                                .iter()
                                .copied()
                                .filter(|page| page.0 % WRITERS == writer && numbers.below(4) == 0)
                                .collect();
                            write(file, CommitId(round), &chosen, &mut Model::new()).unwrap();
                        }
                    })
                })
                .collect();
            for reader in 0..2 {
                scope.spawn(move || {
                    let mut numbers = Numbers(100 + reader);
                    let mut seen = vec![CommitId(0); PAGES as usize + 1];
                    let mut raw = Vec::new();
                    while running.load(Ordering::Relaxed) {
                        let page = all[numbers.below(PAGES.into()) as usize];
                        let commit = file.read_page(page, &mut raw).unwrap().unwrap();
                        assert!(raw == image(page, commit), "page {page} at commit {commit}");
                        let last = &mut seen[page.0 as usize];
                        assert!(commit >= *last, "page {page} went back from {last} to {commit}");
                        *last = commit;
                        reads.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            scope.spawn(move || {
                let mut generation = 0;
                while running.load(Ordering::Relaxed) {
                    generation += 1;
                    checkpoint(file, CommitId(generation)).unwrap();
                    if generation % 8 == 0 {
                        verified(file).unwrap();
                    }
                    std::thread::yield_now();
                }
            });
            for writer in writers {
                writer.join().unwrap();
            }
            while reads.load(Ordering::Relaxed) < 1000 {
                std::thread::yield_now();
            }
            running.store(false, Ordering::Relaxed);
        });
        checkpoint(&file, CommitId(1 << 40)).unwrap();
        assert_eq!(verified(&file).unwrap(), PAGES.into());
        let before = contents(&file).unwrap();
        drop(file);
        assert_contents(&reopen(&vfs).unwrap(), &before);
    }
}

#[test]
fn page_numbers_are_handed_out_once_beside_checkpoints_that_free_them() {
    let vfs = MemoryVfs::default();
    let file = create_with(&vfs, Codec::None);
    let commit = AtomicU64::new(1);
    let running = AtomicBool::new(true);
    let owned = std::thread::scope(|scope| {
        let (file, commit, running) = (&file, &commit, &running);
        let workers: Vec<_> = (0..2)
            .map(|seed| {
                scope.spawn(move || {
                    let mut numbers = Numbers(seed);
                    let mut owned = Model::new();
                    for _ in 0..1500 {
                        let now = CommitId(commit.fetch_add(1, Ordering::SeqCst));
                        if numbers.below(3) > 0 || owned.is_empty() {
                            let page = file.allocate_page().unwrap();
                            assert!(!owned.contains_key(&page), "page {page} was handed out twice");
                            write(file, now, &[page], &mut owned).unwrap();
                        } else {
                            let nth = numbers.below(owned.len() as u64) as usize;
                            let page = *owned.keys().nth(nth).unwrap();
                            owned.remove(&page);
                            assert!(file.free_page(page, now));
                        }
                    }
                    owned
                })
            })
            .collect();
        scope.spawn(move || {
            while running.load(Ordering::Relaxed) {
                checkpoint(file, CommitId(commit.load(Ordering::SeqCst))).unwrap();
                std::thread::yield_now();
            }
        });
        let owned: Vec<Model> = workers.into_iter().map(|worker| worker.join().unwrap()).collect();
        running.store(false, Ordering::Relaxed);
        owned
    });
    checkpoint(&file, CommitId(1 << 40)).unwrap();
    let mut model = Model::new();
    for part in owned {
        for (page, image) in part {
            assert!(model.insert(page, image).is_none(), "page {page} has two owners");
        }
    }
    assert_contents(&file, &model);
    verified(&file).unwrap();
    assert_eq!(file.stats().used_pages as usize, model.len());
    assert_contents(&reopen(&vfs).unwrap(), &model);
}
