//! Copies of pages that are made in the middle of a commit, one at a chosen moment.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::channel;

use super::*;
use crate::checkpoint::Pace;
use crate::injected;
use crate::opening::{self, Opened};
use crate::options::Options;
use crate::txn::Durability;
use crate::vfs::MemoryVfs;

const PATH: &str = "/t.db";
const ROWS: u32 = 4000;

fn open(vfs: &MemoryVfs, cache_pages: usize) -> Result<Opened> {
    let options = Options::new()
        .page_size(4096)
        .cache_size(cache_pages * (4096 + 64))
        .wal_segment_size(64 << 10)
        .vfs(Arc::new(vfs.clone()));
    opening::open(PATH.as_ref(), &options)
}

fn key(row: u32) -> Vec<u8> {
    format!("row/{row:06}").into_bytes()
}

fn value(version: u8, len: usize) -> Vec<u8> {
    vec![version; len]
}

/// Puts the rows into a commit, as a transaction would.
fn put<'a>(changer: &mut Changer<'a, '_>, table: Table, rows: &[u32], value: &[u8]) -> Result<()> {
    let tree = changer.tree(table.root, table.id);
    let keys: Vec<_> = rows.iter().map(|row| key(*row)).collect();
    let need = changer.need_of_rows(
        tree,
        changer.tree(PageNumber::CATALOG, TableId::CATALOG),
        keys.iter().map(|key| (&key[..], Some(value))),
    )?;
    changer.reserve(need)?;
    keys.iter().try_for_each(|key| changer.put(tree, key, value))
}

/// A database with [`ROWS`] rows of version 1, all of it durable and clean.
fn loaded(vfs: &MemoryVfs, cache_pages: usize) -> (Opened, Table) {
    let opened = open(vfs, cache_pages).expect("opens");
    let manager = &opened.manager;
    let _first = manager.checkpoint(|| Pace::Fast).expect("a checkpoint");
    manager
        .commit(
            Work::CreateTable {
                name: "rows".to_owned(),
                created: Arc::default(),
            },
            Durability::Sync,
        )
        .expect("a table");
    let table = manager
        .catalog
        .get("rows", &manager.registry)
        .expect("it is there");
    for rows in (0..ROWS).collect::<Vec<_>>().chunks(100) {
        let mut applier = manager.pause();
        manager
            .apply_commit(&mut applier, |changer| put(changer, table, rows, &value(1, 60)))
            .expect("a commit");
    }
    manager.flush().expect("a flush");
    let _loaded = manager.checkpoint(|| Pace::Fast).expect("a checkpoint");
    (opened, table)
}

/// What the files hold after a crash: the versions of all rows, which one commit has left.
fn versions(files: &MemoryVfs) -> Result<BTreeSet<u8>, String> {
    let database = Options::new()
        .background(false)
        .vfs(Arc::new(files.clone()))
        .open(PATH)
        .map_err(|error| error.to_string())?;
    let report = database.verify().map_err(|error| error.to_string())?;
    if !report.is_sound() {
        return Err(report.problems.join("; "));
    }
    let table = database.table("rows").map_err(|error| error.to_string())?;
    let rows: Vec<_> = database
        .snapshot()
        .scan(table, ..)
        .and_then(|rows| rows.collect::<Result<_>>())
        .map_err(|error| error.to_string())?;
    if rows.len() != ROWS as usize {
        return Err(format!("{} rows", rows.len()));
    }
    Ok(rows.iter().map(|(_, value)| value[0]).collect())
}

