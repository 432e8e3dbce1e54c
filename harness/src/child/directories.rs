//! Where a run puts its things: the output directory with record and report, and the data directory with databases.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use reports::RunRecord;
use reports::record::RECORD_FILE_NAME;

use crate::error::{HarnessError, Result};
use crate::request::Request;

/// The file in a data directory that is locked as long as its run lives.
const RUNNING: &str = "running";
/// What a run reports, apart from failures.
const REPORT: [&str; 6] = [
    RECORD_FILE_NAME,
    "run.json.partial",
    "run.csv",
    "report.html",
    "report.md",
    "plots",
];
/// Where runs go without `--out`.
const RUNS: &str = "target/harness";

/// The directories of one run.
#[derive(Debug)]
pub(crate) struct Directories {
    /// The run's name, unique among those of its parent directory.
    pub run_id: String,
    /// What whoever started the run calls it.
    pub label: Option<String>,
    /// For the record, the report and the plots.
    pub out: PathBuf,
    /// For databases and job files; this run's own.
    pub data: PathBuf,
    keep: bool,
    /// Locked as long as the run lives, so that the next one can tell what a killed one has left.
    _running: File,
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
            .map_or_else(|| "run".into(), |stem| stem.to_string_lossy())
            .replace(char::is_control, "_");
        let name = format!("{stem}-{}", reports::time::compact(SystemTime::now()));
        let mut is_new = true;
        let (run_id, out) = match request.out.as_deref() {
            Some(out) => {
                is_new = !out.exists();
                std::fs::create_dir_all(out).map_err(|error| cannot_use("--out", out, &error))?;
                let found = REPORT.iter().find(|name| out.join(name).exists());
                if let Some(found) = found.filter(|_| !request.overwrite) {
                    return Err(HarnessError::Usage(format!(
                        "{} has the {found} of another run; choose another directory with --out, or replace it with --overwrite",
                        out.display()
                    )));
                }
                (name, out.to_path_buf())
            }
            None => unique_below(Path::new(RUNS), &name)?,
        };
        let parent = request.data_dir.as_deref().unwrap_or(&out);
        for left in left_over(parent) {
            crate::console::note(format_args!(
                "warning: {} was left by a run that was killed; remove it when you have seen what you want of it",
                left.display()
            ));
        }
        let data = parent.join(data_name(&run_id, std::process::id(), request.keep));
        let running = std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::create_dir(&data))
            .and_then(|()| lock_of(&data))
            .map_err(|error| {
                if is_new {
                    // It has nothing in it, and is not removed if it has.
                    let _ = std::fs::remove_dir(&out);
                }
                cannot_use("--data-dir", parent, &error)
            })?;
        if request.overwrite {
            remove_report(&out).map_err(|error| cannot_use("--out", &out, &error))?;
        }
        Ok(Self {
            run_id,
            label: request.label.clone(),
            out,
            data,
            keep: request.keep,
            _running: running,
        })
    }

    /// Writes what there is of the record, for the case that the run does not come to its end. If that is not possible now, it
    /// may be at the end.
    pub(crate) fn save(&self, record: &RunRecord) {
        if let Err(error) = record.save(self.out.join(RECORD_FILE_NAME)) {
            crate::console::note(format_args!("warning: {error}"));
        }
    }

    /// Removes a database unless it is to be kept.
    pub(crate) fn discard(&self, directory: &Path) {
        if !self.keep
            && directory.exists()
            && let Err(error) = std::fs::remove_dir_all(directory)
        {
            crate::console::note(format_args!(
                "warning: cannot remove {}: {error}",
                directory.display()
            ));
        }
    }
}

impl Drop for Directories {
    fn drop(&mut self) {
        if self.keep {
            crate::console::note(format_args!("databases are kept in {}", self.data.display()));
        } else {
            self.discard(&self.data);
        }
    }
}

