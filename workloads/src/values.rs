//! Values that say who wrote them, and whose every byte can be checked.
//!
//! A value is a pure function of its table, row, [`Version`], length and compressibility. Its form depends on its length:
//!
//! | length | bytes |
//! |---|---|
//! | 24 and more | checksum u64, [`RowRef`] u64, [`Version`] u64, then the payload |
//! | 8 to 23 | one u64: check (16 bits), thread (12), sequence (36); then the payload |
//! | 0 to 7 | a hash of row and version, cut to the length |
//!
//! All little-endian. The checksum covers the length and everything after itself, so a torn value (the beginning of one
//! and the end of another) is noticed. The reduced form has 1 chance in 65,536 to miss that, and its check covers the
//! row, so that a value of another row looks torn. Values under 8 bytes cannot name their version; the oracle can only
//! ask whether they are what a given version would have written.
//!
//! The payload is random bytes followed by one byte repeated; `compressibility` is the share of the *whole value* that is
//! such a run: 0 is incompressible, 0.5 is half random.

use crate::driver::TableRef;
use crate::random::{fold_multiply, mix3};
use crate::version::{RowRef, Version};

/// Length of the full header, in bytes.
pub const HEADER_LEN: usize = 24;
/// Length of the header of short values, in bytes. Values shorter than this are anonymous.
pub const SHORT_HEADER_LEN: usize = 8;

const SHORT_THREAD_BITS: u32 = 12;
const SHORT_SEQUENCE_BITS: u32 = 36;
const SHORT_LOADER: u64 = (1 << SHORT_THREAD_BITS) - 1;

/// What a value tells about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The write that made it.
    Written(Version),
    /// Too short to say.
    Anonymous,
}

/// What is wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueFault {
    /// Its length, in bytes, is not one that the spec makes for this write.
    Length(usize),
    /// Its bytes do not fit together.
    Torn,
    /// It is whole, but it was written to another row.
    OfAnotherRow(RowRef),
}

impl std::fmt::Display for ValueFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ValueFault::Length(len) => write!(f, "its length of {len} bytes was never written"),
            ValueFault::Torn => f.write_str("its checksum does not fit: it is torn or damaged"),
            ValueFault::OfAnotherRow(row) => write!(
                f,
                "it was written to row {} of table {}",
                row.row(),
                row.table().index()
            ),
        }
    }
}

/// Makes and checks the values of one table.
#[derive(Clone, Debug, PartialEq)]
pub struct ValueCodec {
    len_min: usize,
    len_max: usize,
    compressibility: f64,
}

impl ValueCodec {
    /// Values of `len_min..=len_max` bytes, of which the share `compressibility` (0 to 1) is a run of one byte.
    pub fn new(len_min: usize, len_max: usize, compressibility: f64) -> Self {
        assert!(
            len_min <= len_max && (0.0..=1.0).contains(&compressibility),
            "the spec was checked: {len_min}..={len_max} bytes, compressibility {compressibility}"
        );
        ValueCodec {
            len_min,
            len_max,
            compressibility,
        }
    }

    /// Longest value, in bytes.
    pub fn len_max(&self) -> usize {
        self.len_max
    }

    /// The length of the value that `version` writes to `row`, in bytes.
    #[inline]
    pub fn len(&self, row: RowRef, version: Version) -> usize {
        if self.len_min == self.len_max {
            return self.len_min;
        }
        let span = (self.len_max - self.len_min) as u64 + 1;
        self.len_min
            + ((u128::from(mix3(row.to_u64(), version.to_u64(), 1)) * u128::from(span)) >> 64) as usize
    }

    /// Replaces the content of `out` by the value that `version` writes to row `row` of `table`.
    #[inline]
    pub fn fill(&self, table: TableRef, row: u64, version: Version, out: &mut Vec<u8>) {
        let row = RowRef::new(table, row);
        let len = self.len(row, version);
        // The old content is overwritten anyway; clearing first would only pay for zeros.
        out.resize(len, 0);
        self.write(row, version, out);
    }

    fn write(&self, row: RowRef, version: Version, out: &mut [u8]) {
        let len = out.len();
        let seed = mix3(row.to_u64(), version.to_u64(), 2);
        if len < SHORT_HEADER_LEN {
            out.copy_from_slice(&seed.to_le_bytes()[..len]);
            return;
        }
        let header_len = if len >= HEADER_LEN {
            HEADER_LEN
        } else {
            SHORT_HEADER_LEN
        };
        let run_len = (len as f64 * self.compressibility) as usize;
        let random_end = len.saturating_sub(run_len).max(header_len);
        let (header, payload) = out.split_at_mut(header_len);
        let (random, run) = payload.split_at_mut(random_end - header_len);
        fill_random(seed, random);
        run.fill(b'~');
        if header_len == HEADER_LEN {
            header[8..16].copy_from_slice(&row.to_u64().to_le_bytes());
            header[16..24].copy_from_slice(&version.to_u64().to_le_bytes());
            let sum = checksum(&out[8..]);
            out[..8].copy_from_slice(&sum.to_le_bytes());
        } else {
            let name = short_name(version);
            let check = checksum(payload) ^ mix3(row.to_u64(), name, len as u64);
            header.copy_from_slice(&(name | check >> 48 << 48).to_le_bytes());
        }
    }

