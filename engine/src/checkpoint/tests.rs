//! Page maps that are made durable between checkpoints, on a database larger than its cache.

use std::sync::Arc;

use crate::txn::{Durability, TxOptions};
use crate::vfs::MemoryVfs;
use crate::{Options, Result};

const ROWS: u64 = 20_000;

/// Rows all over a database of eight times its cache are replaced, and what that replaces is freed as the background would.
#[test]
fn replaced_extents_are_freed_before_they_take_as_much_as_what_is_in_use() -> Result<()> {
    for frees in [true, false] {
        let vfs = MemoryVfs::default();
        let options = Options::new()
            .vfs(Arc::new(vfs.clone()))
            .page_size(4096)
            .cache_size(320 << 10)
            .background(false);
        let db = options.clone().open("/t.db")?;
        let table = db.open_or_create("t")?;
        let key = |row: u64| row.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
        let no_sync = || TxOptions::new().durability(Durability::NoSync);
        let put = |rows: std::ops::Range<u64>, version: u8| -> Result<()> {
            let mut tx = db.begin_with(no_sync())?;
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
        let (mut largest, mut maps) = (0.0_f64, 0);
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
        if frees {
            assert!(maps > 5 && largest < 0.25, "{maps} page maps, {largest}");
        } else {
            assert!(largest > 0.8, "without it nearly all is replaced: {largest}");
        }
        // Redo begins where the last whole checkpoint said, whatever was made durable since.
        manager.flush()?;
        let crashed = options.vfs(Arc::new(vfs.fork())).open("/t.db")?;
        let table = crashed.table("t")?;
        crashed.read(|snapshot| {
            for row in 0..ROWS {
                assert_eq!(
                    snapshot.get(table, &key(row))?.as_deref(),
                    Some(&[1; 100][..]),
                    "{row}"
                );
            }
            Ok(())
        })?;
        assert!(crashed.verify()?.problems.is_empty());
    }
    Ok(())
}