/// The file that tells that a run lives, locked before others can see it by its name. Where there are no locks nobody can tell,
/// and nothing is called left over.
fn lock_of(data: &Path) -> std::io::Result<File> {
    let unseen = data.join("starting");
    let file = File::create(&unseen)?;
    let _ = file.lock();
    std::fs::rename(unseen, data.join(RUNNING))?;
    Ok(file)
}

/// Databases that are to stay have another name.
fn data_name(run_id: &str, process: u32, keep: bool) -> String {
    if keep {
        format!("databases-{run_id}-{process}")
    } else {
        format!("data-{run_id}-{process}")
    }
}

/// Removes what the report of an earlier run consists of, so that nothing of it passes for this one's.
fn remove_report(out: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(out)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_failure = ["failure-", "schedule-"]
            .iter()
            .any(|kind| name.starts_with(kind));
        let is_failure = is_failure && name.ends_with(".json");
        if name == "plots" {
            std::fs::remove_dir_all(entry.path())?;
        } else if is_failure || REPORT.contains(&&*name) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Data directories below `parent`, or in the runs below it, of runs that live no more. Where that cannot be seen they do.
fn left_over(parent: &Path) -> Vec<PathBuf> {
    let is_left = |path: &Path| {
        let name = path.file_name().unwrap_or_default();
        name.as_encoded_bytes().starts_with(b"data-")
            && File::open(path.join(RUNNING)).is_ok_and(|file| file.try_lock().is_ok())
    };
    let inside = |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten();
    let runs = parent
        .parent()
        .filter(|runs| runs.ends_with(RUNS))
        .into_iter()
        .flat_map(inside)
        .flat_map(|run| inside(&run.path()));
    let mut left: Vec<PathBuf> = inside(parent)
        .chain(runs)
        .map(|entry| entry.path())
        .filter(|path| is_left(path))
        .collect();
    left.sort();
    left.dedup();
    left
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
    fn a_directory_with_a_record_is_only_written_over_when_told_so() {
        let parent = tempfile::tempdir().unwrap();
        let mut request = Request {
            out: Some(parent.path().to_path_buf()),
            ..Request::default()
        };
        let directories = Directories::create(&request).unwrap();
        directories.save(&RunRecord::new("a", "now"));
        assert_eq!(RunRecord::load(parent.path()).unwrap().run_id, "a");
        let message = Directories::create(&request).unwrap_err().to_string();
        assert!(message.contains("--overwrite"), "{message}");
        request.overwrite = true;
        for name in ["report.html", "failure-1.json", "schedule-1.json", "mine.txt"] {
            std::fs::write(parent.path().join(name), "").unwrap();
        }
        drop(directories);
        drop(Directories::create(&request).unwrap());
        let left: Vec<_> = std::fs::read_dir(parent.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, ["mine.txt"], "only what the other run had reported goes");
    }

    #[test]
    fn what_a_killed_run_has_left_is_found_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        let alive = Directories::create(&Request {
            out: Some(parent.path().to_path_buf()),
            ..Request::default()
        });
        let run = "my-mix-20260728T101500Z-2";
        let left = parent.path().join(data_name(run, 1, false));
        let kept = parent.path().join(data_name(run, 1, true));
        for path in [&left, &kept, &parent.path().join("data-of-mine")] {
            std::fs::create_dir(path).unwrap();
        }
        for path in [&left, &kept] {
            File::create(path.join(RUNNING)).unwrap();
        }
        assert_eq!(left_over(parent.path()), [left]);
        drop(alive);
    }

    #[test]
    fn a_data_directory_that_cannot_be_made_leaves_no_empty_output() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("file");
        std::fs::write(&file, "").unwrap();
        let out = parent.path().join("out");
        let request = Request {
            out: Some(out.clone()),
            data_dir: Some(file),
            ..Request::default()
        };
        let message = Directories::create(&request).unwrap_err().to_string();
        assert!(message.contains("--data-dir"), "{message}");
        assert!(!out.exists());
        // One that was there stays.
        std::fs::create_dir(&out).unwrap();
        assert!(Directories::create(&request).is_err());
        assert!(out.exists());
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
