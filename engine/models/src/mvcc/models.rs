//! Models of the snapshot registry: `engine/src/mvcc/registry.rs`.
//!
//! What has to be true is one thing: a snapshot that stays registered is not below any horizon. It rests on sequentially
//! consistent accesses, so all are explored with both ways of making them.

use std::mem::forget;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Release};

use super::SnapshotRegistry;
use crate::check::{Explored, Sometimes, explore};
use crate::ids::CommitId;
use crate::sync::Sequential::{FenceAfter, FenceBefore};
use crate::sync::atomic::AtomicBool;
use crate::sync::thread::spawn;

/// Commit 1 is visible, and slot 0 was in use before, so that there are slots.
fn registry() -> Arc<SnapshotRegistry> {
    let registry = Arc::new(SnapshotRegistry::new(CommitId(1)));
    drop(registry.begin());
    registry
}

/// Runs in a thread of its own, which looks for a free slot from `slot` on.
fn aside<T: 'static>(
    registry: &Arc<SnapshotRegistry>,
    slot: usize,
    f: impl FnOnce(&SnapshotRegistry) -> T + 'static,
) -> crate::sync::thread::JoinHandle<T> {
    let registry = Arc::clone(registry);
    spawn(slot, move || f(&registry))
}

/// A snapshot that stays.
fn begin(registry: &SnapshotRegistry) -> CommitId {
    let (slot, commit) = registry.begin();
    forget(slot);
    commit
}

fn both_ways(bound: Option<usize>, model: impl Fn() + Send + Sync + Clone + 'static) -> [Explored; 2] {
    [FenceBefore, FenceAfter].map(|sequential| explore(bound, sequential, model.clone()))
}

/// A snapshot begins, in slot `slot`, while a commit is published, by a thread of its own or by the one that computes the
/// horizon.
fn begins(slot: usize, is_published_apart: bool, bound: Option<usize>) -> [Explored; 2] {
    let (old, new) = (Sometimes::default(), Sometimes::default());
    let marks = (old.clone(), new.clone());
    let explored = both_ways(bound, move || {
        let registry = registry();
        let publish = |registry: &SnapshotRegistry| registry.publish(CommitId(2));
        let publisher = is_published_apart.then(|| aside(&registry, 0, publish));
        let reader = aside(&registry, slot, begin);
        if publisher.is_none() {
            publish(&registry);
        }
        let horizon = registry.horizon();
        let commit = reader.join().expect("a thread that ends");
        if let Some(publisher) = publisher {
            publisher.join().expect("a thread that ends");
        }
        marks.0.mark_if(commit == CommitId(1));
        marks.1.mark_if(horizon == CommitId(2));
        assert!(
            commit >= horizon,
            "a snapshot of commit {commit} is below the horizon {horizon}"
        );
        assert_eq!(registry.horizon(), commit);
    });
    old.expect("the snapshot is older");
    new.expect("the horizon is newer");
    explored
}

/// The slot is one that was taken before.
#[must_use]
pub fn a_snapshot_begins() -> [Explored; 2] {
    begins(0, false, Some(5))
}

/// The slot lies above all that were ever taken.
#[must_use]
pub fn a_snapshot_begins_in_a_new_slot() -> [Explored; 2] {
    begins(1, false, Some(5))
}

/// A third thread publishes.
#[must_use]
pub fn a_snapshot_begins_beside_a_commit() -> [Explored; 2] {
    begins(0, true, Some(3))
}

/// A third thread publishes, and the slot lies above all that were ever taken.
#[must_use]
pub fn a_snapshot_begins_in_a_new_slot_beside_a_commit() -> [Explored; 2] {
    begins(1, true, Some(3))
}

/// Two snapshots want one slot.
#[must_use]
pub fn two_snapshots_begin_in_one_slot() -> [Explored; 2] {
    both_ways(Some(2), || {
        let registry = registry();
        let readers = [0, 0].map(|slot| aside(&registry, slot, begin));
        registry.publish(CommitId(2));
        let horizon = registry.horizon();
        let commits = readers.map(|reader| reader.join().expect("a thread that ends"));
        assert!(
            commits.iter().all(|&commit| commit >= horizon),
            "of {commits:?} one is below the horizon {horizon}"
        );
        assert_eq!(registry.open_snapshots(), 2, "two snapshots in one slot");
        assert_eq!(Some(registry.horizon()), commits.into_iter().min());
    })
}

