//! A thread that reads: what a snapshot shows never changes, and is the same whichever way it is read.

use engine::vfs::SimulatedVfs;
use engine::{Database, Error, Snapshot};

use crate::script::{KeyNumber, key_bytes, table_name};
use crate::seen::{Digest, Seen, digest_of, is_gone};

/// Rows of a range, at most.
const RANGE: usize = 5;

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
        let snapshot = database.snapshot();
        let position = vfs.position();
        let commit = snapshot.commit_id();
        if let Some(tables) = digest_of(database, &snapshot)? {
            seen.push(Seen {
                commit,
                position,
                tables: tables.clone(),
            });
            held.push((snapshot, tables));
        }
        if let Some((snapshot, first)) = held.first() {
            again(database, snapshot, first)?;
            both_ways(database, snapshot, from)
                .map_err(|what| format!("a snapshot of commit {}: {what}", snapshot.commit_id()))?;
        }
    }
    held.iter()
        .try_for_each(|(snapshot, first)| again(database, snapshot, first))
}

fn again(database: &Database, snapshot: &Snapshot<'_>, first: &[Digest]) -> Result<(), String> {
    let Some(now) = digest_of(database, snapshot)? else {
        return Ok(());
    };
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
        Err(Error::SnapshotTooOld { .. }) => Ok(()),
        Err(error) if is_gone(&error) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}
