//! A legend in rows above a chart, wrapped to the picture's width.

use super::output::PlotError;
use super::painter::{Anchor, Painter};
use super::theme::Role;
use plotters::prelude::DrawingBackend;

/// One entry.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// Its words.
    pub(crate) name: String,
    /// Its colour.
    pub(crate) role: Role,
    /// Whether it stands for a line (else for an area).
    pub(crate) line: bool,
    /// How much of its colour a line has.
    pub(crate) tone: f64,
}

const ROW: f64 = 22.0;
const SWATCH: f64 = 18.0;
const GAP: f64 = 16.0;

/// Draws the entries from `top` on, between `left` and the right edge; returns the height they took.
pub(crate) fn draw<DB: DrawingBackend>(
    painter: &Painter<'_, DB>,
    entries: &[Entry],
    left: f64,
    top: f64,
) -> Result<f64, PlotError> {
    let look = painter.ink();
    let right = painter.width - 8.0;
    let (mut x, mut row) = (left, 0.0);
    for entry in entries {
        let name = painter.fitted(&entry.name, right - left - SWATCH - 6.0, look)?;
        let width = SWATCH + 6.0 + painter.text_width(&name, look)?;
        if x > left && x + width > right {
            x = left;
            row += 1.0;
        }
        let y = top + (row + 0.5) * ROW;
        if entry.line {
            painter.line(&[(x, y), (x + SWATCH, y)], entry.role, 3.0, entry.tone)?;
        } else {
            painter.rectangle((x, y - 6.0), (x + SWATCH, y + 6.0), entry.role, 1.0)?;
        }
        painter.text(&name, x + SWATCH + 6.0, y, Anchor::Left, look)?;
        x += width + GAP;
    }
    Ok(if entries.is_empty() {
        0.0
    } else {
        (row + 1.0) * ROW
    })
}
