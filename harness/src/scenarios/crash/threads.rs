//! Several threads that do the steps of transactions at once, on rows that they may contend for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;

use engine::injected::inherit;
use engine::vfs::SimulatedVfs;
use engine::{Database, Error};

use super::quiet;
use super::script::Step;
use super::session::{Committed, Outcome, Session, Trouble};
use super::state::Change;

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// Each commit, and where the file operations were when it returned.
    pub commits: Vec<(Committed, usize)>,
    /// What failed, with the changes if it was a commit; at most one of each thread.
    pub failed: Vec<(Vec<Change>, Error)>,
}

/// Does the steps of each thread. A thread stops at its first error.
///
/// # Errors
/// A wrong answer of the engine; a thread that panicked.
pub(super) fn run(database: &Database, vfs: &SimulatedVfs, threads: &[Vec<Step>]) -> Result<Done, String> {
    let begin = Barrier::new(threads.len());
    let inherited = inherit();
    let results: Vec<Result<Done, String>> = std::thread::scope(|scope| {
        let threads: Vec<_> = threads
            .iter()
            .map(|steps| {
                let (begin, inherited) = (&begin, &inherited);
                scope.spawn(move || {
                    begin.wait();
                    let work = || inherited.with(|| thread(database, vfs, steps));
                    quiet::silence(|| catch_unwind(AssertUnwindSafe(work)))
                        .unwrap_or_else(|panic| Err(format!("panic: {}", quiet::text_of(&*panic))))
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("a thread panicked".into())))
            .collect()
    });
    let mut done = Done::default();
    for result in results {
        let one = result?;
        done.commits.extend(one.commits);
        done.failed.extend(one.failed);
    }
    Ok(done)
}

fn thread(database: &Database, vfs: &SimulatedVfs, steps: &[Step]) -> Result<Done, String> {
    let mut session = Session::new(database);
    let mut done = Done::default();
    for step in steps {
        match session.step(step) {
            Ok(Outcome::Nothing) => {}
            Ok(Outcome::Committed(committed)) => done.commits.push((committed, vfs.position())),
            Ok(Outcome::Failed { changes, error }) => {
                done.failed.push((changes, error));
                break;
            }
            Err(Trouble::Refused(error)) => {
                done.failed.push((Vec::new(), error));
                break;
            }
            Err(Trouble::Wrong(what)) => return Err(format!("{step:?}: {what}")),
        }
    }
    Ok(done)
}