    /// Checks a value found in row `row` of `table`, and tells which write made it.
    ///
    /// # Errors
    /// A [`ValueFault`] if no write made these bytes for this row.
    pub fn check(&self, table: TableRef, row: u64, value: &[u8]) -> Result<Identity, ValueFault> {
        let here = RowRef::new(table, row);
        if value.len() < self.len_min || value.len() > self.len_max {
            return Err(ValueFault::Length(value.len()));
        }
        if value.len() < SHORT_HEADER_LEN {
            return Ok(Identity::Anonymous);
        }
        let word = |at: usize| {
            value[at..]
                .first_chunk::<8>()
                .map_or(0, |bytes| u64::from_le_bytes(*bytes))
        };
        let version = if value.len() >= HEADER_LEN {
            if word(0) != checksum(&value[8..]) {
                return Err(ValueFault::Torn);
            }
            if word(8) != here.to_u64() {
                let (table, row) = (
                    TableRef((word(8) >> 48) as u16),
                    word(8) & (crate::version::NUMBER_LIMIT - 1),
                );
                return Err(ValueFault::OfAnotherRow(RowRef::new(table, row)));
            }
            Version::from_u64(word(16))
        } else {
            let name = word(0) << 16 >> 16;
            let check = checksum(&value[8..]) ^ mix3(here.to_u64(), name, value.len() as u64);
            if check >> 48 != word(0) >> 48 {
                return Err(ValueFault::Torn);
            }
            short_version(name)
        };
        if value.len() != self.len(here, version) {
            return Err(ValueFault::Length(value.len()));
        }
        Ok(Identity::Written(version))
    }

    /// True if `value` is exactly what `version` writes to row `row` of `table`.
    pub fn is_written_by(&self, table: TableRef, row: u64, version: Version, value: &[u8]) -> bool {
        let mut expected = Vec::new();
        self.fill(table, row, version, &mut expected);
        expected == value
    }
}

/// Thread and sequence in 48 bits. Specs allow fewer threads than fit; sequences beyond 2^36 wrap.
fn short_name(version: Version) -> u64 {
    let thread = if version.thread() == Version::LOADER {
        SHORT_LOADER
    } else {
        u64::from(version.thread()) & SHORT_LOADER
    };
    thread << SHORT_SEQUENCE_BITS | version.sequence() & ((1 << SHORT_SEQUENCE_BITS) - 1)
}

fn short_version(name: u64) -> Version {
    let thread = match name >> SHORT_SEQUENCE_BITS {
        SHORT_LOADER => Version::LOADER,
        thread => thread as u16,
    };
    Version::new(thread, name & ((1 << SHORT_SEQUENCE_BITS) - 1))
}

/// Random bytes from a counter: the words are independent of each other, so the processor overlaps them.
fn fill_random(seed: u64, out: &mut [u8]) {
    let mut counter = seed;
    let mut next = || {
        counter = counter.wrapping_add(0xa076_1d64_78bd_642f);
        fold_multiply(counter, counter ^ 0xe703_7ed1_a0b4_28db)
    };
    let (words, tail) = out.as_chunks_mut::<8>();
    for word in words {
        *word = next().to_le_bytes();
    }
    if !tail.is_empty() {
        let last = next().to_le_bytes();
        tail.copy_from_slice(&last[..tail.len()]);
    }
}

