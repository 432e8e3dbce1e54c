//! Zstandard: smaller than LZ4 for more time, 19 levels; reading costs about the same at every level.

use std::cell::RefCell;

use zstd::bulk;

use super::{Codec, CompressionError, Compressor, decode_into_tail};
use crate::error::{Error, Result};

/// A context and the level that it is set to.
type LevelledContext = (i32, bulk::Compressor<'static>);

thread_local! {
    static COMPRESSOR: RefCell<Option<LevelledContext>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

/// The codec `ZSTD` at one level.
#[derive(Clone, Copy, Debug)]
pub struct Zstd {
    level: i32,
}

impl Zstd {
    /// The level when nobody chose one.
    pub const DEFAULT_LEVEL: i32 = 3;
    /// The highest level; the few above it trade memory for hardly any gain on pages.
    pub const MAX_LEVEL: i32 = 19;

    /// Zstandard at `level`, 1 (fastest) to 19 (smallest).
    ///
    /// # Errors
    /// [`Error::InvalidOption`] for any other level.
    pub fn new(level: i32) -> Result<Self> {
        if (1..=Self::MAX_LEVEL).contains(&level) {
            Ok(Self { level })
        } else {
            Err(Error::InvalidOption {
                name: "compression_level",
                value: level.to_string(),
                expected: format!("1 to {} for ZSTD", Self::MAX_LEVEL),
            })
        }
    }
}

impl Compressor for Zstd {
    fn name(&self) -> &'static str {
        Codec::Zstd.name()
    }

    fn codec(&self) -> Codec {
        Codec::Zstd
    }

    fn level(&self) -> i32 {
        self.level
    }

    fn compress(&self, src: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
        let start = out.len();
        out.resize(start + zstd::compress_bound(src.len()), 0);
        let written = COMPRESSOR.with_borrow_mut(|slot| {
            // Taken out while in use: a context that failed is dropped rather than reused.
            let mut context = match slot.take() {
                Some((level, context)) if level == self.level => context,
                Some((_, mut context)) => {
                    context.set_compression_level(self.level)?;
                    context
                }
                None => bulk::Compressor::new(self.level)?,
            };
            let written = context.compress_to_buffer(src, &mut out[start..])?;
            *slot = Some((self.level, context));
            Ok::<usize, std::io::Error>(written)
        });
        match written {
            Ok(written) => {
                out.truncate(start + written);
                Ok(())
            }
            Err(error) => {
                out.truncate(start);
                Err(CompressionError::new(Codec::Zstd, error.to_string()))
            }
        }
    }

    fn decompress(&self, src: &[u8], raw_len: usize, out: &mut Vec<u8>) -> Result<(), CompressionError> {
        decompress(src, raw_len, out)
    }
}

/// Decompresses, whatever the level was.
pub(super) fn decompress(src: &[u8], raw_len: usize, out: &mut Vec<u8>) -> Result<(), CompressionError> {
    decode_into_tail(Codec::Zstd, raw_len, out, |tail| {
        // No input at all is no frame; the library would take it for zero frames and call that a success.
        if src.is_empty() {
            return Err("no bytes stored".to_owned());
        }
        DECOMPRESSOR.with_borrow_mut(|slot| {
            let mut context = match slot.take() {
                Some(context) => context,
                None => bulk::Decompressor::new().map_err(|error| error.to_string())?,
            };
            let written = context
                .decompress_to_buffer(src, tail)
                .map_err(|error| error.to_string())?;
            *slot = Some(context);
            Ok(written)
        })
    })
}
