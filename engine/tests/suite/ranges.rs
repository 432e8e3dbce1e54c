//! Scans of every kind of range, compared with an ordered map.
//!
//! The keys are those that ranges are known to go wrong with: the empty one, zeros, `FF`s up to the longest key, prefixes
//! of each other, many with a long common prefix (so that leaves have long prefixes of their own), deleted rows between
//! them; values of no bytes, and long ones. All pairs of bounds are made from them, inverted ones too. `RANGES=all`
//! takes every key and its neighbours for a bound, where otherwise some of those with the common prefix do.

use std::ops::Bound;
use std::sync::Arc;

use engine::vfs::MemoryVfs;
use engine::{Database, IsolationLevel, Options, Scan, Table, TxOptions};

use crate::common::{PATH, nosync, small};
use crate::ordered::{Bounds, Rows, difference, rows_between, shown};

const LONG: usize = 100 << 10;
const DELETED_LATER: &[u8] = b"deleted later";

/// Rows have even numbers; odd ones are deleted, or put by an open transaction.
fn prefixed(number: usize) -> Vec<u8> {
    [&[b'p'; 300][..], format!("{number:04}").as_bytes()].concat()
}

fn special_keys(page_size: usize) -> Vec<Vec<u8>> {
    vec![
        vec![],
        vec![0],
        vec![0, 0],
        vec![0xFF],
        vec![0xFF; 8],
        vec![0xFF; page_size / 8],
        b"a".to_vec(),
        b"ab".to_vec(),
    ]
}

fn value(at: usize) -> Vec<u8> {
    let len = match at {
        7 | 108 => LONG,
        _ if at.is_multiple_of(5) => 0,
        _ => 40 + at * 7 % 200,
    };
    (0..len).map(|i| (i + at) as u8).collect()
}

fn initial_rows(page_size: usize) -> Rows {
    let keys = special_keys(page_size)
        .into_iter()
        .chain((0..200).map(|n| prefixed(2 * n)));
    let mut rows: Rows = keys.enumerate().map(|(at, key)| (key, value(at))).collect();
    let deleted = (0..200)
        .filter(|n| n % 3 != 0)
        .map(|n| prefixed(2 * n + 1))
        .chain([b"aa".to_vec(), vec![0xFF; 9], vec![0, 0, 0]]);
    rows.extend(deleted.map(|key| (key, DELETED_LATER.to_vec())));
    rows
}

/// A key and those beside it: its successor, what it continues, what lies just below it.
fn neighbours(key: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![key.to_vec(), [key, &[0]].concat()];
    if let Some((last, rest)) = key.split_last() {
        all.push(rest.to_vec());
        if let Some(below) = last.checked_sub(1) {
            all.push([rest, &[below, 0xFF]].concat());
        }
    }
    all
}

fn bounds(page_size: usize) -> Vec<Vec<u8>> {
    let numbers: Vec<usize> = if std::env::var("RANGES").is_ok_and(|which| which == "all") {
        (0..200).collect()
    } else {
        vec![0, 50, 100, 199]
    };
    let mut bounds: Vec<_> = special_keys(page_size)
        .into_iter()
        .chain(numbers.into_iter().map(|n| prefixed(2 * n)))
        .flat_map(|key| neighbours(&key))
        .chain([prefixed(1), prefixed(201), prefixed(399)])
        .collect();
    bounds.sort();
    bounds.dedup();
    bounds
}

fn build(page_size: usize) -> (Database, Table, Rows) {
    let db = small(&MemoryVfs::default())
        .page_size(page_size)
        .cache_size(8 << 20)
        .open(PATH)
        .unwrap();
    let table = db.create_table("rows").unwrap();
    let rows = initial_rows(page_size);
    // In another order than that of the keys, so that leaves split in the middle too.
    let mut order: Vec<_> = rows.iter().collect();
    order.sort_by_key(|(key, _)| key.iter().rev().copied().collect::<Vec<_>>());
    for rows in order.chunks(20) {
        let mut tx = db.begin_with(nosync()).unwrap();
        for (key, value) in rows {
            tx.put(table, key, value).unwrap();
        }
        tx.commit().unwrap();
    }
    (db, table, rows)
}

/// Deletes what is to be deleted. While an older snapshot is open, its ghosts stay.
fn delete(db: &Database, table: Table, rows: &Rows) -> Rows {
    let mut left = rows.clone();
    let mut tx = db.begin_with(nosync()).unwrap();
    for key in rows
        .iter()
        .filter(|(_, value)| *value == DELETED_LATER)
        .map(|(key, _)| key)
    {
        assert!(tx.delete(table, key).unwrap());
        left.remove(key);
    }
    tx.commit().unwrap();
    left
}

