//! Records on disk: reading refuses what it does not understand and says where.

use super::{RECORD_FILE_NAME, RunRecord, SCHEMA_VERSION};
use serde::Deserialize;
use std::fs;
use std::io;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Why a record could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file could not be read.
    #[error("{}: cannot read the run record: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file could not be written.
    #[error("{}: cannot write the run record: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The record cannot be put into JSON.
    #[error("{}: cannot encode the run record: {source}", path.display())]
    Encode {
        /// The file it was meant for.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The file has no schema version, or one that this program does not read.
    #[error(
        "{}: {found}; this program reads run records of schema version {SCHEMA_VERSION} only",
        path.display()
    )]
    SchemaVersion {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        found: String,
    },
    /// The file is not JSON, or a field is not what it must be.
    #[error("{}: malformed run record at `{json_path}`: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The field, as a path such as `measurements[0].duration_ns`; `.` is the whole document.
        json_path: String,
        /// What is wrong, with line and column.
        message: String,
    },
}

/// The part of a record that is read before the rest is believed.
#[derive(Deserialize)]
struct Versioned {
    schema_version: Option<serde_json::Value>,
}

impl RunRecord {
    /// Reads a record from a file, or from `run.json` in a directory.
    ///
    /// # Errors
    /// [`RecordError`] naming the file and, for malformed content, the field.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, RecordError> {
        let path = record_path(path.as_ref());
        let text = fs::read_to_string(&path).map_err(|source| RecordError::Read {
            path: path.clone(),
            source,
        })?;
        Self::parse(&text, &path)
    }

    /// Reads a record from text; `path` is only used in messages.
    ///
    /// # Errors
    /// [`RecordError::SchemaVersion`] or [`RecordError::Malformed`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, RecordError> {
        let versioned: Versioned = from_json(text, path)?;
        match versioned.schema_version {
            Some(version) if version.as_u64() == Some(u64::from(SCHEMA_VERSION)) => {}
            Some(other) => {
                return Err(RecordError::SchemaVersion {
                    path: path.to_owned(),
                    found: format!("its schema version is {other}"),
                });
            }
            None => {
                return Err(RecordError::SchemaVersion {
                    path: path.to_owned(),
                    found: "it has no schema version".to_owned(),
                });
            }
        }
        from_json(text, path)
    }

    /// The record as indented JSON.
    ///
    /// # Errors
    /// The JSON encoder's error.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }

    /// Writes the record to a file, or to `run.json` in an existing directory. A reader never sees half a file:
    /// the text goes to a neighbour that is then renamed.
    ///
    /// # Errors
    /// [`RecordError::Encode`] or [`RecordError::Write`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), RecordError> {
        let path = record_path(path.as_ref());
        let mut text = self.to_json().map_err(|source| RecordError::Encode {
            path: path.clone(),
            source,
        })?;
        text.push('\n');
        let failed = |source| RecordError::Write {
            path: path.clone(),
            source,
        };
        let mut partial = path.clone().into_os_string();
        partial.push(".partial");
        // On the device before it takes the place of the one before, which a loss of power would take away else.
        fs::File::create(&partial)
            .and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.sync_all()
            })
            .map_err(failed)?;
        fs::rename(&partial, &path).map_err(failed)
    }
}

/// A directory stands for the record inside it.
fn record_path(path: &Path) -> PathBuf {
    if path.is_dir() {
        path.join(RECORD_FILE_NAME)
    } else {
        path.to_owned()
    }
}

/// Decodes JSON, naming the field that was wrong.
fn from_json<'a, T: Deserialize<'a>>(text: &'a str, path: &Path) -> Result<T, RecordError> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let malformed = |json_path: String, message: String| RecordError::Malformed {
        path: path.to_owned(),
        json_path,
        message,
    };
    let value = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| malformed(error.path().to_string(), error.inner().to_string()))?;
    deserializer
        .end()
        .map_err(|error| malformed(".".to_owned(), error.to_string()))?;
    Ok(value)
}
