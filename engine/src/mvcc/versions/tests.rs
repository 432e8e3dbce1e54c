use std::sync::atomic::{AtomicBool, AtomicUsize};

use super::*;
use crate::ids::PageNumber;

const T: TableId = TableId(1);

/// Lets the other thread go on when this one has failed.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

fn store(budget: usize, keep_versions: usize) -> VersionStore {
    VersionStore::new(CommitId(0), budget, keep_versions, 4096)
}

fn was(value: &[u8]) -> (Lookup, Vec<u8>) {
    (Lookup::Was, value.to_vec())
}

impl VersionStore {
    fn put(&self, key: &[u8], commit: u64, before: Option<&[u8]>) {
        let before = before.map_or(Before::Absent, Before::Short);
        self.record(T, key, CommitId(commit), before);
    }

    fn read(&self, key: &[u8], snapshot: u64) -> (Lookup, Vec<u8>) {
        let mut out = Vec::new();
        (self.lookup(T, key, CommitId(snapshot), &mut out), out)
    }

    fn collect_all(&self, horizon: u64) -> usize {
        let mut all = 0;
        loop {
            let collected = self.collect(CommitId(horizon));
            all += collected.dropped;
            if !collected.has_more {
                return all;
            }
        }
    }
}

#[test]
fn what_a_commit_that_was_given_up_recorded_conflicts_with_nobody() {
    let store = store(1 << 20, 1);
    store.put(b"k", 3, None);
    for key in 0..1000u32 {
        store.put(&key.to_le_bytes(), 4, Some(&[7; 90]));
    }
    store.put(b"k", 4, Some(b"three"));
    store.withdraw(CommitId(4));
    assert_eq!(store.newest_change(T, b"k", CommitId(3)), None);
    assert_eq!(store.newest_change(T, b"k", CommitId(2)), Some(CommitId(3)));
    assert_eq!(store.newest_change(T, &500u32.to_le_bytes(), CommitId(3)), None);
    assert_eq!(store.read(b"k", 2).0, Lookup::WasAbsent);
    store.withdraw(CommitId(9));
    assert_eq!(store.newest_change(T, b"k", CommitId(2)), Some(CommitId(3)));
    // The next commit gets the same number.
    store.put(b"k", 4, Some(b"three"));
    assert_eq!(store.newest_change(T, b"k", CommitId(3)), Some(CommitId(4)));
    assert_eq!(store.read(b"k", 3), was(b"three"));
}

#[test]
fn a_snapshot_gets_the_state_before_the_first_change_after_it() {
    let store = store(1 << 20, 1);
    store.put(b"k", 3, None);
    store.put(b"k", 5, Some(b"three"));
    store.put(b"k", 9, Some(b"five"));
    store.put(b"other", 9, Some(b"x"));
    assert_eq!(store.read(b"k", 2).0, Lookup::WasAbsent);
    assert_eq!(store.read(b"k", 3), was(b"three"));
    assert_eq!(store.read(b"k", 4), was(b"three"));
    assert_eq!(store.read(b"k", 5), was(b"five"));
    assert_eq!(store.read(b"k", 9).0, Lookup::Unchanged);
    assert_eq!(store.read(b"none", 2).0, Lookup::Unchanged);
    assert_eq!(
        store.lookup(TableId(2), b"k", CommitId(3), &mut Vec::new()),
        Lookup::Unchanged
    );
    assert_eq!(store.newest_change(T, b"k", CommitId(4)), Some(CommitId(9)));
    assert_eq!(store.newest_change(T, b"k", CommitId(9)), None);
}

#[test]
fn a_long_value_is_its_place() {
    let store = store(1 << 20, 1);
    let chain = OverflowRef {
        len: 1 << 29,
        first: PageNumber(77),
        commit: CommitId(2),
    };
    store.record(T, b"k", CommitId(3), Before::Long(chain));
    let bytes = store.bytes();
    assert_eq!(store.read(b"k", 2), (Lookup::WasLong(chain), Vec::new()));
    assert!(bytes <= 1 << 14, "{bytes} bytes");
}

#[test]
fn every_snapshot_finds_its_version_of_every_row_however_many_there_are() {
    // As few buckets as there can be, so that rows share them; and rows of very different numbers of versions.
    let store = store(4 << 20, 1);
    let rows = 600u64;
    let key = |row: u64| [b"row", &row.to_be_bytes()[..]].concat();
    let is_changed = |row: u64, commit: u64| row == 0 || commit.is_multiple_of(row);
    let commits = 1..=300u64;
    for commit in commits.clone() {
        for row in (0..rows).filter(|row| is_changed(*row, commit)) {
            store.put(&key(row), commit, Some(&commit.to_le_bytes()));
        }
    }
    for snapshot in (0..300).step_by(7) {
        for row in 0..rows {
            let first = (snapshot + 1..=300).find(|commit| is_changed(row, *commit));
            let expected = first.map_or((Lookup::Unchanged, Vec::new()), |first| was(&first.to_le_bytes()));
            assert_eq!(
                store.read(&key(row), snapshot),
                expected,
                "row {row} at {snapshot}"
            );
        }
    }
}

