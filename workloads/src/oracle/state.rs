//! What a database holds: the version of every row, from one full scan.
//!
//! 16 bytes for each loaded row (a dense array by row number) and a map for inserted rows. What can be judged
//! without knowing the run (damaged values, foreign keys, order) is judged here; the rest is
//! [`History`](super::History)'s.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::driver::{Direction, Isolation, RowBuffer, Session, TableRef, Target, TargetError, TxOptions};
use crate::stream::Plan;
use crate::values::Identity;
use crate::version::{RowRef, Version};

use super::names::show;
use super::violation::{ViolationKind, Violations};

/// What a row holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Held {
    /// The row does not exist.
    #[default]
    Absent,
    /// The value of this write.
    Written(Version),
    /// A value too short to name its write: its length and bytes.
    Anonymous(u8, [u8; 7]),
    /// A value that no write made.
    Damaged,
}

impl Held {
    fn anonymous(value: &[u8]) -> Held {
        let mut bytes = [0; 7];
        let len = value.len().min(7);
        bytes[..len].copy_from_slice(&value[..len]);
        Held::Anonymous(len as u8, bytes)
    }

    /// True if this is what `version` leaves in `row`, or, with `deletes`, if the row is absent.
    pub(super) fn is_left_by(self, plan: &Plan, row: RowRef, version: Version, deletes: bool) -> bool {
        match self {
            Held::Absent => deletes,
            Held::Written(found) => !deletes && found == version,
            Held::Anonymous(len, bytes) => {
                let value = &bytes[..usize::from(len)];
                !deletes
                    && plan
                        .table(row.table())
                        .value
                        .is_written_by(row.table(), row.row(), version, value)
            }
            Held::Damaged => false,
        }
    }
}

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Held::Absent => f.write_str("no row"),
            Held::Written(version) => write!(f, "{version}"),
            Held::Anonymous(len, _) => write!(f, "a value of {len} bytes"),
            Held::Damaged => f.write_str("a damaged value"),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct TableState {
    loaded: Vec<Held>,
    inserted: HashMap<u64, Held, FixedState>,
}

/// The content of all tables of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    tables: Vec<TableState>,
    rows: u64,
    violations: Violations,
}

impl State {
    /// Empty tables.
    pub fn empty(plan: &Plan) -> Self {
        let table = |rows: u64| TableState {
            loaded: vec![Held::Absent; rows as usize],
            ..TableState::default()
        };
        State {
            tables: plan.tables().iter().map(|t| table(t.rows)).collect(),
            rows: 0,
            violations: Violations::default(),
        }
    }

    /// The tables as the load leaves them.
    pub fn loaded(plan: &Plan) -> Self {
        let mut state = State::empty(plan);
        for (table, of_plan) in state.tables.iter_mut().zip(plan.tables()) {
            table.loaded.fill(Held::Written(Version::LOADED));
            state.rows += of_plan.rows;
            if of_plan.value.len_max() < crate::values::HEADER_LEN {
                let mut value = Vec::new();
                for (row, held) in table.loaded.iter_mut().enumerate() {
                    of_plan.value(row as u64, Version::LOADED, &mut value);
                    if value.len() < crate::values::SHORT_HEADER_LEN {
                        *held = Held::anonymous(&value);
                    }
                }
            }
        }
        state
    }

    /// Reads every row of every table in one read-only transaction, in batches.
    ///
    /// # Errors
    /// If the engine fails; what it answers wrongly is in [`violations`](Self::violations).
    pub fn scan(target: &dyn Target, plan: &Plan) -> Result<State, TargetError> {
        let mut session = target
            .session()
            .map_err(|error| error.context("verification: open a session"))?;
        let capabilities = target.capabilities();
        // One snapshot if the engine has that; the run is over, so every level sees the same.
        let isolation = [
            Isolation::Snapshot,
            Isolation::Serializable,
            plan.spec().isolation,
        ]
        .into_iter()
        .find(|level| capabilities.isolations.contains(level))
        .or_else(|| capabilities.isolations.last().copied())
        .unwrap_or(Isolation::ReadCommitted);
        let durability = capabilities
            .durabilities
            .last()
            .copied()
            .unwrap_or(plan.spec().durability);
        session.begin(&TxOptions::read_only(isolation, durability))?;
        let scanned = Self::scan_session(&mut *session, plan);
        session.rollback();
        scanned
    }

