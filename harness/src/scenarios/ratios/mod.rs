//! The speed table: ratios of an engine's figures to bounds of the same machine, measured in one interleaved run.
//!
//! Absolute figures of a storage engine say more about the machine than about the engine. So each row here divides by
//! something measured within the same second: the in-memory bound doing the same calls, raw flushes of the same
//! device, a sequential read of the same files. Each row is the median over alternating pairs; its samples show the spread.
//!
//! Everything runs in one child process, so that a crash of the engine is a recorded failure.

mod checkpointing;
mod data;
mod load;
mod old_snapshot;
mod reads;
mod redo;
mod rows;
mod run;
mod slices;
mod space;
mod writes;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reports::criteria::{RatioTarget, ratio_targets};
use reports::record::RatioRow;
use reports::statistics::median;
use serde::{Deserialize, Serialize};

use crate::child::progress;
use crate::drivers::factory;
use crate::engine_options::EngineOptions;
use crate::error::{HarnessError, Result};
pub(crate) use data::{KEY_LEN, Random, TABLE, failed, fill_value, key};
use slices::Pair;

use super::{EMPTY, Scenario};
pub(crate) use space::is_log;

/// The scenario.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "ratios",
    about: "the speed table: an engine's figures over bounds of the same machine, measured in alternating slices",
    text: include_str!("about.txt"),
    accepts: &[
        ("rows", "rows of the table (1,000,000)"),
        ("value-size", "bytes of a value (100)"),
        ("duration", "length of one slice (500 ms)"),
        ("repeat", "pairs of slices for each row of the table (10)"),
        ("cache-size", "memory for the engine's page cache"),
        (
            "busy-timeout",
            "how long a transaction waits for another's lock (5 s)",
        ),
        (
            "set",
            "settings of the engine, for instance palimpsest.page-size=8KiB",
        ),
        ("seed", "of keys and values (42)"),
    ],
    prepare: run::prepare,
    work: run::work,
    ..EMPTY
};

/// What the child is to measure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RatioJob {
    /// The engine under test.
    pub engine: String,
    /// The engine that is the in-memory bound.
    pub bound: String,
    /// Rows of the table.
    pub rows: u64,
    /// Bytes of a value.
    pub value_size: usize,
    /// Length of one slice, in milliseconds.
    pub slice_ms: u64,
    /// Pairs of slices for each row of the table.
    pub pairs: u32,
    /// Seed of keys and values.
    pub seed: u64,
    /// How the engine's databases are opened, beside what a row of the table asks for.
    pub options: EngineOptions,
    /// Directory for databases; exists and is empty.
    #[serde(with = "crate::child::paths")]
    pub directory: PathBuf,
    /// Where to write the result.
    #[serde(with = "crate::child::paths")]
    pub result: PathBuf,
}

impl RatioJob {
    /// How databases of one of the two engines are opened: the bound's as they come.
    fn options_of(&self, engine: &str) -> EngineOptions {
        if engine == self.engine {
            self.options.clone()
        } else {
            EngineOptions::default()
        }
    }
}

/// What the child found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct RatioResult {
    /// The table, in the order of the targets.
    pub rows: Vec<RatioRow>,
    /// The engine's version.
    pub engine_version: String,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
    /// Wrong answers and failed structural checks.
    pub findings: Vec<String>,
}

impl RatioJob {
    /// Length of one slice.
    fn slice(&self) -> Duration {
        Duration::from_millis(self.slice_ms)
    }
}

/// One row's figures, before they are put into the table.
enum Figures {
    /// Rates of alternating slices.
    Pairs(Vec<Pair>),
    /// Two numbers whose quotient is the row.
    Once {
        /// The engine's.
        engine: f64,
        /// What it is divided by.
        bound: f64,
    },
}

/// A measured row.
struct Measured {
    figures: Figures,
    note: Option<String>,
}

