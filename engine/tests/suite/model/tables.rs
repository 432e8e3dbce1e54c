//! Tables that come and go, under open transactions and snapshots.

use std::sync::Arc;

use engine::Error;
use rand::RngExt;

use super::oracle::{Own, State};
use super::world::{Handle, World};
use crate::common::nosync;

const TABLES_MAX: usize = 4;
/// Handles of dropped tables that are kept.
const DROPPED_MAX: usize = 6;

impl World<'_, '_> {
    pub(super) fn table_step(&mut self) {
        match self.rng.random_range(0..12) {
            0..3 => self.create_table(),
            3 | 4 => self.drop_table(),
            5..9 => self.load(),
            9 => self.misname_tables(),
            _ => self.look_up_tables(),
        }
    }

    pub(super) fn create_table(&mut self) {
        if self.oracle.visible.names.len() == TABLES_MAX {
            return;
        }
        // Names come back, for other tables.
        let name = format!("table {}", self.rng.random_range(0..TABLES_MAX + 2));
        let is_there = self.oracle.visible.names.contains_key(&name);
        self.note(format!("creates {name}"));
        let before = self.db.snapshot().commit_id();
        let table = match self.rng.random::<bool>() {
            true => self.db.open_or_create(&name).unwrap(),
            false => match self.db.create_table(&name) {
                Ok(table) => table,
                Err(Error::TableExists { name: which }) => return assert!(is_there && which == name),
                Err(error) => panic!("{error:?}"),
            },
        };
        if is_there {
            return assert_eq!(self.db.table(&name).unwrap(), table);
        }
        let mut state = State::clone(&self.oracle.visible);
        let no = state.made;
        state.made += 1;
        state.names.insert(name.clone(), no);
        state.tables.insert(no, Arc::default());
        self.commits += 1;
        self.oracle.apply(state, Vec::new());
        self.oracle.show(before.next());
        self.oracle.synced();
        self.handles.push(Handle {
            table,
            no,
            name,
            dropped: None,
        });
    }

    /// Many rows, so that tables have several leaves.
    pub(super) fn load(&mut self) {
        let Some(handle) = self.handle().filter(|handle| handle.dropped.is_none()) else {
            return;
        };
        self.note(format!("loads {}", handle.name));
        let mut rows: Vec<_> = (0..self.plan.keys / 2)
            .map(|_| (self.key(), self.rng.random_range(50..150)))
            .collect();
        rows.retain(|(key, _)| !self.locks.contains_key(&(handle.no, key.clone())));
        let at_once = if self.plan.transaction_max.is_some() {
            10
        } else {
            rows.len().max(1)
        };
        for rows in rows.chunks(at_once) {
            let mut tx = self.db.begin_with(nosync()).unwrap();
            let mut own = Own::new();
            for (key, len) in rows {
                let value = vec![key.len() as u8; *len];
                tx.put(handle.table, key, &value).unwrap();
                own.entry(handle.no).or_default().insert(key.clone(), Some(value));
            }
            let commit = tx.commit().unwrap();
            let (state, changed) = self.oracle.with(&own).expect("a put is a change");
            self.commits += 1;
            self.oracle.apply(state, changed);
            self.oracle.show(commit);
        }
    }

    fn drop_table(&mut self) {
        let live: Vec<_> = self
            .handles
            .iter()
            .filter(|handle| handle.dropped.is_none())
            .cloned()
            .collect();
        if live.len() < 2 {
            return;
        }
        let Handle { no, name, .. } = live[self.any(live.len())].clone();
        self.note(format!("drops {name}"));
        let before = self.db.snapshot().commit_id();
        self.db.drop_table(&name).unwrap();
        let mut state = State::clone(&self.oracle.visible);
        state.names.remove(&name);
        state.tables.remove(&no);
        self.commits += 1;
        self.oracle.apply(state, Vec::new());
        self.oracle.show(before.next());
        self.oracle.synced();
        let dropped = Some(self.oracle.visible_no);
        for handle in self.handles.iter_mut().filter(|handle| handle.no == no) {
            handle.dropped = dropped;
        }
        let of_dropped = self
            .handles
            .iter()
            .filter(|handle| handle.dropped.is_some())
            .count();
        if of_dropped > DROPPED_MAX
            && let Some(oldest) = self.handles.iter().position(|handle| handle.dropped.is_some())
        {
            self.handles.remove(oldest);
        }
        if !self.snapshots.is_empty() {
            self.reached.drops_under_snapshots += 1;
        }
    }

    fn misname_tables(&mut self) {
        for name in ["", &"n".repeat(256)] {
            let answer = self.db.create_table(name);
            assert!(matches!(answer, Err(Error::InvalidOption { .. })), "{answer:?}");
        }
        let answer = self.db.drop_table("no such table");
        assert!(matches!(answer, Err(Error::NoSuchTable { .. })), "{answer:?}");
    }

    fn look_up_tables(&mut self) {
        let names: Vec<_> = self.oracle.visible.names.keys().cloned().collect();
        assert_eq!(self.db.table_names(), names);
        let answer = self.db.table("no such table");
        assert!(matches!(answer, Err(Error::NoSuchTable { .. })), "{answer:?}");
        for handle in self.handles.iter().filter(|handle| handle.dropped.is_none()) {
            let again = self.db.table(&handle.name).unwrap();
            assert!(again == handle.table && again.id() == handle.table.id());
        }
    }
}
