//! The plane that line and column charts are drawn on: margins, grid, axis labels.

use super::output::PlotError;
use super::painter::{Anchor, Painter};
use super::scale::{Format, Scale};
use super::theme::Role;
use plotters::prelude::DrawingBackend;

/// An axis: how values lie and how they are written, and what they are.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Axis {
    /// What the values are, with their unit.
    pub(crate) title: String,
    /// How they lie.
    pub(crate) scale: Scale,
    /// How they are written.
    pub(crate) format: Format,
}

/// The rectangle inside the axes, in points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Plane {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) right: f64,
    pub(crate) bottom: f64,
}

impl Plane {
    /// Where a position along the horizontal axis (0 to 1) is.
    pub(crate) fn x(&self, position: f64) -> f64 {
        self.left + position * (self.right - self.left)
    }

    /// Left, top, right and bottom as parts of a picture of this size.
    pub(crate) fn within(&self, width: f64, height: f64) -> String {
        let (left, right) = (self.left / width, self.right / width);
        format!(
            "{left:.4} {:.4} {right:.4} {:.4}",
            self.top / height,
            self.bottom / height
        )
    }

    /// Where a position along the vertical axis (0 to 1) is.
    pub(crate) fn y(&self, position: f64) -> f64 {
        self.bottom - position * (self.bottom - self.top)
    }
}

/// Works out the plane below `top`, leaving room for the labels of both axes.
pub(crate) fn plane<DB: DrawingBackend>(
    painter: &Painter<'_, DB>,
    top: f64,
    y: &Axis,
) -> Result<Plane, PlotError> {
    let mut label_width: f64 = 0.0;
    for tick in y.scale.ticks(y_ticks(painter), y.format) {
        label_width = label_width.max(painter.text_width(&y.format.label(tick), painter.muted())?);
    }
    Ok(Plane {
        left: label_width + 16.0,
        top: top + 8.0,
        right: painter.width - 14.0,
        bottom: painter.height - 46.0,
    })
}

fn y_ticks<DB: DrawingBackend>(painter: &Painter<'_, DB>) -> usize {
    if painter.narrow { 4 } else { 5 }
}

/// Draws the title of the vertical axis; returns the height it took.
pub(crate) fn y_title<DB: DrawingBackend>(
    painter: &Painter<'_, DB>,
    top: f64,
    y: &Axis,
) -> Result<f64, PlotError> {
    let title = painter.fitted(&y.title, painter.width - 16.0, painter.muted())?;
    painter.text(&title, 8.0, top + 11.0, Anchor::Left, painter.muted())?;
    Ok(22.0)
}

/// Draws the grid and labels of the vertical axis.
pub(crate) fn y_axis<DB: DrawingBackend>(
    painter: &Painter<'_, DB>,
    plane: &Plane,
    y: &Axis,
) -> Result<(), PlotError> {
    let ticks = y.scale.ticks(y_ticks(painter), y.format);
    for value in y.scale.decades().iter().chain(&ticks) {
        let at = plane.y(y.scale.position(*value));
        painter.line(&[(plane.left, at), (plane.right, at)], Role::Grid, 1.0, 1.0)?;
    }
    for tick in ticks {
        let at = plane.y(y.scale.position(tick));
        painter.text(
            &y.format.label(tick),
            plane.left - 8.0,
            at,
            Anchor::Right,
            painter.muted(),
        )?;
    }
    Ok(())
}

/// Draws the lines of the horizontal axis where it is logarithmic.
pub(crate) fn x_grid<DB: DrawingBackend>(
    painter: &Painter<'_, DB>,
    plane: &Plane,
    x: &Axis,
) -> Result<(), PlotError> {
    for value in x.scale.decades() {
        let at = plane.x(x.scale.position(value));
        painter.line(&[(at, plane.top), (at, plane.bottom)], Role::Grid, 1.0, 1.0)?;
    }
    Ok(())
}

/// Draws the baseline, ticks, labels and title of the horizontal axis; labels that would touch are left out.
pub(crate) fn x_axis<DB: DrawingBackend>(
    painter: &Painter<'_, DB>,
    plane: &Plane,
    x: &Axis,
) -> Result<(), PlotError> {
    painter.line(
        &[(plane.left, plane.bottom), (plane.right, plane.bottom)],
        Role::Muted,
        1.0,
        1.0,
    )?;
    let mut free_from = 0.0;
    for tick in x.scale.ticks(if painter.narrow { 5 } else { 10 }, x.format) {
        let at = plane.x(x.scale.position(tick));
        painter.line(
            &[(at, plane.bottom), (at, plane.bottom + 5.0)],
            Role::Muted,
            1.0,
            1.0,
        )?;
        let label = x.format.label(tick);
        free_from = x_label(painter, plane, &label, at, free_from)?;
    }
    x_title(painter, &x.title)
}

/// Writes one label under the baseline unless it would touch the one before; returns where the next may begin.
pub(crate) fn x_label<DB: DrawingBackend>(
    painter: &Painter<'_, DB>,
    plane: &Plane,
    label: &str,
    at: f64,
    free_from: f64,
) -> Result<f64, PlotError> {
    let half = painter.text_width(label, painter.muted())? / 2.0;
    let at = at.min(painter.width - 4.0 - half);
    if at - half < free_from {
        return Ok(free_from);
    }
    painter.text(label, at, plane.bottom + 15.0, Anchor::Center, painter.muted())?;
    Ok(at + half + 10.0)
}

/// Writes the title of the horizontal axis at the lower right.
pub(crate) fn x_title<DB: DrawingBackend>(painter: &Painter<'_, DB>, title: &str) -> Result<(), PlotError> {
    let title = painter.fitted(title, painter.width - 16.0, painter.muted())?;
    painter.text(
        &title,
        painter.width - 14.0,
        painter.height - 11.0,
        Anchor::Right,
        painter.muted(),
    )
}
