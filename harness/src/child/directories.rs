//! Where a run puts its things: the output directory with record and report, and the data directory with databases.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::error::{HarnessError, Result};
use crate::request::Request;

/// The directories of one run.
#[derive(Debug)]
pub(crate) struct Directories {
    /// The run's name, unique among those of its parent directory.
    pub run_id: String,
    /// For the record, the report and the plots.
    pub out: PathBuf,
    /// For databases and job files; this run's own.
    pub data: PathBuf,
    keep: bool,
}

impl Directories {
    /// Makes the directories of a run. Without `--out` it is `target/harness/<run>`; databases are below `--data-dir`, or else
    /// inside the output directory.
    ///
    /// # Errors
    /// When they cannot be made or written; says which and what would help.
    pub(crate) fn create(request: &Request) -> Result<Self> {
        let workload = request.workload.as_deref().unwrap_or_default();
        let stem = Path::new(workload)
            .file_stem()
            .map_or_else(|| "run".into(), |stem| stem.to_string_lossy());
        let name = format!("{stem}-{}", reports::time::compact(SystemTime::now()));
        let (run_id, out) = match request.out.as_deref() {
            Some(out) => {
                std::fs::create_dir_all(out).map_err(|error| cannot_use("--out", out, &error))?;
                (name, out.to_path_buf())
            }
            None => unique_below(Path::new("target/harness"), &name)?,
        };
        let parent = request.data_dir.as_deref().unwrap_or(&out);
        let data = parent.join(format!("data-{run_id}-{}", std::process::id()));
        std::fs::create_dir_all(&data).map_err(|error| cannot_use("--data-dir", parent, &error))?;
        Ok(Self {
            run_id,
            out,
            data,
            keep: request.keep,
        })
    }

    /// Removes a database unless it is to be kept.
    pub(crate) fn discard(&self, directory: &Path) {
        if !self.keep
            && directory.exists()
            && let Err(error) = std::fs::remove_dir_all(directory)
        {
            eprintln!("warning: cannot remove {}: {error}", directory.display());
        }
    }
}

impl Drop for Directories {
    fn drop(&mut self) {
        if self.keep {
            eprintln!("databases are kept in {}", self.data.display());
        } else {
            self.discard(&self.data);
        }
    }
}

fn unique_below(parent: &Path, name: &str) -> Result<(String, PathBuf)> {
    std::fs::create_dir_all(parent).map_err(|error| cannot_use("--out", parent, &error))?;
    for attempt in 1..1000 {
        let run_id = if attempt == 1 {
            name.to_owned()
        } else {
            format!("{name}-{attempt}")
        };
        let path = parent.join(&run_id);
        match std::fs::create_dir(&path) {
            Ok(()) => return Ok((run_id, path)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(cannot_use("--out", &path, &error)),
        }
    }
    Err(HarnessError::Run(format!(
        "{}: no free name for a run; give --out",
        parent.display()
    )))
}

fn cannot_use(option: &str, path: &Path, error: &std::io::Error) -> HarnessError {
    HarnessError::Usage(format!(
        "cannot write to {}: {error}; choose another directory with {option}",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_the_same_second_get_names_of_their_own() {
        let parent = tempfile::tempdir().unwrap();
        let (first, _) = unique_below(parent.path(), "oltp-1").unwrap();
        let (second, path) = unique_below(parent.path(), "oltp-1").unwrap();
        assert_eq!((first.as_str(), second.as_str()), ("oltp-1", "oltp-1-2"));
        assert!(path.is_dir());
    }

    #[test]
    fn databases_go_and_the_record_stays() {
        let parent = tempfile::tempdir().unwrap();
        let out = parent.path().join("out");
        let directories = Directories::create(&Request {
            workload: Some("some/my-mix.toml".into()),
            out: Some(out.clone()),
            ..Request::default()
        })
        .unwrap();
        assert!(
            directories.run_id.starts_with("my-mix-"),
            "{}",
            directories.run_id
        );
        let data = directories.data.clone();
        assert!(data.is_dir());
        drop(directories);
        assert!(!data.exists() && out.is_dir());
    }

    #[test]
    fn a_path_that_is_a_file_is_refused_with_a_way_out() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("file");
        std::fs::write(&file, "").unwrap();
        let message = Directories::create(&Request {
            out: Some(file),
            ..Request::default()
        })
        .unwrap_err()
        .to_string();
        assert!(message.contains("--out"), "{message}");
    }
}
