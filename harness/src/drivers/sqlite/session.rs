//! One worker's connection.

use std::sync::atomic::Ordering;

use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Row, params};
use workloads::driver::{
    Committed, Direction, Durability, OpenMode, RowBuffer, Session, TableRef, TargetError, TxOptions,
};

use super::{SqliteTarget, Statements, failed};

/// The open transaction.
#[derive(Clone, Copy, Debug)]
struct Open {
    read_only: bool,
    wrote: bool,
}

pub(super) struct SqliteSession<'t> {
    target: &'t SqliteTarget,
    connection: Connection,
    open: Option<Open>,
    /// What `synchronous` was set to last; a new connection is at SQLite's default.
    synchronous: Option<&'static str>,
}

impl<'t> SqliteSession<'t> {
    pub(super) fn new(target: &'t SqliteTarget) -> Result<Self, TargetError> {
        Ok(Self {
            target,
            connection: target.settings.connect(OpenMode::Existing)?,
            open: None,
            synchronous: None,
        })
    }

    #[cfg(test)]
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    fn table(&self, table: TableRef) -> Result<&'t Statements, TargetError> {
        self.target.statements.get(table.index()).ok_or_else(|| {
            TargetError::fatal(format!(
                "table {} of a database with {}",
                table.index(),
                self.target.statements.len()
            ))
        })
    }

    fn prepared(&self, sql: &str) -> Result<CachedStatement<'_>, TargetError> {
        self.connection.prepare_cached(sql).map_err(failed)
    }

    fn execute(&self, sql: &str) -> Result<(), TargetError> {
        self.prepared(sql)?.execute([]).map(drop).map_err(failed)
    }

    fn readable(&self) -> Result<(), TargetError> {
        match self.open {
            Some(_) => Ok(()),
            None => Err(nothing_open()),
        }
    }

    /// Notes that the open transaction writes, if it may.
    fn write(&mut self) -> Result<(), TargetError> {
        match &mut self.open {
            Some(Open { read_only: true, .. }) => {
                Err(TargetError::fatal("a write in a read-only transaction"))
            }
            Some(open) => {
                open.wrote = true;
                Ok(())
            }
            None => Err(nothing_open()),
        }
    }
}

fn nothing_open() -> TargetError {
    TargetError::fatal("no transaction is open in this session")
}

/// A column that is a BLOB by the table's definition and by what is ever written to it.
fn blob<'r>(row: &'r Row<'_>, column: usize) -> Result<&'r [u8], rusqlite::Error> {
    Ok(row.get_ref(column)?.as_blob()?)
}

impl Session for SqliteSession<'_> {
    fn begin(&mut self, options: &TxOptions) -> Result<(), TargetError> {
        if self.open.is_some() {
            return Err(TargetError::fatal(
                "a transaction is open in this session already",
            ));
        }
        if let Some(refusal) = self
            .target
            .capabilities
            .refusal(options.durability, options.isolation)
        {
            return Err(TargetError::unsupported(refusal));
        }
        let synchronous = match options.durability {
            _ if !self.target.syncs => "OFF",
            Durability::Sync => "FULL",
            Durability::NoSync | Durability::InMemory => "NORMAL",
        };
        if self.synchronous != Some(synchronous) {
            self.connection
                .pragma_update(None, "synchronous", synchronous)
                .map_err(failed)?;
            self.synchronous = Some(synchronous);
        }
        self.execute(if options.read_only {
            "BEGIN"
        } else {
            "BEGIN IMMEDIATE"
        })?;
        self.open = Some(Open {
            read_only: options.read_only,
            wrote: false,
        });
        Ok(())
    }

    fn get(&mut self, table: TableRef, key: &[u8], out: &mut Vec<u8>) -> Result<bool, TargetError> {
        self.readable()?;
        out.clear();
        let found = self
            .prepared(&self.table(table)?.get)?
            .query_row([key], |row| {
                out.extend_from_slice(blob(row, 0)?);
                Ok(())
            })
            .optional()
            .map_err(failed)?;
        Ok(found.is_some())
    }

    fn get_for_update(
        &mut self,
        table: TableRef,
        key: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<bool, TargetError> {
        // A transaction that may write is the only one.
        self.get(table, key, out)
    }

    fn put(&mut self, table: TableRef, key: &[u8], value: &[u8]) -> Result<(), TargetError> {
        self.write()?;
        self.prepared(&self.table(table)?.put)?
            .execute([key, value])
            .map(drop)
            .map_err(failed)
    }

    fn delete(&mut self, table: TableRef, key: &[u8]) -> Result<bool, TargetError> {
        self.write()?;
        let deleted = self
            .prepared(&self.table(table)?.delete)?
            .execute([key])
            .map_err(failed)?;
        Ok(deleted > 0)
    }

    fn scan(
        &mut self,
        table: TableRef,
        start: &[u8],
        limit: usize,
        direction: Direction,
        sink: &mut RowBuffer,
    ) -> Result<usize, TargetError> {
        self.readable()?;
        let statements = self.table(table)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let all = direction == Direction::Reverse && start.is_empty();
        let mut statement = self.prepared(match direction {
            Direction::Forward => &statements.scan_forward,
            Direction::Reverse if all => &statements.scan_reverse_all,
            Direction::Reverse => &statements.scan_reverse,
        })?;
        let mut found = if all {
            statement.query(params![limit])
        } else {
            statement.query(params![start, limit])
        }
        .map_err(failed)?;
        let mut rows = 0;
        while let Some(row) = found.next().map_err(failed)? {
            sink.push(blob(row, 0).map_err(failed)?, blob(row, 1).map_err(failed)?);
            rows += 1;
        }
        Ok(rows)
    }

    fn commit(&mut self) -> Result<Committed, TargetError> {
        let open = self.open.ok_or_else(nothing_open)?;
        self.execute("COMMIT")?;
        self.open = None;
        if open.wrote {
            self.target.commits.fetch_add(1, Ordering::Relaxed);
        }
        Ok(Committed::default())
    }

    fn rollback(&mut self) {
        if self.open.take().is_some() {
            self.target.rollbacks.fetch_add(1, Ordering::Relaxed);
        }
        // Some failures have rolled it back already. If this fails, the next `begin` says so.
        if !self.connection.is_autocommit() {
            let _ = self.execute("ROLLBACK");
        }
    }
}
