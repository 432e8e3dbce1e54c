//! Many subjects, one thin horizontal bar each, whole or in parts: names on the left, values on the right. Where the
//! page is narrow, name and value stand above their bar.

use super::legend::{self, Entry};
use super::output::{PlotError, Shape};
use super::painter::{Anchor, Painter};
use super::scale::{Kind, Scale};
use super::theme::Role;
use plotters::prelude::DrawingBackend;

/// One subject.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// Its value in words.
    pub(crate) value: String,
    /// Whether the value is bad news.
    pub(crate) alarming: bool,
    /// Lengths one behind the other; on a logarithmic scale at most one.
    pub(crate) parts: Vec<(Role, f64)>,
}

/// A value that rows are to be compared with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rule {
    pub(crate) value: f64,
    pub(crate) words: String,
}

/// A chart of rows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RowChart {
    pub(crate) kind: Kind,
    pub(crate) legend: Vec<Entry>,
    pub(crate) rule: Option<Rule>,
    pub(crate) rows: Vec<Row>,
}

const WIDE_ROW: f64 = 27.0;
const NARROW_ROW: f64 = 42.0;
const BAR: f64 = 15.0;
/// What the lowest value of a logarithmic scale is drawn with.
const BAR_MIN: f64 = 2.0;
const MARGIN: f64 = 8.0;
const RULE_HEAD: f64 = 24.0;
/// Height that a legend is given; one of few entries takes less.
const LEGEND_WIDE: f64 = 30.0;
const LEGEND_NARROW_ENTRY: f64 = 14.0;

/// Where names end, bars lie and values begin.
struct Columns {
    left: f64,
    right: f64,
    bars_left: f64,
    bars_right: f64,
}

impl RowChart {
    pub(crate) fn height(&self, shape: Shape) -> f64 {
        let (row, legend) = match shape {
            Shape::Wide => (WIDE_ROW, LEGEND_WIDE),
            Shape::Narrow => (NARROW_ROW, 22.0 + LEGEND_NARROW_ENTRY * self.legend.len() as f64),
        };
        let legend = if self.legend.is_empty() { 0.0 } else { legend };
        let head = if self.rule.is_some() { RULE_HEAD } else { 0.0 };
        legend + head + self.rows.len() as f64 * row + 2.0 * MARGIN
    }

    pub(crate) fn draw<DB: DrawingBackend>(
        &self,
        painter: &Painter<'_, DB>,
        top: f64,
    ) -> Result<(), PlotError> {
        let columns = self.columns(painter)?;
        let totals = self
            .rows
            .iter()
            .map(|row| row.parts.iter().map(|part| part.1).sum::<f64>());
        let scale = Scale::over(self.kind, totals.chain(self.rule.as_ref().map(|rule| rule.value)));
        let x =
            |value: f64| columns.bars_left + scale.position(value) * (columns.bars_right - columns.bars_left);
        let mut body = top + legend::draw(painter, &self.legend, 8.0, top)? + MARGIN;
        if let Some(rule) = &self.rule {
            body += RULE_HEAD;
            let at = x(rule.value);
            let half = painter.text_width(&rule.words, painter.muted())? / 2.0;
            let words = at.min(painter.width - 4.0 - half).max(4.0 + half);
            painter.text(&rule.words, words, body - 15.0, Anchor::Center, painter.muted())?;
        }
        let pitch = if painter.narrow { NARROW_ROW } else { WIDE_ROW };
        for (index, row) in self.rows.iter().enumerate() {
            self.draw_row(painter, row, body + index as f64 * pitch, &columns, &x)?;
            // A logarithmic scale has a line at every power of ten.
            let (upper, lower) = bar_span(painter.narrow, body + index as f64 * pitch);
            for decade in scale.decades() {
                let at = x(decade);
                painter.line(&[(at, upper - 2.0), (at, lower + 2.0)], Role::Muted, 1.0, 0.45)?;
            }
        }
        let Some(rule) = &self.rule else { return Ok(()) };
        for index in 0..self.rows.len() {
            let (upper, lower) = bar_span(painter.narrow, body + index as f64 * pitch);
            let at = x(rule.value);
            painter.line(&[(at, upper - 3.0), (at, lower + 3.0)], Role::Ink, 1.6, 1.0)?;
        }
        Ok(())
    }

    fn columns<DB: DrawingBackend>(&self, painter: &Painter<'_, DB>) -> Result<Columns, PlotError> {
        let (left, right) = (8.0, painter.width - 12.0);
        if painter.narrow {
            return Ok(Columns {
                left,
                right,
                bars_left: left,
                bars_right: right,
            });
        }
        let (mut names, mut values) = (0.0f64, 0.0f64);
        for row in &self.rows {
            names = names.max(painter.text_width(&row.name, painter.ink())?);
            values = values.max(painter.text_width(&row.value, strong(painter, row))?);
        }
        let width = right - left;
        Ok(Columns {
            left,
            right,
            bars_left: left + names.min(width * 0.35) + 12.0,
            bars_right: right - values.min(width * 0.35) - 12.0,
        })
    }

    fn draw_row<DB: DrawingBackend>(
        &self,
        painter: &Painter<'_, DB>,
        row: &Row,
        top: f64,
        columns: &Columns,
        x: &dyn Fn(f64) -> f64,
    ) -> Result<(), PlotError> {
        let (upper, lower) = bar_span(painter.narrow, top);
        let look = strong(painter, row);
        let (text, name_room, value_room) = if painter.narrow {
            let room = columns.right - columns.left;
            let value = painter.text_width(&row.value, look)?.min(room * 0.6);
            (top + 10.0, room - value - 12.0, room * 0.6)
        } else {
            let middle = f64::midpoint(upper, lower);
            let names = columns.bars_left - columns.left - 12.0;
            (middle, names, columns.right - columns.bars_right - 12.0)
        };
        // A point more than measured, so that a text of just the width is not cut.
        let name = painter.fitted(&row.name, name_room + 1.0, painter.ink())?;
        painter.text(&name, columns.left, text, Anchor::Left, painter.ink())?;
        let value = painter.fitted(&row.value, value_room + 1.0, look)?;
        painter.text(&value, columns.right, text, Anchor::Right, look)?;
        painter.rectangle(
            (columns.bars_left, upper),
            (columns.bars_right, lower),
            Role::Grid,
            0.45,
        )?;
        let mut behind = 0.0;
        for (role, length) in &row.parts {
            let from = if behind > 0.0 {
                x(behind)
            } else {
                columns.bars_left
            };
            behind += length;
            let to = x(behind).max(columns.bars_left + BAR_MIN);
            painter.rectangle((from, upper), (to, lower), *role, 0.85)?;
        }
        Ok(())
    }
}

fn bar_span(narrow: bool, top: f64) -> (f64, f64) {
    let upper = top + if narrow { 20.0 } else { (WIDE_ROW - BAR) / 2.0 };
    (upper, upper + if narrow { BAR - 2.0 } else { BAR })
}

fn strong<DB: DrawingBackend>(painter: &Painter<'_, DB>, row: &Row) -> super::painter::Type {
    let mut look = painter.ink();
    look.bold = true;
    if row.alarming {
        look.role = Role::Fail;
    }
    look
}
