use super::*;

const T: TableId = TableId(1);

fn read(store: &VersionStore, key: &[u8], snapshot: u64) -> (Lookup, Vec<u8>) {
    let mut out = Vec::new();
    (store.lookup(T, key, CommitId(snapshot), &mut out), out)
}

#[test]
fn what_a_commit_that_was_given_up_recorded_is_taken_back() {
    let store = VersionStore::new(CommitId(0), 1 << 20, 1);
    store.record(T, b"k", CommitId(3), None, false);
    let (count, bytes) = (store.count(), store.bytes());
    for key in 0..100u32 {
        store.record(T, &key.to_le_bytes(), CommitId(4), Some(b"x"), false);
    }
    store.record(T, b"k", CommitId(4), Some(b"three"), true);
    store.withdraw(CommitId(4));
    assert_eq!((store.count(), store.bytes()), (count, bytes));
    assert_eq!(store.newest_change(T, b"k", CommitId(3)), None);
    assert_eq!(read(&store, b"k", 2).0, Lookup::WasAbsent);
    store.record(T, b"k", CommitId(4), Some(b"again"), false);
    assert_eq!(read(&store, b"k", 3), (Lookup::Was, b"again".to_vec()));
}

#[test]
fn a_snapshot_gets_the_state_before_the_first_change_after_it() {
    let store = VersionStore::new(CommitId(0), 1 << 20, 1);
    store.record(T, b"k", CommitId(3), None, false);
    store.record(T, b"k", CommitId(5), Some(b"three"), false);
    store.record(T, b"k", CommitId(9), Some(b"five"), false);
    store.record(T, b"other", CommitId(9), Some(b"x"), false);
    assert_eq!(read(&store, b"k", 2).0, Lookup::WasAbsent);
    assert_eq!(read(&store, b"k", 3), (Lookup::Was, b"three".to_vec()));
    assert_eq!(read(&store, b"k", 4), (Lookup::Was, b"three".to_vec()));
    assert_eq!(read(&store, b"k", 5), (Lookup::Was, b"five".to_vec()));
    assert_eq!(read(&store, b"k", 9).0, Lookup::Unchanged);
    assert_eq!(read(&store, b"none", 2).0, Lookup::Unchanged);
    assert_eq!(
        store.lookup(TableId(2), b"k", CommitId(3), &mut Vec::new()),
        Lookup::Unchanged
    );
    assert_eq!(store.newest_change(T, b"k", CommitId(4)), Some(CommitId(9)));
    assert_eq!(store.newest_change(T, b"k", CommitId(9)), None);
}

#[test]
fn collection_drops_up_to_the_horizon_and_says_so() {
    let store = VersionStore::new(CommitId(0), 1 << 20, 1);
    for commit in 1..=100u64 {
        store.record(
            T,
            &[commit as u8 % 7],
            CommitId(commit),
            Some(b"v"),
            commit % 10 == 0,
        );
    }
    let mut ghosts = Vec::new();
    assert_eq!(store.collect(CommitId(60), &mut ghosts), 60);
    assert_eq!((store.count(), store.floor()), (40, CommitId(60)));
    assert!(ghosts.contains(&Reclaimed {
        table: T,
        key: vec![10 % 7]
    }));
    assert_eq!(read(&store, &[0], 59).0, Lookup::TooOld);
    assert_eq!(read(&store, &[61 % 7], 60).0, Lookup::Was);
    assert_eq!(store.collect(CommitId(100), &mut ghosts), 40);
    assert_eq!((store.count(), store.bytes()), (0, 0));
}

#[test]
fn kept_versions_outlive_the_horizon_and_older_ones_are_known_to_be_gone() {
    let store = VersionStore::new(CommitId(0), 1 << 20, 3);
    for commit in 1..=10u64 {
        store.record(T, b"k", CommitId(commit), Some(&[commit as u8]), false);
    }
    store.record(T, b"rare", CommitId(2), Some(b"r"), false);
    let _ = store.collect(CommitId(10), &mut Vec::new());
    assert_eq!(store.floor(), CommitId(0));
    assert_eq!(read(&store, b"k", 9), (Lookup::Was, vec![10]));
    assert_eq!(read(&store, b"k", 8), (Lookup::Was, vec![9]));
    assert_eq!(read(&store, b"k", 7).0, Lookup::TooOld);
    store.set_keep_versions(1);
    let _ = store.collect(CommitId(10), &mut Vec::new());
    assert_eq!(store.count(), 0);
    assert_eq!(read(&store, b"k", 9).0, Lookup::TooOld);
}

