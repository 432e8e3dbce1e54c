//! No commit needs more of the log than was reserved for it. The engine asserts that at the end of each commit in builds
//! with debug assertions; this takes it to where the bound is tight: rows that come, go, grow, shrink and move to overflow
//! pages, in every order of keys, in caches that hold all or next to nothing.

use engine::vfs::MemoryVfs;
use engine::{Durability, Options, TxOptions};
use rand::{Rng, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use std::collections::BTreeMap;
use std::sync::Arc;

/// How keys of a database look.
#[derive(Clone, Copy, Debug)]
enum Keys {
    Short,
    /// As long as a page of this size allows, and equal but for the end.
    Longest(usize),
    Mixed,
}

fn key(keys: Keys, number: u32) -> Vec<u8> {
    let mut key = number.to_be_bytes().to_vec();
    match keys {
        Keys::Short => {}
        Keys::Longest(page_size) => {
            key = vec![b'l'; page_size / 8 - 4];
            key.extend(number.to_be_bytes());
        }
        Keys::Mixed => key.resize(4 + (number as usize * 37) % 200, b'm'),
    }
    key
}

fn value(random: &mut impl Rng, page_size: usize) -> Vec<u8> {
    let inline = page_size / 4 - 64;
    let len = match random.random_range(0..10) {
        0 => 0,
        1 => inline,
        2 => inline + 1,
        3 => random.random_range(inline / 2..3 * page_size),
        4 | 5 => page_size / 16 + random.random_range(0..9),
        _ => random.random_range(0..150),
    };
    vec![random.random(); len]
}

/// The keys of one commit: a run, scattered ones, or those of rows that are there.
fn chosen(random: &mut impl Rng, rows: &BTreeMap<u32, Vec<u8>>, space: u32) -> Vec<u32> {
    let count = random.random_range(1..250);
    let from = random.random_range(0..space);
    match random.random_range(0..4) {
        0 => (from..from + count).collect(),
        1 => (0..count).map(|_| random.random_range(0..space)).collect(),
        2 => rows
            .keys()
            .copied()
            .filter(|key| *key >= from)
            .take(count as usize)
            .collect(),
        _ => rows
            .keys()
            .copied()
            .step_by(1 + rows.len() / count as usize)
            .collect(),
    }
}

fn commits_of(seed: u64) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let page_size = [4096, 4096, 8192, 65_536][random.random_range(0..4)];
    let keys = [Keys::Short, Keys::Longest(page_size), Keys::Mixed][random.random_range(0..3)];
    let cache_pages = [64, 64, 300, 5000][random.random_range(0..4)];
    let vfs = MemoryVfs::default();
    let options = Options::new()
        .page_size(page_size)
        .cache_size(cache_pages * (page_size + 64))
        .wal_segment_size(1 << 20)
        .background(false)
        .vfs(Arc::new(vfs.clone()));
    let mut db = options.clone().open("/db").unwrap();
    let mut table = db.create_table("rows").unwrap();
    let mut rows = BTreeMap::new();
    for _ in 0..14 {
        let mut tx = db
            .begin_with(TxOptions::new().durability(Durability::NoSync))
            .unwrap();
        let deletes = random.random_range(0..4);
        for number in chosen(&mut random, &rows, 1500) {
            if random.random_range(0..4) < deletes {
                tx.delete(table, &key(keys, number)).unwrap();
                rows.remove(&number);
            } else {
                let value = value(&mut random, page_size);
                tx.put(table, &key(keys, number), &value).unwrap();
                rows.insert(number, value);
            }
        }
        tx.commit().unwrap();
        match random.random_range(0..5) {
            0 => db.gc(1),
            1 => drop(db.checkpoint().unwrap()),
            2 => {
                db.close().unwrap();
                db = options.clone().open("/db").unwrap();
                table = db.table("rows").unwrap();
            }
            _ => {}
        }
    }
    let found = db.snapshot().scan(table, ..).unwrap().count();
    assert_eq!(found, rows.len(), "seed {seed}");
    assert!(db.verify().unwrap().is_sound(), "seed {seed}");
}

#[test]
fn no_commit_needs_more_than_was_reserved_for_it() {
    let seeds = std::env::var("RESERVED_SEEDS").map_or(25, |seeds| seeds.parse().expect("a number"));
    for seed in 0..seeds {
        println!("seed {seed}");
        commits_of(seed);
    }
}
