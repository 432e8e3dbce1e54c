//! A panic while a commit is being applied stops the database, and nobody waits for ever.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::time::{Duration, SystemTime};

use engine::vfs::{MemoryVfs, OpenMode, Vfs, VfsFile};
use engine::{Durability, Error, IsolationLevel, TxOptions};

use crate::common::{PATH, small};
use crate::forward::forward;

const CALM: u8 = 0;
/// The next commit stops at the clock, in the middle of being applied.
const ARMED: u8 = 1;
const STOPPED: u8 = 2;
const PANIC: u8 = 3;
/// The stopped commit goes on, and the one after it panics.
const GO_ON: u8 = 4;
const PANIC_NEXT: u8 = 5;

/// Memory with a clock that panics when told to: the applier looks at it in the middle of a commit.
#[derive(Clone, Debug)]
struct PanickingClock {
    files: MemoryVfs,
    state: Arc<AtomicU8>,
}

impl PanickingClock {
    fn wait_for(&self, state: u8) {
        while self.state.load(SeqCst) != state {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn panic_in(&self, state: u8) {
        if self.state.compare_exchange(state, CALM, SeqCst, SeqCst).is_ok() {
            panic!("injected in the middle of a commit");
        }
    }
}

impl Vfs for PanickingClock {
    forward!(files: remove, rename, exists, list, create_dir, sync_dir, monotonic, random);

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        self.files.open(path, mode)
    }

    fn wall_clock(&self) -> SystemTime {
        if self
            .state
            .compare_exchange(ARMED, STOPPED, SeqCst, SeqCst)
            .is_ok()
        {
            while !matches!(self.state.load(SeqCst), PANIC | GO_ON) {
                std::thread::sleep(Duration::from_millis(1));
            }
            let _ = self.state.compare_exchange(GO_ON, PANIC_NEXT, SeqCst, SeqCst);
            self.panic_in(PANIC);
        } else {
            self.panic_in(PANIC_NEXT);
        }
        self.files.wall_clock()
    }
}

#[test]
fn a_panic_in_the_applier_ends_every_queued_commit_with_an_error() {
    for durability in [Durability::Sync, Durability::NoSync] {
        let clock = PanickingClock {
            files: MemoryVfs::default(),
            state: Arc::default(),
        };
        let db = small(&clock.files)
            .vfs(Arc::new(clock.clone()))
            .open(PATH)
            .unwrap();
        let table = db.create_table("rows").unwrap();
        db.write(|tx| tx.put(table, b"before", b"1")).unwrap();
        clock.state.store(ARMED, SeqCst);
        let options = TxOptions::new().durability(durability);
        let commit = |key: u8| {
            let mut tx = db.begin_with(options)?;
            tx.put(table, &[key], b"1")?;
            tx.commit()
        };
        std::thread::scope(|scope| {
            let applier = scope.spawn(|| commit(0));
            clock.wait_for(STOPPED);
            let queued: Vec<_> = (1..=8).map(|key| scope.spawn(move || commit(key))).collect();
            // Long enough for all of them to have queued; one that has not meets the same error earlier.
            std::thread::sleep(Duration::from_millis(100));
            clock.state.store(PANIC, SeqCst);
            assert!(applier.join().is_err(), "the panic reaches its caller");
            for waiting in queued {
                let result = waiting.join().unwrap();
                assert!(matches!(result, Err(Error::Poisoned { .. })), "{result:?}");
            }
        });
        let error = commit(9).unwrap_err();
        assert!(matches!(error, Error::Poisoned { .. }));
        let text = error.to_string();
        assert!(text.contains("panic") && !text.contains("flush"), "{text}");
        assert_eq!(
            db.metrics().row_locks,
            1,
            "but for those of the commit that panicked"
        );
        drop(db);
        let db = small(&clock.files).open(PATH).unwrap();
        let table = db.table("rows").unwrap();
        let rows = db.snapshot().scan(table, ..).unwrap().count();
        assert_eq!(rows, 1, "what was acknowledged, and nothing else");
    }
}

/// The rows of a commit that a panic has cut in two are unlocked then, and whoever waited for one of them gets it.
#[test]
fn nobody_reads_half_a_commit_after_a_panic() {
    let clock = PanickingClock {
        files: MemoryVfs::default(),
        state: Arc::default(),
    };
    let db = small(&clock.files)
        .vfs(Arc::new(clock.clone()))
        .open(PATH)
        .unwrap();
    let table = db.create_table("rows").unwrap();
    db.write(|tx| {
        tx.put(table, b"a", b"old")
            .and_then(|()| tx.put(table, b"b", b"old"))
    })
    .unwrap();
    let options = TxOptions::new().durability(Durability::NoSync);
    let begin = |level| db.begin_with(options.isolation(level)).unwrap();
    let commit = |key: &[u8]| {
        let mut tx = begin(IsolationLevel::ReadCommitted);
        tx.put(table, key, b"new").unwrap();
        tx.commit()
    };
    let (mut committed, mut snapshot) = (
        begin(IsolationLevel::ReadCommitted),
        begin(IsolationLevel::Snapshot),
    );
    assert!(committed.get(table, b"b").unwrap().is_some());
    let waiting_for_b = begin(IsolationLevel::ReadCommitted);
    clock.state.store(ARMED, SeqCst);
    std::thread::scope(|scope| {
        let applier = scope.spawn(|| commit(b"a"));
        clock.wait_for(STOPPED);
        let queued = scope.spawn(|| commit(b"b"));
        while db.metrics().row_locks < 2 {
            std::thread::yield_now();
        }
        let waiting = scope.spawn(move || {
            let mut tx = waiting_for_b;
            tx.get_for_update(table, b"b")
        });
        // Long enough for them to wait; one that does not meets the same error.
        std::thread::sleep(Duration::from_millis(50));
        clock.state.store(GO_ON, SeqCst);
        assert!(
            applier.join().is_err(),
            "it panics while it applies the commit of another"
        );
        assert!(matches!(queued.join().unwrap(), Err(Error::Poisoned { .. })));
        let read = waiting.join().unwrap();
        assert!(matches!(read, Err(Error::Poisoned { .. })), "{read:?}");
    });
    for tx in [&mut committed, &mut snapshot] {
        for key in [b"a", b"b"] {
            let read = tx.get_for_update(table, key);
            assert!(matches!(read, Err(Error::Poisoned { .. })), "{read:?}");
            assert!(matches!(tx.delete(table, key), Err(Error::Poisoned { .. })));
        }
        assert_eq!(tx.get(table, b"b").unwrap().as_deref(), Some(&b"old"[..]));
    }
    for tx in [committed, snapshot] {
        assert!(matches!(tx.commit(), Err(Error::Poisoned { .. })));
    }
    assert_eq!(
        db.snapshot().get(table, b"b").unwrap().as_deref(),
        Some(&b"old"[..])
    );
}
