//! Templates and what they are filled with.

use super::context::{Picture, ReportContext};
use crate::plot::{Plot, PlotError, Scheme, Shape, css_variables};
use crate::record::{RecordError, RunRecord};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment};
use serde::Serialize;
use std::io;
use std::path::PathBuf;

/// Why a report could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The record could not be written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A plot could not be drawn.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// The page could not be filled.
    #[error("the report page cannot be made: {0}")]
    Template(#[from] minijinja::Error),
    /// A directory or file could not be written.
    #[error("{}: cannot write the report: {source}", path.display())]
    Write {
        /// The directory or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is nothing to compare.
    #[error("a comparison needs at least one run")]
    NothingToCompare,
}

const SCRIPT: &str = include_str!("../../templates/script.js");
const STYLE: &str = include_str!("../../templates/style.css");
const TEMPLATES: [(&str, &str); 4] = [
    ("parts.html", include_str!("../../templates/parts.html")),
    ("table.html", include_str!("../../templates/table.html")),
    ("report.html", include_str!("../../templates/report.html")),
    ("comparison.html", include_str!("../../templates/comparison.html")),
];

/// The page of one run.
///
/// # Errors
/// [`ReportError::Plot`] when a plot cannot be drawn, [`ReportError::Template`] when the page cannot be filled.
pub fn render_report(record: &RunRecord) -> Result<String, ReportError> {
    render_with(record, &crate::plot::plots(record))
}

/// The page of one run with its plots already made.
pub(super) fn render_with(record: &RunRecord, plots: &[Plot]) -> Result<String, ReportError> {
    let context = ReportContext::new(record, pictures(plots)?);
    fill("report.html", &context)
}

/// Draws every plot in both shapes.
pub(super) fn pictures(plots: &[Plot]) -> Result<Vec<Picture>, ReportError> {
    plots
        .iter()
        .map(|plot| {
            Ok(Picture {
                id: plot.id.clone(),
                title: plot.title.clone(),
                caption: plot.caption.clone(),
                wide: plot.to_svg(Shape::Wide)?,
                narrow: plot.to_svg(Shape::Narrow)?,
                stops: plot.stops(),
            })
        })
        .collect()
}

/// Fills a template; everything is escaped but the style, the script and the pictures.
pub(crate) fn fill(name: &str, context: &impl Serialize) -> Result<String, ReportError> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()?,
    );
    for (name, template) in TEMPLATES {
        environment.add_template(name, template)?;
    }
    let style = STYLE
        .replace("/*light*/", &css_variables(Scheme::Light))
        .replace("/*dark*/", &css_variables(Scheme::Dark));
    environment.add_global("style", style);
    environment.add_global("script", SCRIPT);
    let page = environment.get_template(name)?.render(Serde(context))?;
    Ok(with_contents(&page))
}

/// Where a page has its list of contents.
const CONTENTS: &str = "<!-- contents -->";

/// The page with a list of its headings, which are escaped already.
fn with_contents(page: &str) -> String {
    if !page.contains(CONTENTS) {
        return page.to_owned();
    }
    let headings = page.split("<h2 id=\"").skip(1).filter_map(|after| {
        let (id, rest) = after.split_once("\">")?;
        let (title, _) = rest.split_once("</h2>")?;
        Some(format!("<li><a href=\"#{id}\">{title}</a></li>\n"))
    });
    let list: String = headings.collect();
    let list = format!("<nav class=\"contents\" aria-label=\"Contents\"><ul>\n{list}</ul></nav>");
    page.replacen(CONTENTS, &list, 1)
}
