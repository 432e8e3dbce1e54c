//! A thin pen over a plotters drawing area: lengths in picture points, a scale factor for crisp output, colours by
//! role, text in the embedded font.

use super::output::PlotError;
use super::theme::Role;
use plotters::coord::Shift;
use plotters::drawing::DrawingArea;
use plotters::element::{Circle, PathElement, Polygon, Rectangle};
use plotters::prelude::{DrawingBackend, IntoFont};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontStyle, ShapeStyle, register_font};
use std::sync::OnceLock;

/// The family under which the embedded font is known; a browser takes its own font of this kind.
const FAMILY: &str = "sans-serif";

/// Where a text stands relative to its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    /// The point is at its left end, in the middle of its height.
    Left,
    /// In the middle.
    Center,
    /// At its right end.
    Right,
}

/// How a text looks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Type {
    /// Height in points.
    pub(crate) size: f64,
    /// Colour.
    pub(crate) role: Role,
    /// Weight.
    pub(crate) bold: bool,
}

/// A pen on one picture.
pub(crate) struct Painter<'a, DB: DrawingBackend> {
    area: &'a DrawingArea<DB, Shift>,
    scale: f64,
    /// Width of the picture in points.
    pub(crate) width: f64,
    /// Height of the picture in points.
    pub(crate) height: f64,
    /// Whether the picture is for a narrow page.
    pub(crate) narrow: bool,
}

/// Makes the embedded font known to plotters, once.
pub(crate) fn register_fonts() -> Result<(), PlotError> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let registered = REGISTERED.get_or_init(|| {
        register_font(FAMILY, FontStyle::Normal, dejavu::sans::regular()).is_ok()
            && register_font(FAMILY, FontStyle::Bold, dejavu::sans::bold()).is_ok()
    });
    if *registered { Ok(()) } else { Err(PlotError::Font) }
}

impl<'a, DB: DrawingBackend> Painter<'a, DB> {
    /// A pen on an area whose pixels are `scale` to a point.
    pub(crate) fn new(area: &'a DrawingArea<DB, Shift>, scale: f64, narrow: bool) -> Self {
        let (width, height) = area.dim_in_pixel();
        Self {
            area,
            scale,
            width: f64::from(width) / scale,
            height: f64::from(height) / scale,
            narrow,
        }
    }

    /// Body size of text in this picture.
    pub(crate) fn type_size(&self) -> f64 {
        14.8
    }

    /// Text for labels and axes.
    pub(crate) fn ink(&self) -> Type {
        Type {
            size: self.type_size(),
            role: Role::Ink,
            bold: false,
        }
    }

    /// Secondary text.
    pub(crate) fn muted(&self) -> Type {
        Type {
            size: self.type_size(),
            role: Role::Muted,
            bold: false,
        }
    }

    fn at(&self, x: f64, y: f64) -> (i32, i32) {
        ((x * self.scale).round() as i32, (y * self.scale).round() as i32)
    }

    /// A filled rectangle.
    pub(crate) fn rectangle(
        &self,
        from: (f64, f64),
        to: (f64, f64),
        role: Role,
        alpha: f64,
    ) -> Result<(), PlotError> {
        let style = role.color().mix(alpha).filled();
        let corners = [self.at(from.0, from.1), self.at(to.0, to.1)];
        self.area
            .draw(&Rectangle::new(corners, style))
            .map_err(PlotError::drawing)
    }

    /// A filled polygon.
    pub(crate) fn polygon(&self, points: &[(f64, f64)], role: Role, alpha: f64) -> Result<(), PlotError> {
        if points.len() < 3 {
            return Ok(());
        }
        let points: Vec<(i32, i32)> = points.iter().map(|point| self.at(point.0, point.1)).collect();
        let style = role.color().mix(alpha).filled();
        self.area
            .draw(&Polygon::new(points, style))
            .map_err(PlotError::drawing)
    }

    /// A line through points, `thickness` points thick.
    pub(crate) fn line(
        &self,
        points: &[(f64, f64)],
        role: Role,
        thickness: f64,
        alpha: f64,
    ) -> Result<(), PlotError> {
        let points: Vec<(i32, i32)> = points.iter().map(|point| self.at(point.0, point.1)).collect();
        let style = ShapeStyle {
            color: role.color().mix(alpha),
            filled: false,
            stroke_width: (thickness * self.scale).round().max(1.0) as u32,
        };
        self.area
            .draw(&PathElement::new(points, style))
            .map_err(PlotError::drawing)
    }

    /// A filled disc.
    pub(crate) fn disc(
        &self,
        center: (f64, f64),
        radius: f64,
        role: Role,
        alpha: f64,
    ) -> Result<(), PlotError> {
        let radius = (radius * self.scale).round().max(1.0) as i32;
        let style = role.color().mix(alpha).filled();
        self.area
            .draw(&Circle::new(self.at(center.0, center.1), radius, style))
            .map_err(PlotError::drawing)
    }

    /// A line of text; `y` is the middle of its height.
    pub(crate) fn text(
        &self,
        text: &str,
        x: f64,
        y: f64,
        anchor: Anchor,
        look: Type,
    ) -> Result<(), PlotError> {
        let h_pos = match anchor {
            Anchor::Left => HPos::Left,
            Anchor::Center => HPos::Center,
            Anchor::Right => HPos::Right,
        };
        let weight = if look.bold {
            FontStyle::Bold
        } else {
            FontStyle::Normal
        };
        let font = (FAMILY, look.size * self.scale, weight).into_font();
        let style = font.color(&look.role.color()).pos(Pos::new(h_pos, VPos::Center));
        let text = printable(text);
        self.area
            .draw_text(&text, &style, self.at(x, y))
            .map_err(PlotError::drawing)
    }

    /// Width of a text in points, by the embedded font.
    pub(crate) fn text_width(&self, text: &str, look: Type) -> Result<f64, PlotError> {
        let weight = if look.bold {
            FontStyle::Bold
        } else {
            FontStyle::Normal
        };
        let font = (FAMILY, look.size * self.scale, weight).into_font();
        let (width, _) = font
            .box_size(&printable(text))
            .map_err(|error| PlotError::Draw(format!("{error:?}")))?;
        Ok(f64::from(width) / self.scale)
    }

    /// A text cut with an ellipsis to fit a width.
    pub(crate) fn fitted(&self, text: &str, room: f64, look: Type) -> Result<String, PlotError> {
        if self.text_width(text, look)? <= room {
            return Ok(text.to_owned());
        }
        let letters: Vec<char> = text.chars().collect();
        let (mut fits, mut too_long) = (0, letters.len());
        let cut = |length: usize| letters[..length].iter().collect::<String>().trim_end().to_owned() + "…";
        while too_long - fits > 1 {
            let middle = usize::midpoint(fits, too_long);
            if self.text_width(&cut(middle), look)? <= room {
                fits = middle
            } else {
                too_long = middle
            }
        }
        Ok(cut(fits))
    }
}

/// Foreign names may hold control characters, which neither picture format can show.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