#[test]
fn finding_an_old_version_takes_few_steps() {
    let store = store(64 << 20, 1);
    for commit in 1..=100_000u64 {
        store.put(b"hot", commit, None);
    }
    let hash = store.hash(T, b"hot");
    for snapshot in [0u64, 1, 17, 50_000, 99_990] {
        let mut steps = 0;
        let (mut version, _) = store.newest(hash, T, b"hot").unwrap();
        while let Some(older) = store
            .above(version.words.word(word::JUMP), CommitId(snapshot))
            .or_else(|| store.above(version.words.word(word::OLDER), CommitId(snapshot)))
        {
            version = older;
            steps += 1;
        }
        assert_eq!(version.commit(), CommitId(snapshot + 1));
        assert!(steps <= 3 * 17, "{steps} steps to {snapshot}");
    }
}

#[test]
fn collection_drops_up_to_the_horizon_and_says_so() {
    let store = store(2 << 20, 1);
    let big = [9; 1000];
    for commit in 1..=1000u64 {
        store.put(&[commit as u8 % 7], commit, Some(&big));
    }
    let dropped = store.collect_all(600);
    assert!((570..=600).contains(&dropped), "whole pieces: {dropped}");
    assert_eq!(store.floor(), CommitId(600));
    assert_eq!(store.read(&[0], 599).0, Lookup::TooOld);
    assert_eq!(store.read(&[(601 % 7) as u8], 600).0, Lookup::Was);
    assert_eq!(store.collect_all(600), 0);
    assert_eq!(store.collect_all(1000), 1000 - dropped);
    assert_eq!((store.count(), store.bytes()), (0, 0));
    assert!(!store.has_backlog());
}

#[test]
fn a_collection_is_bounded() {
    let store = store(8 << 20, 1);
    for commit in 1..=50_000u64 {
        store.put(&commit.to_le_bytes(), commit, Some(&[1; 50]));
    }
    let collected = store.collect(CommitId(50_000));
    assert!(collected.has_more && collected.dropped < 12_000, "{collected:?}");
}

#[test]
fn memory_goes_back_when_it_is_not_needed() {
    let store = store(8 << 20, 1);
    for commit in 1..=50_000u64 {
        store.put(&commit.to_le_bytes(), commit, Some(&[1; 50]));
    }
    assert!(store.ring.resident_bytes() > 4 << 20);
    store.collect_all(50_000);
    assert!(store.ring.resident_bytes() < 1 << 20);
}

#[test]
fn the_budget_holds_at_every_moment_and_the_oldest_go_even_above_the_horizon() {
    for (budget, keep) in [(1, 1), (100_000, 1), (100_000, 4)] {
        let store = store(budget, keep);
        // What a few of the longest rows take is always there.
        let most = budget.max(4 * 4096);
        for commit in 1..=1000u64 {
            for row in 0..3u64 {
                store.put(&row.to_be_bytes(), commit, Some(&commit.to_le_bytes().repeat(30)));
                assert!(store.bytes() <= most, "{} of {most} bytes", store.bytes());
            }
            if commit % 64 == 0 {
                store.collect_all(commit - 32);
                assert!(store.bytes() <= most);
            }
        }
        let floor = store.floor().0;
        assert!(floor > 0);
        assert_eq!(store.read(&1u64.to_be_bytes(), floor - 1).0, Lookup::TooOld);
        let first_kept = if keep == 1 { floor } else { 1000 - keep as u64 };
        assert_eq!(
            store.read(&1u64.to_be_bytes(), first_kept),
            was(&(first_kept + 1).to_le_bytes().repeat(30))
        );
    }
}

#[test]
fn a_commit_larger_than_the_budget_leaves_only_its_end() {
    let store = store(50_000, 1);
    for row in 0..2000u64 {
        store.put(&row.to_be_bytes(), 5, Some(&[1; 100]));
    }
    assert!(store.bytes() <= 50_000);
    assert_eq!(store.floor(), CommitId(5));
    assert_eq!(store.read(&1999u64.to_be_bytes(), 4).0, Lookup::TooOld);
    assert_eq!(store.read(&1999u64.to_be_bytes(), 5).0, Lookup::Unchanged);
    store.put(&1999u64.to_be_bytes(), 6, Some(b"five"));
    assert_eq!(store.read(&1999u64.to_be_bytes(), 5), was(b"five"));
}

