//! Reports as files.

use super::comparison;
use super::page::{self, ReportError};
use crate::files::{to_csv, to_markdown};
use crate::plot::{self, Plot};
use crate::record::{RECORD_FILE_NAME, RunRecord};
use std::fs;
use std::path::{Path, PathBuf};

/// Name of the page of one run.
const REPORT_FILE_NAME: &str = "report.html";
/// Name of the file of a run's figures in lines.
const CSV_FILE_NAME: &str = "run.csv";
/// Name of the file of a run's main tables.
const MARKDOWN_FILE_NAME: &str = "report.md";
/// Name of the page that compares runs.
const COMPARISON_FILE_NAME: &str = "comparison.html";
/// Name of the directory of picture files.
const PLOTS_DIRECTORY_NAME: &str = "plots";

/// The files of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportFiles {
    /// The page.
    pub html: PathBuf,
    /// The record; a comparison has none of its own.
    pub record: Option<PathBuf>,
    /// The figures in lines; a comparison has none.
    pub csv: Option<PathBuf>,
    /// The main tables as Markdown; a comparison has none.
    pub markdown: Option<PathBuf>,
    /// The plots as PNG files, in the order of the page.
    pub plots: Vec<PathBuf>,
}

/// Writes `report.html`, `plots/*.png`, `run.json`, `run.csv` and `report.md` into a directory, which is made when it is missing.
/// The record is written with its verdicts.
///
/// # Errors
/// [`ReportError`] naming the file or the plot.
pub fn write_report(directory: impl AsRef<Path>, record: &RunRecord) -> Result<ReportFiles, ReportError> {
    let directory = directory.as_ref();
    make_directory(directory)?;
    let judged = RunRecord {
        verdicts: crate::evaluate(record),
        ..record.clone()
    };
    // The record first: whatever goes wrong with drawing, the measurement is kept.
    let record_path = directory.join(RECORD_FILE_NAME);
    judged.save(&record_path)?;
    let csv = directory.join(CSV_FILE_NAME);
    write(&csv, &to_csv(&judged))?;
    let markdown = directory.join(MARKDOWN_FILE_NAME);
    write(&markdown, &to_markdown(&judged))?;
    let plots = plot::plots(&judged);
    let html = directory.join(REPORT_FILE_NAME);
    write(&html, &page::render_with(&judged, &plots)?)?;
    Ok(ReportFiles {
        html,
        record: Some(record_path),
        csv: Some(csv),
        markdown: Some(markdown),
        plots: write_plots(directory, &record.workload.name, &plots)?,
    })
}

/// Writes `comparison.html` and its plots into a directory, which is made when it is missing.
///
/// # Errors
/// [`ReportError::NothingToCompare`] without records, else naming the file or the plot.
pub fn write_comparison(
    directory: impl AsRef<Path>,
    records: &[RunRecord],
) -> Result<ReportFiles, ReportError> {
    let directory = directory.as_ref();
    let records: Vec<RunRecord> = records
        .iter()
        .map(|record| record.by_case().into_owned())
        .collect();
    let plots = plot::comparison_plots(&records);
    let text = comparison::render_with(&records, &plots)?;
    make_directory(directory)?;
    let html = directory.join(COMPARISON_FILE_NAME);
    write(&html, &text)?;
    Ok(ReportFiles {
        html,
        record: None,
        csv: None,
        markdown: None,
        plots: write_plots(directory, "comparison", &plots)?,
    })
}

fn make_directory(path: &Path) -> Result<(), ReportError> {
    fs::create_dir_all(path).map_err(|source| ReportError::Write {
        path: path.to_owned(),
        source,
    })
}

fn write(path: &Path, text: &str) -> Result<(), ReportError> {
    fs::write(path, text).map_err(|source| ReportError::Write {
        path: path.to_owned(),
        source,
    })
}

/// The name of a picture file begins with the workload, since pictures go about by themselves.
fn file_name(workload: &str, id: &str) -> String {
    let workload = plot::slug(workload);
    if id
        .strip_prefix(&workload)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    {
        format!("{id}.png")
    } else {
        format!("{workload}-{id}.png")
    }
}

fn write_plots(directory: &Path, workload: &str, plots: &[Plot]) -> Result<Vec<PathBuf>, ReportError> {
    if plots.is_empty() {
        return Ok(Vec::new());
    }
    let directory = directory.join(PLOTS_DIRECTORY_NAME);
    make_directory(&directory)?;
    let mut paths = Vec::new();
    for plot in plots {
        let path = directory.join(file_name(workload, &plot.id));
        plot.write_png(&path)?;
        paths.push(path);
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_file_names_its_workload_once() {
        for (workload, id, name) in [
            ("oltp", "throughput", "oltp-throughput.png"),
            ("space", "space-ratio-over-time-a", "space-ratio-over-time-a.png"),
            ("ratios", "ratios", "ratios.png"),
            ("my/own.toml", "latency", "my-own-toml-latency.png"),
            ("lat", "latency", "lat-latency.png"),
        ] {
            assert_eq!(file_name(workload, id), name);
        }
    }
}
