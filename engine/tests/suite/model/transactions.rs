//! Transactions: up to three open at once, with savepoints, rows that others have locked, and tables that get dropped.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use engine::{Durability, Error, IsolationLevel, Savepoint, Transaction, TxOptions};
use rand::RngExt;

use super::keys;
use super::oracle::{Own, RowName, State, StateNo, TableNo};
use super::reads::{OwnedRow, Query, assert_same_rows};
use super::rules::{DROPPED_TABLES_ARE_TYPED, READS_DO_NOT_GO_BACK, says_dropped};
use super::world::{Access, Handle, View, World};
use crate::ordered::{Rows, short};

const OPEN_MAX: usize = 3;
const SAVEPOINTS_MAX: usize = 8;

pub(super) struct Tx<'env> {
    pub(super) tx: Transaction<'env>,
    pub(super) number: u64,
    pub(super) durability: Durability,
    /// What it sees under SNAPSHOT.
    view: Option<View>,
    pub(super) own: Own,
    /// Tables that it has put rows into, even if it took that back.
    touched: BTreeSet<TableNo>,
    savepoints: Vec<(Savepoint, Own)>,
    /// Savepoints that it has gone back behind.
    gone: Vec<Savepoint>,
    /// The newest state in which it can have seen each row.
    seen: HashMap<RowName, StateNo>,
    /// It has tried to change a dropped table: whether that locked a row is left open.
    pub(super) has_unknown_locks: bool,
}

impl Tx<'_> {
    fn own(&self, table: TableNo, key: &[u8]) -> Option<Option<&Vec<u8>>> {
        Some(self.own.get(&table)?.get(key)?.as_ref())
    }

    fn set(&mut self, table: TableNo, key: &[u8], value: Option<Vec<u8>>) {
        self.touched.insert(table);
        self.own.entry(table).or_default().insert(key.to_vec(), value);
    }

    pub(super) fn holds_snapshot(&self) -> bool {
        self.view.is_some()
    }

    /// Whether it has put rows into a table that is not there now, even if it took them back.
    pub(super) fn touches_dropped(&self, now: &State) -> bool {
        self.touched.iter().any(|table| !now.tables.contains_key(table))
    }

    pub(super) fn puts_something(&self) -> bool {
        self.own
            .values()
            .any(|writes| writes.values().any(Option::is_some))
    }

    /// The rows that it sees of a table where others have these.
    fn over(&self, table: TableNo, rows: Option<&Arc<Rows>>) -> Arc<Rows> {
        let mut rows = rows.cloned().unwrap_or_default();
        if let Some(own) = self.own.get(&table).filter(|own| !own.is_empty()) {
            let rows = Arc::make_mut(&mut rows);
            for (key, value) in own {
                match value {
                    Some(value) => rows.insert(key.clone(), value.clone()),
                    None => rows.remove(key),
                };
            }
        }
        rows
    }
}

