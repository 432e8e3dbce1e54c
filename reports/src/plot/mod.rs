//! Plots of a run: charts as data, made from the record, and their drawing by plotters.
//!
//! A [`Plot`] is drawn by the same code to a vector picture for the report (colours as style variables, so that it
//! follows light and dark; one shape for desks and one for phones) and to a PNG file.

mod bars;
mod build;
mod columns;
mod frame;
mod legend;
mod lines;
mod output;
mod painter;
mod ratio;
mod rows;
mod scale;
mod stops;
mod theme;

pub(crate) use build::{CRASH_PREFIX, slug};
pub use build::{comparison_plots, plots};
pub use output::{Plot, PlotError, Shape};
pub(crate) use theme::{Scheme, css_variables};
