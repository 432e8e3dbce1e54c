//! What the engine says that it has written is what it has handed to the file system: amplification is worked out from it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use engine::vfs::{MemoryVfs, OpenMode, Vfs, VfsFile};
use engine::{Durability, Options, TxOptions};

use crate::forward::forward;

/// Counts the bytes of all writes.
#[derive(Clone, Debug)]
struct Counting {
    files: MemoryVfs,
    written: Arc<AtomicU64>,
}

#[derive(Debug)]
struct CountingFile {
    file: Arc<dyn VfsFile>,
    written: Arc<AtomicU64>,
}

impl Vfs for Counting {
    forward!(files: exists, list, create_dir, sync_dir, identity_of, open_dir, wall_clock, monotonic, random, remove, rename);

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        Ok(Arc::new(CountingFile {
            file: self.files.open(path, mode)?,
            written: Arc::clone(&self.written),
        }))
    }
}

impl VfsFile for CountingFile {
    forward!(file: read_at, len, sync_data, sync_all, try_lock, identity, set_len);

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.written.fetch_add(bytes.len() as u64, SeqCst);
        self.file.write_at(bytes, offset)
    }
}

#[test]
fn every_byte_is_counted_up_to_headers() {
    let files = Counting {
        files: MemoryVfs::default(),
        written: Arc::default(),
    };
    let options = Options::new().cache_size(1 << 20).vfs(Arc::new(files.clone()));
    let db = options.open("db").unwrap();
    let table = db.open_or_create("t").unwrap();
    let said = || {
        let metrics = db.metrics();
        metrics.bytes_written + metrics.wal_bytes_written + metrics.wal_bytes_zeroed
    };
    for durability in [Durability::Sync, Durability::NoSync] {
        let before = (files.written.load(SeqCst), said());
        for batch in 0..200_u32 {
            let mut tx = db.begin_with(TxOptions::new().durability(durability)).unwrap();
            for row in 0..20 {
                let key = batch.wrapping_mul(7919).wrapping_add(row * 131);
                tx.put(table, &key.to_be_bytes(), &[batch as u8; 700]).unwrap();
            }
            tx.commit().unwrap();
            if batch % 50 == 49 {
                db.checkpoint().unwrap();
            }
        }
        db.sync().unwrap();
        let (handed, said) = (files.written.load(SeqCst) - before.0, said() - before.1);
        // Headers of segments that are taken, and guards: a few blocks for each segment.
        let unsaid = handed.abs_diff(said);
        assert!(
            handed > 4 << 20 && unsaid * 20 < handed,
            "{durability:?}: {handed} bytes written, {said} by the engine's own count"
        );
    }
}
