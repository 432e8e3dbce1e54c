//! Random operations against a `BTreeMap`, with checkpoints, evictions, reopenings and concurrent snapshot readers
//! mixed in.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use engine::vfs::MemoryVfs;
use engine::{CommitId, Database, Durability, IsolationLevel, Options, Snapshot, Table, TxOptions};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::ordered::{Bounds, Rows, difference, rows_between};

type Model = Rows;

fn borrowed((low, high): &(Bound<Vec<u8>>, Bound<Vec<u8>>)) -> Bounds<'_> {
    (
        low.as_ref().map(|key| &key[..]),
        high.as_ref().map(|key| &key[..]),
    )
}

/// What one run of the model test looks like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) operations: u64,
    pub(crate) page_size: usize,
    pub(crate) cache_pages: usize,
    pub(crate) keys: u64,
    pub(crate) value_max: usize,
    pub(crate) readers: usize,
    pub(crate) compression: &'static str,
    pub(crate) background: bool,
    /// More rows are deleted than put.
    pub(crate) shrinking: bool,
}

/// What a run has been through, so that a plan can be held to its purpose.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Passed {
    pub(crate) operations: u64,
    pub(crate) evicted_dirty: u64,
    pub(crate) evicted_clean: u64,
    pub(crate) checkpoints: u64,
    pub(crate) overflow_pages: u64,
    pub(crate) levels: u8,
    pub(crate) redone_commits: u64,
    pub(crate) compression_ratio: f64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            seed: 1,
            operations: 60_000,
            page_size: 4096,
            cache_pages: 64,
            keys: 4000,
            value_max: 200,
            readers: 2,
            compression: "NONE",
            background: true,
            shrinking: false,
        }
    }
}

impl Plan {
    fn options(&self, vfs: &MemoryVfs) -> Options {
        Options::new()
            .page_size(self.page_size)
            .cache_size(self.cache_pages * (self.page_size + 64))
            .compression(self.compression, 3)
            .expect("a codec")
            .wal_segment_size(256 << 10)
            .checkpoint_wal_bytes(2 << 20)
            .background(self.background)
            .vfs(Arc::new(vfs.clone()))
    }

    fn key(&self, rng: &mut impl Rng) -> Vec<u8> {
        let n = rng.random_range(0..self.keys);
        // Keys of several shapes: short, long with a common prefix, binary.
        match n % 4 {
            0 => format!("k{n}").into_bytes(),
            1 => format!("a/long/common/prefix/for/many/keys/{n:08}").into_bytes(),
            2 => n.to_be_bytes().to_vec(),
            _ => [vec![b'x'; (n % 300) as usize], n.to_le_bytes().to_vec()].concat(),
        }
    }

    /// A range with `key` for one bound; the other is drawn like a key, or missing.
    fn bounds(&self, rng: &mut impl Rng, key: Vec<u8>) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
        match rng.random_range(0..4) {
            0 => (Bound::Included(key), Bound::Unbounded),
            1 => (Bound::Unbounded, Bound::Excluded(key)),
            _ => (Bound::Included(key), Bound::Excluded(self.key(rng))),
        }
    }

    fn value(&self, rng: &mut impl Rng) -> Vec<u8> {
        let len = match rng.random_range(0..100) {
            0 => rng.random_range(0..self.page_size * 3),
            1..=5 => 0,
            _ => rng.random_range(0..self.value_max),
        };
        let byte = rng.random::<u8>();
        (0..len).map(|i| byte.wrapping_add((i / 7) as u8)).collect()
    }
}

/// Committed states by commit ID, which readers compare with.
#[derive(Default)]
struct History {
    states: Mutex<BTreeMap<CommitId, Arc<Model>>>,
}

impl History {
    /// A snapshot and what it must show.
    fn snapshot<'db>(&self, db: &'db Database) -> (Snapshot<'db>, Arc<Model>) {
        // The writer commits with the lock held, so the snapshot's state is there and stays until it is taken.
        let states = self.states.lock().unwrap();
        let snapshot = db.snapshot();
        let state = states.range(..=snapshot.commit_id()).next_back().unwrap().1;
        (snapshot, Arc::clone(state))
    }
}

