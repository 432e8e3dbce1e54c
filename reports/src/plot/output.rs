//! From a chart to a picture: a themed vector picture for pages, a PNG file for everything else.

use super::bars::BarChart;
use super::columns::ColumnChart;
use super::frame::Plane;
use super::lines::LineChart;
use super::painter::{Painter, register_fonts};
use super::ratio::RatioChart;
use super::rows::RowChart;
use super::stops;
use super::theme::{Role, with_variables};
use plotters::drawing::IntoDrawingArea;
use plotters::prelude::{BitMapBackend, DrawingBackend, SVGBackend};
use std::fmt::Debug;
use std::path::{Path, PathBuf};

/// Why a plot could not be drawn.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// The embedded font is not accepted.
    #[error("the embedded font cannot be used")]
    Font,
    /// The drawing library failed.
    #[error("drawing failed: {0}")]
    Draw(String),
    /// A picture file could not be written.
    #[error("{}: cannot write the plot: {message}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        message: String,
    },
}

impl PlotError {
    pub(super) fn drawing(error: impl Debug) -> Self {
        Self::Draw(format!("{error:?}"))
    }
}

/// The shape of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// For desks and paper.
    Wide,
    /// For phones.
    Narrow,
}

impl Shape {
    fn width(self) -> f64 {
        match self {
            Self::Wide => 880.0,
            Self::Narrow => 360.0,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Wide => "wide",
            Self::Narrow => "narrow",
        }
    }
}

/// A chart with its words.
#[derive(Debug, Clone)]
pub struct Plot {
    /// Identifier, also the name of its file: lower case letters, digits and hyphens.
    pub id: String,
    /// Title.
    pub title: String,
    /// What is seen, and how to read it.
    pub caption: String,
    /// The picture in words, for who cannot see it.
    pub alt: String,
    /// Of what run, workload and engines it is: a picture file goes about by itself.
    pub subject: String,
    pub(super) chart: Chart,
}

/// The kinds of charts.
#[derive(Debug, Clone)]
pub(super) enum Chart {
    Lines(LineChart),
    Bars(BarChart),
    Columns(ColumnChart),
    Ratios(RatioChart),
    Rows(RowChart),
}

impl Chart {
    fn height(&self, shape: Shape) -> f64 {
        match self {
            Self::Lines(chart) => chart.height(shape),
            Self::Bars(chart) => chart.height(),
            Self::Columns(chart) => chart.height(shape),
            Self::Ratios(chart) => chart.height(shape),
            Self::Rows(chart) => chart.height(shape),
        }
    }

    /// Draws it; where its values lie.
    fn draw<DB: DrawingBackend>(
        &self,
        painter: &Painter<'_, DB>,
        top: f64,
    ) -> Result<Option<Plane>, PlotError> {
        match self {
            Self::Lines(chart) => chart.draw(painter, top).map(Some),
            Self::Bars(chart) => chart.draw(painter, top).map(Some),
            Self::Columns(chart) => chart.draw(painter, top).map(Some),
            Self::Ratios(chart) => chart.draw(painter, top).map(Some),
            Self::Rows(chart) => chart.draw(painter, top).map(|()| None),
        }
    }
}

/// Units of a vector picture to a point: coordinates are whole numbers, so finer ones make smoother lines.
const SVG_SCALE: f64 = 4.0;
/// Pixels of a PNG to a point, for sharp text.
const PNG_SCALE: f64 = 2.0;
/// Height of the title and of the line below it in a PNG, in points. On pages the figure's heading has the title.
const TITLE_HEIGHT: f64 = 58.0;

impl Plot {
    /// The plot as an inline vector picture that follows the page's style variables and width.
    ///
    /// # Errors
    /// [`PlotError`] when the drawing library fails.
    pub fn to_svg(&self, shape: Shape) -> Result<String, PlotError> {
        register_fonts()?;
        let size = pixels(shape.width(), self.chart.height(shape), SVG_SCALE);
        let mut svg = String::new();
        let plane = {
            let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
            let painter = Painter::new(&area, SVG_SCALE, shape == Shape::Narrow);
            let plane = self.chart.draw(&painter, 0.0)?;
            area.present().map_err(PlotError::drawing)?;
            plane.map(|plane| plane.within(painter.width, painter.height))
        };
        let body = svg.split_once('>').map_or("", |(_, body)| body);
        let head = format!(
            r#"<svg class="plot {}" viewBox="0 0 {} {}" role="img" aria-label="{}"{} xmlns="http://www.w3.org/2000/svg">"#,
            shape.name(),
            size.0,
            size.1,
            escaped(&self.alt),
            plane.map_or_else(String::new, |plane| format!(r#" data-plane="{plane}""#)),
        );
        Ok(with_variables(&(head + body)))
    }

    /// What can be read off the plot, as JSON for the script of a page; empty where the picture has its values in words.
    pub(crate) fn stops(&self) -> String {
        match &self.chart {
            Chart::Lines(chart) => stops::of_lines(chart),
            Chart::Bars(chart) => stops::of_bars(chart),
            Chart::Columns(chart) => stops::of_columns(chart),
            Chart::Ratios(chart) => stops::of_ratios(chart),
            Chart::Rows(_) => String::new(),
        }
    }

    /// Writes the plot to a PNG file, with its title and what it is of, on white.
    ///
    /// # Errors
    /// [`PlotError`] when drawing or writing fails.
    pub fn write_png(&self, path: &Path) -> Result<(), PlotError> {
        register_fonts()?;
        let size = pixels(
            Shape::Wide.width(),
            self.chart.height(Shape::Wide) + TITLE_HEIGHT,
            PNG_SCALE,
        );
        let mut rgb = vec![0; size.0 as usize * size.1 as usize * 3];
        self.paint(&mut rgb, size)?;
        write_rgb(path, &rgb, size).map_err(|error| PlotError::Write {
            path: path.to_owned(),
            message: error.to_string(),
        })
    }

    /// Draws into rows of red, green and blue bytes.
    fn paint(&self, rgb: &mut [u8], size: (u32, u32)) -> Result<(), PlotError> {
        let area = BitMapBackend::with_buffer(rgb, size).into_drawing_area();
        area.fill(&Role::Surface.color()).map_err(PlotError::drawing)?;
        let painter = Painter::new(&area, PNG_SCALE, false);
        let mut look = painter.ink();
        look.bold = true;
        look.size *= 1.2;
        let title = painter.fitted(&self.title, painter.width - 24.0, look)?;
        painter.text(&title, 8.0, 18.0, super::painter::Anchor::Left, look)?;
        let subject = painter.fitted(&self.subject, painter.width - 24.0, painter.muted())?;
        painter.text(&subject, 8.0, 41.0, super::painter::Anchor::Left, painter.muted())?;
        self.chart.draw(&painter, TITLE_HEIGHT)?;
        area.present().map_err(PlotError::drawing)
    }
}

fn write_rgb(path: &Path, rgb: &[u8], (width, height): (u32, u32)) -> Result<(), png::EncodingError> {
    let file = std::io::BufWriter::new(std::fs::File::create(path)?);
    let mut encoder = png::Encoder::new(file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(rgb)?;
    writer.finish()
}

fn pixels(width: f64, height: f64, scale: f64) -> (u32, u32) {
    ((width * scale) as u32, (height * scale) as u32)
}

/// Text for an attribute in double quotes.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