/// Tries all pairs of bounds, in both directions, with every kind of limit.
fn try_all(
    bounds: &[Vec<u8>],
    rows: &Rows,
    what: &str,
    mut scan: impl FnMut(Bounds<'_>, bool, &mut dyn FnMut(Scan<'_>)),
) {
    let sides: Vec<Bound<&[u8]>> = bounds
        .iter()
        .flat_map(|key| [Bound::Included(&key[..]), Bound::Excluded(&key[..])])
        .chain([Bound::Unbounded])
        .collect();
    let (mut tried, mut wrong, mut first) = (0u64, 0u64, None);
    for (&low, &high) in sides
        .iter()
        .flat_map(|low| sides.iter().map(move |high| (low, high)))
    {
        for (is_reverse, limit) in [false, true]
            .into_iter()
            .flat_map(|r| [0, 1, usize::MAX].map(|l| (r, l)))
        {
            scan((low, high), is_reverse, &mut |scan| {
                // Without a limit where none is meant.
                let scan = if limit < usize::MAX {
                    scan.limit(limit)
                } else {
                    scan
                };
                let expected = rows_between(rows, (low, high), is_reverse).take(limit);
                tried += 1;
                if let Some(difference) = difference(scan, expected) {
                    wrong += 1;
                    first.get_or_insert_with(|| {
                        let (low, high) = (shown(low), shown(high));
                        format!("{low} to {high}, reverse {is_reverse}, limit {limit}: {difference}")
                    });
                }
            });
        }
    }
    println!("{what}: {tried} scans of {} rows", rows.len());
    assert!(
        first.is_none(),
        "{what}: {wrong} of {tried} scans are wrong, the first: {}",
        first.unwrap_or_default()
    );
}

fn all_ranges_of_snapshots(page_size: usize) {
    let (db, table, before) = build(page_size);
    let older = db.snapshot();
    let now = delete(&db, table, &before);
    let newer = db.snapshot();
    for (snapshot, rows, what) in [(older, before, "an older snapshot"), (newer, now, "a snapshot")] {
        try_all(&bounds(page_size), &rows, what, |bounds, is_reverse, check| {
            check(if is_reverse {
                snapshot.scan_rev(table, bounds).unwrap()
            } else {
                snapshot.scan(table, bounds).unwrap()
            });
        });
    }
}

fn all_ranges_of_a_transaction(page_size: usize, isolation: IsolationLevel) {
    let (db, table, before) = build(page_size);
    let _keeps_ghosts = db.snapshot();
    let mut rows = delete(&db, table, &before);
    let mut tx = db.begin_with(TxOptions::new().isolation(isolation)).unwrap();
    let longest = vec![0xFF; page_size / 8];
    let puts = (0..200).filter(|n| n % 4 == 1).map(|n| prefixed(n + 100)).chain([
        vec![1],
        b"aa".to_vec(),
        b"ab\0".to_vec(),
        vec![0xFF],
        vec![0xFF; 9],
    ]);
    for (at, key) in puts.enumerate() {
        let value = vec![at as u8; at % 7 * 100];
        tx.put(table, &key, &value).unwrap();
        rows.insert(key, value);
    }
    let deletes = (0..200).filter(|n| n % 5 == 2).map(|n| prefixed(2 * n)).chain([
        vec![],
        vec![0, 0],
        b"a".to_vec(),
        longest,
    ]);
    for key in deletes {
        assert_eq!(tx.delete(table, &key).unwrap(), rows.remove(&key).is_some());
    }
    try_all(
        &bounds(page_size),
        &rows,
        "a transaction",
        |bounds, is_reverse, check| {
            check(if is_reverse {
                tx.scan_rev(table, bounds).unwrap()
            } else {
                tx.scan(table, bounds).unwrap()
            });
        },
    );
}

#[test]
fn all_ranges_of_snapshots_with_small_pages() {
    all_ranges_of_snapshots(4096);
}

#[test]
fn all_ranges_of_snapshots_with_default_pages() {
    all_ranges_of_snapshots(16 << 10);
}

#[test]
fn all_ranges_of_a_transaction_with_small_pages() {
    all_ranges_of_a_transaction(4096, IsolationLevel::ReadCommitted);
}

#[test]
fn all_ranges_of_a_transaction_with_default_pages() {
    all_ranges_of_a_transaction(16 << 10, IsolationLevel::Snapshot);
}

