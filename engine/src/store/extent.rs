//! The extent: the unit in which pages and the page map lie in the data file.
//!
//! An extent starts at a multiple of 512 bytes: a header, the stored bytes, a CRC-32 over both, and zeros up to the
//! next multiple of 512. Whoever reads one knows from the page map what must be in it, and every one of these facts
//! is compared before a byte is interpreted: so a lost write, a write to the wrong place and a reused extent show
//! just as a flipped bit does.
//!
//! The stamp is the page's commit ID, or the generation of the checkpoint for an extent of the page map. Stored bytes
//! are compressed only where that saves at least one unit of 512 bytes.

use super::allocator::UnitRange;
use super::bytes::{u16_at, u32_at, u64_at};
use crate::compress::{self, Codec, CompressionError, Compressor};
use crate::ids::PageNumber;
use crate::injected::{self, Bug};

/// Granularity of the data file in bytes.
pub(crate) const UNIT_BYTES: usize = 512;
/// First bytes of every extent, "PXTN" read as a little-endian number.
pub(crate) const EXTENT_MAGIC: u32 = u32::from_le_bytes(*b"PXTN");
/// Bytes before the stored bytes.
pub(crate) const HEADER_BYTES: usize = 28;
/// Bytes of the CRC behind the stored bytes.
pub(crate) const CRC_BYTES: usize = 4;
/// What an extent costs beside its stored bytes and padding.
pub(crate) const OVERHEAD_BYTES: usize = HEADER_BYTES + CRC_BYTES;

/// Offsets of the header's fields, in bytes from the extent's start.
pub(crate) mod field {
    pub(crate) const MAGIC: usize = 0;
    pub(crate) const NUMBER: usize = 4;
    pub(crate) const STAMP: usize = 8;
    pub(crate) const RAW_BYTES: usize = 16;
    pub(crate) const STORED_BYTES: usize = 20;
    pub(crate) const KIND: usize = 24;
    pub(crate) const CODEC: usize = 25;
    pub(crate) const RESERVED: usize = 26;
}

/// What an extent holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ExtentKind {
    /// A page; the number is the page number.
    Page = 1,
    /// 512 entries of the page map; the number is the chunk's.
    MapChunk = 2,
    /// The list of the page map's chunks; the number is 0.
    MapRoot = 3,
}

/// What the reader of an extent knows of it beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExtentIdentity {
    pub(crate) kind: ExtentKind,
    /// Page number, chunk number or 0, by kind.
    pub(crate) number: u32,
    /// Commit ID of a page, generation of a piece of the page map.
    pub(crate) stamp: u64,
}

/// Where an extent lies, as the page map or the superblock says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExtentPlace {
    /// Offset in bytes, a multiple of 512.
    pub(crate) offset: u64,
    /// Length in bytes, without padding.
    pub(crate) length: u32,
    /// Length of what it holds in bytes, once decompressed.
    pub(crate) raw_length: u32,
}

impl ExtentPlace {
    /// The units that the extent takes.
    pub(crate) fn units(&self) -> UnitRange {
        UnitRange {
            start: self.offset / UNIT_BYTES as u64,
            len: units_for(self.length as usize),
        }
    }

    /// Whether an extent can lie there. That it lies in the file and over no other is the allocator's to check.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(crate) fn check(&self) -> Result<(), String> {
        let (offset, length, raw_length) = (self.offset, u64::from(self.length), u64::from(self.raw_length));
        if !offset.is_multiple_of(UNIT_BYTES as u64) {
            return Err(format!(
                "extent offset {offset} is not a multiple of {UNIT_BYTES}"
            ));
        }
        let overhead = OVERHEAD_BYTES as u64;
        if length < overhead || length > overhead + raw_length {
            return Err(format!("an extent of {length} bytes cannot hold {raw_length}"));
        }
        Ok(())
    }
}

impl ExtentIdentity {
    /// The page, if the extent is one's.
    pub(crate) fn page(&self) -> Option<PageNumber> {
        (self.kind == ExtentKind::Page).then_some(PageNumber(self.number))
    }
}

/// Rounds bytes up to whole units.
pub(crate) fn units_for(bytes: usize) -> u64 {
    bytes.div_ceil(UNIT_BYTES) as u64
}

