//! The sub-command `report`: reports made again from recorded runs, and comparisons of several.

use std::path::{Path, PathBuf};

use reports::RunRecord;

use crate::error::{Exit, HarnessError, Result};

/// Where comparisons go without `--out`.
const COMPARISON: &str = "target/harness/comparison";

/// Writes the report of one run, or the comparison of several, and prints their tables.
///
/// # Errors
/// Usage, when a record cannot be read. Run, when a report cannot be written.
pub(crate) fn report(runs: &[PathBuf], out: Option<&Path>) -> Result<Exit> {
    let records: Vec<RunRecord> = runs
        .iter()
        .map(|path| RunRecord::load(path).map_err(|error| HarnessError::Usage(error.to_string())))
        .collect::<Result<_>>()?;
    let columns = crate::console::width(std::io::stdout());
    let failed = |error: reports::ReportError| HarnessError::Run(error.to_string());
    let files = match (records.as_slice(), runs) {
        ([record], [path]) => {
            crate::console::tell(super::run::table(record, columns));
            let beside = if path.is_dir() {
                path.as_path()
            } else {
                path.parent().unwrap_or(Path::new("."))
            };
            reports::write_report(out.unwrap_or(beside), record).map_err(failed)?
        }
        (records, _) => {
            let names: Vec<String> = records.iter().map(RunRecord::name_with_label).collect();
            crate::console::tell(format_args!(
                "comparison of {}\n\n{}",
                names.join(", "),
                reports::text_comparison_within(records, columns)
            ));
            reports::write_comparison(out.unwrap_or(Path::new(COMPARISON)), records).map_err(failed)?
        }
    };
    crate::console::tell(format_args!("report: {}", files.html.display()));
    Ok(Exit::Good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_or_malformed_record_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run.json");
        let message = report(std::slice::from_ref(&path), None).unwrap_err().to_string();
        assert!(message.contains("run.json"), "{message}");
        std::fs::write(&path, "{\"schema_version\": 99}").unwrap();
        let message = report(&[path], None).unwrap_err().to_string();
        assert!(message.contains("schema version is 99"), "{message}");
    }
}
