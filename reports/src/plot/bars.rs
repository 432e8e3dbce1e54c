//! Horizontal bars: one row for each subject, with every repetition as a dot, and the interval of the median or the range.

use super::frame::Plane;
use super::output::PlotError;
use super::painter::{Anchor, Painter};
use super::scale::{Format, Scale};
use super::theme::Role;
use plotters::prelude::DrawingBackend;

/// One subject.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bar {
    pub(crate) name: String,
    /// Settings and other words under the name.
    pub(crate) note: String,
    pub(crate) role: Role,
    /// Length of the bar; `None` shows the note and no bar.
    pub(crate) value: Option<f64>,
    /// The whisker: an interval, or the range of few samples.
    pub(crate) interval: Option<(f64, f64)>,
    pub(crate) samples: Vec<f64>,
}

/// A bar chart.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BarChart {
    /// Behind each value, for instance `tx/s`.
    pub(crate) unit: String,
    pub(crate) bars: Vec<Bar>,
}

const ROW: f64 = 70.0;
const MARGIN: f64 = 10.0;

impl BarChart {
    pub(crate) fn height(&self) -> f64 {
        self.bars.len() as f64 * ROW + 2.0 * MARGIN
    }

    /// The one scale of all bars.
    pub(crate) fn scale(&self) -> Scale {
        let all = self.bars.iter().flat_map(|bar| {
            let high = bar.interval.map(|interval| interval.1);
            bar.samples.iter().copied().chain(bar.value).chain(high)
        });
        Scale::over(super::scale::Kind::Linear, all)
    }

    pub(crate) fn draw<DB: DrawingBackend>(
        &self,
        painter: &Painter<'_, DB>,
        top: f64,
    ) -> Result<Plane, PlotError> {
        let scale = self.scale();
        let (left, right) = (8.0, painter.width - 14.0);
        let x = |value: f64| left + scale.position(value) * (right - left);
        for (index, bar) in self.bars.iter().enumerate() {
            let row = top + MARGIN + index as f64 * ROW;
            let mut strong = painter.ink();
            strong.bold = true;
            let value = match bar.value {
                Some(value) => format!("{} {}", Format::Short.label(value), self.unit),
                None => units::MISSING.to_owned(),
            };
            let value_width = painter.text_width(&value, strong)?;
            let (whole, beside) = (right - left, right - left - value_width - 16.0);
            // A name that is cut may be taken for another, so the value makes what room there is.
            let fits = painter.text_width(&bar.name, strong)? <= beside;
            let (value_row, name_room, note_room) = if fits {
                (row + 10.0, beside, whole)
            } else {
                (row + 28.0, whole, beside)
            };
            painter.text(&value, right, value_row, Anchor::Right, strong)?;
            let name = painter.fitted(&bar.name, name_room, strong)?;
            painter.text(&name, left, row + 10.0, Anchor::Left, strong)?;
            let note = painter.fitted(&bar.note, note_room, painter.muted())?;
            painter.text(&note, left, row + 28.0, Anchor::Left, painter.muted())?;
            let (upper, lower) = (row + 39.0, row + 57.0);
            painter.rectangle((left, upper), (right, lower), Role::Grid, 0.45)?;
            let Some(value) = bar.value else { continue };
            painter.rectangle((left, upper), (x(value), lower), bar.role, 0.75)?;
            let middle = f64::midpoint(upper, lower);
            if let Some((low, high)) = bar.interval {
                painter.line(&[(x(low), middle), (x(high), middle)], Role::Ink, 1.6, 1.0)?;
                for end in [low, high] {
                    painter.line(
                        &[(x(end), middle - 6.0), (x(end), middle + 6.0)],
                        Role::Ink,
                        1.6,
                        1.0,
                    )?;
                }
            }
            for sample in &bar.samples {
                painter.disc((x(*sample), middle), 3.6, Role::Surface, 1.0)?;
                painter.disc((x(*sample), middle), 2.6, Role::Ink, 1.0)?;
            }
        }
        // So that equal parts of it hold the middles of the bars.
        let (top, shift) = (top + MARGIN, 48.0 - ROW / 2.0);
        Ok(Plane {
            left,
            top: top + shift,
            right,
            bottom: top + shift + self.bars.len() as f64 * ROW,
        })
    }
}
