//! The files of a directory tree at one moment.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fingerprint;

/// Zeros are left out of real files by as many bytes.
const CHUNK_BYTES: usize = 4096;

/// All files and directories. Cheap to clone: the bytes are shared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Directories, their ancestors included.
    pub dirs: BTreeSet<PathBuf>,
    /// Contents of files by path.
    pub files: BTreeMap<PathBuf, Arc<Vec<u8>>>,
}

impl Image {
    /// An empty tree with these directories, which are durable.
    #[must_use]
    pub fn with_dirs<P: AsRef<Path>>(dirs: impl IntoIterator<Item = P>) -> Self {
        let mut image = Self::default();
        for dir in dirs {
            image.add_dir(dir.as_ref());
        }
        image
    }

    /// Adds a directory and its ancestors.
    pub fn add_dir(&mut self, dir: &Path) {
        self.dirs.extend(dir.ancestors().map(Path::to_path_buf));
    }

    /// Whether every directory above `path` is there.
    #[must_use]
    pub fn has_parents(&self, path: &Path) -> bool {
        path.ancestors().skip(1).all(|dir| self.dirs.contains(dir))
    }

    /// Sum of the lengths of all files, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.values().map(|bytes| bytes.len() as u64).sum()
    }

    /// A number that tells images apart: equal for equal images, and only by accident (1 in 2^64) for others.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let dirs = self.dirs.iter().map(|dir| fingerprint::of_dir(dir));
        let files = self.files.iter().map(|(path, bytes)| {
            let sum = fingerprint::Terms::of(bytes).sum();
            fingerprint::of_file(path, bytes.len() as u64, sum)
        });
        dirs.chain(files).fold(0, u64::wrapping_add)
    }

    /// Writes the files into a real directory: a path `/db/x` of the image becomes `target/db/x`.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn export(&self, target: &Path) -> io::Result<()> {
        let place = |path: &Path| target.join(path.strip_prefix("/").unwrap_or(path));
        for dir in &self.dirs {
            std::fs::create_dir_all(place(dir))?;
        }
        for (path, bytes) in &self.files {
            write_sparse(&place(path), bytes)?;
        }
        Ok(())
    }
}

/// Writes a file and leaves holes where it is zero: logs are zeros for the most part.
fn write_sparse(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.set_len(bytes.len() as u64)?;
    for (chunk, offset) in bytes.chunks(CHUNK_BYTES).zip((0..).step_by(CHUNK_BYTES)) {
        if chunk.iter().any(|&byte| byte != 0) {
            file.seek(SeekFrom::Start(offset))?;
            file.write_all(chunk)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exported_files_hold_the_same_bytes() {
        let mut bytes = vec![0; 5 * CHUNK_BYTES + 7];
        bytes[CHUNK_BYTES] = 1;
        bytes[4 * CHUNK_BYTES - 1] = 2;
        for content in [bytes.clone(), vec![0; 10], vec![3; 10], Vec::new()] {
            let mut image = Image::with_dirs(["/d"]);
            image.files.insert("/d/f".into(), Arc::new(content.clone()));
            let target = tempfile::tempdir().unwrap();
            image.export(target.path()).unwrap();
            assert_eq!(std::fs::read(target.path().join("d/f")).unwrap(), content);
        }
    }
}
