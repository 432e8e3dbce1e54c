//! Little-endian fields at fixed offsets of a block whose length the caller has checked.

/// Copies `N` bytes at `offset`.
fn array_at<const N: usize>(block: &[u8], offset: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&block[offset..offset + N]);
    field
}

/// The `u16` at `offset`.
pub(super) fn u16_at(block: &[u8], offset: usize) -> u16 {
    u16::from_le_bytes(array_at(block, offset))
}

/// The `u32` at `offset`.
pub(super) fn u32_at(block: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(array_at(block, offset))
}

/// The `u64` at `offset`.
pub(super) fn u64_at(block: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(array_at(block, offset))
}

/// Writes a `u32` at `offset`.
pub(super) fn put_u32(block: &mut [u8], offset: usize, value: u32) {
    block[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
}

/// Writes a `u64` at `offset`.
pub(super) fn put_u64(block: &mut [u8], offset: usize, value: u64) {
    block[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
}
