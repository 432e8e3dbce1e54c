//! LZ4 block format: fast in both directions, one level, no frame of its own (the extent around it has one).

use std::cell::RefCell;

use lz4_flex::block::{CompressTable, compress_into_with_table, decompress_into, get_maximum_output_size};

use super::{Codec, CompressionError, Compressor, decode_into_tail};

thread_local! {
    /// Two hash tables, because the one for inputs past 64 KiB takes longer to clear.
    static TABLES: RefCell<(CompressTable, CompressTable)> =
        RefCell::new((CompressTable::small(), CompressTable::large()));
}

/// The codec `LZ4`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lz4;

impl Compressor for Lz4 {
    fn name(&self) -> &'static str {
        Codec::Lz4.name()
    }

    fn codec(&self) -> Codec {
        Codec::Lz4
    }

    fn compress(&self, src: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
        let start = out.len();
        out.resize(start + get_maximum_output_size(src.len()), 0);
        let written = TABLES.with_borrow_mut(|(small, large)| {
            let table = if src.len() < usize::from(u16::MAX) {
                small
            } else {
                large
            };
            compress_into_with_table(src, &mut out[start..], table)
        });
        match written {
            Ok(written) => {
                out.truncate(start + written);
                Ok(())
            }
            Err(error) => {
                out.truncate(start);
                Err(CompressionError::new(Codec::Lz4, error.to_string()))
            }
        }
    }

    fn decompress(&self, src: &[u8], raw_len: usize, out: &mut Vec<u8>) -> Result<(), CompressionError> {
        decode_into_tail(Codec::Lz4, raw_len, out, |tail| {
            decompress_into(src, tail).map_err(|error| error.to_string())
        })
    }
}