#[test]
fn kept_versions_outlive_the_horizon_and_older_ones_are_known_to_be_gone() {
    let store = store(1 << 20, 3);
    for commit in 1..=10u64 {
        store.put(b"k", commit, Some(&[commit as u8]));
    }
    store.put(b"rare", 10, Some(b"r"));
    let _ = store.collect_all(10);
    assert_eq!((store.ring.versions(), store.count()), (0, 3));
    assert_eq!(store.floor(), CommitId(0));
    assert_eq!(store.read(b"k", 9), was(&[10]));
    assert_eq!(store.read(b"k", 8), was(&[9]));
    assert_eq!(store.read(b"k", 7).0, Lookup::TooOld);
    assert_eq!(store.read(b"rare", 1), was(b"r"));
    assert_eq!(store.read(b"none", 1).0, Lookup::Unchanged);
    // Part of the row in the ring again.
    store.put(b"k", 11, Some(&[11]));
    assert_eq!(store.read(b"k", 10), was(&[11]));
    assert_eq!(store.read(b"k", 9), was(&[10]));
    store.set_keep_versions(1);
    let _ = store.collect_all(8);
    assert_eq!(store.read(b"k", 8), was(&[9]));
    let _ = store.collect_all(11);
    assert_eq!(store.count(), 0);
    assert_eq!(store.read(b"k", 9).0, Lookup::TooOld);
}

#[test]
fn keeping_fewer_versions_drops_those_that_were_kept() {
    let store = store(1 << 20, 5);
    for commit in 1..=10u64 {
        store.put(b"k", commit, Some(&[commit as u8]));
    }
    let _ = store.collect_all(10);
    assert_eq!(store.count(), 4);
    store.set_keep_versions(2);
    let _ = store.collect_all(6);
    assert_eq!(store.count(), 4, "a snapshot of commit 6 needs them");
    assert_eq!(store.read(b"k", 6), was(&[7]));
    let _ = store.collect_all(10);
    assert_eq!(store.count(), 1);
    assert_eq!(store.read(b"k", 9), was(&[10]));
    assert_eq!(store.read(b"k", 8).0, Lookup::TooOld);
}

#[test]
fn what_is_kept_does_not_grow_with_what_has_gone() {
    let store = store(1 << 20, 2);
    for commit in 1..=10_000u64 {
        store.put(&[commit as u8 % 4], commit, Some(b"v"));
        let _ = store.collect_all(commit);
    }
    assert_eq!(store.count(), 4);
    assert!(store.history.remembered() < 2000);
    assert_eq!(store.read(&[3], 9997).0, Lookup::Was);
}

#[test]
fn readers_beside_the_applier_see_the_right_version_or_too_old() {
    for keep in [1, 3] {
        let store = store(40_000, keep);
        // In one bucket, so that each recording moves a row past the others.
        let bucket = |key: &Vec<u8>| std::ptr::from_ref(store.bucket(store.hash(T, key)));
        let first = 0u64.to_le_bytes().to_vec();
        let keys: Vec<_> = (0u64..)
            .map(|n| n.to_le_bytes().to_vec())
            .filter(|key| bucket(key) == bucket(&first))
            .take(3)
            .collect();
        let (done, reads) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for commit in 1..=50_000u64 {
                    let before = (commit - 1).to_le_bytes();
                    store.put(&keys[commit as usize % 3], commit, Some(&before));
                    if commit % 100 == 0 {
                        let _ = store.collect(CommitId(commit - 50));
                        // The reader comes along.
                        let read = reads.load(SeqCst);
                        while reads.load(SeqCst) == read && !is_over.load(SeqCst) {
                            std::thread::yield_now();
                        }
                    }
                    done.store(commit as usize, SeqCst);
                }
            });
            let _over = Over(&is_over);
            let mut seen = 0;
            loop {
                let now = done.load(SeqCst) as u64;
                let snapshot = now.saturating_sub(20);
                let (lookup, out) = store.read(&keys[1], snapshot);
                let first = (snapshot + 1..).find(|c| c % 3 == 1).unwrap();
                match lookup {
                    Lookup::Was => assert_eq!(out, (first - 1).to_le_bytes()),
                    Lookup::Unchanged => assert!(first > now),
                    Lookup::TooOld => {}
                    other => panic!("no version says {other:?}"),
                }
                seen += usize::from(lookup == Lookup::Was);
                reads.fetch_add(1, SeqCst);
                if now == 50_000 {
                    break;
                }
            }
            assert!(seen > 0);
        });
    }
}
