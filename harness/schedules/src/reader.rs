//! A thread that reads: what a snapshot shows never changes, and is the same whichever way it is read.

use engine::vfs::SimulatedVfs;
use engine::{Database, Snapshot};

use crate::script::{KeyNumber, key_bytes, table_name};
use crate::seen::{Digest, Seen, digest_of, is_gone};

/// Rows of a range, at most.
const RANGE: usize = 5;

/// How often a snapshot is taken that is let go of at once.
const GLANCES: u32 = 4;

/// Takes snapshots, one after the other, and holds them all; reads the oldest again beside each, and all at the end.
///
/// # Errors
/// What was read wrongly.
pub(crate) fn read(
    database: &Database,
    vfs: &SimulatedVfs,
    snapshots: u8,
    from: KeyNumber,
    seen: &mut Vec<Seen>,
) -> Result<(), String> {
    let mut held: Vec<(Snapshot<'_>, Vec<Digest>)> = Vec::new();
    for _ in 0..snapshots {
        for key in 0..GLANCES {
            glance(database, key * 4)?;
        }
        let snapshot = database.snapshot();
        let position = vfs.position();
        let commit = snapshot.commit_id();
        let tables = digest_of(database, &snapshot)?.ok_or_else(too_old)?;
        seen.push(Seen {
            commit,
            position,
            tables: tables.clone(),
        });
        held.push((snapshot, tables));
        if let Some((snapshot, first)) = held.first() {
            again(database, snapshot, first)?;
            both_ways(database, snapshot, from)
                .map_err(|what| format!("a snapshot of commit {}: {what}", snapshot.commit_id()))?;
        }
    }
    held.iter()
        .try_for_each(|(snapshot, first)| again(database, snapshot, first))
}

/// What a snapshot needs is kept as long as it is open: there is memory for all that a schedule does.
fn too_old() -> String {
    "a snapshot that was open became too old".into()
}

/// Looks at one of the rows that most commits change.
fn glance(database: &Database, key: KeyNumber) -> Result<(), String> {
    let table = database
        .table(&table_name(0))
        .map_err(|error| error.to_string())?;
    let snapshot = database.snapshot();
    let mut twice = (0..2).map(|_| snapshot.get(table, &key_bytes(key)));
    match (twice.next(), twice.next()) {
        (Some(Ok(one)), Some(Ok(other))) if one == other => Ok(()),
        (Some(Ok(_)), Some(Ok(_))) => Err("a snapshot shows a row in two ways".into()),
        (Some(Err(error)), _) | (_, Some(Err(error))) => Err(format!("a row of a new snapshot: {error}")),
        _ => Ok(()),
    }
}

fn again(database: &Database, snapshot: &Snapshot<'_>, first: &[Digest]) -> Result<(), String> {
    let now = digest_of(database, snapshot)?.ok_or_else(too_old)?;
    now.iter()
        .zip(first)
        .try_for_each(|(now, first)| now.is_same(first))
        .map_err(|what| format!("a snapshot of commit {}: {what}", snapshot.commit_id()))
}

/// Reads a few rows one way, the other way, and one by one.
fn both_ways(database: &Database, snapshot: &Snapshot<'_>, from: KeyNumber) -> Result<(), String> {
    let read = || -> engine::Result<Result<(), String>> {
        let table = database.table(&table_name(0))?;
        let mut rows: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let low = key_bytes(from);
        let mut scan = snapshot.scan(table, &low[..]..)?;
        while rows.len() < RANGE
            && let Some((key, value)) = scan.next_row()?
        {
            rows.push((key.to_vec(), value.to_vec()));
        }
        drop(scan);
        let Some((high, _)) = rows.last() else {
            return Ok(Ok(()));
        };
        let mut scan = snapshot.scan_rev(table, &low[..]..=&high[..])?;
        for (key, value) in rows.iter().rev() {
            if scan.next_row()? != Some((&key[..], &value[..])) {
                return Ok(Err("a range has other rows backwards than forwards".into()));
            }
        }
        if scan.next_row()?.is_some() {
            return Ok(Err("a range has more rows backwards than forwards".into()));
        }
        drop(scan);
        for (key, value) in &rows {
            if snapshot.get(table, key)?.as_deref() != Some(&value[..]) {
                return Ok(Err("a row of a range is another one by itself".into()));
            }
        }
        Ok(Ok(()))
    };
    match read() {
        Ok(answer) => answer,
        Err(error) if is_gone(&error) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}