#[test]
fn keeping_fewer_versions_drops_those_that_were_kept() {
    let store = VersionStore::new(CommitId(0), 1 << 20, 5);
    for commit in 1..=10u64 {
        store.record(T, b"k", CommitId(commit), Some(&[commit as u8]), false);
    }
    let _ = store.collect(CommitId(10), &mut Vec::new());
    assert_eq!(store.count(), 4);
    store.set_keep_versions(2);
    let _ = store.collect(CommitId(10), &mut Vec::new());
    assert_eq!(store.count(), 1);
    assert_eq!(read(&store, b"k", 9), (Lookup::Was, vec![10]));
    assert_eq!(read(&store, b"k", 8).0, Lookup::TooOld);
}

#[test]
fn entries_of_pruned_versions_do_not_pile_up() {
    let store = VersionStore::new(CommitId(0), 1 << 20, 2);
    for commit in 1..=10_000u64 {
        store.record(T, &[commit as u8 % 4], CommitId(commit), Some(b"v"), false);
        let _ = store.collect(CommitId(commit), &mut Vec::new());
    }
    assert_eq!(store.count(), 4);
    assert!(store.queue.lock().kept.len() < 2000);
    assert_eq!(read(&store, &[3], 9997).0, Lookup::Was);
}

#[test]
fn every_ghost_is_reclaimed_when_rows_of_one_commit_share_a_bucket() {
    // As few buckets as there can be, so that they are shared.
    let store = VersionStore::new(CommitId(0), 1, 1);
    for key in 0..2000u64 {
        store.record(T, &key.to_be_bytes(), CommitId(1), Some(b"v"), key % 2 == 0);
    }
    let mut ghosts = Vec::new();
    let _ = store.collect(CommitId(1), &mut ghosts);
    assert_eq!(ghosts.len(), 1000);
}

#[test]
fn a_passed_budget_drops_the_oldest_even_above_the_horizon() {
    let store = VersionStore::new(CommitId(0), 10_000, 1);
    for commit in 1..=100u64 {
        store.record(T, &commit.to_be_bytes(), CommitId(commit), Some(&[0; 100]), false);
    }
    let _ = store.collect(CommitId(0), &mut Vec::new());
    assert!(store.bytes() <= 10_000);
    assert!(store.floor() > CommitId(0));
    assert_eq!(read(&store, &1u64.to_be_bytes(), 0).0, Lookup::TooOld);
    let newest = 100u64.to_be_bytes();
    assert_eq!(read(&store, &newest, 99).0, Lookup::Was);
}

#[test]
fn a_long_chain_is_dropped_without_recursion() {
    let store = VersionStore::new(CommitId(0), 1 << 30, 1);
    for commit in 1..=200_000u64 {
        store.record(T, b"hot", CommitId(commit), None, false);
    }
    let _ = store.collect(CommitId(200_000), &mut Vec::new());
    assert_eq!(store.count(), 0);
}

#[test]
fn readers_beside_the_applier_see_the_right_version_or_too_old() {
    let store = VersionStore::new(CommitId(0), 1 << 30, 1);
    let done = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for commit in 1..=20_000u64 {
                let before = (commit - 1).to_le_bytes();
                store.record(T, &[(commit % 3) as u8], CommitId(commit), Some(&before), false);
                if commit % 100 == 0 {
                    let _ = store.collect(CommitId(commit - 50), &mut Vec::new());
                }
                done.store(commit as usize, SeqCst);
            }
        });
        for _ in 0..50_000 {
            let now = done.load(SeqCst) as u64;
            let snapshot = now.saturating_sub(20);
            let (lookup, out) = read(&store, &[1], snapshot);
            let first = (snapshot + 1..).find(|c| c % 3 == 1).unwrap();
            match lookup {
                Lookup::Was => assert_eq!(out, (first - 1).to_le_bytes()),
                Lookup::Unchanged => assert!(first > now),
                Lookup::TooOld => {}
                Lookup::WasAbsent => panic!("no version says so"),
            }
            if now == 20_000 {
                break;
            }
        }
    });
}