/// A checkpoint that copies its second batch of pages while a commit has changed half of the rows of each.
fn checkpoint_in_the_middle(fault: Option<Bug>, len: usize) -> Result<BTreeSet<u8>, String> {
    let vfs = MemoryVfs::default();
    let (opened, table) = loaded(&vfs, 4096);
    let manager = &opened.manager;
    let (even, odd): (Vec<u32>, Vec<u32>) = (0..ROWS).partition(|row| row % 2 == 0);
    {
        let mut applier = manager.pause();
        manager
            .apply_commit(&mut applier, |changer| put(changer, table, &even, &value(2, 60)))
            .expect("a commit");
    }
    let (at_first, first) = channel();
    let (go_on, may_go_on) = channel();
    let (at_second, second) = channel();
    std::thread::scope(|scope| {
        let checkpoint = scope.spawn(move || {
            let mut batches = 0;
            injected::with(fault, || {
                manager.checkpoint(|| {
                    batches += 1;
                    match batches {
                        1 => {
                            at_first.send(()).expect("somebody waits");
                            may_go_on.recv().expect("somebody goes on");
                        }
                        2 => at_second.send(()).expect("somebody waits"),
                        _ => {}
                    }
                    Pace::Fast
                })
            })
        });
        first.recv().expect("the first batch is written");
        let mut applier = manager.pause();
        manager
            .apply_commit(&mut applier, |changer| {
                put(changer, table, &even, &value(3, len))?;
                go_on.send(()).expect("the checkpoint waits");
                second.recv().expect("the second batch is written");
                put(changer, table, &odd, &value(3, len))
            })
            .expect("a commit");
        drop(applier);
        checkpoint.join().expect("no panic").expect("a checkpoint");
    });
    manager.flush().expect("a flush");
    versions(&vfs.fork())
}

/// A commit that moves its own pages out of a small cache, while a checkpoint whose redo position lies before it waits.
fn eviction_in_the_middle(fault: Option<Bug>, len: usize) -> Result<BTreeSet<u8>, String> {
    let vfs = MemoryVfs::default();
    let (opened, table) = loaded(&vfs, 64);
    let manager = &opened.manager;
    let change_all = || {
        let mut applier = manager.pause();
        let end = manager.apply_commit(&mut applier, |changer| {
            let all: Vec<u32> = (0..ROWS).collect();
            all.iter()
                .step_by(2)
                .chain(all.iter().skip(1).step_by(2))
                .copied()
                .collect::<Vec<_>>()
                .chunks(ROWS as usize / 2)
                .try_for_each(|rows| put(changer, table, rows, &value(3, len)))
        });
        end.expect("a commit");
    };
    {
        let mut applier = manager.pause();
        manager
            .apply_commit(&mut applier, |changer| put(changer, table, &[1], &value(2, 60)))
            .expect("a commit");
    }
    injected::with(fault, || {
        let mut is_first = true;
        let report = manager.checkpoint(|| {
            if std::mem::take(&mut is_first) {
                change_all();
            }
            Pace::Fast
        });
        report.expect("a checkpoint");
    });
    assert!(manager.pool.counters.evicted_dirty.load(Relaxed) > 0);
    manager.flush().expect("a flush");
    versions(&vfs.fork())
}

#[test]
fn a_page_that_a_checkpoint_meets_in_the_middle_of_a_commit_is_whole_after_a_crash() {
    // The same length, and one at which pages split.
    for len in [60, 90] {
        assert_eq!(checkpoint_in_the_middle(None, len), Ok(BTreeSet::from([3])));
        let half = checkpoint_in_the_middle(Some(Bug::HalfCommitCopied), len);
        println!("as it was: {half:?}");
        assert_ne!(half, Ok(BTreeSet::from([3])), "the injected bug is found");
    }
}

#[test]
fn a_page_that_makes_way_in_the_middle_of_a_commit_is_whole_after_a_crash() {
    for len in [60, 90] {
        assert_eq!(eviction_in_the_middle(None, len), Ok(BTreeSet::from([3])));
        let half = eviction_in_the_middle(Some(Bug::HalfCommitCopied), len);
        println!("as it was: {half:?}");
        assert_ne!(half, Ok(BTreeSet::from([3])), "the injected bug is found");
    }
}

/// Two commits wait to be visible, the log is durable past the first only, and then the database stops.
#[test]
fn a_commit_that_is_durable_when_the_database_stops_has_not_failed() {
    let vfs = MemoryVfs::default();
    let (opened, table) = loaded(&vfs, 4096);
    let manager = &opened.manager;
    let apply = |version| {
        let mut applier = manager.pause();
        let (commit, end) = manager
            .apply_commit(&mut applier, |changer| {
                put(changer, table, &[7], &value(version, 60))
            })
            .expect("a commit");
        let is_visible = manager.announce(commit, end, true, None).expect("queued");
        assert!(!is_visible);
        commit
    };
    let first = apply(2);
    manager.wal.flush().expect("a flush, which nobody settles");
    let second = apply(3);
    let error = manager.poison.set("stopped");
    assert!(matches!(manager.wait_visible(second), Err(found) if found.to_string() == error.to_string()));
    assert_eq!(manager.registry.visible(), first);
    manager.wait_visible(first).expect("it is durable");
}