/// A 64-bit checksum of the bytes and their number; two lanes, because one would wait for its own multiplications.
fn checksum(bytes: &[u8]) -> u64 {
    const A: u64 = 0x2d35_8dcc_aa6c_78a5;
    const B: u64 = 0x8bb8_4b93_962e_acc9;
    let (words, tail) = bytes.as_chunks::<8>();
    let (pairs, odd) = words.as_chunks::<2>();
    let mut a = A ^ bytes.len() as u64;
    let mut b = B;
    for [x, y] in pairs {
        a = fold_multiply(a ^ u64::from_le_bytes(*x), B);
        b = fold_multiply(b ^ u64::from_le_bytes(*y), A);
    }
    for x in odd {
        a = fold_multiply(a ^ u64::from_le_bytes(*x), B);
    }
    let mut last = [0u8; 8];
    last[..tail.len()].copy_from_slice(tail);
    b = fold_multiply(b ^ u64::from_le_bytes(last), A);
    fold_multiply(a ^ B, b ^ A)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TABLE: TableRef = TableRef(2);

    fn value(codec: &ValueCodec, row: u64, version: Version) -> Vec<u8> {
        let mut value = vec![7; 3];
        codec.fill(TABLE, row, version, &mut value);
        value
    }

    proptest! {
        #[test]
        fn values_name_their_write(len in 8usize..200, share in 0.0..=1.0, row in 0u64..1 << 40,
                                   thread in 0u16..1024, sequence in 0u64..1 << 36) {
            let codec = ValueCodec::new(len, len, share);
            let version = Version::new(thread, sequence);
            let value = value(&codec, row, version);
            prop_assert_eq!(value.len(), len);
            prop_assert_eq!(codec.check(TABLE, row, &value), Ok(Identity::Written(version)));
            prop_assert!(codec.is_written_by(TABLE, row, version, &value));
            prop_assert!(codec.check(TABLE, row + 1, &value).is_err());
        }

        #[test]
        fn every_flipped_bit_of_a_full_value_is_noticed(len in 24usize..120, bit in any::<prop::sample::Index>()) {
            let codec = ValueCodec::new(len, len, 0.5);
            let mut value = value(&codec, 5, Version::new(1, 77));
            let bit = bit.index(len * 8);
            value[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(codec.check(TABLE, 5, &value), Err(ValueFault::Torn));
        }

        #[test]
        fn lengths_stay_in_range_and_are_remembered(min in 0usize..60, extra in 1usize..60, sequence in 0u64..1000) {
            let codec = ValueCodec::new(min, min + extra, 0.3);
            let version = Version::new(3, sequence);
            let value = value(&codec, 9, version);
            prop_assert!((min..=min + extra).contains(&value.len()));
            prop_assert!(codec.check(TABLE, 9, &value).is_ok());
        }
    }

    #[test]
    fn torn_values_are_noticed_in_both_forms() {
        for len in [16, 100] {
            let codec = ValueCodec::new(len, len, 0.0);
            let (old, new) = (
                value(&codec, 1, Version::LOADED),
                value(&codec, 1, Version::new(0, 1)),
            );
            for cut in 1..len {
                let torn = [&new[..cut], &old[cut..]].concat();
                if torn != old && torn != new {
                    assert_eq!(codec.check(TABLE, 1, &torn), Err(ValueFault::Torn), "{len} {cut}");
                }
            }
        }
    }

    #[test]
    fn a_value_of_another_row_or_length_is_named() {
        let codec = ValueCodec::new(40, 60, 0.0);
        let foreign = value(&codec, 1, Version::LOADED);
        let error = codec.check(TABLE, 2, &foreign).unwrap_err();
        assert_eq!(error, ValueFault::OfAnotherRow(RowRef::new(TABLE, 1)));
        assert_eq!(codec.check(TABLE, 1, &[0; 39]), Err(ValueFault::Length(39)));
        let wrong_len = if foreign.len() == 60 { 59 } else { 60 };
        let other = ValueCodec::new(wrong_len, wrong_len, 0.0);
        let value = value(&other, 1, Version::LOADED);
        assert_eq!(
            codec.check(TABLE, 1, &value),
            Err(ValueFault::Length(wrong_len)),
            "whole, but not this write's length"
        );
    }

    #[test]
    fn short_forms_hold_the_loader_and_tiny_ones_can_be_compared() {
        let codec = ValueCodec::new(8, 8, 0.0);
        let loaded = value(&codec, 1, Version::LOADED);
        assert_eq!(
            codec.check(TABLE, 1, &loaded),
            Ok(Identity::Written(Version::LOADED))
        );
        let codec = ValueCodec::new(4, 4, 0.0);
        let tiny = value(&codec, 1, Version::new(1, 1));
        assert_eq!(codec.check(TABLE, 1, &tiny), Ok(Identity::Anonymous));
        assert!(codec.is_written_by(TABLE, 1, Version::new(1, 1), &tiny));
        assert!(!codec.is_written_by(TABLE, 1, Version::new(1, 2), &tiny));
        assert_eq!(
            ValueCodec::new(0, 0, 0.0).check(TABLE, 1, &[]),
            Ok(Identity::Anonymous)
        );
    }

    #[test]
    fn the_share_of_the_run_is_what_was_asked() {
        for (share, run) in [(0.0, 0), (0.25, 50), (0.5, 100), (1.0, 176)] {
            let codec = ValueCodec::new(200, 200, share);
            let value = value(&codec, 3, Version::new(0, 5));
            let counted = value.iter().rev().take_while(|&&b| b == b'~').count();
            assert!(counted.abs_diff(run) <= 2, "{share}: {counted}");
        }
    }
}