fn assert_same(db: &Database, table: Table, model: &Model, context: &str) {
    let snapshot = db.snapshot();
    let rows: Vec<_> = snapshot.scan(table, ..).unwrap().map(Result::unwrap).collect();
    let expected: Vec<_> = model.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    assert!(
        rows == expected,
        "{context}: scan differs: {} rows, expected {}",
        rows.len(),
        expected.len()
    );
    let mut back: Vec<_> = snapshot
        .scan_rev(table, ..)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    back.reverse();
    assert!(back == expected, "{context}: reverse scan differs");
    let report = db.verify().unwrap();
    assert!(report.is_sound(), "{context}: {:#?}", report.problems);
    assert_eq!(
        report.tables.iter().map(|t| t.rows).sum::<u64>(),
        model.len() as u64,
        "{context}"
    );
}

/// Runs a plan and tells what happened.
pub(crate) fn run(plan: Plan) -> Passed {
    println!("{plan:?}");
    let vfs = MemoryVfs::default();
    let mut rng = ChaCha8Rng::seed_from_u64(plan.seed);
    let mut model = Model::new();
    let mut done = 0;
    let mut passed = Passed::default();
    let mut round = 0;
    while done < plan.operations {
        round += 1;
        let db = plan.options(&vfs).open("/model.db").unwrap();
        let table = db.open_or_create("rows").unwrap();
        let context = format!("seed {} round {round} after {done} operations", plan.seed);
        assert_same(&db, table, &model, &context);
        let history = History::default();
        history
            .states
            .lock()
            .unwrap()
            .insert(CommitId(0), Arc::new(model.clone()));
        let stop = AtomicBool::new(false);
        let checked = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for reader in 0..plan.readers {
                let (db, history, stop, checked) = (&db, &history, &stop, &checked);
                let seed = plan.seed ^ (round * 100 + reader as u64);
                scope.spawn(move || read_along(&plan, seed, db, table, history, stop, checked));
            }
            let until = (done + plan.operations / 4).min(plan.operations);
            while done < until {
                done += one_transaction(&plan, &mut rng, &db, table, &mut model, &history);
            }
            stop.store(true, Ordering::SeqCst);
        });
        let metrics = db.metrics();
        passed.evicted_dirty += metrics.pages_evicted_dirty;
        passed.evicted_clean += metrics.pages_evicted_clean;
        passed.checkpoints += metrics.checkpoints;
        passed.compression_ratio = db.storage_info().compression_ratio.unwrap_or(0.0);
        for table in db.verify().unwrap().tables {
            passed.overflow_pages += table.overflow_pages;
            passed.levels = passed.levels.max(table.levels);
        }
        println!("{context}: {} reads compared", checked.load(Ordering::SeqCst));
        assert_same(&db, table, &model, &context);
        match round % 3 {
            0 => db.close().unwrap(),
            1 => drop(db),
            // A crash of the process: the log is written but there is no last checkpoint.
            _ => {
                db.sync().unwrap();
                let crashed = vfs.fork();
                drop(db);
                let again = plan.options(&crashed).open("/model.db").unwrap();
                let table = again.table("rows").unwrap();
                passed.redone_commits += again.recovery().commits;
                assert_same(&again, table, &model, &format!("{context}, recovered"));
            }
        }
    }
    passed.operations = done;
    println!("{passed:?}");
    passed
}

/// Changes of a transaction to the model, undone from the back.
struct Undo(Vec<(Vec<u8>, Option<Vec<u8>>)>);

impl Undo {
    fn set(&mut self, model: &mut Model, key: Vec<u8>, value: Option<Vec<u8>>) -> bool {
        let before = match value {
            Some(value) => model.insert(key.clone(), value),
            None => model.remove(&key),
        };
        let existed = before.is_some();
        self.0.push((key, before));
        existed
    }

    fn back_to(&mut self, model: &mut Model, len: usize) {
        while self.0.len() > len {
            let (key, before) = self.0.pop().unwrap();
            match before {
                Some(value) => model.insert(key, value),
                None => model.remove(&key),
            };
        }
    }
}

