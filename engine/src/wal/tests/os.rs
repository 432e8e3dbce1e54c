//! On real files: both ways to flush, and the choice between them.

use std::io;

use super::super::WalSync;
use super::*;
use crate::error::Error;
use crate::vfs::OsVfs;

fn round_trip(sync: WalSync) -> Result<WalSync> {
    let dir = tempfile::tempdir().unwrap();
    let vfs = OsVfs::default();
    let options = WalOptions {
        dir: dir.path().join("wal"),
        segment_size: 64 << 10,
        page_size: 4096,
        sync,
        ..WalOptions::new("")
    };
    let wal = Wal::start(Arc::new(vfs.clone()), options.clone(), LogPosition(0))?;
    let begin = wal.end();
    let mut middle = begin;
    for id in 1..=600 {
        append(&wal, &commit(id, 400)).unwrap();
        match id % 50 {
            0 => wal.write_out().unwrap(),
            20 => wal.prepare().unwrap(),
            10 | 30 | 40 => assert_eq!(wal.flush().unwrap(), wal.end()),
            _ => {}
        }
        if id == 300 {
            middle = wal.end();
            wal.flush().unwrap();
            wal.checkpoint(middle).unwrap();
        }
    }
    let end = wal.flush().unwrap();
    let chosen = wal.stats().sync;
    drop(wal);
    assert!(end.0 - begin.0 > 3 * (64 << 10));
    let (recovered, read) = recover_with(&vfs, &options, middle, end).unwrap();
    assert_eq!(recovered.end, end);
    assert_eq!(read, (301..=600).map(|id| commit(id, 400)).collect::<Vec<_>>());

    // Started again and once more recovered, from before the restart.
    let wal = Wal::start(Arc::new(vfs.clone()), options.clone(), end)?;
    append(&wal, &commit(601, 400)).unwrap();
    let durable = wal.flush().unwrap();
    let (_, read) = recover_with(&vfs, &options, middle, durable).unwrap();
    assert_eq!(read.last(), Some(&commit(601, 400)));
    Ok(chosen)
}

#[test]
fn with_fdatasync() {
    assert_eq!(round_trip(WalSync::Fdatasync).unwrap(), WalSync::Fdatasync);
}

#[test]
fn with_direct_writes_where_the_file_system_can() {
    match round_trip(WalSync::Direct) {
        Ok(chosen) => assert_eq!(chosen, WalSync::Direct),
        Err(Error::Io { source, .. }) => assert!(
            matches!(
                source.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
            ),
            "{source}"
        ),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn with_whichever_is_faster() {
    assert_ne!(round_trip(WalSync::Auto).unwrap(), WalSync::Auto);
}

#[test]
fn a_directory_that_cannot_be_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, b"in the way").unwrap();
    let options = WalOptions::new(file.join("wal"));
    let error = Wal::start(Arc::new(OsVfs::default()), options, LogPosition(0)).unwrap_err();
    assert!(error.to_string().contains("create directory"), "{error}");
}
