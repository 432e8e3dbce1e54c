//! The success criteria: data files, a small expression language over the run record, and verdicts.
//!
//! Judging is a pure function of the record. A criterion PASSES only by a measurement that shows it, FAILS when a
//! measurement contradicts it, and is NOT MEASURED otherwise.

mod definition;
mod expression;
mod judge;
mod ratios;

pub use definition::{CriteriaError, Criterion, Measure, Show, builtin, parse};
pub use expression::{ExpressionError, Predicate, Truth};
pub use judge::evaluate;
pub use ratios::{RatioTarget, ratio_target, ratio_targets};
