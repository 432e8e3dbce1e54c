//! The data file: page images in extents, a page map that says where each lies, and two superblocks that make a
//! checkpoint real in one write.
//!
//! ```text
//! 0         4096      8192                                                              multiples of 512
//! | superblock | superblock | extent | extent | free | extent | ...
//! ```
//!
//! Pages are written in *shadow*: always to an extent that the durable checkpoint does not refer to. So the file holds
//! a complete, consistent checkpoint at every moment, whatever is being written, and a crash needs no repair: redo of the
//! log starts from whatever checkpoint the newer valid superblock names. Where things lie is known from the page map
//! alone; free space and free page numbers are derived from it at open.
//!
//! [`DataFile`] is the whole interface.

mod allocator;
mod bytes;
mod compacting;
mod completion;
mod data_file;
mod extent;
mod free_ranges;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod map_format;
mod opening;
mod page_map;
mod page_numbers;
mod reading;
mod replaced;
mod reservation;
mod room;
mod stats;
mod superblock;
mod survey;
mod verifying;
mod writing;

#[cfg(test)]
mod tests;

pub(crate) use compacting::{Moved, Slack};
pub(crate) use data_file::{CreateOptions, DataFile, PageImage};
pub(crate) use opening::read_superblock;
pub(crate) use reservation::{Privilege, Reservation};
pub(crate) use stats::StoreStats;
pub(crate) use superblock::Superblock;
pub(crate) use survey::{FoundImage, Survey};
