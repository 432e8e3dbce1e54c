//! Every operation on the log's files fails in turn, once or from then on, in every way that it can.
//!
//! One script recovers a log, starts the next, appends, flushes, recycles. Whatever fails in it: nothing panics, the first
//! failure of a write or sync is final, and afterwards every commit is recovered whose flush succeeded, and nothing but
//! a prefix of what was appended, whether the process or the machine ended; and the log goes on.

use std::io::ErrorKind;

use super::*;
use crate::error::Error;
use crate::vfs::simulated::{Effect, FailedSync, Fault, OperationKind, SimulatedVfs, Survival};

/// A log as its user knows it.
#[derive(Clone)]
struct Known {
    /// Where recovery begins, and the first commit behind it.
    from: LogPosition,
    first: u64,
    /// The newest commit that was appended, and the newest one whose flush succeeded.
    appended: u64,
    durable: u64,
    failures: usize,
}

impl Known {
    fn failed(&mut self, error: &Error) {
        assert!(
            matches!(error, Error::Io { .. } | Error::Poisoned { .. }),
            "a failing device is no corruption: {error}"
        );
        self.failures += 1;
    }

    fn flush(&mut self, wal: &Wal) -> Result<()> {
        wal.flush()?;
        self.durable = self.appended;
        Ok(())
    }
}

fn prepared() -> (SimulatedVfs, Known) {
    let vfs = SimulatedVfs::new(7);
    vfs.create_dir(Path::new(DIR)).unwrap();
    vfs.sync_dir(Path::new("/")).unwrap();
    vfs.sync_dir(Path::new("/db")).unwrap();
    let wal = Wal::start(Arc::new(vfs.clone()), options(), LogPosition(0)).unwrap();
    let mut known = Known {
        from: wal.end(),
        first: 1,
        appended: 0,
        durable: 0,
        failures: 0,
    };
    for id in 1..=120 {
        append(&wal, &commit(id, 100)).unwrap();
        known.appended = id;
        if id % 10 == 0 {
            known.flush(&wal).unwrap();
        }
        if id == 30 {
            (known.from, known.first) = (wal.end(), id + 1);
        }
    }
    (vfs, known)
}

/// Recovers, starts, and works until something fails that is final.
fn script(vfs: &SimulatedVfs, known: &mut Known) -> Result<()> {
    let (recovered, _) = recover(vfs, known.from, known.from)?;
    // What was not flushed may be gone.
    known.appended = recovered.last_commit.map_or(known.first - 1, |last| last.0);
    known.durable = known.appended;
    let wal = Wal::start(Arc::new(vfs.clone()), options(), recovered.end)?;
    for _ in 0..60 {
        let id = known.appended + 1;
        append(&wal, &commit(id, 200))?;
        known.appended = id;
        match id % 7 {
            2 | 5 => known.flush(&wal)?,
            3 => wal.write_out()?,
            // Neither stops the log when it fails.
            4 => wal.prepare().unwrap_or_else(|error| known.failed(&error)),
            6 if id.is_multiple_of(4) => {
                known.flush(&wal)?;
                (known.from, known.first) = (wal.end(), id + 1);
                wal.checkpoint(known.from)
                    .unwrap_or_else(|error| known.failed(&error));
            }
            _ => {}
        }
    }
    known.flush(&wal)
}

/// What is recovered is right, and the log goes on behind it.
fn check(vfs: &SimulatedVfs, known: &Known, what: &str) {
    let (found, read) =
        recover(vfs, known.from, known.from).unwrap_or_else(|error| panic!("{what}: {error}"));
    let last = known.first + read.len() as u64 - 1;
    assert!(
        (known.durable..=known.appended).contains(&last),
        "{what}: commits up to {last} of {}, {} were flushed",
        known.appended,
        known.durable
    );
    for (id, read) in (known.first..).zip(&read) {
        assert!(
            *read == commit(id, 100) || *read == commit(id, 200),
            "{what}: commit {id}"
        );
    }
    let wal = Wal::start(Arc::new(vfs.clone()), options(), found.end).unwrap();
    append(&wal, &commit(last + 1, 100)).unwrap();
    let durable = wal.flush().unwrap();
    drop(wal);
    let (_, again) = recover(vfs, known.from, durable).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(again.len(), read.len() + 1, "{what}");
}

#[test]
fn whatever_fails_nothing_flushed_is_lost_and_the_log_goes_on() {
    use OperationKind as Kind;
    let error = |kind| Effect::Error(kind);
    let ways = [
        (Kind::Open, error(ErrorKind::PermissionDenied)),
        (Kind::List, error(ErrorKind::Other)),
        (Kind::CreateDir, error(ErrorKind::Other)),
        (Kind::Read, error(ErrorKind::Other)),
        (Kind::Read, Effect::Short),
        (Kind::Write, error(ErrorKind::Other)),
        (Kind::Write, error(ErrorKind::StorageFull)),
        (Kind::Write, error(ErrorKind::QuotaExceeded)),
        (Kind::Write, Effect::Short),
        (Kind::Sync, Effect::Sync(FailedSync::KeptDirty)),
        (Kind::Sync, Effect::Sync(FailedSync::MarkedClean)),
        (Kind::Sync, Effect::Sync(FailedSync::Reverted)),
        (Kind::SyncDir, error(ErrorKind::Other)),
        (Kind::Rename, error(ErrorKind::Other)),
        (Kind::Remove, error(ErrorKind::Other)),
    ];
    let (prepared, before) = prepared();
    let image = prepared.crash(Survival::None);
    let (mut runs, mut failed) = (0, 0);
    for (kind, effect) in ways {
        for lasting in [false, true] {
            for nth in 0.. {
                let vfs = SimulatedVfs::from_image(&image, 7);
                vfs.set_faults([Fault {
                    kind,
                    nth,
                    lasting,
                    effect,
                }]);
                let mut known = before.clone();
                let answer = script(&vfs, &mut known);
                if vfs.faults_struck() == 0 {
                    answer.unwrap();
                    assert_eq!(known.failures, 0);
                    break;
                }
                runs += 1;
                if let Err(error) = &answer {
                    known.failed(error);
                }
                failed += usize::from(known.failures > 0);
                vfs.set_faults([]);
                let what = format!("{effect:?} of {kind:?} {nth}, lasting {lasting}");
                for survival in [Survival::None, Survival::All, Survival::Torn(nth)] {
                    let crashed = SimulatedVfs::from_image(&vfs.crash(survival), 8);
                    check(&crashed, &known, &format!("{what}, {survival:?}"));
                }
                check(&vfs, &known, &what);
            }
        }
    }
    assert!(runs > 300 && failed > 200, "{runs} {failed}");
}