    /// As [`scan`](Self::scan), in the transaction that `session` has open.
    ///
    /// # Errors
    /// If the engine fails.
    pub fn scan_session(session: &mut dyn Session, plan: &Plan) -> Result<State, TargetError> {
        const BATCH: usize = 1000;
        let mut state = State::empty(plan);
        let mut rows = RowBuffer::new();
        for table in plan.tables() {
            let mut last: Option<Vec<u8>> = None;
            loop {
                // The smallest key above the last one.
                let start = last
                    .as_ref()
                    .map_or_else(Vec::new, |key| [key.as_slice(), &[0]].concat());
                rows.clear();
                let count = session
                    .scan(table.table, &start, BATCH, Direction::Forward, &mut rows)
                    .map_err(|error| {
                        error.context(format_args!("verification: scan table {}", table.name))
                    })?;
                if count != rows.len() || rows.len() > BATCH {
                    state.violations.add(ViolationKind::WrongCount, None, || {
                        format!(
                            "the scan of table {}, of at most {BATCH} rows, told {count} and gave {}",
                            table.name,
                            rows.len()
                        )
                    });
                }
                for (key, value) in rows.iter() {
                    state.visit(plan, table.table, last.as_deref(), key, value);
                    let kept = last.get_or_insert_default();
                    kept.clear();
                    kept.extend_from_slice(key);
                }
                if rows.len() < BATCH {
                    break;
                }
                if last.as_deref() < Some(start.as_slice()) {
                    return Err(TargetError::fatal(format_args!(
                        "verification: a scan of table {} goes backwards at {}",
                        table.name,
                        show(&start)
                    )));
                }
            }
        }
        Ok(state)
    }

    /// Takes one row of a scan; `before` is the key before it, if there is one.
    pub(super) fn visit(
        &mut self,
        plan: &Plan,
        table: TableRef,
        before: Option<&[u8]>,
        key: &[u8],
        value: &[u8],
    ) {
        self.rows += 1;
        let of_plan = plan.table(table);
        if before.is_some_and(|before| key <= before) {
            self.violations.add(ViolationKind::KeyOrder, None, || {
                format!(
                    "the scan of table {} returned the key {} out of order",
                    of_plan.name,
                    show(key)
                )
            });
        }
        let Some(row) = of_plan.key.decode(key) else {
            self.violations.add(ViolationKind::BadKey, None, || {
                format!(
                    "table {} holds the key {}, which the workload does not make",
                    of_plan.name,
                    show(key)
                )
            });
            return;
        };
        let held = match of_plan.value.check(table, row, value) {
            Ok(Identity::Written(version)) => Held::Written(version),
            Ok(Identity::Anonymous) => Held::anonymous(value),
            Err(fault) => {
                let row = RowRef::new(table, row);
                self.violations.add_fault(ViolationKind::DamagedValue, row, fault);
                Held::Damaged
            }
        };
        self.set(RowRef::new(table, row), held);
    }

    pub(super) fn set(&mut self, row: RowRef, held: Held) {
        let table = &mut self.tables[row.table().index()];
        match table.loaded.get_mut(row.row() as usize) {
            Some(place) => *place = held,
            None => {
                table.inserted.insert(row.row(), held);
            }
        }
    }

    /// What `row` holds.
    #[inline]
    pub fn held(&self, row: RowRef) -> Held {
        let table = &self.tables[row.table().index()];
        match table.loaded.get(row.row() as usize) {
            Some(&held) => held,
            None => table.inserted.get(&row.row()).copied().unwrap_or_default(),
        }
    }

    /// Every loaded row and every other row that exists.
    pub(super) fn iter(&self) -> impl Iterator<Item = (RowRef, Held)> + '_ {
        self.tables.iter().enumerate().flat_map(|(index, table)| {
            let name = TableRef(index as u16);
            let loaded = table
                .loaded
                .iter()
                .enumerate()
                .map(move |(row, &held)| (row as u64, held));
            let inserted = table.inserted.iter().map(|(&row, &held)| (row, held));
            loaded
                .chain(inserted)
                .map(move |(row, held)| (RowRef::new(name, row), held))
        })
    }

    /// Number of rows that the scan returned.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// What was wrong without knowing the run: damaged values, foreign keys, wrong order.
    pub fn violations(&self) -> &Violations {
        &self.violations
    }
}
