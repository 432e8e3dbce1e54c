//! What the command line changes in a spec, checked by the same rules.

use std::time::Duration;

use crate::driver::{Durability, Isolation};
use crate::keys::Distribution;

use super::check::{Problem, Segment, check};
use super::{Range, Spec, SpecError};

/// Changes to a spec; a field that is `None` changes nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// Rows to load into the largest table; the other tables keep their proportion to it.
    pub rows: Option<u64>,
    /// Length of every value of every table, in bytes.
    pub value_size: Option<u64>,
    /// Compressible share of every value of every table, 0 to 1.
    pub compressibility: Option<f64>,
    /// Distribution of every table and operation.
    pub distribution: Option<Distribution>,
    /// Number of worker threads.
    pub threads: Option<u16>,
    /// Measured time.
    pub run: Option<Duration>,
    /// Time before it that is not counted.
    pub warmup: Option<Duration>,
    /// How many times the whole run is made.
    pub repeat: Option<u32>,
    /// Transactions per second that arrive; `Some(None)` makes an open-loop spec closed loop.
    pub rate: Option<Option<f64>>,
    /// Isolation level.
    pub isolation: Option<Isolation>,
    /// Durability.
    pub durability: Option<Durability>,
    /// Memory for the engine's cache, in bytes.
    pub cache_size_bytes: Option<u64>,
    /// Seed of every random choice.
    pub seed: Option<u64>,
}

impl Spec {
    /// The spec with the overrides applied.
    ///
    /// # Errors
    /// If the result makes no sense; the error names the option (`--threads`) instead of a file.
    pub fn with_overrides(mut self, overrides: &Overrides) -> Result<Spec, SpecError> {
        fn set<T: Copy>(field: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *field = value;
            }
        }
        if let Some(rows) = overrides.rows {
            self.scale_rows(rows);
        }
        for table in &mut self.tables {
            set(&mut table.value.size, overrides.value_size.map(Range::fixed));
            set(&mut table.value.compressibility, overrides.compressibility);
            set(&mut table.distribution, overrides.distribution);
        }
        if overrides.distribution.is_some() {
            for operation in self
                .transactions
                .iter_mut()
                .flat_map(|transaction| &mut transaction.operations)
            {
                operation.distribution = None;
            }
        }
        set(&mut self.threads, overrides.threads);
        set(&mut self.run, overrides.run);
        set(&mut self.warmup, overrides.warmup);
        set(&mut self.repeat, overrides.repeat);
        set(&mut self.rate, overrides.rate);
        set(&mut self.isolation, overrides.isolation);
        set(&mut self.durability, overrides.durability);
        set(&mut self.cache_size_bytes, overrides.cache_size_bytes.map(Some));
        set(&mut self.seed, overrides.seed);
        check(&self).map_err(|problem| {
            let file = option_of(&problem).map_or_else(|| format!("workload {}", self.name), str::to_owned);
            SpecError::new(&file, problem.message)
        })?;
        Ok(self)
    }

    fn scale_rows(&mut self, rows: u64) {
        let largest = self.tables.iter().map(|table| table.rows).max().unwrap_or(0);
        for table in &mut self.tables {
            table.rows = match table.rows {
                0 => 0,
                own => (u128::from(rows) * u128::from(own)).div_ceil(u128::from(largest)) as u64,
            };
        }
    }
}

/// The command line's name of the value that a problem is about.
fn option_of(problem: &Problem) -> Option<&'static str> {
    let last = problem.path.iter().rev().find_map(|segment| match segment {
        Segment::Field(name) => Some(*name),
        Segment::Item(_) => None,
    })?;
    Some(match last {
        "rows" | "operations" | "op" => "--rows",
        "size" => "--value-size",
        "compressibility" => "--compressibility",
        "theta" | "hot-fraction" | "hot-probability" | "keys" => "--keys",
        "threads" => "--threads",
        "run" => "--duration",
        "warmup" => "--warmup",
        "repeat" => "--repeat",
        "rate" => "--rate",
        "cache-size" => "--cache-size",
        _ => return None,
    })
}
