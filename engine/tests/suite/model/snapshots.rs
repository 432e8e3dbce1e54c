//! Snapshots: many at once, held over commits, checkpoints and drops, moved on, or taken of an older commit.

use std::sync::Arc;

use engine::{CommitId, Error, Snapshot};
use rand::RngExt;

use super::reads::{Query, assert_same_rows};
use super::rules::{DROPPED_TABLES_ARE_TYPED, says_dropped};
use super::world::{Access, Handle, View, World};
use crate::ordered::short;

/// More than fit in the first chunk of the engine's slots.
const HELD_MAX: usize = 90;

pub(super) struct Held<'env> {
    pub(super) snapshot: Snapshot<'env>,
    view: View,
    /// Taken of an older commit: some versions may be gone.
    is_late: bool,
}

impl<'env> World<'_, 'env> {
    pub(super) fn snapshot_step(&mut self) {
        match self.rng.random_range(0..100) {
            0..10 => self.take_snapshot(),
            10 => {
                while self.snapshots.len() < HELD_MAX {
                    self.take_snapshot();
                }
            }
            11..17 => self.end_snapshots(),
            17..22 => self.refresh(),
            22..30 => self.read_by_closure(),
            _ => self.read_snapshot(),
        }
    }

    fn visible(&self) -> View {
        View {
            no: self.oracle.visible_no,
            state: Arc::clone(&self.oracle.visible),
            born: self.oracle.visible_no,
        }
    }

    fn take_snapshot(&mut self) {
        if self.snapshots.len() == HELD_MAX {
            return;
        }
        let snapshot = self.db.snapshot();
        let view = self.visible();
        let at = self.oracle.at(snapshot.commit_id()).map(|(no, _)| no);
        assert_eq!(at, Some(view.no), "a snapshot is of the newest visible commit");
        self.note(format!("a snapshot of commit {}", snapshot.commit_id()));
        self.snapshots.push(Held {
            snapshot,
            view,
            is_late: false,
        });
        self.reached.snapshots_at_once = self.reached.snapshots_at_once.max(self.snapshots.len() as u64);
    }

    fn end_snapshots(&mut self) {
        let many = if self.chance(4) { self.snapshots.len() } else { 1 };
        for _ in 0..many.min(self.snapshots.len()) {
            let at = self.any(self.snapshots.len());
            let ended = self.snapshots.swap_remove(at);
            self.note(format!(
                "the snapshot of commit {} ends",
                ended.snapshot.commit_id()
            ));
        }
    }

    fn refresh(&mut self) {
        let at = self.any(self.snapshots.len());
        let view = self.visible();
        if let Some(held) = self.snapshots.get_mut(at) {
            let before = held.snapshot.commit_id();
            held.snapshot.refresh();
            let now = held.snapshot.commit_id();
            assert!(now >= before);
            assert_eq!(self.oracle.at(now).map(|(no, _)| no), Some(view.no));
            held.view = view;
            held.is_late = false;
            self.note(format!("the snapshot of commit {before} moves on to {now}"));
        }
    }

    fn read_by_closure(&mut self) {
        let Some(handle) = self.handle().filter(|handle| handle.dropped.is_none()) else {
            return;
        };
        let key = self.key();
        let expected = self.oracle.visible.row(handle.no, &key);
        let found = self.db.read(|snapshot| snapshot.get(handle.table, &key)).unwrap();
        assert!(found.as_ref() == expected, "row {} by a closure", short(&key));
        let answer = self
            .db
            .read(|_| Err::<(), _>(Error::CacheExhausted { frames: 7 }));
        assert!(
            matches!(answer, Err(Error::CacheExhausted { frames: 7 })),
            "{answer:?}"
        );
    }

    fn read_snapshot(&mut self) {
        let Some(handle) = self.handle() else { return };
        let at = self.any(self.snapshots.len());
        if at < self.snapshots.len() {
            let held = self.snapshots.swap_remove(at);
            if self.rng.random() {
                self.get_of(&held, &handle)
            } else {
                self.scan_of(&held, &handle)
            }
            self.snapshots.push(held);
        }
    }

    /// Whether an answer should be the table's rows; looks at the answer where it should not.
    fn is_of_rows<T: std::fmt::Debug>(
        &self,
        held: &Held<'_>,
        handle: &Handle,
        answer: &Result<T, Error>,
    ) -> bool {
        let is_dropped = || answer.as_ref().is_err_and(says_dropped);
        match self.access(Some(&held.view), handle) {
            Access::Rows | Access::NotYet => true,
            Access::Unsure => DROPPED_TABLES_ARE_TYPED && !is_dropped(),
            Access::Gone => {
                assert!(
                    !DROPPED_TABLES_ARE_TYPED || is_dropped(),
                    "{answer:?} from a dropped table"
                );
                false
            }
        }
    }

    fn get_of(&mut self, held: &Held<'_>, handle: &Handle) {
        let key = self.key();
        let commit = held.snapshot.commit_id();
        self.note(format!(
            "the snapshot of commit {commit} gets {} of {}",
            short(&key),
            handle.name
        ));
        let answer = if self.rng.random() {
            held.snapshot.get(handle.table, &key)
        } else {
            let mut value = b"what the buffer held before".to_vec();
            let found = held.snapshot.get_into(handle.table, &key, &mut value);
            assert!(
                !matches!(found, Ok(false)) || value.is_empty(),
                "a row that is absent left a value"
            );
            found.map(|found| found.then_some(value))
        };
        if !self.is_of_rows(held, handle, &answer) {
            return;
        }
        match answer {
            Ok(found) => {
                let expected = held.view.state.row(handle.no, &key);
                assert!(
                    found.as_ref() == expected,
                    "row {} of commit {commit}",
                    short(&key)
                );
            }
            Err(error) => {
                // So many versions of the row are newer that its own need not be there any more.
                let newer = self.oracle.changes_since(handle.no, &key, held.view.no);
                let may_be_gone = held.is_late && newer >= self.keep_least;
                let is_allowed =
                    self.is_too_old(&error) || may_be_gone && matches!(error, Error::SnapshotTooOld { .. });
                assert!(
                    is_allowed,
                    "{error:?} for a row that has changed {newer} times since"
                );
                self.reached.too_old += 1;
            }
        }
    }

    fn scan_of(&mut self, held: &Held<'_>, handle: &Handle) {
        let query = Query::draw(&mut self.rng, self.plan.keys, self.plan.page_size / 8);
        let commit = held.snapshot.commit_id();
        let what = format!(
            "the snapshot of commit {commit} scans {} from {}",
            handle.name,
            query.shown()
        );
        self.note(what.clone());
        let scan = if query.is_reverse {
            held.snapshot.scan_rev(handle.table, query.bounds())
        } else {
            held.snapshot.scan(handle.table, query.bounds())
        };
        let answer = scan.and_then(|scan| query.read(scan));
        if !self.is_of_rows(held, handle, &answer) {
            return;
        }
        match answer {
            Ok(found) => {
                self.reached.scans += 1;
                let rows = held
                    .view
                    .state
                    .tables
                    .get(&handle.no)
                    .cloned()
                    .unwrap_or_default();
                assert_same_rows(&found, query.of(&rows), &what);
            }
            Err(error) => {
                let is_allowed = held.is_late && matches!(error, Error::SnapshotTooOld { .. });
                assert!(is_allowed || self.is_too_old(&error), "{error:?}");
                self.reached.too_old += 1;
            }
        }
    }

    /// A snapshot of some commit, which may be gone, or not have happened.
    pub(super) fn begin_at(&mut self) {
        let visible = self.db.snapshot().commit_id();
        let back = if self.chance(3) { 100 } else { 10 };
        let asked = CommitId((visible.0 + 2).saturating_sub(self.rng.random_range(0..back)));
        let held = self.snapshots.iter().map(|held| held.snapshot.commit_id());
        let held = held.min().unwrap_or(visible);
        // Without kept versions, collection forgets everything that no snapshot needs.
        let forgotten = if self.keep > 1 {
            self.forgotten
        } else {
            self.forgotten.max(held)
        };
        self.note(format!(
            "a snapshot of the older commit {asked}, forgotten before {forgotten}"
        ));
        match self.db.begin_at(asked) {
            Ok(snapshot) => {
                assert_eq!(snapshot.commit_id(), asked);
                assert!(
                    asked <= visible && asked >= self.oracle.first_commit,
                    "{asked} can be begun"
                );
                if let Some((no, state)) = self.oracle.at(asked)
                    && self.snapshots.len() < HELD_MAX
                {
                    let view = View {
                        no,
                        state,
                        born: self.oracle.visible_no,
                    };
                    self.snapshots.push(Held {
                        snapshot,
                        view,
                        is_late: true,
                    });
                    self.reached.older_snapshots += u64::from(no < self.oracle.visible_no);
                }
            }
            Err(Error::NotYetVisible { asked: what, newest }) => {
                assert!(what == asked && newest == visible && asked > visible);
            }
            Err(error @ Error::SnapshotTooOld { .. }) => {
                assert!(asked < forgotten || self.is_too_old(&error), "{error:?}");
                self.reached.too_old += 1;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}
