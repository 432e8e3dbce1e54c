//! Codecs for page images: what a page costs on disk, against the time it takes to store and load it.
//!
//! A codec is chosen by name and level ([`new_compressor`]) for writing; reading needs only the codec byte that
//! every stored image carries ([`decompress`]), so one file may hold images of several codecs and the codec can be
//! changed at any time. The raw size is stored beside the bytes: a decoder never has to guess or to grow its
//! output, and input that would decode to any other size is damaged.
//!
//! Codecs keep their working memory in the thread, because setting it up costs more than compressing a page.

mod lz4;
mod none;
mod zstd;

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Result};

pub use lz4::Lz4;
pub use none::NoCompression;
pub use zstd::Zstd;

/// The codec byte of stored images. Numbers are part of the file format and never change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Codec {
    /// The bytes as they are.
    #[default]
    None = 0,
    /// Run-length encoding. Reserved: this build neither writes nor reads it.
    Rle = 1,
    /// LZ4 block format.
    Lz4 = 2,
    /// Zstandard frame.
    Zstd = 3,
    /// DEFLATE. Reserved: this build neither writes nor reads it.
    Gzip = 4,
}

impl Codec {
    /// Every codec that this build can write and read.
    pub const AVAILABLE: [Self; 3] = [Self::None, Self::Lz4, Self::Zstd];

