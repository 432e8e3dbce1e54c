//! What tells of acknowledged commits when one block of the log is lost, wherever a checkpoint was taken.

use std::sync::Arc;

use engine::Options;
use engine::vfs::MemoryVfs;

use crate::common::PATH;
use crate::damage::{read_file, wal_files, write_file};

const BLOCK: usize = 4096;

fn options(vfs: &MemoryVfs) -> Options {
    Options::new()
        .page_size(4096)
        .cache_size(0)
        .wal_segment_size(32 << 10)
        .background(false)
        .vfs(Arc::new(vfs.clone()))
}

/// Small synchronised commits, as many before a checkpoint and behind it, and then each block of the log lost in turn.
fn lose_each_block(before: u8, behind: u8) -> Vec<String> {
    let vfs = MemoryVfs::default();
    let db = options(&vfs).open(PATH).unwrap();
    let table = db.create_table("rows").unwrap();
    for n in 0..before + behind {
        if n == before {
            db.checkpoint().unwrap();
        }
        db.write(|tx| tx.put(table, &[n], b"value")).unwrap();
    }
    let mut silent = Vec::new();
    for path in wal_files(&vfs) {
        for start in (0..read_file(&vfs, &path).len()).step_by(BLOCK) {
            let lost = vfs.fork();
            write_file(&lost, &path, &[0; BLOCK], start);
            let Ok(db) = options(&lost).open(PATH) else {
                continue;
            };
            let table = db.table("rows").unwrap();
            let count = db.snapshot().scan(table, ..).unwrap().count();
            // The very last flush has no witness but itself.
            if count + 1 < usize::from(before + behind) {
                silent.push(format!(
                    "{} at {start}: {count} of {}",
                    path.display(),
                    before + behind
                ));
            }
        }
    }
    silent
}

#[test]
#[ignore = "a guard that was written before a checkpoint is taken to tell of what came after it"]
fn a_lost_block_is_reported_wherever_a_checkpoint_was_taken() {
    let mut silent = Vec::new();
    for before in 0..20 {
        for behind in [2, 5, 30] {
            silent.extend(lose_each_block(before, behind));
        }
    }
    assert!(
        silent.is_empty(),
        "{} losses without a word, the first of them {}",
        silent.len(),
        silent[0]
    );
}