/// Appends an extent with its padding to `out`, compressed by `codec` where that saves a unit.
/// Returns its length without the padding, in bytes.
pub(crate) fn encode(
    identity: ExtentIdentity,
    raw: &[u8],
    compressor: &dyn Compressor,
    out: &mut Vec<u8>,
) -> Result<usize, CompressionError> {
    debug_assert_eq!(out.len() % UNIT_BYTES, 0, "extents start at whole units");
    let start = out.len();
    out.extend_from_slice(&EXTENT_MAGIC.to_le_bytes());
    out.extend_from_slice(&identity.number.to_le_bytes());
    out.extend_from_slice(&identity.stamp.to_le_bytes());
    out.extend_from_slice(&(raw.len() as u32).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.push(identity.kind as u8);
    out.push(Codec::None.to_byte());
    out.extend_from_slice(&[0; 2]);
    let stored_start = start + HEADER_BYTES;
    debug_assert_eq!(out.len(), stored_start);

    let mut codec = Codec::None;
    let raw_units = units_for(OVERHEAD_BYTES + raw.len());
    if compressor.codec() != Codec::None && raw_units > 1 {
        compressor.compress(raw, out)?;
        if units_for(OVERHEAD_BYTES + out.len() - stored_start) < raw_units {
            codec = compressor.codec();
        } else {
            out.truncate(stored_start);
        }
    }
    if codec == Codec::None {
        out.extend_from_slice(raw);
    }
    let stored = out.len() - stored_start;
    out[start + field::CODEC] = codec.to_byte();
    out[start + field::STORED_BYTES..start + field::KIND].copy_from_slice(&(stored as u32).to_le_bytes());
    let crc = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&crc.to_le_bytes());
    let length = out.len() - start;
    out.resize(start + units_for(length) as usize * UNIT_BYTES, 0);
    Ok(length)
}

