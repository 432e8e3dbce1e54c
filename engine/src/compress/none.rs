//! No compression: the bytes as they are.

use super::{Codec, CompressionError, Compressor};

/// The codec `NONE`.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCompression;

impl Compressor for NoCompression {
    fn name(&self) -> &'static str {
        Codec::None.name()
    }

    fn codec(&self) -> Codec {
        Codec::None
    }

    fn compress(&self, src: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
        out.extend_from_slice(src);
        Ok(())
    }

    fn decompress(&self, src: &[u8], raw_len: usize, out: &mut Vec<u8>) -> Result<(), CompressionError> {
        if src.len() != raw_len {
            return Err(CompressionError::new(
                Codec::None,
                format!("{} bytes stored, expected {raw_len}", src.len()),
            ));
        }
        out.extend_from_slice(src);
        Ok(())
    }
}
