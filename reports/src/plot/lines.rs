//! Lines over a plane, with shaded spans behind them.

use super::frame::{self, Axis, Plane};
use super::legend::{self, Entry};
use super::output::{PlotError, Shape};
use super::painter::Painter;
use super::theme::Role;
use plotters::prelude::DrawingBackend;

/// How strongly a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    /// The line to look at.
    Main,
    /// A line of the same engine beside the main one.
    Second,
    /// Another one.
    Third,
    /// A line for context, without an entry in the legend.
    Faint,
    /// Points that are not joined.
    Dots,
    /// The main line with the area below it filled.
    Area,
    /// The main line with a disc at each point: there are few, and between them nothing was measured.
    Marked,
}

impl Weight {
    /// How much of its colour a line has.
    fn tone(self) -> f64 {
        match self {
            Self::Main | Self::Area | Self::Marked | Self::Dots => 1.0,
            Self::Second => 0.72,
            Self::Third => 0.52,
            Self::Faint => 0.4,
        }
    }
}

/// One line; it is interrupted where a value is missing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) weight: Weight,
    /// Points by rising x; a missing value breaks the line.
    pub(crate) points: Vec<(f64, Option<f64>)>,
}

/// A shaded span of the horizontal axis.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Band {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) from: f64,
    pub(crate) to: f64,
}

/// A line chart.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LineChart {
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) bands: Vec<Band>,
    pub(crate) series: Vec<Series>,
}

impl LineChart {
    pub(crate) fn height(&self, shape: Shape) -> f64 {
        let legend = if shape == Shape::Narrow {
            26.0 * (self.entries().len().min(6) as f64)
        } else {
            30.0
        };
        match shape {
            Shape::Wide => 320.0 + legend,
            Shape::Narrow => 270.0 + legend,
        }
    }

    /// Legend entries: each main line, then each kind of band once.
    fn entries(&self) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        let lines = self.series.iter().filter(|series| series.weight != Weight::Faint);
        let mut add = |entry: Entry| {
            if !entries.contains(&entry) {
                entries.push(entry);
            }
        };
        for series in lines {
            add(Entry {
                name: series.name.clone(),
                role: series.role,
                line: true,
                tone: series.weight.tone(),
            });
        }
        for band in &self.bands {
            add(Entry {
                name: band.name.clone(),
                role: band.role,
                line: false,
                tone: 1.0,
            });
        }
        entries
    }

    pub(crate) fn draw<DB: DrawingBackend>(
        &self,
        painter: &Painter<'_, DB>,
        top: f64,
    ) -> Result<Plane, PlotError> {
        let mut top = top + legend::draw(painter, &self.entries(), 8.0, top)?;
        top += frame::y_title(painter, top, &self.y)?;
        let plane = frame::plane(painter, top, &self.y)?;
        for band in &self.bands {
            let from = plane.x(self.x.scale.position(band.from));
            // A span too short to see is still shown.
            let to = plane
                .x(self.x.scale.position(band.to))
                .max(from + 1.5)
                .min(plane.right);
            painter.rectangle((from, plane.top), (to, plane.bottom), band.role, 1.0)?;
        }
        frame::y_axis(painter, &plane, &self.y)?;
        frame::x_grid(painter, &plane, &self.x)?;
        for faint in [true, false] {
            for series in self
                .series
                .iter()
                .filter(|series| (series.weight == Weight::Faint) == faint)
            {
                for run in unbroken(&series.points) {
                    let points: Vec<(f64, f64)> = run
                        .iter()
                        .map(|(x, y)| {
                            (
                                plane.x(self.x.scale.position(*x)),
                                plane.y(self.y.scale.position(*y)),
                            )
                        })
                        .collect();
                    draw_run(painter, &points, plane.bottom, series)?;
                }
            }
        }
        frame::x_axis(painter, &plane, &self.x)?;
        Ok(plane)
    }
}

fn draw_run<DB: DrawingBackend>(
    painter: &Painter<'_, DB>,
    points: &[(f64, f64)],
    bottom: f64,
    series: &Series,
) -> Result<(), PlotError> {
    let alpha = series.weight.tone();
    let thickness = match series.weight {
        Weight::Faint => 1.2,
        Weight::Third => 1.6,
        _ => 2.2,
    };
    if series.weight == Weight::Dots {
        return points
            .iter()
            .try_for_each(|point| painter.disc(*point, 3.0, series.role, 0.7));
    }
    if let [only] = points {
        return painter.disc(*only, 3.0, series.role, alpha);
    }
    if series.weight == Weight::Area
        && let (Some(first), Some(last)) = (points.first(), points.last())
    {
        let mut outline = vec![(first.0, bottom)];
        outline.extend_from_slice(points);
        outline.push((last.0, bottom));
        painter.polygon(&outline, series.role, 0.18)?;
    }
    painter.line(points, series.role, thickness, alpha)?;
    if series.weight == Weight::Marked {
        for point in points {
            painter.disc(*point, 4.0, series.role, 1.0)?;
        }
    }
    Ok(())
}

/// Splits points at missing values.
fn unbroken(points: &[(f64, Option<f64>)]) -> Vec<Vec<(f64, f64)>> {
    points
        .split(|(_, y)| y.is_none())
        .map(|run| {
            run.iter()
                .filter_map(|(x, y)| Some((*x, (*y)?)))
                .collect::<Vec<_>>()
        })
        .filter(|run| !run.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_where_values_are_missing() {
        let points = [
            (0.0, Some(1.0)),
            (1.0, None),
            (2.0, Some(3.0)),
            (3.0, Some(4.0)),
            (4.0, None),
        ];
        assert_eq!(
            unbroken(&points),
            vec![vec![(0.0, 1.0)], vec![(2.0, 3.0), (3.0, 4.0)]]
        );
        assert!(unbroken(&[]).is_empty());
    }
}
