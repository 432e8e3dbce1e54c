//! Several threads that commit at once, so that one flush covers several commits.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use engine::vfs::SimulatedVfs;
use engine::{CommitId, Database, Durability, Error, Table, TxOptions};

use super::script::{TableNumber, Value, key_bytes, table_name, value_bytes};
use super::state::Change;

/// What the threads do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Together {
    pub threads: u8,
    pub commits: u8,
    pub table: TableNumber,
    pub key: u32,
    pub len: u32,
    pub checkpoint: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// Each commit, what it changed, and where the file operations were when it was promised.
    pub commits: Vec<(CommitId, Change, usize)>,
    /// What failed, with the change if it was a commit; at most one of each thread.
    pub failed: Vec<(Option<Change>, Error)>,
}

impl Together {
    /// Runs the threads. Each stops at its first error.
    ///
    /// # Errors
    /// A thread that panicked.
    pub(super) fn run(self, database: &Database, vfs: &SimulatedVfs) -> Result<Done, String> {
        let mut done = Done::default();
        let Ok(table) = database.table(&table_name(self.table)) else {
            return Ok(done);
        };
        // The checkpoints begin with the commits, or a busy machine would take them before or after, not beside.
        let begin = Barrier::new(usize::from(self.threads) + usize::from(self.checkpoint));
        let planted = engine::planted::current();
        let working = AtomicUsize::new(usize::from(self.threads));
        let results: Vec<_> = std::thread::scope(|scope| {
            let checkpoints = self.checkpoint.then(|| {
                scope.spawn(|| {
                    begin.wait();
                    engine::planted::with(planted, || checkpoints(database, &working))
                })
            });
            let threads: Vec<_> = (0..self.threads)
                .map(|thread| {
                    let (begin, working) = (&begin, &working);
                    scope.spawn(move || {
                        let _leave = Leave(working);
                        engine::planted::with(planted, || {
                            begin.wait();
                            self.thread(thread, database, table, vfs)
                        })
                    })
                })
                .collect();
            threads
                .into_iter()
                .chain(checkpoints)
                .map(std::thread::ScopedJoinHandle::join)
                .collect()
        });
        for result in results {
            let one = result.map_err(|_| "a committing thread panicked")?;
            done.commits.extend(one.commits);
            done.failed.extend(one.failed);
        }
        Ok(done)
    }

    fn thread(self, thread: u8, database: &Database, table: Table, vfs: &SimulatedVfs) -> Done {
        let mut done = Done::default();
        for commit in 0..u32::from(self.commits) {
            let key = self.key + u32::from(thread) + commit * u32::from(self.threads);
            let value = Value {
                len: self.len,
                version: commit,
            };
            let change = (self.table, key, Some(value));
            match commit_one(database, table, key, value) {
                Ok(commit) => done.commits.push((commit, change, vfs.position())),
                Err(error) => {
                    done.failed.push((Some(change), error));
                    break;
                }
            }
        }
        done
    }
}

/// Takes checkpoints while threads are working, until one fails.
fn checkpoints(database: &Database, working: &AtomicUsize) -> Done {
    let mut done = Done::default();
    while working.load(Ordering::Relaxed) > 0 {
        if let Err(error) = database.checkpoint() {
            done.failed.push((None, error));
            break;
        }
    }
    done
}

/// Counts a thread out when it ends, however it ends.
struct Leave<'a>(&'a AtomicUsize);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn commit_one(database: &Database, table: Table, key: u32, value: Value) -> engine::Result<CommitId> {
    let mut bytes = Vec::new();
    value_bytes(key, value, &mut bytes);
    let mut transaction = database.begin_with(TxOptions::new().durability(Durability::Sync))?;
    transaction.put(table, &key_bytes(key), &bytes)?;
    transaction.commit()
}