fn one_transaction(
    plan: &Plan,
    rng: &mut ChaCha8Rng,
    db: &Database,
    table: Table,
    model: &mut Model,
    history: &History,
) -> u64 {
    let isolation = if rng.random_bool(0.5) {
        IsolationLevel::Snapshot
    } else {
        IsolationLevel::ReadCommitted
    };
    let durability = if rng.random_bool(0.1) {
        Durability::Sync
    } else {
        Durability::NoSync
    };
    let mut tx = db
        .begin_with(TxOptions::new().isolation(isolation).durability(durability))
        .unwrap();
    let mut undo = Undo(Vec::new());
    let mut savepoint = None;
    let steps = rng.random_range(1..30);
    for _ in 0..steps {
        let key = plan.key(rng);
        let puts = if plan.shrinking { 20 } else { 45 };
        match rng.random_range(0..100) {
            n if n < puts => {
                let value = plan.value(rng);
                tx.put(table, &key, &value).unwrap();
                undo.set(model, key, Some(value));
            }
            n if n < 65 => {
                assert_eq!(tx.delete(table, &key).unwrap(), undo.set(model, key, None));
            }
            65..85 => assert_eq!(tx.get(table, &key).unwrap().as_ref(), model.get(&key)),
            85..96 => {
                let (bounds, is_reverse, limit) =
                    (plan.bounds(rng, key), rng.random(), rng.random_range(1..50));
                let bounds = borrowed(&bounds);
                let scan = if is_reverse {
                    tx.scan_rev(table, bounds)
                } else {
                    tx.scan(table, bounds)
                };
                let expected = rows_between(model, bounds, is_reverse).take(limit);
                let difference = difference(scan.unwrap().limit(limit), expected);
                assert_eq!(
                    difference, None,
                    "a scan in a transaction, {bounds:?}, reverse {is_reverse}"
                );
            }
            96..98 => savepoint = Some((tx.savepoint(), undo.0.len())),
            _ => {
                if let Some((savepoint, len)) = &savepoint {
                    tx.rollback_to(*savepoint).unwrap();
                    undo.back_to(model, *len);
                }
            }
        }
    }
    if rng.random_bool(0.1) {
        tx.rollback();
        undo.back_to(model, 0);
    } else if plan.readers == 0 {
        tx.commit().unwrap();
    } else {
        // Readers may see the commit before this thread goes on, so its state is known first.
        let mut states = history.states.lock().unwrap();
        let commit = tx.commit().unwrap();
        states.insert(commit, Arc::new(model.clone()));
        let keep = commit.0.saturating_sub(200);
        while states.len() > 2 && states.keys().nth(1).is_some_and(|c| c.0 < keep) {
            states.pop_first();
        }
    }
    match rng.random_range(0..2000) {
        0 => drop(db.checkpoint().unwrap()),
        1 => db.sync().unwrap(),
        2 => db.gc(1),
        _ => {}
    }
    steps
}

fn read_along(
    plan: &Plan,
    seed: u64,
    db: &Database,
    table: Table,
    history: &History,
    stop: &AtomicBool,
    checked: &AtomicU64,
) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut snapshot, mut state) = history.snapshot(db);
    while !stop.load(Ordering::SeqCst) {
        if rng.random_bool(0.05) {
            (snapshot, state) = history.snapshot(db);
        }
        let key = plan.key(&mut rng);
        assert_eq!(
            snapshot.get(table, &key).unwrap().as_ref(),
            state.get(&key),
            "seed {seed}, snapshot {}",
            snapshot.commit_id()
        );
        if rng.random_bool(0.1) {
            let bounds = plan.bounds(&mut rng, key);
            let bounds = borrowed(&bounds);
            let difference = difference(
                snapshot.scan(table, bounds).unwrap().limit(100),
                rows_between(&state, bounds, false).take(100),
            );
            let commit = snapshot.commit_id();
            assert_eq!(
                difference, None,
                "seed {seed}: scan of snapshot {commit}, {bounds:?}"
            );
        }
        checked.fetch_add(1, Ordering::SeqCst);
    }
}