/// Keys whose common prefix sorts before the bound: every leaf but the first has it as its own prefix, the bound does not.
#[test]
fn a_bound_that_does_not_share_the_prefix_of_the_leaves() {
    for page_size in [4096, 16 << 10] {
        for count in [258, 3000] {
            let db = small(&MemoryVfs::default())
                .page_size(page_size)
                .open(PATH)
                .unwrap();
            let table = db.create_table("rows").unwrap();
            let rows: Rows = (1..=count)
                .map(|n| (format!("user{n:06}").into_bytes(), vec![n as u8; 100]))
                .collect();
            let mut tx = db.begin_with(nosync()).unwrap();
            for (key, value) in &rows {
                tx.put(table, key, value).unwrap();
            }
            tx.commit().unwrap();
            let bounds = [
                "",
                "t",
                "u",
                "user",
                "user0",
                "user000100",
                "user001",
                "users",
                "v",
            ];
            let bounds = bounds.map(|bound| bound.as_bytes().to_vec());
            let snapshot = db.snapshot();
            assert_eq!(
                snapshot.scan(table, .."v").unwrap().count(),
                count,
                "pages of {page_size}"
            );
            try_all(
                &bounds,
                &rows,
                &format!("{count} rows"),
                |bounds, is_reverse, check| {
                    check(if is_reverse {
                        snapshot.scan_rev(table, bounds).unwrap()
                    } else {
                        snapshot.scan(table, bounds).unwrap()
                    });
                },
            );
            // What is deleted through a scan is what the range holds.
            let mut tx = db.begin().unwrap();
            let keys: Vec<_> = tx
                .scan(table, "t".."v")
                .unwrap()
                .map(|row| row.unwrap().0)
                .collect();
            for key in keys {
                assert!(tx.delete(table, &key).unwrap());
            }
            tx.commit().unwrap();
            assert_eq!(db.snapshot().scan(table, ..).unwrap().count(), 0);
        }
    }
}

/// A scan with a limit reads a part of a leaf. That goes on rightly where many of the rows in it are not seen.
#[test]
fn a_limit_among_rows_that_are_not_seen() {
    let key = |n: u32| n.to_be_bytes();
    for page_size in [4096, 16_384, 65_536] {
        let db = Options::new()
            .page_size(page_size)
            .background(false)
            .vfs(Arc::new(MemoryVfs::with_seed(11)))
            .open(PATH)
            .unwrap();
        let table = db.create_table("rows").unwrap();
        let write = |rows: &mut Vec<u32>, is_there: &dyn Fn(u32) -> bool| {
            db.write(|tx| {
                for n in 0..700 {
                    if is_there(n) {
                        tx.put(table, &key(n), &key(n))?;
                    } else {
                        tx.delete(table, &key(n))?;
                    }
                }
                Ok(())
            })
            .unwrap();
            *rows = (0..700).filter(|n| is_there(*n)).collect();
        };
        let (mut old, mut new) = (Vec::new(), Vec::new());
        write(&mut old, &|n| n % 5 != 0);
        let before = db.snapshot();
        write(&mut new, &|n| n % 50 == 0 || n > 600);
        let after = db.snapshot();
        let mut tx = db.begin().unwrap();
        for n in 500..700 {
            tx.delete(table, &key(n)).unwrap();
        }
        let own: Vec<u32> = new.iter().copied().filter(|n| *n < 500).collect();
        for start in (0..720).step_by(37) {
            for limit in [0, 1, 9, 31, 32, 33, 64, 100, 1000] {
                for (what, rows) in [("before", &old), ("after", &new), ("own", &own)] {
                    let (from, to) = (key(start), key(start + 300));
                    let numbers = |scan: engine::Result<Scan<'_>>| -> Vec<u32> {
                        let keys = scan.unwrap().limit(limit).map(|row| row.unwrap().0);
                        keys.map(|key| u32::from_be_bytes(key.try_into().unwrap()))
                            .collect()
                    };
                    let inside = || rows.iter().copied().filter(|n| (start..start + 300).contains(n));
                    let context = format!("{what}, pages of {page_size}, from {start}, limit {limit}");
                    let range = || &from[..]..&to[..];
                    let found = match what {
                        "before" => numbers(before.scan(table, range())),
                        "after" => numbers(after.scan(table, range())),
                        _ => numbers(tx.scan(table, range())),
                    };
                    assert_eq!(found, inside().take(limit).collect::<Vec<_>>(), "{context}");
                    let found = match what {
                        "before" => numbers(before.scan_rev(table, range())),
                        "after" => numbers(after.scan_rev(table, range())),
                        _ => numbers(tx.scan_rev(table, range())),
                    };
                    let expected: Vec<u32> = inside().rev().take(limit).collect();
                    assert_eq!(found, expected, "backwards, {context}");
                }
            }
        }
    }
}
