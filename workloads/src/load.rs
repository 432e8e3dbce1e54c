//! Filling the tables before a run.

use std::ops::Range;

use crate::driver::{Session, TableRef, TargetError, TxOptions};
use crate::stream::{Plan, TablePlan};
use crate::version::Version;

/// Writes the rows that a plan starts from. Row `r` of a table always gets the same key and value, whoever loads it, so
/// several threads may share the work in any way.
#[derive(Clone, Debug, Default)]
pub struct Loader {
    key: Vec<u8>,
    value: Vec<u8>,
}

impl Loader {
    /// A loader with buffers of its own.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes `rows` of `table` in one transaction, and tells how many bytes of keys and values that was.
    ///
    /// # Errors
    /// The engine's; the transaction is then rolled back.
    pub fn batch(
        &mut self,
        session: &mut dyn Session,
        plan: &Plan,
        table: TableRef,
        rows: Range<u64>,
        options: &TxOptions,
    ) -> Result<u64, TargetError> {
        let written = self.write(session, plan.table(table), rows, options);
        if written.is_err() {
            session.rollback();
        }
        written
    }

    fn write(
        &mut self,
        session: &mut dyn Session,
        table: &TablePlan,
        rows: Range<u64>,
        options: &TxOptions,
    ) -> Result<u64, TargetError> {
        session.begin(options)?;
        let (mut bytes, last) = (0, rows.end.saturating_sub(1));
        for row in rows {
            table.key(row, &mut self.key);
            table.value(row, Version::LOADED, &mut self.value);
            let put = session.put(table.table, &self.key, &self.value);
            put.map_err(|error| error.context(format_args!("load row {row} of table {}", table.name)))?;
            bytes += (self.key.len() + self.value.len()) as u64;
        }
        let commit = session.commit();
        commit.map_err(|error| {
            let name = &table.name;
            error.context(format_args!("load rows up to {last} of table {name}"))
        })?;
        Ok(bytes)
    }
}

/// The batches into which the load of `plan` falls, tables one after the other, `batch_rows` (at least 1) rows each.
pub fn batches(plan: &Plan, batch_rows: u64) -> impl Iterator<Item = (TableRef, Range<u64>)> + '_ {
    let batch_rows = batch_rows.max(1);
    plan.tables().iter().flat_map(move |table| {
        let starts = (0..table.rows).step_by(usize::try_from(batch_rows).unwrap_or(usize::MAX));
        starts.map(move |start| (table.table, start..(start + batch_rows).min(table.rows)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::builtin;

    #[test]
    fn batches_cover_every_row_once() {
        let plan = Plan::new(builtin("mixed").unwrap());
        let mut next = vec![0; plan.tables().len()];
        for (table, rows) in batches(&plan, 999) {
            assert_eq!(rows.start, next[table.index()]);
            assert!(rows.end - rows.start <= 999 && !rows.is_empty());
            next[table.index()] = rows.end;
        }
        assert_eq!(next, [20_000, 5_000]);
    }
}
