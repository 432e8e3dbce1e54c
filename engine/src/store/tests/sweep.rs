//! Every operation on the data file fails in turn, once or from then on, in every way that it can.
//!
//! One script writes, checkpoints, frees, reads and verifies. Whatever fails in it: nothing panics, what is read is
//! right, and afterwards the file opens with the last checkpoint that was acknowledged, or the one that was being made,
//! whether the process or the machine ended; and it can be used.

use super::*;
use crate::error::Error;
use crate::vfs::simulated::{Effect, FailedSync, Fault, OperationKind, SimulatedVfs, Survival};
use std::io::ErrorKind;

/// What the file may hold after the script.
struct Outcome {
    /// The pages of the last checkpoint that was acknowledged.
    durable: Model,
    /// Those of a checkpoint that failed later: perhaps it got there.
    perhaps: Option<Model>,
    failures: Vec<Error>,
}

impl Outcome {
    /// Notes an answer; gives `Some` for success.
    fn note<T>(&mut self, answer: Result<T>) -> Option<T> {
        match answer {
            Ok(value) => Some(value),
            Err(error) => {
                assert!(
                    matches!(error, Error::Io { .. } | Error::Poisoned { .. }),
                    "a failing device is no corruption: {error}"
                );
                self.failures.push(error);
                None
            }
        }
    }

    fn checkpoint(&mut self, file: &DataFile, commit: CommitId, pages: &Model) {
        let answer = checkpoint(file, commit);
        let poisoned = matches!(answer, Err(Error::Poisoned { .. }));
        if self.note(answer).is_some() {
            self.durable = pages.clone();
            self.perhaps = None;
        } else if !poisoned {
            self.perhaps = Some(pages.clone());
        }
    }
}

fn open_simulated(vfs: &SimulatedVfs) -> Result<DataFile> {
    let io = |source| Error::io("open", Path::new(PATH), source);
    let file = vfs.open(Path::new(PATH), CREATE).map_err(io)?;
    DataFile::open(Arc::new(vfs.clone()), Path::new(PATH), file)
}

/// A file with 40 pages after two checkpoints.
fn prepared() -> (SimulatedVfs, Model) {
    let vfs = SimulatedVfs::new(7);
    vfs.create_dir(Path::new("/db")).unwrap();
    vfs.sync_dir(Path::new("/")).unwrap();
    let file = vfs.open(Path::new(PATH), CREATE).unwrap();
    let handle: Arc<dyn Vfs> = Arc::new(vfs.clone());
    let file = DataFile::create(handle, Path::new(PATH), file, &options(Codec::Lz4)).unwrap();
    vfs.sync_dir(Path::new("/db")).unwrap();
    let mut model = Model::new();
    let all = allocate(&file, 40);
    write(&file, CommitId(1), &all, &mut model).unwrap();
    checkpoint(&file, CommitId(1)).unwrap();
    write(&file, CommitId(2), &all[..10], &mut model).unwrap();
    checkpoint(&file, CommitId(2)).unwrap();
    (vfs, model)
}

fn script(vfs: &SimulatedVfs, before: &Model) -> Outcome {
    let mut outcome = Outcome {
        durable: before.clone(),
        perhaps: None,
        failures: Vec::new(),
    };
    let Some(file) = outcome.note(open_simulated(vfs)) else {
        return outcome;
    };
    let mut pages = before.clone();
    for commit in 3..7 {
        let commit = CommitId(commit);
        let numbers: Vec<PageNumber> = pages.keys().copied().take(15).collect();
        let more = allocate(&file, 30);
        for batch in [&numbers, &more] {
            let mut written = pages.clone();
            if outcome.note(write(&file, commit, batch, &mut written)).is_some() {
                pages = written;
            }
        }
        let freed = numbers[commit.0 as usize];
        file.free_page(freed, commit);
        pages.remove(&freed);
        outcome.checkpoint(&file, commit, &pages);
        if file.poison().error().is_some() {
            // What the file holds is not known any more: no more is written.
            outcome.note(write(&file, commit, &more, &mut Model::new()));
            outcome.checkpoint(&file, commit, &pages);
            assert!(matches!(
                outcome.failures[..],
                [.., Error::Poisoned { .. }, Error::Poisoned { .. }]
            ));
            return outcome;
        }
        let mut raw = Vec::new();
        for (page, (commit, image)) in &pages {
            if let Some(found) = outcome.note(file.read_page(*page, &mut raw)) {
                assert_eq!((found, &raw), (Some(*commit), image), "page {page}");
            }
        }
        let verified = file.verify(&mut |damage| {
            assert!(
                matches!(damage, Error::Io { .. }),
                "a failing device is no damage: {damage}"
            );
        });
        outcome.note(verified);
    }
    outcome
}