/// Checks an extent (`bytes` are its length without padding) against what the page map says of it, and appends its
/// raw bytes to `out`.
///
/// # Errors
/// What was wrong, in words; `out` is then as it was.
pub(crate) fn decode(
    bytes: &[u8],
    expected: ExtentIdentity,
    raw_len: usize,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    if bytes.len() < OVERHEAD_BYTES {
        return Err(format!("an extent of {} bytes is too short", bytes.len()));
    }
    let magic = u32_at(bytes, field::MAGIC);
    if magic != EXTENT_MAGIC {
        return Err(format!(
            "extent magic is {magic:#010x}, expected {EXTENT_MAGIC:#010x}"
        ));
    }
    let crc_start = bytes.len() - CRC_BYTES;
    let (crc_found, crc_right) = (u32_at(bytes, crc_start), crc32fast::hash(&bytes[..crc_start]));
    if crc_found != crc_right && !injected::makes(Bug::NoExtentCrc) {
        return Err(format!(
            "extent CRC is {crc_found:#010x}, its bytes give {crc_right:#010x}"
        ));
    }
    let differs = |what: &str, found: u64, right: u64| {
        if found == right || injected::makes(Bug::NoExtentIdentity) {
            Ok(())
        } else {
            Err(format!("extent has {what} {found}, the page map says {right}"))
        }
    };
    differs("kind", bytes[field::KIND].into(), expected.kind as u64)?;
    differs(
        "number",
        u32_at(bytes, field::NUMBER).into(),
        expected.number.into(),
    )?;
    let stamp_name = match expected.kind {
        ExtentKind::Page => "commit ID",
        ExtentKind::MapChunk | ExtentKind::MapRoot => "generation",
    };
    differs(stamp_name, u64_at(bytes, field::STAMP), expected.stamp)?;
    let stored = &bytes[HEADER_BYTES..crc_start];
    differs(
        "stored size",
        u32_at(bytes, field::STORED_BYTES).into(),
        stored.len() as u64,
    )?;
    differs("raw size", u32_at(bytes, field::RAW_BYTES).into(), raw_len as u64)?;
    differs("reserved bytes", u16_at(bytes, field::RESERVED).into(), 0)?;
    let codec = Codec::from_byte(bytes[field::CODEC])
        .ok_or_else(|| format!("unknown codec byte {}", bytes[field::CODEC]))?;
    compress::decompress(codec, stored, raw_len, out).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compress::{NoCompression, new_compressor};

    const IDENTITY: ExtentIdentity = ExtentIdentity {
        kind: ExtentKind::Page,
        number: 77,
        stamp: 0x0102_0304_0506_0708,
    };

    fn noise(len: usize) -> Vec<u8> {
        let mut state = 9_u64;
        (0..len)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 33) as u8
            })
            .collect()
    }

    fn encoded(raw: &[u8], compressor: &dyn Compressor) -> (Vec<u8>, usize) {
        let mut out = Vec::new();
        let length = encode(IDENTITY, raw, compressor, &mut out).unwrap();
        assert_eq!(out.len() % UNIT_BYTES, 0);
        assert!(out[length..].iter().all(|&byte| byte == 0), "padding is zero");
        assert!(out.len() - length < UNIT_BYTES);
        (out, length)
    }

    #[test]
    fn round_trips_by_codec_and_length() {
        for name in ["NONE", "LZ4", "ZSTD"] {
            let compressor = new_compressor(name, 3).unwrap();
            for len in [0, 1, 479, 480, 481, 4096, 65_536] {
                for raw in [noise(len), vec![5; len]] {
                    let (bytes, length) = encoded(&raw, &*compressor);
                    let mut back = vec![1];
                    decode(&bytes[..length], IDENTITY, raw.len(), &mut back).unwrap();
                    assert_eq!(&back[1..], raw);
                }
            }
        }
    }

    #[test]
    fn bytes_that_do_not_shrink_by_a_unit_are_stored_raw() {
        let compressor = new_compressor("LZ4", 0).unwrap();
        let (bytes, _) = encoded(&noise(4096), &*compressor);
        assert_eq!(bytes[field::CODEC], Codec::None.to_byte());
        let (bytes, _) = encoded(&[3; 100], &*compressor);
        assert_eq!(bytes[field::CODEC], Codec::None.to_byte(), "already one unit");
        let (bytes, _) = encoded(&[3; 4096], &*compressor);
        assert_eq!(bytes[field::CODEC], Codec::Lz4.to_byte());
        assert_eq!(bytes.len(), UNIT_BYTES);
    }

    #[test]
    fn each_single_bit_flip_is_detected() {
        for (raw, name) in [
            (noise(600), "NONE"),
            (vec![3; 4096], "LZ4"),
            (vec![3; 4096], "ZSTD"),
        ] {
            let (bytes, length) = encoded(&raw, &*new_compressor(name, 1).unwrap());
            for bit in 0..length * 8 {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let mut out = vec![1];
                decode(&flipped[..length], IDENTITY, raw.len(), &mut out).unwrap_err();
                assert_eq!(out, [1]);
            }
        }
    }

    #[test]
    fn an_extent_that_is_not_the_expected_one_is_refused() {
        let raw = noise(100);
        let (bytes, length) = encoded(&raw, &NoCompression);
        let mut out = Vec::new();
        let wrong = [
            (
                ExtentIdentity {
                    number: 78,
                    ..IDENTITY
                },
                "number",
            ),
            (ExtentIdentity { stamp: 1, ..IDENTITY }, "commit ID"),
            (
                ExtentIdentity {
                    kind: ExtentKind::MapChunk,
                    ..IDENTITY
                },
                "kind",
            ),
        ];
        for (expected, what) in wrong {
            let message = decode(&bytes[..length], expected, raw.len(), &mut out).unwrap_err();
            assert!(message.contains(what), "{message}");
        }
        let message = decode(&bytes[..length], IDENTITY, 99, &mut out).unwrap_err();
        assert!(message.contains("raw size"), "{message}");
        for cut in 0..length {
            decode(&bytes[..cut], IDENTITY, raw.len(), &mut out).unwrap_err();
        }
        assert!(out.is_empty());
    }

    #[test]
    fn a_codec_of_another_build_is_named() {
        let raw = noise(10);
        let (mut bytes, length) = encoded(&raw, &NoCompression);
        for (codec, what) in [(Codec::Gzip.to_byte(), "GZIP"), (200, "codec byte 200")] {
            bytes[field::CODEC] = codec;
            let crc = crc32fast::hash(&bytes[..length - CRC_BYTES]);
            bytes[length - CRC_BYTES..length].copy_from_slice(&crc.to_le_bytes());
            let message = decode(&bytes[..length], IDENTITY, raw.len(), &mut Vec::new()).unwrap_err();
            assert!(message.contains(what), "{message}");
        }
    }
}
