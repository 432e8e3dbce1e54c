//! What a database's files say of themselves: IDs, time lines, positions. For whoever has copies and wants to know which
//! belong together. Nothing is opened, recovered or changed, and damage is no error.

use std::fmt::Write as _;
use std::path::Path;

use crate::error::{Error, Result};
use crate::opening::wal_dir;
use crate::options::Options;
use crate::store;
use crate::vfs::OpenMode;
use crate::wal;

/// Describes the data file at `path` and the log beside it, one fact a line.
///
/// # Errors
/// [`Error::Io`], also when there is neither a data file nor a log.
pub fn inspect(path: impl AsRef<Path>, options: &Options) -> Result<String> {
    let vfs = &*options.vfs;
    let path = path.as_ref();
    let path = &vfs.resolve(path).map_err(|e| Error::io("open", path, e))?;
    let dir = wal_dir(path);
    let mode = OpenMode {
        read_only: true,
        ..OpenMode::default()
    };
    let mut text = String::new();
    let segments = wal::list(vfs, &dir)?;
    match vfs.open(path, mode) {
        Ok(file) => {
            let len = file.len().map_err(|e| Error::io("get the length of", path, e))?;
            let _ = writeln!(text, "data file {}: {len} bytes", path.display());
            match store::read_superblock(&*file, path) {
                Ok(found) => {
                    let _ = writeln!(
                        text,
                        "  database {:016x}, time line {:016x}\n  superblock {}, pages of {} bytes, log segments of {} bytes\n  \
                         {} pages, commits up to {}; redo starts at {}, the log was durable up to {}",
                        found.database_id,
                        found.time_line,
                        found.generation,
                        found.page_size,
                        found.wal_segment_size,
                        found.page_count,
                        found.last_commit,
                        found.redo,
                        found.must_reach,
                    );
                }
                Err(error @ Error::Io { .. }) => return Err(error),
                Err(error) => {
                    let _ = writeln!(text, "  {error}");
                }
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !segments.is_empty() => {
            let _ = writeln!(text, "data file {}: none", path.display());
        }
        Err(error) => return Err(Error::io("open", path, error)),
    }
    let _ = writeln!(text, "log {}: {} files", dir.display(), segments.len());
    for segment in segments {
        let _ = writeln!(text, "  {segment}");
    }
    Ok(text)
}
