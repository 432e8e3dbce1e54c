//! Columns over categories, side by side for several series.

use super::frame::{self, Axis, Plane};
use super::legend::{self, Entry};
use super::output::{PlotError, Shape};
use super::painter::Painter;
use super::theme::Role;
use plotters::prelude::DrawingBackend;

/// One series of columns.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ColumnSeries {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// One value for each category; missing ones have no column.
    pub(crate) values: Vec<Option<f64>>,
}

/// A column chart.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ColumnChart {
    pub(crate) x_title: String,
    pub(crate) categories: Vec<String>,
    pub(crate) y: Axis,
    pub(crate) series: Vec<ColumnSeries>,
}

impl ColumnChart {
    pub(crate) fn height(&self, shape: Shape) -> f64 {
        match shape {
            Shape::Wide => 310.0,
            Shape::Narrow => 250.0 + 22.0 * self.series.len().min(6) as f64,
        }
    }

    pub(crate) fn draw<DB: DrawingBackend>(
        &self,
        painter: &Painter<'_, DB>,
        top: f64,
    ) -> Result<Plane, PlotError> {
        let entries: Vec<Entry> = self
            .series
            .iter()
            .map(|series| Entry {
                name: series.name.clone(),
                role: series.role,
                line: false,
                tone: 1.0,
            })
            .collect();
        let mut top = top + legend::draw(painter, &entries, 8.0, top)?;
        top += frame::y_title(painter, top, &self.y)?;
        let plane = frame::plane(painter, top, &self.y)?;
        frame::y_axis(painter, &plane, &self.y)?;
        let slot = (plane.right - plane.left) / self.categories.len().max(1) as f64;
        let column = (slot * 0.8 / self.series.len().max(1) as f64).min(46.0);
        let group = column * self.series.len() as f64;
        let mut free_from = 0.0;
        for (index, category) in self.categories.iter().enumerate() {
            let middle = plane.left + (index as f64 + 0.5) * slot;
            for (place, series) in self.series.iter().enumerate() {
                let Some(value) = series.values.get(index).copied().flatten() else {
                    continue;
                };
                let left = middle - group / 2.0 + place as f64 * column;
                let height = plane.y(self.y.scale.position(value));
                let inset = (column * 0.06).min(1.0);
                painter.rectangle(
                    (left + inset, height),
                    (left + column - inset, plane.bottom),
                    series.role,
                    0.85,
                )?;
            }
            free_from = frame::x_label(painter, &plane, category, middle, free_from)?;
        }
        painter.line(
            &[(plane.left, plane.bottom), (plane.right, plane.bottom)],
            Role::Muted,
            1.0,
            1.0,
        )?;
        frame::x_title(painter, &self.x_title)?;
        Ok(plane)
    }
}
