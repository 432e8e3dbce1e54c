//! Ratios against their targets. Rows have unlike scales, so each is drawn as a multiple of its own target on a
//! logarithmic axis; further right is always better.

use super::frame::Plane;
use super::output::{PlotError, Shape};
use super::painter::{Anchor, Painter};
use super::scale::Scale;
use super::theme::Role;
use crate::record::{Direction, Outcome, RatioRow};
use plotters::prelude::DrawingBackend;

/// A ratio chart.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RatioChart {
    pub(crate) rows: Vec<RatioRow>,
}

const ROW: f64 = 60.0;
/// Where there is no room beside a name, the words stand under it.
const WORDS_LINE: f64 = 18.0;
const HEAD: f64 = 30.0;
const MARGIN: f64 = 8.0;

fn pitch(narrow: bool) -> f64 {
    if narrow { ROW + WORDS_LINE } else { ROW }
}

impl RatioChart {
    pub(crate) fn height(&self, shape: Shape) -> f64 {
        self.rows.len() as f64 * pitch(shape == Shape::Narrow) + HEAD + 2.0 * MARGIN
    }

    /// The scale of multiples of the targets.
    pub(crate) fn scale(&self) -> Scale {
        let multiples = self.rows.iter().flat_map(|row| {
            let sampled = row.samples.iter().map(|sample| multiple(row, *sample));
            [
                row.value.and_then(|value| multiple(row, value)),
                row.stretch.and_then(|value| multiple(row, value)),
            ]
            .into_iter()
            .chain(sampled)
            .flatten()
        });
        let (low, high) = multiples.fold((0.5f64, 2.0f64), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        Scale::exact_log(low.max(0.01) / 1.1, high.min(100.0) * 1.1)
    }

    pub(crate) fn draw<DB: DrawingBackend>(
        &self,
        painter: &Painter<'_, DB>,
        top: f64,
    ) -> Result<Plane, PlotError> {
        let (left, right) = (12.0, painter.width - 12.0);
        let scale = self.scale();
        let x = |value: f64| left + scale.position(value) * (right - left);
        let target = x(1.0);
        let body = top + MARGIN + HEAD;
        let pitch = pitch(painter.narrow);
        let bottom = body + self.rows.len() as f64 * pitch;
        for decade in scale.decades() {
            painter.line(
                &[(x(decade), body - 6.0), (x(decade), bottom)],
                Role::Grid,
                1.0,
                1.0,
            )?;
            let label = format!("{}x", units::number(decade));
            if (x(decade) - target).abs() > 40.0 {
                painter.text(
                    &units::trim(&label),
                    x(decade),
                    top + MARGIN + 9.0,
                    Anchor::Center,
                    painter.muted(),
                )?;
            }
        }
        painter.line(&[(target, body - 6.0), (target, bottom)], Role::Muted, 1.6, 1.0)?;
        painter.text(
            "target",
            target,
            top + MARGIN + 9.0,
            Anchor::Center,
            painter.muted(),
        )?;
        let better = "better →";
        let better_width = painter.text_width(better, painter.muted())?;
        if right - better_width > target + 40.0 {
            painter.text(better, right, top + MARGIN + 9.0, Anchor::Right, painter.muted())?;
        }
        for (index, row) in self.rows.iter().enumerate() {
            self.draw_row(painter, row, body + index as f64 * pitch, &x, (left, right))?;
        }
        let shift = 33.0 + (pitch - ROW) - pitch / 2.0;
        Ok(Plane {
            left,
            top: body + shift,
            right,
            bottom: bottom + shift,
        })
    }

    fn draw_row<DB: DrawingBackend>(
        &self,
        painter: &Painter<'_, DB>,
        row: &RatioRow,
        top: f64,
        x: &dyn Fn(f64) -> f64,
        (left, right): (f64, f64),
    ) -> Result<(), PlotError> {
        let role = match row.outcome() {
            Outcome::Pass => Role::Pass,
            Outcome::Fail => Role::Fail,
            Outcome::Inconclusive | Outcome::NotJudged | Outcome::NotMeasured => Role::Muted,
        };
        let sign = row.direction.sign();
        let target = row.target.map_or_else(String::new, |target| {
            if painter.narrow {
                format!(" ({sign} {target})")
            } else {
                format!(" (target {sign} {target})")
            }
        });
        let words = match row.outcome() {
            Outcome::NotMeasured => "not measured".to_owned(),
            Outcome::Inconclusive => format!("? {}{target}", row.value_text()),
            Outcome::NotJudged => format!("not judged: {}{target}", row.value_text()),
            Outcome::Pass => format!("✓ {}{target}", row.value_text()),
            Outcome::Fail => format!("✗ {}{target}", row.value_text()),
        };
        let mut look = painter.ink();
        look.role = role;
        look.bold = true;
        let words_width = painter.text_width(&words, look)?;
        let extra = pitch(painter.narrow) - ROW;
        // Paper behind the words, so that the target's line does not cross them.
        painter.rectangle(
            (left - 4.0, top + 1.0),
            (right, top + extra + 21.0),
            Role::Surface,
            1.0,
        )?;
        painter.text(&words, right, top + extra + 11.0, Anchor::Right, look)?;
        let taken = if painter.narrow { 0.0 } else { words_width + 12.0 };
        let what = painter.fitted(&row.what, right - left - taken, painter.ink())?;
        painter.text(&what, left, top + 11.0, Anchor::Left, painter.ink())?;
        let middle = top + extra + 33.0;
        painter.line(&[(left, middle), (right, middle)], Role::Grid, 1.0, 1.0)?;
        if let Some(stretch) = row.stretch.and_then(|stretch| multiple(row, stretch)) {
            painter.line(
                &[(x(stretch), middle - 8.0), (x(stretch), middle + 8.0)],
                Role::Muted,
                1.6,
                1.0,
            )?;
        }
        let Some(value) = row.value.and_then(|value| multiple(row, value)) else {
            return Ok(());
        };
        painter.line(&[(x(1.0), middle), (x(value), middle)], role, 4.0, 1.0)?;
        for sample in row.samples.iter().filter_map(|sample| multiple(row, *sample)) {
            painter.disc((x(sample), middle), 2.0, role, 0.5)?;
        }
        painter.disc((x(value), middle), 6.0, role, 1.0)
    }
}

/// A value as a multiple of the row's target, above one when better.
pub(crate) fn multiple(row: &RatioRow, value: f64) -> Option<f64> {
    let target = row.target?;
    let multiple = match row.direction {
        Direction::HigherIsBetter => value / target,
        Direction::LowerIsBetter => target / value,
    };
    (multiple.is_finite() && multiple > 0.0).then_some(multiple)
}
