//! The threads of a schedule: doing what the plan says, and noting what came of it.

use engine::vfs::SimulatedVfs;
use engine::{CommitId, Database, Durability, Error, TxOptions};

use crate::plan::Actor;
use crate::reader;
use crate::script::{Step, TableNumber, Value, key_bytes, table_name, value_bytes};
use crate::seen::{Seen, is_gone};
use crate::session::{Committed, Outcome, Session, Trouble};
use crate::state::Change;

/// A table was made or dropped by a commit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TableChange {
    pub commit: CommitId,
    pub table: TableNumber,
    pub is_there: bool,
}

/// What came of one thread.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// Each commit, and where the file operations were when it returned.
    pub commits: Vec<(Committed, usize)>,
    pub tables: Vec<TableChange>,
    /// Everything up to these commits was said to be durable at these points.
    pub promises: Vec<(usize, CommitId)>,
    pub seen: Vec<Seen>,
}

/// Does what one thread has to do.
///
/// # Errors
/// A wrong answer of the engine, or a refusal, for which there is no reason.
pub(crate) fn act(database: &Database, vfs: &SimulatedVfs, actor: &Actor) -> Result<Done, String> {
    let mut done = Done::default();
    let failed = |what: &'static str| move |error: Error| format!("{what}: {error}");
    match actor {
        Actor::Commits(steps) => commits(database, vfs, steps, &mut done)?,
        Actor::Reads { snapshots, from } => reader::read(database, vfs, *snapshots, *from, &mut done.seen)?,
        Actor::Checkpoints(count) => {
            for _ in 0..*count {
                let report = database.checkpoint().map_err(failed("checkpoint"))?;
                done.promises.push((vfs.position(), report.commit));
            }
        }
        Actor::Collects(count) => (0..*count).for_each(|_| database.gc(1)),
        Actor::Syncs(count) => {
            for _ in 0..*count {
                let commit = database.snapshot().commit_id();
                database.sync().map_err(failed("sync"))?;
                done.promises.push((vfs.position(), commit));
            }
        }
        Actor::Tables { number, rounds, rows } => {
            for round in 0..*rounds {
                // Names follow no snapshot, so none comes again while one is held.
                let number = number - 2 * round;
                table(database, vfs, number, *rows, round, &mut done)
                    .map_err(|error| format!("{}: {error}", table_name(number)))?;
            }
        }
    }
    Ok(done)
}

fn commits(database: &Database, vfs: &SimulatedVfs, steps: &[Step], done: &mut Done) -> Result<(), String> {
    let mut session = Session::new(database);
    for step in steps {
        match session.step(step) {
            Ok(Outcome::Nothing) => {}
            Ok(Outcome::Committed(committed)) => done.commits.push((committed, vfs.position())),
            Ok(Outcome::Failed { changes, error }) => {
                return Err(format!("{step} of {} rows: {error}", changes.len()));
            }
            Err(Trouble::Refused(error)) => return Err(format!("{step}: {error}")),
            Err(Trouble::Wrong(what)) => return Err(format!("{step}: {what}")),
        }
    }
    Ok(())
}

/// Makes a table, writes rows, and drops it. Nobody else makes or drops tables of that number.
fn table(
    database: &Database,
    vfs: &SimulatedVfs,
    number: TableNumber,
    rows: u8,
    round: u8,
    done: &mut Done,
) -> engine::Result<()> {
    let name = table_name(number);
    let table = database.create_table(&name)?;
    let point = vfs.position();
    if let Some(commit) = database.newest_change(&name) {
        done.promises.push((point, commit));
        done.tables.push(TableChange {
            commit,
            table: number,
            is_there: true,
        });
    }
    let mut changes: Vec<Change> = Vec::new();
    let mut bytes = Vec::new();
    let mut transaction = database.begin_with(TxOptions::new().durability(Durability::Sync))?;
    for key in 0..rows.into() {
        let value = Value {
            // A long one has pages of its own.
            len: if key == 2 { 6000 } else { 200 },
            version: 7 + u32::from(round),
        };
        value_bytes(key, value, &mut bytes);
        transaction.put(table, &key_bytes(key), &bytes)?;
        changes.push((number, key, Some(value)));
    }
    let commit = transaction.commit()?;
    done.commits.push((
        Committed {
            commit,
            changes,
            reads: Vec::new(),
            promises: true,
        },
        vfs.position(),
    ));
    database.drop_table(&name)?;
    let point = vfs.position();
    let snapshot = database.snapshot();
    match snapshot.get(table, &key_bytes(0)) {
        Err(Error::TableDropped {
            commit: Some(commit), ..
        }) => {
            done.promises.push((point, commit));
            done.tables.push(TableChange {
                commit,
                table: number,
                is_there: false,
            });
            Ok(())
        }
        Err(error) if !is_gone(&error) => Err(error),
        _ => Err(Error::NoSuchTable {
            name: format!("{name} (which is not said to have been dropped by a commit)"),
        }),
    }
}
