//! Keys from row numbers and back.
//!
//! | form | bytes | shortest |
//! |---|---|---|
//! | integer | the number, 8 bytes big-endian, then `.` up to the size | 8 |
//! | text | `user`, then the number in decimal with leading zeros up to the size | 19, hashed 24 |
//!
//! With order `sequential` the number is the row number, so neighbours in the table are neighbours in time; with
//! `hashed` it is a bijection of it that scatters neighbours (YCSB's default insert order). Either way a key gives its
//! row number back, which is how the oracle knows which row it is looking at.

use crate::random::{permute, permute_back};
use crate::version::NUMBER_LIMIT;
use serde::{Deserialize, Serialize};

/// How a number is spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename = "key form", rename_all = "kebab-case")]
pub enum KeyForm {
    /// Big-endian binary.
    #[default]
    Integer,
    /// `user0000000000000000042`.
    Text,
}

/// How keys follow each other when rows are inserted one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename = "key order", rename_all = "kebab-case")]
pub enum KeyOrder {
    /// Rising.
    #[default]
    Sequential,
    /// Scattered over the whole key space.
    Hashed,
}

const TEXT_PREFIX: &[u8] = b"user";
const PADDING: u8 = b'.';

impl KeyForm {
    /// Every form.
    pub const ALL: [KeyForm; 2] = [KeyForm::Integer, KeyForm::Text];

    /// The name used in specs.
    pub const fn name(self) -> &'static str {
        match self {
            KeyForm::Integer => "integer",
            KeyForm::Text => "text",
        }
    }

    /// The size that keys have if the spec does not say, in bytes.
    pub const fn default_size(self) -> usize {
        match self {
            KeyForm::Integer => 8,
            KeyForm::Text => 24,
        }
    }

    /// The shortest size that holds every row number, in bytes.
    pub const fn min_size(self, order: KeyOrder) -> usize {
        match (self, order) {
            (KeyForm::Integer, _) => 8,
            // 2^48 has 15 decimal digits, 2^64 has 20.
            (KeyForm::Text, KeyOrder::Sequential) => 19,
            (KeyForm::Text, KeyOrder::Hashed) => 24,
        }
    }
}

impl KeyOrder {
    /// Every order.
    pub const ALL: [KeyOrder; 2] = [KeyOrder::Sequential, KeyOrder::Hashed];

    /// The name used in specs.
    pub const fn name(self) -> &'static str {
        match self {
            KeyOrder::Sequential => "sequential",
            KeyOrder::Hashed => "hashed",
        }
    }
}

/// Encodes and decodes the keys of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyCodec {
    form: KeyForm,
    order: KeyOrder,
    size: usize,
}

impl KeyCodec {
    /// Keys of exactly `size` bytes, which must be at least [`KeyForm::min_size`].
    pub fn new(form: KeyForm, order: KeyOrder, size: usize) -> Self {
        assert!(
            size >= form.min_size(order),
            "the spec was checked: a {} key has at least {} bytes",
            form.name(),
            form.min_size(order)
        );
        KeyCodec { form, order, size }
    }

    /// Length of every key, in bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// True if rising row numbers have rising keys.
    pub fn is_ordered(&self) -> bool {
        self.order == KeyOrder::Sequential
    }

    /// A number for `row` that rises with its key.
    #[inline]
    pub fn rank(&self, row: u64) -> u64 {
        match self.order {
            KeyOrder::Sequential => row,
            KeyOrder::Hashed => permute(row),
        }
    }

    /// The row that has this [`rank`](Self::rank).
    #[inline]
    pub fn row_of_rank(&self, rank: u64) -> u64 {
        match self.order {
            KeyOrder::Sequential => rank,
            KeyOrder::Hashed => permute_back(rank),
        }
    }

