//! Page maps that are made durable between checkpoints, on a database larger than its cache.

use std::ops::Range;
use std::sync::Arc;

use crate::injected::{self, Bug};
use crate::txn::{Durability, TxOptions};
use crate::vfs::MemoryVfs;
use crate::{Options, Result};

const ROWS: u64 = 20_000;

/// Replaces rows all over a database of eight times its cache, and frees what that replaces as the background would. Returns how
/// often, the largest part of the file that was replaced, and how many rows are not there after a crash.
fn replace_all(frees: bool) -> Result<(u32, f64, u64)> {
    let vfs = MemoryVfs::default();
    let options = Options::new()
        .vfs(Arc::new(vfs.clone()))
        .page_size(4096)
        .cache_size(320 << 10)
        .background(false);
    let db = options.clone().open("/t.db")?;
    let table = db.open_or_create("t")?;
    let key = |row: u64| row.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
    let put = |rows: Range<u64>, version: u8| -> Result<()> {
        let mut tx = db.begin_with(TxOptions::new().durability(Durability::NoSync))?;
        for row in rows {
            tx.put(table, &key(row), &[version; 100])?;
        }
        tx.commit().map(drop)
    };
    for from in (0..ROWS).step_by(100) {
        put(from..from + 100, 0)?;
    }
    db.checkpoint()?;
    let manager = db.manager();
    let (mut maps, mut largest) = (0, 0.0_f64);
    for from in (0..ROWS).step_by(10) {
        put(from..from + 10, 1)?;
        if frees && manager.has_much_replaced() {
            manager.free_replaced_if_much()?;
            assert!(!manager.has_much_replaced());
            maps += 1;
        }
        let stats = manager.pool.store().stats();
        largest = largest.max(stats.pending_bytes as f64 / stats.live_bytes as f64);
    }
    manager.flush()?;
    let crashed = options.vfs(Arc::new(vfs.fork())).open("/t.db")?;
    let table = crashed.table("t")?;
    let mut lost = 0;
    crashed.read(|snapshot| {
        for row in 0..ROWS {
            lost += u64::from(snapshot.get(table, &key(row))?.as_deref() != Some(&[1; 100][..]));
        }
        Ok(())
    })?;
    assert!(crashed.verify()?.is_sound());
    Ok((maps, largest, lost))
}

#[test]
fn replaced_extents_are_freed_before_they_take_as_much_as_what_is_in_use() -> Result<()> {
    let (maps, largest, lost) = replace_all(true)?;
    assert!(maps > 5 && largest < 0.25, "{maps} page maps, {largest}");
    // Redo begins where the last whole checkpoint said, whatever was made durable since.
    assert_eq!(lost, 0);
    let (_, largest, lost) = replace_all(false)?;
    assert!(largest > 0.8, "without it nearly all is replaced: {largest}");
    assert_eq!(lost, 0);
    Ok(())
}

#[test]
fn a_page_map_that_moves_the_redo_position_loses_rows() -> Result<()> {
    if injected::are_possible() {
        let (_, _, lost) = injected::with(Some(Bug::FreedMapMovesRedo), || replace_all(true))?;
        assert!(lost > 0);
    }
    Ok(())
}
