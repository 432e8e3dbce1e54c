//! The sub-command `salvage`: every readable row of a damaged database into a new one, and what could not be saved.

use std::fmt::Write as _;
use std::path::Path;

use engine::{Options, SalvageReport, SalvagedTable};

use super::check::{existing, finding};
use crate::error::{Exit, HarnessError, Result};

/// Keys and ranges named for one table; the rest is counted.
const NAMED_MAX: usize = 10;

/// Salvages `database` into `new`. Good when everything came back; failed when something is missing or uncertain.
///
/// # Errors
/// Usage, when there is no such database, or something at `new` already. Run, when it cannot be read, or the new one written.
pub(crate) fn salvage(database: &Path, new: &Path) -> Result<Exit> {
    let database = existing(database)?;
    if new.exists() {
        return Err(HarnessError::Usage(format!(
            "{} exists already; salvage writes to a path where there is nothing yet",
            new.display()
        )));
    }
    let report = engine::salvage(&database, new, Options::new()).map_err(|error| match error {
        engine::Error::InvalidOption { .. } => HarnessError::Usage(error.to_string()),
        error => finding(&database, error),
    })?;
    crate::console::tell(describe(&report, new).trim_end());
    Ok(if report.is_complete() {
        Exit::Good
    } else {
        Exit::Failed
    })
}

/// The report in words.
fn describe(report: &SalvageReport, new: &Path) -> String {
    let mut out = String::new();
    for table in &report.tables {
        describe_table(table, &mut out);
    }
    for problem in &report.problems {
        let _ = writeln!(out, "problem: {problem}");
    }
    let _ = writeln!(
        out,
        "{} rows of {} tables are in {} ({} damaged extents, {} log frames)",
        report.rows(),
        report.tables.len(),
        new.display(),
        report.damaged_extents,
        report.log_frames,
    );
    let _ = writeln!(
        out,
        "{}",
        if report.is_complete() {
            "everything was recovered"
        } else {
            "NOT everything was recovered, or not for certain: see above"
        }
    );
    out
}

fn describe_table(table: &SalvagedTable, out: &mut String) {
    let _ = writeln!(
        out,
        "{}: {} rows from {} pages",
        table.name, table.rows, table.pages
    );
    let mut list = |what: &str, items: Vec<String>| {
        let more = items.len().saturating_sub(NAMED_MAX);
        for item in items.into_iter().take(NAMED_MAX) {
            let _ = writeln!(out, "  {what} {item}");
        }
        if more > 0 {
            let _ = writeln!(out, "  {what} ... and {more} more");
        }
    };
    let ranges = table.lost_ranges.iter().map(|(low, high)| {
        let high = high.as_ref().map_or_else(
            || "the end".into(),
            |high| format!("below {}", high.escape_ascii()),
        );
        format!("from {:?} to {high}", low.escape_ascii().to_string())
    });
    list("rows may be missing", ranges.collect());
    let keys = table.lost_values.iter().map(|key| key.escape_ascii().to_string());
    list("the long value is lost of row", keys.collect());
    let pages = table.older_pages.iter().map(ToString::to_string);
    list("rows may be older than they were: page", pages.collect());
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::*;

    fn build(path: &Path) {
        let options = Options::new()
            .page_size(4096)
            .wal_segment_size(64 << 10)
            .background(false);
        let db = options.open(path).unwrap();
        let table = db.create_table("rows").unwrap();
        for n in 0..300u32 {
            db.write(|tx| tx.put(table, &n.to_be_bytes(), &[n as u8; 100]))
                .unwrap();
        }
        db.close().unwrap();
    }

    #[test]
    fn a_sound_database_comes_back_whole_and_nothing_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (dir.path().join("old.db"), dir.path().join("new.db"));
        build(&old);
        assert_eq!(salvage(&old, &new).unwrap(), Exit::Good);
        let message = salvage(&old, &new).unwrap_err().to_string();
        assert!(message.contains("exists already"), "{message}");
        let message = salvage(&dir.path().join("none"), &new).unwrap_err().to_string();
        assert!(message.contains("no database at"), "{message}");
    }

    #[test]
    fn the_new_database_is_checkpointed_and_its_log_is_small() {
        const ROWS: u32 = 16_000;
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (dir.path().join("old.db"), dir.path().join("new.db"));
        let db = Options::new().background(false).open(&old).unwrap();
        let table = db.create_table("rows").unwrap();
        for batch in 0..16 {
            db.write(|tx| {
                let first = batch * (ROWS / 16);
                (first..first + ROWS / 16)
                    .try_for_each(|row| tx.put(table, &row.to_be_bytes(), &[row as u8; 1000]))
            })
            .unwrap();
        }
        db.close().unwrap();
        assert_eq!(salvage(&old, &new).unwrap(), Exit::Good);
        let log = std::fs::read_dir(dir.path().join("new.db-wal")).unwrap();
        let log_bytes: u64 = log.map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
        let rows_bytes = u64::from(ROWS) * 1000;
        assert!(
            std::fs::metadata(&new).unwrap().len() > rows_bytes,
            "the rows are in the data file"
        );
        assert!(log_bytes < rows_bytes / 8, "{log_bytes} bytes of log");
    }

    #[test]
    fn damage_is_reported_and_fails() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (dir.path().join("old.db"), dir.path().join("new.db"));
        build(&old);
        let file = std::fs::OpenOptions::new().write(true).open(&old).unwrap();
        file.write_all_at(&[0; 8192], 0).unwrap();
        assert_eq!(salvage(&old, &new).unwrap(), Exit::Failed);
        let db = Options::new().open(&new).unwrap();
        let table = db.table("rows").unwrap();
        let snapshot = db.snapshot();
        assert_eq!(snapshot.scan(table, ..).unwrap().count(), 300);
    }

    #[test]
    fn what_is_lost_is_named() {
        let mut table = SalvagedTable::default();
        table.name = "rows".into();
        table.lost_ranges = vec![(b"a".to_vec(), None)];
        table.lost_values = (0..15u8).map(|n| vec![n]).collect();
        let mut report = SalvageReport::default();
        report.tables.push(table);
        report.problems.push("both superblocks are lost".into());
        let text = describe(&report, Path::new("new.db"));
        for part in [
            "from \"a\" to the end",
            "and 5 more",
            "both superblocks",
            "NOT everything",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
}
