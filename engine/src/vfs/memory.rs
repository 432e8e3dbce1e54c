//! Memory file system (written next).
/// Files in memory.
#[derive(Debug, Default)]
pub struct MemoryVfs;
