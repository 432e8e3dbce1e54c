//! A checkpoint removes log files that are needed no more just while a commit looks whether its spares are still there.

use std::path::Path;
use std::sync::mpsc::channel;

use engine::vfs::{MemoryVfs, Vfs};

use crate::common::PATH;
use crate::gate::{GatedVfs, OpenAtEnd};

#[test]
fn spares_that_a_checkpoint_removes_meanwhile_are_not_missed() {
    let vfs = GatedVfs::new(MemoryVfs::default());
    let options = vfs.options().cache_size(16 << 20).wal_segment_size(256 << 10);
    let db = options.open(PATH).unwrap();
    let table = db.create_table("rows").unwrap();
    for n in 0..20u32 {
        db.write(|tx| tx.put(table, &n.to_be_bytes(), &vec![1; 200_000]))
            .unwrap();
    }
    let files = || vfs.list(Path::new("/test.db-wal")).unwrap().len();
    db.checkpoint().unwrap();
    let spares = files();
    assert!(spares > 10, "what the load needed is kept: {spares}");
    // Four checkpoints later the load is forgotten.
    for remaining in (0..4).rev() {
        assert_eq!(files(), spares, "{remaining} before");
        db.write(|tx| tx.put(table, b"a", b"small")).unwrap();
        if remaining > 0 {
            db.checkpoint().unwrap();
        }
    }

    let (end, has_ended) = channel();
    vfs.close_for(PATH);
    std::thread::scope(|scope| {
        let _open = OpenAtEnd(&vfs);
        scope.spawn(|| {
            db.checkpoint().unwrap();
            end.send(()).unwrap();
        });
        vfs.wait_for_sync();
        let gate = vfs.clone();
        vfs.at_next_look(move || {
            gate.open();
            has_ended.recv().unwrap();
        });
        db.write(|tx| tx.put(table, b"big", &vec![2; 300_000])).unwrap();
    });
    assert!(files() < spares, "some were removed");
}