impl<'env> World<'_, 'env> {
    pub(super) fn transaction_step(&mut self) {
        if self.transactions.len() < OPEN_MAX && (self.transactions.is_empty() || self.chance(15)) {
            self.begin();
        }
        let at = self.any(self.transactions.len());
        let mut tx = self.transactions.swap_remove(at);
        match self.rng.random_range(0..100) {
            0..30 => self.put(&mut tx),
            30..42 => self.delete(&mut tx),
            42..52 => self.get(&mut tx),
            52..60 => self.get_for_update(&mut tx),
            60..75 => self.scan(&mut tx),
            75..82 => self.make_savepoint(&mut tx),
            82..88 => self.go_back(&mut tx),
            88..97 if self.waiting.is_empty() => return self.commit(tx),
            88..97 => return self.commit_behind_gate(tx),
            97 => return self.roll_back(tx),
            _ => {}
        }
        self.transactions.push(tx);
    }

    fn begin(&mut self) {
        let isolation = if self.rng.random() {
            IsolationLevel::Snapshot
        } else {
            IsolationLevel::ReadCommitted
        };
        let durability = if self.chance(3) {
            Durability::Sync
        } else {
            Durability::NoSync
        };
        let options = TxOptions::new()
            .isolation(isolation)
            .durability(durability)
            .busy_timeout(Duration::ZERO);
        let is_default =
            isolation == IsolationLevel::ReadCommitted && durability == Durability::Sync && self.rng.random();
        let tx = if is_default {
            self.db.begin()
        } else {
            self.db.begin_with(options)
        }
        .unwrap();
        assert_eq!(tx.isolation(), isolation);
        self.transactions_begun += 1;
        let number = self.transactions_begun;
        self.note(format!(
            "transaction {number} begins, {isolation:?}, {durability:?}"
        ));
        let view = (isolation == IsolationLevel::Snapshot).then(|| View {
            no: self.oracle.visible_no,
            state: Arc::clone(&self.oracle.visible),
            born: self.oracle.visible_no,
        });
        self.transactions.push(Tx {
            tx,
            number,
            durability,
            view,
            own: Own::new(),
            touched: BTreeSet::new(),
            savepoints: Vec::new(),
            gone: Vec::new(),
            seen: HashMap::new(),
            has_unknown_locks: false,
        });
        self.reached.transactions_at_once = self
            .reached
            .transactions_at_once
            .max(self.transactions.len() as u64);
    }

    /// What a change of a row, or a read that locks it, has to answer: the name of an error, or success.
    fn expected_of_lock(&self, tx: &Tx<'_>, handle: &Handle, key: &[u8]) -> Option<&'static str> {
        match self.locks.get(&(handle.no, key.to_vec())) {
            Some(owner) if *owner == tx.number => return None,
            Some(_) => return Some("Busy"),
            None => {}
        }
        let view = tx.view.as_ref()?;
        (self.oracle.changes_since(handle.no, key, view.no) > 0).then_some("WriteConflict")
    }

    /// Checks an answer that was expected to lock a row. `None` if it was refused, as it may be: nothing has changed then.
    fn locked<T>(&mut self, tx: &Tx<'_>, handle: &Handle, key: &[u8], answer: Result<T, Error>) -> Option<T> {
        match (self.expected_of_lock(tx, handle, key), answer) {
            (None, Ok(value)) => {
                self.locks.insert((handle.no, key.to_vec()), tx.number);
                Some(value)
            }
            (_, Err(Error::TransactionTooLarge { .. })) if self.plan.transaction_max.is_some() => {
                self.reached.too_large += 1;
                None
            }
            (Some("Busy"), Err(Error::Busy { .. })) => {
                self.reached.busy += 1;
                None
            }
            (Some("WriteConflict"), Err(Error::WriteConflict { winner })) => {
                // The winner may not be visible yet; waiting for it would be waiting for the disk.
                if self.waiting.is_empty() {
                    self.db.wait_visible(winner).unwrap();
                }
                self.reached.conflicts += 1;
                None
            }
            (_, Err(error)) if self.is_too_old(&error) => None,
            (expected, Err(error)) => panic!("{error:?}, expected {expected:?}"),
            (Some(expected), Ok(_)) => panic!("done, expected {expected}"),
        }
    }

    /// A change through the handle of a dropped table, if the model has an opinion: refused now, or at the commit.
    fn put_into_dropped(&mut self, tx: &mut Tx<'_>, handle: &Handle, key: &[u8], value: Vec<u8>) {
        let sees_rows = tx
            .view
            .as_ref()
            .is_none_or(|view| view.state.tables.contains_key(&handle.no));
        if !DROPPED_TABLES_ARE_TYPED && !sees_rows {
            return;
        }
        self.reached.handles_of_dropped_tables += 1;
        tx.has_unknown_locks = true;
        match tx.tx.put(handle.table, key, &value) {
            Ok(()) => tx.set(handle.no, key, Some(value)),
            Err(Error::Busy { .. } | Error::WriteConflict { .. } | Error::TransactionTooLarge { .. }) => {}
            Err(error) => assert!(says_dropped(&error) || self.is_too_old(&error), "{error:?}"),
        }
    }

    fn put(&mut self, tx: &mut Tx<'_>) {
        let Some((handle, key)) = self.row() else { return };
        let value = keys::value(&mut self.rng, self.plan.page_size);
        self.note(format!(
            "{} puts {} of {} bytes into {}",
            tx.number,
            short(&key),
            value.len(),
            handle.name
        ));
        if handle.dropped.is_some() {
            return self.put_into_dropped(tx, &handle, &key, value);
        }
        if self.chance(50) {
            let answer = tx
                .tx
                .put(handle.table, &vec![1; self.plan.page_size / 8 + 1], &value);
            assert!(
                matches!(
                    answer,
                    Err(Error::KeyTooLarge { .. } | Error::TransactionTooLarge { .. })
                ),
                "{answer:?}"
            );
        }
        let answer = tx.tx.put(handle.table, &key, &value);
        if self.locked(tx, &handle, &key, answer).is_some() {
            tx.set(handle.no, &key, Some(value));
        }
    }

    fn delete(&mut self, tx: &mut Tx<'_>) {
        let Some((handle, key)) = self.row().filter(|(handle, _)| handle.dropped.is_none()) else {
            return;
        };
        self.note(format!(
            "{} deletes {} from {}",
            tx.number,
            short(&key),
            handle.name
        ));
        let answer = tx.tx.delete(handle.table, &key);
        let Some(existed) = self.locked(tx, &handle, &key, answer) else {
            return;
        };
        let expected = match (tx.own(handle.no, &key), &tx.view) {
            (Some(own), _) => own.is_some(),
            (None, Some(view)) => view.state.row(handle.no, &key).is_some(),
            (None, None) => self.oracle.applied().row(handle.no, &key).is_some(),
        };
        assert_eq!(existed, expected, "whether the row was there");
        if existed {
            tx.set(handle.no, &key, None);
        }
    }

    /// Whether a read through a handle should find rows; looks at the answer where it should not.
    fn finds_rows<T: std::fmt::Debug>(
        &mut self,
        tx: &Tx<'_>,
        handle: &Handle,
        answer: &Result<T, Error>,
    ) -> bool {
        match self.access(tx.view.as_ref(), handle) {
            Access::Rows | Access::NotYet => true,
            Access::Gone | Access::Unsure if DROPPED_TABLES_ARE_TYPED => {
                assert!(
                    answer.as_ref().is_err_and(says_dropped),
                    "{answer:?} from a dropped table"
                );
                false
            }
            Access::Gone | Access::Unsure => false,
        }
    }

    fn get(&mut self, tx: &mut Tx<'_>) {
        let Some((handle, key)) = self.row() else { return };
        self.note(format!("{} gets {} of {}", tx.number, short(&key), handle.name));
        let answer = if self.rng.random() {
            tx.tx.get(handle.table, &key)
        } else {
            let mut value = b"what the buffer held before".to_vec();
            let found = tx.tx.get_into(handle.table, &key, &mut value);
            assert!(
                !matches!(found, Ok(false)) || value.is_empty(),
                "a row that is absent left a value"
            );
            found.map(|found| found.then_some(value))
        };
        if !self.finds_rows(tx, &handle, &answer) {
            return;
        }
        match answer {
            Ok(found) => self.check_row(tx, &handle, &key, found.as_ref(), false),
            Err(error) => assert!(self.is_too_old(&error), "{error:?}"),
        }
    }

    fn get_for_update(&mut self, tx: &mut Tx<'_>) {
        let Some((handle, key)) = self.row().filter(|(handle, _)| handle.dropped.is_none()) else {
            return;
        };
        self.note(format!(
            "{} gets {} of {} for update",
            tx.number,
            short(&key),
            handle.name
        ));
        let answer = if self.rng.random() {
            tx.tx.get_for_update(handle.table, &key)
        } else {
            let mut value = b"what the buffer held before".to_vec();
            let found = tx.tx.get_for_update_into(handle.table, &key, &mut value);
            assert!(
                !matches!(found, Ok(false)) || value.is_empty(),
                "a row that is absent left a value"
            );
            found.map(|found| found.then_some(value))
        };
        if let Some(found) = self.locked(tx, &handle, &key, answer) {
            self.check_row(tx, &handle, &key, found.as_ref(), true);
        }
    }

    /// Checks a row that a transaction read: that it is in a state that it may see, and not in an older one than at its
    /// last look.
    fn check_row(
        &self,
        tx: &mut Tx<'_>,
        handle: &Handle,
        key: &[u8],
        found: Option<&Vec<u8>>,
        is_newest: bool,
    ) {
        if let Some(own) = tx.own(handle.no, key) {
            assert!(found == own, "not its own change of {}", short(key));
            return;
        }
        if let Some(view) = &tx.view {
            assert!(
                found == view.state.row(handle.no, key),
                "not its snapshot's row {}",
                short(key)
            );
            return;
        }
        let row = (handle.no, key.to_vec());
        let is_newest = is_newest || READS_DO_NOT_GO_BACK && self.locks.get(&row) == Some(&tx.number);
        let mut from = if is_newest { self.oracle.applied_no() } else { 0 };
        if READS_DO_NOT_GO_BACK {
            from = from.max(tx.seen.get(&row).copied().unwrap_or(0));
        }
        let mut allowed = self.oracle.candidates().filter(|(no, _)| *no >= from);
        let Some((no, _)) = allowed.find(|(_, state)| state.row(handle.no, key) == found) else {
            panic!(
                "row {} is in none of the states from {from} to {}",
                short(key),
                self.oracle.applied_no()
            );
        };
        tx.seen.insert(row, no);
    }

    fn scan(&mut self, tx: &mut Tx<'_>) {
        let Some(handle) = self.handle() else { return };
        let query = Query::draw(&mut self.rng, self.plan.keys, self.plan.page_size / 8);
        let what = format!("{} scans {} from {}", tx.number, handle.name, query.shown());
        self.note(what.clone());
        let scan = if query.is_reverse {
            tx.tx.scan_rev(handle.table, query.bounds())
        } else {
            tx.tx.scan(handle.table, query.bounds())
        };
        let answer = scan.and_then(|scan| query.read(scan));
        if !self.finds_rows(tx, &handle, &answer) {
            return;
        }
        let found = match answer {
            Ok(found) => found,
            Err(error) => return assert!(self.is_too_old(&error), "{error:?}"),
        };
        self.reached.scans += 1;
        let seen = match &tx.view {
            Some(view) => &view.state,
            None if self.oracle.waiting.is_empty() => &self.oracle.visible,
            None => return self.check_rows_in_motion(tx, &handle, &query, &found),
        };
        let rows = tx.over(handle.no, seen.tables.get(&handle.no));
        assert_same_rows(&found, query.of(&rows), &what);
    }

    /// Checks a scan while commits wait to become visible: row by row, as if each had been read by itself.
    fn check_rows_in_motion(&mut self, tx: &mut Tx<'_>, handle: &Handle, query: &Query, found: &[OwnedRow]) {
        self.reached.scans_in_motion += 1;
        let in_order = |pair: &[OwnedRow]| (pair[0].0 < pair[1].0) != query.is_reverse;
        assert!(found.windows(2).all(in_order), "out of order");
        let mut known = Rows::new();
        for (_, state) in self.oracle.candidates() {
            let rows = tx.over(handle.no, state.tables.get(&handle.no));
            known.extend(rows.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
        known.extend(
            tx.own
                .get(&handle.no)
                .into_iter()
                .flatten()
                .map(|(key, _)| (key.clone(), Vec::new())),
        );
        let is_cut = query.is_cut_at(found.len());
        let by_key: BTreeMap<_, _> = found.iter().map(|(key, value)| (key, value)).collect();
        assert!(
            found.iter().all(|(key, _)| known.contains_key(key)),
            "a row that was never there"
        );
        let last = found.last().map(|(key, _)| &key[..]);
        let whole = query.whole();
        let keys: Vec<Vec<u8>> = whole.of(&known).map(|(key, _)| key.to_vec()).collect();
        for key in keys {
            let is_behind = last.is_none_or(|last| {
                if query.is_reverse {
                    key[..] < *last
                } else {
                    key[..] > *last
                }
            });
            if is_cut && is_behind {
                break;
            }
            self.check_row(tx, handle, &key, by_key.get(&key).copied(), false);
        }
    }

    fn make_savepoint(&mut self, tx: &mut Tx<'_>) {
        if tx.savepoints.len() < SAVEPOINTS_MAX {
            self.note(format!("{} makes savepoint {}", tx.number, tx.savepoints.len()));
            let savepoint = tx.tx.savepoint();
            tx.savepoints.push((savepoint, tx.own.clone()));
            self.reached.savepoints_nested = self.reached.savepoints_nested.max(tx.savepoints.len() as u64);
        }
    }

    fn go_back(&mut self, tx: &mut Tx<'_>) {
        let strange = self
            .transactions
            .iter()
            .find_map(|other| other.savepoints.first())
            .map(|(savepoint, _)| *savepoint);
        for savepoint in tx.gone.last().copied().into_iter().chain(strange) {
            let answer = tx.tx.rollback_to(savepoint);
            assert!(
                matches!(answer, Err(Error::InvalidOption { .. })),
                "{answer:?} from a savepoint that is gone"
            );
        }
        if tx.savepoints.is_empty() {
            return;
        }
        let at = self.any(tx.savepoints.len());
        self.note(format!("{} goes back to savepoint {at}", tx.number));
        let (savepoint, own) = tx.savepoints[at].clone();
        tx.tx.rollback_to(savepoint).unwrap();
        self.reached.savepoints_passed = self
            .reached
            .savepoints_passed
            .max((tx.savepoints.len() - at) as u64);
        tx.own = own;
        tx.gone
            .extend(tx.savepoints.drain(at + 1..).map(|(savepoint, _)| savepoint));
    }
}
