//! One appender, several flushers, a checkpointer and a preparer at once.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use super::*;

#[test]
fn appending_and_flushing_run_beside_each_other() {
    let vfs = MemoryVfs::default();
    let options = WalOptions {
        segment_size: 64 << 10,
        ..options()
    };
    let wal = Wal::start(Arc::new(vfs.clone()), options.clone(), LogPosition(0)).unwrap();
    let begin = wal.end();
    let count = 20_000;
    let done = AtomicBool::new(false);
    let flushed = AtomicU64::new(0);
    thread::scope(|scope| {
        for flusher in 0..3 {
            let (wal, done, flushed) = (&wal, &done, &flushed);
            scope.spawn(move || {
                while !done.load(Ordering::Acquire) {
                    let appended = wal.end();
                    let durable = match flusher {
                        0 => wal.try_flush().transpose().unwrap(),
                        1 => {
                            wal.write_out().unwrap();
                            None
                        }
                        _ => Some(wal.flush().unwrap()),
                    };
                    if let Some(durable) = durable {
                        assert!(durable >= appended, "a flush covers what was there before it");
                        assert!(wal.durable() >= durable);
                        flushed.fetch_max(durable.0, Ordering::AcqRel);
                    }
                    thread::yield_now();
                }
            });
        }
        let (wal, done) = (&wal, &done);
        scope.spawn(move || {
            while !done.load(Ordering::Acquire) {
                wal.prepare().unwrap();
                thread::yield_now();
            }
        });
        for id in 1..=count {
            append(wal, &commit(id, 150)).unwrap();
            if id.is_multiple_of(64) {
                thread::yield_now();
            }
        }
        done.store(true, Ordering::Release);
    });
    let durable = LogPosition(flushed.load(Ordering::Acquire));
    let (recovered, _) = recover_with(&vfs, &options, begin, durable).unwrap();
    assert!(recovered.end >= durable);
    let end = wal.flush().unwrap();
    assert_eq!(end, wal.end());
    let (recovered, read) = recover_with(&vfs, &options, begin, end).unwrap();
    assert_eq!(recovered.end, end);
    assert_eq!(read.len(), count as usize);
    for (index, read) in read.iter().enumerate() {
        assert_eq!(*read, commit(index as u64 + 1, 150));
    }
    let stats = wal.stats();
    assert_eq!(stats.bytes_appended, recovered.bytes);
    assert!(stats.flushes >= 1);
}

#[test]
fn checkpoints_run_beside_appends() {
    let vfs = MemoryVfs::default();
    let wal = start(&vfs, LogPosition(0));
    let done = AtomicBool::new(false);
    let last_checkpoint = AtomicU64::new(wal.end().0);
    thread::scope(|scope| {
        let (wal, done, last_checkpoint) = (&wal, &done, &last_checkpoint);
        scope.spawn(move || {
            while !done.load(Ordering::Acquire) {
                // The appender's lock makes this a commit boundary.
                let position = wal.appender().end();
                wal.flush().unwrap();
                wal.checkpoint(position).unwrap();
                last_checkpoint.store(position.0, Ordering::Release);
                thread::yield_now();
            }
        });
        for id in 1..=5000 {
            append(wal, &commit(id, 150)).unwrap();
            if id.is_multiple_of(16) {
                wal.flush().unwrap();
            }
        }
        done.store(true, Ordering::Release);
    });
    let end = wal.flush().unwrap();
    let from = LogPosition(last_checkpoint.load(Ordering::Acquire));
    let (recovered, read) = recover(&vfs, from, end).unwrap();
    assert_eq!(recovered.end, end);
    if let Some(last) = read.last() {
        assert_eq!(last.id, 5000);
    }
}

#[test]
fn try_flush_does_not_wait() {
    let vfs = MemoryVfs::default();
    let wal = start(&vfs, LogPosition(0));
    append(&wal, &commit(1, 20)).unwrap();
    // A flush stands still while somebody appends; a second one does not queue behind it.
    let appender = wal.appender();
    thread::scope(|scope| {
        let flusher = scope.spawn(|| wal.flush());
        while wal.try_flush_would_run() {
            thread::yield_now();
        }
        assert!(wal.try_flush().is_none());
        drop(appender);
        flusher.join().unwrap().unwrap();
    });
    assert!(wal.try_flush().is_some());
}