/// Opens what was left, and uses it.
fn check(vfs: &SimulatedVfs, outcome: &Outcome, what: &str) {
    let file = open_simulated(vfs).unwrap_or_else(|error| panic!("{what}: {error}"));
    let found = contents(&file).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(
        found == outcome.durable || Some(&found) == outcome.perhaps.as_ref(),
        "{what}: generation {} holds neither checkpoint",
        file.superblock().generation
    );
    verified(&file).unwrap_or_else(|error| panic!("{what}: {error}"));
    let mut model = found;
    let more = allocate(&file, 3);
    write(&file, CommitId(100), &more, &mut model).unwrap();
    checkpoint(&file, CommitId(100)).unwrap();
    drop(file);
    assert_contents(&open_simulated(vfs).unwrap(), &model);
}

#[test]
fn whatever_fails_the_file_holds_the_last_checkpoint_and_goes_on() {
    use OperationKind as Kind;
    let error = |kind| Effect::Error(kind);
    let ways = [
        (Kind::Open, error(ErrorKind::PermissionDenied)),
        (Kind::Read, error(ErrorKind::Other)),
        (Kind::Read, Effect::Short),
        (Kind::Write, error(ErrorKind::Other)),
        (Kind::Write, error(ErrorKind::StorageFull)),
        (Kind::Write, Effect::Short),
        (Kind::SetLen, error(ErrorKind::StorageFull)),
        (Kind::SetLen, error(ErrorKind::QuotaExceeded)),
        (Kind::SetLen, error(ErrorKind::Other)),
        (Kind::Sync, Effect::Sync(FailedSync::KeptDirty)),
        (Kind::Sync, Effect::Sync(FailedSync::MarkedClean)),
        (Kind::Sync, Effect::Sync(FailedSync::Reverted)),
    ];
    let (prepared, before) = prepared();
    let image = prepared.crash(Survival::None);
    let (mut runs, mut failed, mut poisoned) = (0, 0, 0);
    for (kind, effect) in ways {
        for lasting in [false, true] {
            // Reads are many and alike: every one of the first, then some.
            let later = if kind == Kind::Read { 41 } else { 1 };
            for nth in (0..25).chain((25..).step_by(later)) {
                let vfs = SimulatedVfs::from_image(&image, 7);
                vfs.set_faults([Fault {
                    kind,
                    nth,
                    lasting,
                    effect,
                }]);
                let outcome = script(&vfs, &before);
                if vfs.faults_struck() == 0 {
                    assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
                    break;
                }
                runs += 1;
                failed += usize::from(!outcome.failures.is_empty());
                poisoned += outcome
                    .failures
                    .iter()
                    .filter(|error| matches!(error, Error::Poisoned { .. }))
                    .count();
                vfs.set_faults([]);
                let what = format!("{effect:?} of {kind:?} {nth}, lasting {lasting}");
                for survival in [Survival::None, Survival::All, Survival::Torn(nth)] {
                    let crashed = SimulatedVfs::from_image(&vfs.crash(survival), 8);
                    check(&crashed, &outcome, &format!("{what}, {survival:?}"));
                }
                check(&vfs, &outcome, &what);
            }
        }
    }
    assert!(
        runs > 200 && failed > 150 && poisoned > 20,
        "{runs} {failed} {poisoned}"
    );
}