    /// Replaces the content of `out` by the key of `row` (below [`NUMBER_LIMIT`]).
    #[inline]
    pub fn encode(&self, row: u64, out: &mut Vec<u8>) {
        debug_assert!(row < NUMBER_LIMIT, "row number {row} is too large");
        let number = self.rank(row);
        out.clear();
        match self.form {
            KeyForm::Integer => {
                out.extend_from_slice(&number.to_be_bytes());
                out.resize(self.size, PADDING);
            }
            KeyForm::Text => {
                out.extend_from_slice(TEXT_PREFIX);
                out.resize(self.size, b'0');
                let mut rest = number;
                for digit in out[TEXT_PREFIX.len()..].iter_mut().rev() {
                    if rest == 0 {
                        break;
                    }
                    *digit = b'0' + (rest % 10) as u8;
                    rest /= 10;
                }
                debug_assert_eq!(rest, 0, "the size holds every number");
            }
        }
    }

    /// The row that `key` belongs to; `None` if [`encode`](Self::encode) makes no such key.
    pub fn decode(&self, key: &[u8]) -> Option<u64> {
        if key.len() != self.size {
            return None;
        }
        let number = match self.form {
            KeyForm::Integer => {
                let (number, padding) = key.split_first_chunk::<8>()?;
                if padding.iter().any(|&b| b != PADDING) {
                    return None;
                }
                u64::from_be_bytes(*number)
            }
            KeyForm::Text => {
                let digits = key.strip_prefix(TEXT_PREFIX)?;
                digits.iter().try_fold(0u64, |number, &b| {
                    let digit = b.checked_sub(b'0').filter(|&d| d <= 9)?;
                    number.checked_mul(10)?.checked_add(u64::from(digit))
                })?
            }
        };
        let row = match self.order {
            KeyOrder::Sequential => number,
            KeyOrder::Hashed => permute_back(number),
        };
        (row < NUMBER_LIMIT).then_some(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_codec() -> impl Strategy<Value = KeyCodec> {
        (0..2usize, 0..2usize, 0..40usize).prop_map(|(form, order, extra)| {
            let (form, order) = (KeyForm::ALL[form], KeyOrder::ALL[order]);
            KeyCodec::new(form, order, form.min_size(order) + extra)
        })
    }

    proptest! {
        #[test]
        fn keys_decode_to_their_row_and_keep_the_order(codec in any_codec(), a in 0..NUMBER_LIMIT, b in 0..NUMBER_LIMIT) {
            let (mut key_a, mut key_b) = (Vec::new(), vec![1, 2, 3]);
            codec.encode(a, &mut key_a);
            codec.encode(b, &mut key_b);
            prop_assert_eq!(key_a.len(), codec.size());
            prop_assert_eq!(codec.decode(&key_a), Some(a));
            prop_assert_eq!(codec.decode(&key_b), Some(b));
            prop_assert_eq!(a == b, key_a == key_b);
            prop_assert_eq!(codec.rank(a).cmp(&codec.rank(b)), key_a.cmp(&key_b));
            prop_assert_eq!(codec.row_of_rank(codec.rank(a)), a);
            if codec.is_ordered() {
                prop_assert_eq!(a.cmp(&b), key_a.cmp(&key_b));
            }
        }

        #[test]
        fn whatever_decodes_is_what_encode_makes(codec in any_codec(), key in proptest::collection::vec(any::<u8>(), 0..70)) {
            if let Some(row) = codec.decode(&key) {
                let mut again = Vec::new();
                codec.encode(row, &mut again);
                prop_assert_eq!(again, key);
            }
        }
    }

    #[test]
    fn foreign_keys_are_refused() {
        let text = KeyCodec::new(KeyForm::Text, KeyOrder::Sequential, 19);
        for key in [
            &b"user00000000000001"[..],
            b"user00000000000000x",
            b"uses000000000000001",
            b"user999999999999999",
        ] {
            assert_eq!(text.decode(key), None, "{}", String::from_utf8_lossy(key));
        }
        let integer = KeyCodec::new(KeyForm::Integer, KeyOrder::Sequential, 9);
        assert_eq!(integer.decode(b"\0\0\0\0\0\0\0\x05."), Some(5));
        assert_eq!(integer.decode(b"\0\0\0\0\0\0\0\x05,"), None);
    }
}
