//! A spec compiled for running.

use std::collections::BTreeSet;

use crate::driver::{TableRef, TxOptions};
use crate::keys::{Chooser, Distribution, KeyCodec};
use crate::spec::{Action, OperationSpec, Range, Spec};
use crate::values::ValueCodec;
use crate::version::{RowRef, Version};

/// A table, compiled.
#[derive(Clone, Debug, PartialEq)]
pub struct TablePlan {
    /// Its name.
    pub name: String,
    /// Its place in [`OpenOptions::tables`](crate::driver::OpenOptions::tables).
    pub table: TableRef,
    /// Rows loaded before the run.
    pub rows: u64,
    /// Makes and reads keys.
    pub key: KeyCodec,
    /// Makes and checks values.
    pub value: ValueCodec,
    /// No transaction leaves a loaded row deleted, so each must always be found.
    pub keeps_loaded_rows: bool,
    /// Some transaction inserts new rows.
    pub grows: bool,
}

impl TablePlan {
    /// Replaces the content of `out` by the key of `row`.
    #[inline]
    pub fn key(&self, row: u64, out: &mut Vec<u8>) {
        self.key.encode(row, out);
    }

    /// Replaces the content of `out` by the value that `version` writes to `row`.
    #[inline]
    pub fn value(&self, row: u64, version: Version, out: &mut Vec<u8>) {
        self.value.fill(self.table, row, version, out);
    }

    /// The oracle's name of `row`.
    #[inline]
    pub fn row_ref(&self, row: u64) -> RowRef {
        RowRef::new(self.table, row)
    }
}

/// One line of a transaction type, compiled.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub action: Action,
    pub table: TableRef,
    pub count: u32,
    /// Position in [`Plan::choosers`]; an insert has none.
    pub chooser: Option<usize>,
}

/// A spec compiled for running; shared by all threads.
#[derive(Clone, Debug)]
pub struct Plan {
    spec: Spec,
    tables: Vec<TablePlan>,
    steps: Vec<Vec<Step>>,
    /// One prototype for each table and distribution that occur together; streams clone them.
    choosers: Vec<Chooser>,
    /// Weights summed up to and including each transaction type, scaled to the whole range of u64.
    cumulative_weights: Vec<u64>,
}

impl Plan {
    /// Compiles a checked spec. Takes some 20 ns for each row under a Zipf distribution, at most some 20 ms each.
    pub fn new(spec: Spec) -> Self {
        let deletes: BTreeSet<usize> = tables_with(&spec, Action::Delete);
        let inserts: BTreeSet<usize> = tables_with(&spec, Action::Insert);
        let tables: Vec<TablePlan> = spec
            .tables
            .iter()
            .enumerate()
            .map(|(index, table)| TablePlan {
                name: table.name.clone(),
                table: TableRef(index as u16),
                rows: table.rows,
                key: KeyCodec::new(table.key.form, table.key.order, table.key.size),
                value: ValueCodec::new(
                    table.value.size.min as usize,
                    table.value.size.max as usize,
                    table.value.compressibility,
                ),
                keeps_loaded_rows: !deletes.contains(&index),
                grows: inserts.contains(&index),
            })
            .collect();
        let mut choosers = Vec::new();
        let mut known: Vec<(usize, Distribution)> = Vec::new();
        let steps = spec
            .transactions
            .iter()
            .map(|transaction| {
                let step = |operation: &OperationSpec| {
                    let index = table_of(&spec, operation);
                    let chooser = (operation.action != Action::Insert).then(|| {
                        let wanted = (
                            index,
                            operation.distribution.unwrap_or(spec.tables[index].distribution),
                        );
                        known.iter().position(|one| *one == wanted).unwrap_or_else(|| {
                            known.push(wanted);
                            choosers.push(Chooser::new(index, spec.tables[index].rows, wanted.1));
                            known.len() - 1
                        })
                    });
                    Step {
                        action: operation.action,
                        table: TableRef(index as u16),
                        count: operation.count,
                        chooser,
                    }
                };
                transaction.operations.iter().map(step).collect()
            })
            .collect();
        let cumulative_weights = cumulative_weights(&spec);
        Plan {
            spec,
            tables,
            steps,
            choosers,
            cumulative_weights,
        }
    }

    /// The spec that was compiled.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The tables, in the order of [`TableRef`].
    pub fn tables(&self) -> &[TablePlan] {
        &self.tables
    }

