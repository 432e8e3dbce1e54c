//! Operating-system file system (written next).
/// The operating system's files.
#[derive(Debug, Default)]
pub struct OsVfs;
