//! Starting the harness and reading what it wrote.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;

/// A command with arguments separated by spaces, and a directory for its output.
pub(crate) struct Run {
    /// Removed with everything in it when nobody needs it any more.
    pub(crate) directory: Arc<TempDir>,
    arguments: Vec<String>,
}

/// The harness with these arguments.
pub(crate) fn harness(arguments: &str) -> Run {
    Run {
        directory: Arc::new(tempfile::tempdir().unwrap()),
        arguments: arguments.split_whitespace().map(str::to_owned).collect(),
    }
}

/// A mix of transactions, as small as it gets.
pub(crate) fn tiny(workload: &str, engine: &str, more: &str) -> Run {
    harness(&format!(
        "--workload {workload} --engine {engine} --rows 500 --threads 2 --warmup 30ms --duration 150ms {more}"
    ))
}

impl Run {
    /// With a label, which may have spaces.
    pub(crate) fn label(mut self, label: &str) -> Self {
        self.arguments.extend(["--label".to_owned(), label.to_owned()]);
        self
    }

    /// The output directory that [`Run::finish`] gives to the harness.
    pub(crate) fn out(&self) -> PathBuf {
        self.directory.path().join("out")
    }

    /// The command, with `--out` if it makes a run with a record.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("harness"));
        command.args(&self.arguments).current_dir(self.directory.path());
        let has = |option: &str| self.arguments.iter().any(|argument| argument == option);
        if has("--workload") && !has("--prepare") {
            command.arg("--out").arg(self.out());
        }
        command
    }

    /// Runs it to its end.
    pub(crate) fn finish(&self) -> Finished {
        Finished {
            output: self.command().output().unwrap(),
            out: self.out(),
            _directory: Arc::clone(&self.directory),
        }
    }
}

/// A harness that has ended.
pub(crate) struct Finished {
    output: Output,
    out: PathBuf,
    /// The record stays as long as this.
    _directory: Arc<TempDir>,
}

impl Finished {
    /// The exit code.
    pub(crate) fn code(&self) -> i32 {
        self.output.status.code().expect("it was not killed")
    }

    /// Standard output.
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8(self.output.stdout.clone()).unwrap()
    }

    /// Standard error.
    pub(crate) fn stderr(&self) -> String {
        String::from_utf8(self.output.stderr.clone()).unwrap()
    }

    /// Asserts the exit code, and shows everything if it is another.
    #[track_caller]
    pub(crate) fn expect_code(&self, code: i32) -> &Self {
        assert_eq!(
            self.code(),
            code,
            "stdout:\n{}\nstderr:\n{}",
            self.stdout(),
            self.stderr()
        );
        self
    }

    /// Asserts that the error text has all of these.
    #[track_caller]
    pub(crate) fn expect_error(&self, parts: &[&str]) -> &Self {
        let text = self.stderr();
        for part in parts {
            assert!(text.contains(part), "`{part}` is missing in:\n{text}");
        }
        self
    }

    /// The record that was written.
    #[track_caller]
    pub(crate) fn record(&self) -> Value {
        record(&self.out)
    }
}

/// The record in a directory.
#[track_caller]
pub(crate) fn record(directory: &Path) -> Value {
    let path = directory.join("run.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    // The reader of the library refuses what does not fit the schema.
    reports::RunRecord::load(&path).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The measurement at `index` of a record.
#[track_caller]
pub(crate) fn measurement(record: &Value, index: usize) -> &Value {
    let measurement = &record["measurements"][index];
    assert!(measurement.is_object(), "no measurement {index} in {record}");
    measurement
}
