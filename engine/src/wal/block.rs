//! The 4096-byte block: the unit in which the log is written. Its alignment is what `O_DIRECT` asks for; whole blocks
//! also spare the page cache from reading a block of a recycled segment before changing part of it.

use bytemuck::{Pod, Zeroable};

/// Size and alignment of a block, in bytes.
pub(crate) const BLOCK_BYTES: usize = 4096;

/// Aligned bytes; a vector of them is an aligned buffer.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(4096))]
pub(crate) struct Block(pub(crate) [u8; BLOCK_BYTES]);

const _: () = assert!(size_of::<Block>() == BLOCK_BYTES && align_of::<Block>() == BLOCK_BYTES);
