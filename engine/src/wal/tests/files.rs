//! Failing files: a full disk, a failed sync, no direct writes.

use super::super::WalSync;
use super::*;
use crate::error::Error;

#[test]
fn a_failed_sync_is_final() {
    let vfs = MemoryVfs::default();
    let wal = start(&vfs, LogPosition(0));
    append(&wal, &commit(1, 20)).unwrap();
    let durable = wal.flush().unwrap();
    append(&wal, &commit(2, 20)).unwrap();
    vfs.fail_next_sync();
    let first = wal.flush().unwrap_err();
    assert!(
        matches!(
            first,
            Error::Io {
                operation: "sync",
                ..
            }
        ),
        "the one who flushed sees the cause: {first}"
    );
    assert_eq!(wal.durable(), durable);
    let is_poisoned = |error: Error| {
        assert!(
            matches!(&error, Error::Poisoned { cause } if cause.contains("injected sync failure")),
            "{error}"
        );
    };
    is_poisoned(wal.flush().unwrap_err());
    is_poisoned(wal.try_flush().unwrap().unwrap_err());
    is_poisoned(wal.write_out().unwrap_err());
    is_poisoned(append(&wal, &commit(3, 20)).unwrap_err());
    is_poisoned(wal.appender().reserve(10).unwrap_err());
    is_poisoned(wal.poisoned().unwrap());
    assert_eq!(wal.durable(), durable);
}

#[test]
fn the_first_cause_stays() {
    let wal = start(&MemoryVfs::default(), LogPosition(0));
    assert!(wal.poisoned().is_none());
    wal.poison("first");
    wal.poison("second");
    let error = wal.flush().unwrap_err();
    assert!(error.to_string().contains("first"), "{error}");
}

#[test]
fn a_full_disk_is_found_before_anything_changes() {
    let vfs = MemoryVfs::default();
    let wal = start(&vfs, LogPosition(0));
    let begin = wal.end();
    append(&wal, &commit(1, 20)).unwrap();
    vfs.set_capacity(Some(vfs.used_bytes() + 100));
    let full = wal.appender().reserve(9000).unwrap_err();
    assert!(full.is_disk_full(), "{full}");
    assert!(wal.prepare().unwrap_err().is_disk_full());
    assert!(wal.poisoned().is_none());
    // What fits still goes, and more does when there is room again.
    wal.appender().reserve(200).unwrap();
    append(&wal, &commit(2, 20)).unwrap();
    wal.flush().unwrap();
    vfs.set_capacity(None);
    wal.appender().reserve(9000).unwrap();
    for id in 3..60 {
        append(&wal, &commit(id, 100)).unwrap();
    }
    let durable = wal.flush().unwrap();
    assert_eq!(recover(&vfs, begin, durable).unwrap().1.len(), 59);
}

#[test]
fn a_full_disk_in_the_middle_of_a_commit_is_final() {
    let vfs = MemoryVfs::default();
    let wal = start(&vfs, LogPosition(0));
    let begin = wal.end();
    vfs.set_capacity(Some(vfs.used_bytes()));
    let mut id = 1;
    let error = loop {
        match append(&wal, &commit(id, 300)) {
            Ok(_) => id += 1,
            Err(error) => break error,
        }
    };
    assert!(error.is_disk_full(), "{error}");
    assert!(
        matches!(wal.flush(), Err(Error::Poisoned { .. })),
        "a commit may be half appended"
    );
    let (_, read) = recover(&vfs, begin, begin).unwrap();
    assert!(read.len() < id as usize);
}

#[test]
fn direct_writes_are_refused_where_there_are_none_and_not_chosen() {
    let vfs = MemoryVfs::default();
    let wal = start(&vfs, LogPosition(0));
    assert_eq!(wal.stats().sync, WalSync::Fdatasync);
    let direct = WalOptions {
        sync: WalSync::Direct,
        ..options()
    };
    let error = Wal::start(Arc::new(vfs), direct, LogPosition(0)).unwrap_err();
    assert!(error.to_string().contains("open for direct writes"), "{error}");
}

#[test]
fn bad_options_are_refused() {
    let bad = WalOptions {
        segment_size: 10_000,
        ..options()
    };
    let error = Wal::start(Arc::new(MemoryVfs::default()), bad, LogPosition(0)).unwrap_err();
    assert!(matches!(error, Error::InvalidOption { .. }), "{error}");
}

#[test]
fn a_newer_format_is_named() {
    let vfs = MemoryVfs::default();
    drop(start(&vfs, LogPosition(0)));
    let (path, mut bytes) = image(&vfs).remove(0);
    for copy in [0, bytes.len() - 4096] {
        bytes[copy + 8] = 9;
        let crc = crc32fast::hash(&bytes[copy..copy + 508]);
        bytes[copy + 508..copy + 512].copy_from_slice(&crc.to_le_bytes());
    }
    overwrite(&vfs, &path, &bytes, 0);
    for error in [
        recover(&vfs, LogPosition(0), LogPosition(0)).unwrap_err(),
        Wal::start(Arc::new(vfs.clone()), options(), LogPosition(0)).unwrap_err(),
    ] {
        assert!(
            matches!(
                error,
                Error::UnsupportedVersion {
                    found: 9,
                    supported: 3,
                    ..
                }
            ),
            "{error}"
        );
    }
}
