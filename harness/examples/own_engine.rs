//! An engine of one's own under the harness: ordered maps in memory, a log of commits on disk, one transaction at a time.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions as FileOptions};
use std::io::{Read as _, Write as _};
use std::ops::Bound::{Excluded, Included};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use harness::driver::{
    Capabilities, Committed, Direction, Durability, Isolation, OpenMode, OpenOptions, RowBuffer, Session,
    TableRef, Target, TargetError, TargetFactory, TargetStats, TxOptions,
};

fn main() -> ExitCode {
    harness::Harness::new().engine(Factory(capabilities())).main()
}

fn capabilities() -> Capabilities {
    Capabilities {
        durabilities: [Durability::Sync, Durability::NoSync].into(),
        isolations: [Isolation::Serializable].into(),
        persistent: true,
        commit_ids: true,
        // There is one transaction at a time, so whoever reads a row may change it.
        locks_rows: true,
        ..Capabilities::new("own", "0.1", "maps in memory and a log of commits")
    }
}

type Key = (u16, Vec<u8>);

/// Everything that a transaction works on. Whoever has it is alone.
struct Data {
    rows: BTreeMap<Key, Vec<u8>>,
    log: File,
    commits: u64,
}

struct Factory(Capabilities);

impl TargetFactory for Factory {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn capabilities(&self) -> &Capabilities {
        &self.0
    }

    fn open(&self, options: &OpenOptions) -> Result<Box<dyn Target>, TargetError> {
        // A codec or a setting that it does not declare.
        self.check(options)?;
        let path = options.dir.join("own.log");
        let data = match options.mode {
            OpenMode::Existing => replay(File::open(&path).map_err(TargetError::fatal)?, &path)?,
            OpenMode::Create => {
                std::fs::create_dir_all(&options.dir).map_err(TargetError::fatal)?;
                let log = FileOptions::new()
                    .write(true)
                    .create_new(true)
                    .open(&path)
                    .map_err(TargetError::fatal)?;
                // A file is there after a loss of power if its directory was synchronised, and that one's own.
                for directory in [Some(options.dir.as_path()), options.dir.parent()] {
                    sync_directory(directory).map_err(TargetError::fatal)?;
                }
                Data {
                    rows: BTreeMap::new(),
                    log,
                    commits: 0,
                }
            }
        };
        Ok(Box::new(Database {
            capabilities: self.0.clone(),
            tables: options.tables.len() as u16,
            busy_timeout: options.busy_timeout,
            data: Mutex::new(Some(data)),
            free: Condvar::new(),
        }))
    }
}

fn sync_directory(directory: Option<&Path>) -> std::io::Result<()> {
    match directory.filter(|directory| !directory.as_os_str().is_empty()) {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

/// FNV-1a, so that a commit of which only a part is there is not taken for one.
fn checksum(bytes: &[u8]) -> [u8; 8] {
    let step = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step).to_le_bytes()
}

/// Bytes in front of a commit: its length and its checksum.
const HEAD: usize = 4 + 8;

/// A commit in the log: its length and checksum, then for each write the table, the lengths of key and value (`u32::MAX`
/// deletes), and both.
fn replay(mut log: File, path: &Path) -> Result<Data, TargetError> {
    let mut bytes = Vec::new();
    log.read_to_end(&mut bytes).map_err(TargetError::fatal)?;
    let (mut rows, mut commits, mut rest) = (BTreeMap::new(), 0, bytes.as_slice());
    let number = |bytes: &[u8]| {
        bytes
            .iter()
            .rev()
            .fold(0_usize, |number, &byte| number << 8 | usize::from(byte))
    };
    // What a killed process, or a loss of power, has left half written was never acknowledged.
    while rest.len() >= HEAD && rest.len() - HEAD >= number(&rest[..4]) {
        let (mut commit, after) = rest[HEAD..].split_at(number(&rest[..4]));
        if checksum(commit) != rest[4..HEAD] || commit.is_empty() {
            break;
        }
        while commit.len() >= 10 {
            let (head, writes) = commit.split_at(10);
            let (table, key_len, value_len) = (number(&head[..2]), number(&head[2..6]), number(&head[6..]));
            let (key, writes) = writes.split_at(key_len);
            let key = (table as u16, key.to_vec());
            commit = if value_len == u32::MAX as usize {
                rows.remove(&key);
                writes
            } else {
                rows.insert(key, writes[..value_len].to_vec());
                &writes[value_len..]
            };
        }
        (commits, rest) = (commits + 1, after);
    }
    let log = FileOptions::new()
        .append(true)
        .open(path)
        .map_err(TargetError::fatal)?;
    log.set_len((bytes.len() - rest.len()) as u64)
        .and_then(|()| log.sync_all())
        .map_err(TargetError::fatal)?;
    Ok(Data { rows, log, commits })
}

struct Database {
    capabilities: Capabilities,
    tables: u16,
    busy_timeout: Duration,
    /// Taken out by the transaction that is open.
    data: Mutex<Option<Data>>,
    free: Condvar,
}

impl Target for Database {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn session(&self) -> Result<Box<dyn Session + '_>, TargetError> {
        Ok(Box::new(Work {
            database: self,
            open: None,
        }))
    }

    fn sync(&self) -> Result<(), TargetError> {
        let data = self.take()?;
        let synced = data.log.sync_data().map_err(TargetError::fatal);
        self.give_back(data);
        synced
    }

    fn checkpoint(&self) -> Result<(), TargetError> {
        Err(TargetError::unsupported("own has no checkpoints"))
    }

    fn stats(&self) -> TargetStats {
        TargetStats::default()
    }

    fn verify(&self) -> Result<(), TargetError> {
        Err(TargetError::unsupported("own has nothing to verify"))
    }
}