    /// The codec of a stored byte; `None` when no codec has that number.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::None),
            1 => Some(Self::Rle),
            2 => Some(Self::Lz4),
            3 => Some(Self::Zstd),
            4 => Some(Self::Gzip),
            _ => None,
        }
    }

    /// The byte that stands for the codec in files.
    #[must_use]
    pub fn to_byte(self) -> u8 {
        self as u8
    }

    /// The name that [`new_compressor`] takes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Rle => "RLE",
            Self::Lz4 => "LZ4",
            Self::Zstd => "ZSTD",
            Self::Gzip => "GZIP",
        }
    }

    /// The level to take when nobody chose one; 0 for codecs without levels.
    #[must_use]
    pub fn default_level(self) -> i32 {
        match self {
            Self::Zstd => Zstd::DEFAULT_LEVEL,
            Self::None | Self::Rle | Self::Lz4 | Self::Gzip => 0,
        }
    }

    /// The codec of a name in any case.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] that lists the codecs of this build.
    pub fn from_name(name: &str) -> Result<Self> {
        Self::AVAILABLE
            .into_iter()
            .find(|codec| codec.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| Error::InvalidOption {
                name: "compression",
                value: name.to_owned(),
                expected: format!("one of {}", available_names()),
            })
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why bytes could not be compressed or decompressed. The caller knows which file and page they belong to and
/// adds that.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{codec}: {what}")]
pub struct CompressionError {
    /// The codec that was at work.
    pub codec: Codec,
    /// What was wrong.
    pub what: String,
}

impl CompressionError {
    pub(crate) fn new(codec: Codec, what: impl Into<String>) -> Self {
        Self {
            codec,
            what: what.into(),
        }
    }
}

/// One way of making bytes fewer. Implementations may be shared by all threads.
pub trait Compressor: Send + Sync + fmt::Debug {
    /// The codec's name, as [`new_compressor`] takes it.
    fn name(&self) -> &'static str;

    /// The byte that marks this codec's output in files.
    fn codec(&self) -> Codec;

    /// The level in use; 0 for codecs without levels.
    fn level(&self) -> i32 {
        0
    }

    /// Appends the compressed form of `src` to `out`. It may be longer than `src`; deciding whether it is worth
    /// keeping is the caller's.
    ///
    /// # Errors
    /// When the codec cannot get its working memory. `out` is then as it was.
    fn compress(&self, src: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError>;

    /// Appends exactly `raw_len` decompressed bytes to `out`.
    ///
    /// # Errors
    /// When `src` is damaged or does not decode to `raw_len` bytes. `out` is then as it was; never is more than
    /// `raw_len` written, whatever `src` is.
    fn decompress(&self, src: &[u8], raw_len: usize, out: &mut Vec<u8>) -> Result<(), CompressionError>;
}

/// The compressor of that name (in any case). The level matters to ZSTD only (1 to 19); the others have none and
/// ignore it.
///
/// # Errors
/// [`Error::InvalidOption`] for a name that this build does not have, listing those it has, and for a level out of
/// range.
pub fn new_compressor(name: &str, level: i32) -> Result<Arc<dyn Compressor>> {
    compressor_for(Codec::from_name(name)?, level)
}

/// The compressor of a codec, as [`new_compressor`].
///
/// # Errors
/// As [`new_compressor`].
pub fn compressor_for(codec: Codec, level: i32) -> Result<Arc<dyn Compressor>> {
    match codec {
        Codec::None => Ok(Arc::new(NoCompression)),
        Codec::Lz4 => Ok(Arc::new(Lz4)),
        Codec::Zstd => Ok(Arc::new(Zstd::new(level)?)),
        Codec::Rle | Codec::Gzip => Err(Error::InvalidOption {
            name: "compression",
            value: codec.name().to_owned(),
            expected: format!("one of {}", available_names()),
        }),
    }
}

/// Decompresses bytes that carry this codec byte; see [`Compressor::decompress`].
///
/// # Errors
/// As [`Compressor::decompress`], and for a codec that this build cannot read.
pub fn decompress(
    codec: Codec,
    src: &[u8],
    raw_len: usize,
    out: &mut Vec<u8>,
) -> Result<(), CompressionError> {
    match codec {
        Codec::None => NoCompression.decompress(src, raw_len, out),
        Codec::Lz4 => Lz4.decompress(src, raw_len, out),
        Codec::Zstd => zstd::decompress(src, raw_len, out),
        Codec::Rle | Codec::Gzip => Err(CompressionError::new(
            codec,
            format!("this build reads only {}", available_names()),
        )),
    }
}

fn available_names() -> String {
    Codec::AVAILABLE.map(Codec::name).join(", ")
}

/// Runs a decoder on `raw_len` fresh bytes at the end of `out`, and takes them back unless it filled all of them.
fn decode_into_tail(
    codec: Codec,
    raw_len: usize,
    out: &mut Vec<u8>,
    decode: impl FnOnce(&mut [u8]) -> Result<usize, String>,
) -> Result<(), CompressionError> {
    let start = out.len();
    out.resize(start + raw_len, 0);
    let answer = match decode(&mut out[start..]) {
        Ok(written) if written == raw_len => return Ok(()),
        Ok(written) => format!("decodes to {written} bytes, expected {raw_len}"),
        Err(what) => what,
    };
    out.truncate(start);
    Err(CompressionError::new(codec, answer))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all() -> Vec<Arc<dyn Compressor>> {
        vec![
            new_compressor("NONE", 0).unwrap(),
            new_compressor("LZ4", 0).unwrap(),
            new_compressor("ZSTD", 1).unwrap(),
            new_compressor("ZSTD", 19).unwrap(),
        ]
    }

    fn round_trip(codec: &dyn Compressor, raw: &[u8]) {
        let mut stored = b"kept".to_vec();
        codec.compress(raw, &mut stored).unwrap();
        assert_eq!(&stored[..4], b"kept", "compress appends");
        let mut back = b"also".to_vec();
        codec.decompress(&stored[4..], raw.len(), &mut back).unwrap();
        assert_eq!(&back[..4], b"also", "decompress appends");
        assert_eq!(
            &back[4..],
            raw,
            "{} round trip of {} bytes",
            codec.name(),
            raw.len()
        );
        let mut by_byte = Vec::new();
        decompress(codec.codec(), &stored[4..], raw.len(), &mut by_byte).unwrap();
        assert_eq!(by_byte, raw);
    }

    #[test]
    fn round_trips_of_every_shape() {
        let mut noise = vec![0_u8; 70_000];
        let mut state = 1_u64;
        for byte in &mut noise {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (state >> 33) as u8;
        }
        let text = b"the quick brown fox ".repeat(4000);
        for codec in all() {
            for len in [0, 1, 2, 11, 12, 13, 100, 4095, 4096, 8192, 65_535, 65_536, 70_000] {
                round_trip(&*codec, &noise[..len]);
                round_trip(&*codec, &text[..len]);
                round_trip(&*codec, &vec![0; len]);
            }
        }
    }

    #[test]
    fn text_gets_smaller_by_every_real_codec() {
        let text = b"the quick brown fox ".repeat(400);
        for codec in all().iter().skip(1) {
            let mut stored = Vec::new();
            codec.compress(&text, &mut stored).unwrap();
            assert!(
                stored.len() * 10 < text.len(),
                "{}: {} of {}",
                codec.name(),
                stored.len(),
                text.len()
            );
        }
    }

    #[test]
    fn names_are_found_in_any_case_and_unknown_ones_list_the_rest() {
        assert_eq!(new_compressor("lz4", 0).unwrap().codec(), Codec::Lz4);
        assert_eq!(new_compressor("Zstd", 7).unwrap().level(), 7);
        for name in ["RLE", "gzip", "snappy", ""] {
            let message = new_compressor(name, 1).unwrap_err().to_string();
            assert!(message.contains("NONE, LZ4, ZSTD"), "{message}");
            assert!(message.contains(name), "{message}");
        }
        assert!(compressor_for(Codec::Rle, 0).is_err());
        assert!(compressor_for(Codec::Gzip, 0).is_err());
    }

    #[test]
    fn zstd_levels_outside_the_range_are_refused() {
        for level in [i32::MIN, -1, 0, 20, i32::MAX] {
            let message = new_compressor("ZSTD", level).unwrap_err().to_string();
            assert!(message.contains("1 to 19"), "{message}");
        }
    }

    #[test]
    fn codec_bytes_are_fixed() {
        let bytes: Vec<u8> = [Codec::None, Codec::Rle, Codec::Lz4, Codec::Zstd, Codec::Gzip]
            .map(Codec::to_byte)
            .to_vec();
        assert_eq!(bytes, [0, 1, 2, 3, 4]);
        for byte in 0..=u8::MAX {
            match Codec::from_byte(byte) {
                Some(codec) => assert_eq!(codec.to_byte(), byte),
                None => assert!(byte > 4),
            }
        }
    }

    #[test]
    fn wrong_raw_lengths_and_missing_codecs_are_errors_that_leave_the_output() {
        let raw = b"abcabcabcabcabcabcabcabcabcabc".repeat(20);
        for codec in all() {
            let mut stored = Vec::new();
            codec.compress(&raw, &mut stored).unwrap();
            for wrong in [0, 1, raw.len() - 1, raw.len() + 1, raw.len() * 2] {
                let mut out = vec![7];
                codec.decompress(&stored, wrong, &mut out).unwrap_err();
                assert_eq!(out, [7]);
            }
            for cut in 0..stored.len() {
                let mut out = vec![7];
                codec.decompress(&stored[..cut], raw.len(), &mut out).unwrap_err();
                assert_eq!(out, [7]);
            }
        }
        assert!(decompress(Codec::Rle, b"x", 1, &mut Vec::new()).is_err());
        assert!(decompress(Codec::Gzip, b"x", 1, &mut Vec::new()).is_err());
    }

    #[test]
    fn alternating_levels_on_one_thread_keep_their_level() {
        let raw: Vec<u8> = (0..60_000_u32)
            .flat_map(|i| (i / 7 % 251).to_le_bytes())
            .collect();
        let fast = new_compressor("ZSTD", 1).unwrap();
        let best = new_compressor("ZSTD", 19).unwrap();
        let sizes = |codec: &dyn Compressor| {
            let mut out = Vec::new();
            codec.compress(&raw, &mut out).unwrap();
            out.len()
        };
        let (a, b) = (sizes(&*fast), sizes(&*best));
        assert_ne!(a, b);
        for _ in 0..3 {
            assert_eq!((sizes(&*fast), sizes(&*best)), (a, b));
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_round_trip(raw in prop::collection::vec(any::<u8>(), 0..5000)) {
            for codec in all() {
                round_trip(&*codec, &raw);
            }
        }

        #[test]
        fn damaged_input_never_writes_past_the_raw_length(
            raw in prop::collection::vec(0_u8..4, 1..3000),
            flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        ) {
            for codec in all() {
                let mut stored = Vec::new();
                codec.compress(&raw, &mut stored).unwrap();
                for (at, with) in &flips {
                    let at = at.index(stored.len());
                    stored[at] ^= with;
                }
                let mut out = vec![1, 2, 3];
                match codec.decompress(&stored, raw.len(), &mut out) {
                    Ok(()) => prop_assert_eq!(out.len(), 3 + raw.len()),
                    Err(_) => prop_assert_eq!(out, [1, 2, 3]),
                }
            }
        }

        #[test]
        fn noise_is_an_error_or_decodes_to_the_length(
            noise in prop::collection::vec(any::<u8>(), 0..500),
            raw_len in 0_usize..2000,
        ) {
            for codec in all() {
                let mut out = Vec::new();
                if codec.decompress(&noise, raw_len, &mut out).is_ok() {
                    prop_assert_eq!(out.len(), raw_len);
                } else {
                    prop_assert!(out.is_empty());
                }
            }
        }
    }
}
