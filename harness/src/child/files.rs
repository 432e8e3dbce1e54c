//! Files of a database that is not open: listed, copied, made durable.

use std::io::ErrorKind;
use std::path::Path;

use crate::error::{HarnessError, Result};

/// Every file below a directory: its path from there, and its length in bytes.
pub(crate) fn files_below(directory: &Path) -> Result<Vec<(String, u64)>> {
    let mut files = Vec::new();
    let mut pending = vec![directory.to_path_buf()];
    while let Some(next) = pending.pop() {
        let entries = std::fs::read_dir(&next).map_err(|error| HarnessError::io("list", &next, &error))?;
        for entry in entries {
            let entry = entry.map_err(|error| HarnessError::io("list", &next, &error))?;
            let path = entry.path();
            let metadata = match entry.metadata() {
                // It was removed in between.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                other => other.map_err(|error| HarnessError::io("inspect", &path, &error))?,
            };
            if metadata.is_dir() {
                pending.push(path);
            } else {
                let name = path
                    .strip_prefix(directory)
                    .unwrap_or(&path)
                    .to_string_lossy()
                    .into_owned();
                files.push((name, metadata.len()));
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Bytes of all files below a directory.
///
/// # Errors
/// A file operation that failed.
pub(crate) fn bytes_below(directory: &Path) -> Result<u64> {
    Ok(files_below(directory)?.iter().map(|(_, bytes)| bytes).sum())
}

/// Copies every file below a directory, and tells how many bytes that were.
///
/// # Errors
/// A file operation that failed.
pub(crate) fn copy_files(from: &Path, to: &Path) -> Result<u64> {
    let mut bytes = 0;
    for (name, _) in files_below(from)? {
        let target = to.join(&name);
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent).map_err(|error| HarnessError::io("make", parent, &error))?;
        }
        bytes += std::fs::copy(from.join(&name), &target)
            .map_err(|error| HarnessError::io("copy to", &target, &error))?;
    }
    Ok(bytes)
}

/// Makes every file below a directory durable, so that writing it back disturbs nothing later.
///
/// # Errors
/// A file operation that failed.
pub(crate) fn synchronise(directory: &Path) -> Result<()> {
    for (name, _) in files_below(directory)? {
        let path = directory.join(name);
        std::fs::File::open(&path)
            .and_then(|file| file.sync_all())
            .map_err(|error| HarnessError::io("synchronise", &path, &error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_in_sub_directories_with_their_sizes() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("wal")).unwrap();
        std::fs::write(directory.path().join("data"), [0; 10]).unwrap();
        std::fs::write(directory.path().join("wal/000001"), [0; 5]).unwrap();
        let files = files_below(directory.path()).unwrap();
        assert_eq!(files, [("data".to_owned(), 10), ("wal/000001".to_owned(), 5)]);
        let copy = directory.path().join("copy");
        assert_eq!(copy_files(directory.path(), &copy).unwrap(), 15);
        synchronise(&copy).unwrap();
        assert_eq!(bytes_below(&copy).unwrap(), 15);
        assert_eq!(files_below(&copy).unwrap(), files);
        assert!(files_below(&directory.path().join("absent")).is_err());
    }
}