impl From<Vec<Pair>> for Measured {
    fn from(pairs: Vec<Pair>) -> Self {
        Self {
            figures: Figures::Pairs(pairs),
            note: None,
        }
    }
}

/// Measures every row of the table. A row that cannot be measured says why and has no value.
pub(crate) fn measure(job: &RatioJob, stop: &AtomicBool) -> Result<RatioResult> {
    let engine = factory(&job.engine)?;
    let mut result = RatioResult {
        engine_version: engine.capabilities().version.clone(),
        ..RatioResult::default()
    };
    let mut bench = rows::Bench::new(job, stop, engine.as_ref())?;
    for target in ratio_targets() {
        if stop.load(Ordering::Relaxed) {
            result.interrupted = true;
            result
                .rows
                .push(unmeasured(target, "the run was interrupted before".into()));
            continue;
        }
        progress::phase(&target.what, 0, "");
        let row = match bench.measure(&target.id) {
            Some(Ok(measured)) => filled(target, measured),
            Some(Err(error)) => {
                if let HarnessError::Verification(what) = &error {
                    result.findings.push(format!("{}: {what}", target.what));
                }
                unmeasured(target, error.to_string())
            }
            None => unmeasured(target, "this harness has no measurement for it".into()),
        };
        progress::done(0, summary(&row));
        result.rows.push(row);
    }
    for row in &mut result.rows {
        row.rows = Some(job.rows);
        row.value_size_bytes = Some(job.value_size as u64);
    }
    progress::phase("verify", 0, "");
    result.findings.extend(bench.verify()?);
    Ok(result)
}

fn unmeasured(target: &RatioTarget, why: String) -> RatioRow {
    RatioRow {
        note: Some(why),
        ..target.row()
    }
}

fn filled(target: &RatioTarget, measured: Measured) -> RatioRow {
    let mut row = RatioRow {
        note: measured.note,
        ..target.row()
    };
    let quotient = |pair: &Pair| pair.engine / pair.bound;
    match measured.figures {
        Figures::Pairs(pairs) => {
            let sides = |side: fn(&Pair) -> f64| median(&pairs.iter().map(side).collect::<Vec<_>>());
            row.engine_value = sides(|pair| pair.engine);
            row.bound_value = sides(|pair| pair.bound);
            row.samples = pairs
                .iter()
                .map(quotient)
                .filter(|ratio| ratio.is_finite())
                .collect();
            row.value = median(&row.samples);
        }
        Figures::Once { engine, bound } => {
            row.engine_value = Some(engine);
            row.bound_value = Some(bound);
            row.value = Some(engine / bound).filter(|ratio| ratio.is_finite());
            row.samples = row.value.into_iter().collect();
        }
    }
    row
}

fn summary(row: &RatioRow) -> String {
    match row.value {
        Some(value) => format!("{} of {}", units::number(value), row.against),
        None => format!(
            "not measured: {}",
            row.note.as_deref().unwrap_or("no reason given")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> &'static RatioTarget {
        &ratio_targets()[0]
    }

    #[test]
    fn a_row_is_the_median_of_its_pairs_and_keeps_them() {
        let pairs = [(2.0, 1.0), (9.0, 3.0), (8.0, 2.0)].map(|(engine, bound)| Pair { engine, bound });
        let row = filled(target(), Measured::from(pairs.to_vec()));
        assert_eq!(row.samples, [2.0, 3.0, 4.0]);
        assert_eq!(
            (row.value, row.engine_value, row.bound_value),
            (Some(3.0), Some(8.0), Some(2.0))
        );
    }

    #[test]
    fn no_pairs_and_impossible_quotients_are_no_value() {
        assert_eq!(filled(target(), Measured::from(Vec::new())).value, None);
        let once = Measured {
            figures: Figures::Once {
                engine: 1.0,
                bound: 0.0,
            },
            note: None,
        };
        let row = filled(target(), once);
        assert_eq!(row.value, None);
        assert!(row.samples.is_empty());
    }
}