impl Database {
    fn take(&self) -> Result<Data, TargetError> {
        let data = self.data.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .free
            .wait_timeout_while(data, self.busy_timeout, |data| data.is_none());
        let (mut data, _) = waited.unwrap_or_else(PoisonError::into_inner);
        data.take()
            .ok_or_else(|| TargetError::busy("another transaction is open"))
    }

    fn give_back(&self, data: Data) {
        *self.data.lock().unwrap_or_else(PoisonError::into_inner) = Some(data);
        self.free.notify_one();
    }
}

struct Open {
    data: Data,
    options: TxOptions,
    /// What rows held before, to take the transaction back.
    undo: Vec<(Key, Option<Vec<u8>>)>,
    /// The commit as it will be in the log.
    record: Vec<u8>,
}

struct Work<'t> {
    database: &'t Database,
    open: Option<Open>,
}

impl Work<'_> {
    fn open(&mut self, table: TableRef) -> Result<&mut Open, TargetError> {
        if table.0 >= self.database.tables {
            return Err(TargetError::fatal(format!("there is no table {}", table.0)));
        }
        self.open
            .as_mut()
            .ok_or_else(|| TargetError::fatal("no transaction is open"))
    }

    fn write(&mut self, table: TableRef, key: &[u8], value: Option<&[u8]>) -> Result<bool, TargetError> {
        let open = self.open(table)?;
        if open.options.read_only {
            return Err(TargetError::fatal("a write in a read-only transaction"));
        }
        let value_len = value.map_or(u32::MAX, |value| value.len() as u32);
        open.record.extend_from_slice(&table.0.to_le_bytes());
        open.record.extend_from_slice(&(key.len() as u32).to_le_bytes());
        open.record.extend_from_slice(&value_len.to_le_bytes());
        open.record.extend_from_slice(key);
        open.record.extend_from_slice(value.unwrap_or_default());
        let key = (table.0, key.to_vec());
        let before = match value {
            Some(value) => open.data.rows.insert(key.clone(), value.to_vec()),
            None => open.data.rows.remove(&key),
        };
        let existed = before.is_some();
        open.undo.push((key, before));
        Ok(existed)
    }
}

impl Session for Work<'_> {
    fn begin(&mut self, options: &TxOptions) -> Result<(), TargetError> {
        if self.open.is_some() {
            return Err(TargetError::fatal("a transaction is open already"));
        }
        if let Some(refusal) = self
            .database
            .capabilities
            .refusal(options.durability, options.isolation)
        {
            return Err(TargetError::unsupported(refusal));
        }
        let data = self.database.take()?;
        self.open = Some(Open {
            data,
            options: *options,
            undo: Vec::new(),
            record: Vec::new(),
        });
        Ok(())
    }

    fn get(&mut self, table: TableRef, key: &[u8], out: &mut Vec<u8>) -> Result<bool, TargetError> {
        let open = self.open(table)?;
        out.clear();
        let value = open.data.rows.get(&(table.0, key.to_vec()));
        Ok(value.map(|value| out.extend_from_slice(value)).is_some())
    }

    fn get_for_update(
        &mut self,
        table: TableRef,
        key: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<bool, TargetError> {
        self.get(table, key, out)
    }

    fn put(&mut self, table: TableRef, key: &[u8], value: &[u8]) -> Result<(), TargetError> {
        self.write(table, key, Some(value)).map(drop)
    }

    fn delete(&mut self, table: TableRef, key: &[u8]) -> Result<bool, TargetError> {
        self.write(table, key, None)
    }

    fn scan(
        &mut self,
        table: TableRef,
        start: &[u8],
        limit: usize,
        direction: Direction,
        sink: &mut RowBuffer,
    ) -> Result<usize, TargetError> {
        let rows = &self.open(table)?.data.rows;
        let (first, from) = ((table.0, Vec::new()), (table.0, start.to_vec()));
        let last = if start.is_empty() {
            Excluded((table.0 + 1, Vec::new()))
        } else {
            Included(from.clone())
        };
        let mut count = 0;
        let push = |(key, value): (&Key, &Vec<u8>)| {
            sink.push(&key.1, value);
            count += 1;
        };
        let of_table = |(key, _): &(&Key, &Vec<u8>)| key.0 == table.0;
        match direction {
            Direction::Forward => rows.range(from..).take_while(of_table).take(limit).for_each(push),
            Direction::Reverse => rows
                .range((Included(first), last))
                .rev()
                .take(limit)
                .for_each(push),
        }
        Ok(count)
    }

    fn commit(&mut self) -> Result<Committed, TargetError> {
        let mut open = self
            .open
            .take()
            .ok_or_else(|| TargetError::fatal("no transaction is open"))?;
        let mut committed = Committed::default();
        let mut written = Ok(());
        if !open.record.is_empty() {
            let len = (open.record.len() as u32).to_le_bytes();
            let log = &mut open.data.log;
            written = log.write_all(&[&len[..], &checksum(&open.record), &open.record].concat());
            if open.options.durability == Durability::Sync {
                written = written.and_then(|()| log.sync_data());
            }
            open.data.commits += 1;
            committed.commit_id = Some(open.data.commits);
        }
        self.database.give_back(open.data);
        // A log that cannot be written ends the run: nobody knows what of it is there.
        written.map(|()| committed).map_err(TargetError::fatal)
    }

    fn rollback(&mut self) {
        if let Some(mut open) = self.open.take() {
            for (key, before) in open.undo.drain(..).rev() {
                match before {
                    Some(value) => open.data.rows.insert(key, value),
                    None => open.data.rows.remove(&key),
                };
            }
            self.database.give_back(open.data);
        }
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        self.rollback();
    }
}