/// A snapshot is moved to the newest commit, parked in between or not, while a commit is published, by a thread of its own
/// or by the one that computes the horizon.
fn moves(is_parked: bool, is_published_apart: bool, bound: Option<usize>) -> [Explored; 2] {
    let passed = Sometimes::default();
    let mark = passed.clone();
    let explored = both_ways(bound, move || {
        let registry = registry();
        let (slot, before) = registry.begin();
        let publish = |registry: &SnapshotRegistry| registry.publish(CommitId(2));
        let publisher = is_published_apart.then(|| aside(&registry, 0, publish));
        let collector = aside(&registry, 0, move |registry| {
            if !is_published_apart {
                publish(registry);
            }
            registry.horizon()
        });
        if is_parked {
            slot.park();
        }
        let after = slot.refresh();
        let horizon = collector.join().expect("a thread that ends");
        if let Some(publisher) = publisher {
            publisher.join().expect("a thread that ends");
        }
        forget(slot);
        mark.mark_if(horizon > before);
        assert!(after >= before, "a snapshot went back");
        assert!(
            after >= horizon,
            "a snapshot of commit {after} is below the horizon {horizon}"
        );
        assert_eq!(registry.horizon(), after);
    });
    passed.expect("the horizon has passed what the snapshot was before");
    explored
}

/// A snapshot that held a commit is moved.
#[must_use]
pub fn a_snapshot_is_refreshed() -> [Explored; 2] {
    moves(false, false, None)
}

/// A snapshot that held nothing is moved.
#[must_use]
pub fn a_parked_snapshot_is_refreshed() -> [Explored; 2] {
    moves(true, false, Some(5))
}

/// A snapshot that held a commit is moved while a third thread publishes.
#[must_use]
pub fn a_snapshot_is_refreshed_beside_a_commit() -> [Explored; 2] {
    moves(false, true, Some(3))
}

/// A snapshot that held nothing is moved while a third thread publishes.
#[must_use]
pub fn a_parked_snapshot_is_refreshed_beside_a_commit() -> [Explored; 2] {
    moves(true, true, Some(3))
}

/// A snapshot is given up while another begins, which may get its slot.
#[must_use]
pub fn a_slot_changes_hands() -> [Explored; 2] {
    let given_on = Sometimes::default();
    let mark = given_on.clone();
    let explored = both_ways(Some(2), move || {
        let registry = registry();
        let first = aside(&registry, 0, |registry| drop(registry.begin()));
        let second = aside(&registry, 0, |registry| {
            (begin(registry), registry.open_snapshots())
        });
        registry.publish(CommitId(2));
        let horizon = registry.horizon();
        first.join().expect("a thread that ends");
        let (commit, open) = second.join().expect("a thread that ends");
        mark.mark_if(open == 1);
        assert!(
            commit >= horizon,
            "a snapshot of commit {commit} is below the horizon {horizon}"
        );
        assert_eq!(registry.open_snapshots(), 1);
    });
    given_on.expect("one was open after two had begun");
    explored
}

/// What a snapshot reads is there until it is given up or parked: who finds the horizon past it may overwrite that, and the
/// reads came before. Loom sees it if nothing orders them.
#[must_use]
pub fn what_a_snapshot_reads_is_kept() -> [Explored; 2] {
    let overwritten = Sometimes::default();
    let mark = overwritten.clone();
    let explored = both_ways(Some(2), move || {
        let registry = registry();
        let version = Rc::new(loom::cell::Cell::new(1));
        let readers = [false, true].map(|is_parked| {
            let version = Rc::clone(&version);
            aside(&registry, usize::from(is_parked), move |registry| {
                let (slot, commit) = registry.begin();
                let is_kept = commit > CommitId(1) || version.get() == 1;
                if is_parked {
                    slot.park();
                    forget(slot);
                } else {
                    drop(slot);
                }
                assert!(is_kept, "a version was overwritten that a snapshot reads");
            })
        });
        registry.publish(CommitId(2));
        if registry.horizon() == CommitId(2) {
            version.set(2);
            mark.mark_if(true);
        }
        for reader in readers {
            reader.join().expect("a thread that ends");
        }
    });
    overwritten.expect("the version was overwritten");
    explored
}

/// A horizon that is computed after an older snapshot has begun does not pass it.
#[must_use]
pub fn an_older_snapshot_begins() -> [Explored; 2] {
    let seen = Sometimes::default();
    let mark = seen.clone();
    let explored = both_ways(Some(3), move || {
        let registry = registry();
        registry.publish(CommitId(2));
        let has_begun = Arc::new(AtomicBool::new(false));
        let reader = aside(&registry, 1, {
            let has_begun = Arc::clone(&has_begun);
            move |registry| {
                forget(registry.begin_at(CommitId(1)));
                has_begun.store(true, Release);
            }
        });
        let other = aside(&registry, 0, |registry| registry.publish(CommitId(3)));
        let is_after = has_begun.load(Acquire);
        let horizon = registry.horizon();
        mark.mark_if(is_after);
        assert!(
            !is_after || horizon == CommitId(1),
            "the horizon {horizon} has passed a snapshot"
        );
        reader.join().expect("a thread that ends");
        other.join().expect("a thread that ends");
        assert_eq!(registry.horizon(), CommitId(1));
    });
    seen.expect("the snapshot had begun");
    explored
}