    /// One table. `table` must come from this plan.
    #[inline]
    pub fn table(&self, table: TableRef) -> &TablePlan {
        &self.tables[table.index()]
    }

    /// Names of the tables, for [`OpenOptions::tables`](crate::driver::OpenOptions::tables).
    pub fn table_names(&self) -> Vec<String> {
        self.tables.iter().map(|table| table.name.clone()).collect()
    }

    /// Names of the transaction types; [`Transaction::type_index`](super::Transaction::type_index) counts through them.
    pub fn type_names(&self) -> Vec<String> {
        self.spec
            .transactions
            .iter()
            .map(|transaction| transaction.name.clone())
            .collect()
    }

    /// How transactions of a type are begun.
    pub fn tx_options(&self, read_only: bool) -> TxOptions {
        TxOptions {
            read_only,
            isolation: self.spec.isolation,
            durability: self.spec.durability,
        }
    }

    pub(super) fn choosers(&self) -> &[Chooser] {
        &self.choosers
    }

    pub(super) fn steps(&self, type_index: usize) -> &[Step] {
        &self.steps[type_index]
    }

    /// The transaction type for a uniform 64-bit draw.
    #[inline]
    pub(super) fn pick_type(&self, draw: u64) -> usize {
        self.cumulative_weights
            .iter()
            .position(|&upper| draw <= upper)
            .unwrap_or(0)
    }

    pub(super) fn type_count(&self) -> usize {
        self.steps.len()
    }
}

/// The length of a range read, from one uniform draw.
#[inline]
pub(super) fn length_of(length: Range, draw: impl FnOnce(u64) -> u64) -> u32 {
    let span = length.max - length.min + 1;
    let value = if span == 1 {
        length.min
    } else {
        length.min + draw(span)
    };
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn tables_with(spec: &Spec, action: Action) -> BTreeSet<usize> {
    let operations = spec
        .transactions
        .iter()
        .flat_map(|transaction| &transaction.operations);
    operations
        .filter(|operation| operation.action == action)
        .map(|operation| table_of(spec, operation))
        .collect()
}

fn table_of(spec: &Spec, operation: &OperationSpec) -> usize {
    spec.table_index(&operation.table)
        .expect("the spec was checked: every operation names one of its tables")
}

fn cumulative_weights(spec: &Spec) -> Vec<u64> {
    let total: f64 = spec
        .transactions
        .iter()
        .map(|transaction| transaction.weight)
        .sum();
    let mut sum = 0.0;
    let mut weights: Vec<u64> = spec
        .transactions
        .iter()
        .map(|transaction| {
            sum += transaction.weight;
            // Float to integer conversion saturates, so a rounded-up last sum stays in range.
            (sum / total * u64::MAX as f64) as u64
        })
        .collect();
    // Whatever rounding left above the last sum belongs to the last type that has a weight.
    if let Some(last) = spec
        .transactions
        .iter()
        .rposition(|transaction| transaction.weight > 0.0)
    {
        weights[last] = u64::MAX;
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::builtin;

    #[test]
    fn weights_pick_types_in_proportion_and_never_those_of_weight_zero() {
        let mut spec = builtin("mixed").unwrap();
        for (transaction, weight) in spec.transactions.iter_mut().zip([0.0, 3.0, 1.0, 0.0]) {
            transaction.weight = weight;
        }
        let plan = Plan::new(spec);
        let mut random = crate::random::Random::new(1, 1);
        let mut counts = [0u32; 4];
        for draw in (0..100_000).map(|_| random.next_u64()).chain([1, u64::MAX]) {
            counts[plan.pick_type(draw)] += 1;
        }
        assert_eq!((counts[0], counts[3]), (0, 0));
        assert!((74_000..76_000).contains(&counts[1]), "{counts:?}");
    }

    #[test]
    fn tables_know_whether_rows_may_vanish_or_come() {
        let oltp = Plan::new(builtin("oltp").unwrap());
        assert!(oltp.tables()[0].keeps_loaded_rows && !oltp.tables()[0].grows);
        let mixed = Plan::new(builtin("mixed").unwrap());
        assert!(!mixed.tables()[0].keeps_loaded_rows && mixed.tables()[0].grows);
        assert!(mixed.tables()[1].keeps_loaded_rows && mixed.tables()[1].grows);
        assert_eq!(mixed.table_names(), ["accounts", "documents"]);
    }
}
