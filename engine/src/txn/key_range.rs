//! Ranges of keys as callers write them: `..`, `b"a"..b"m"`, `start..=end`, with anything that is bytes.

use std::ops::{Bound, Range, RangeBounds, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive};

/// A range of keys in byte order.
pub trait KeyRange {
    /// The same range as `low <= key < high`; `None` is no upper bound.
    fn into_half_open(self) -> (Vec<u8>, Option<Vec<u8>>);
}

impl KeyRange for RangeFull {
    fn into_half_open(self) -> (Vec<u8>, Option<Vec<u8>>) {
        (Vec::new(), None)
    }
}

/// The smallest key above `key`.
fn successor(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

fn half_open<K: AsRef<[u8]>>(range: &impl RangeBounds<K>) -> (Vec<u8>, Option<Vec<u8>>) {
    let low = match range.start_bound() {
        Bound::Included(key) => key.as_ref().to_vec(),
        Bound::Excluded(key) => successor(key.as_ref()),
        Bound::Unbounded => Vec::new(),
    };
    let high = match range.end_bound() {
        Bound::Included(key) => Some(successor(key.as_ref())),
        Bound::Excluded(key) => Some(key.as_ref().to_vec()),
        Bound::Unbounded => None,
    };
    (low, high)
}

macro_rules! key_range {
    ($($range:ty),*) => {$(
        impl<K: AsRef<[u8]>> KeyRange for $range {
            fn into_half_open(self) -> (Vec<u8>, Option<Vec<u8>>) {
                half_open(&self)
            }
        }
    )*};
}

key_range!(
    Range<K>,
    RangeFrom<K>,
    RangeInclusive<K>,
    RangeTo<K>,
    RangeToInclusive<K>,
    (Bound<K>, Bound<K>)
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_range_forms_become_half_open() {
        assert_eq!((..).into_half_open(), (vec![], None));
        assert_eq!(("a".."b").into_half_open(), (b"a".to_vec(), Some(b"b".to_vec())));
        assert_eq!(
            (b"a"..=b"b").into_half_open(),
            (b"a".to_vec(), Some(b"b\0".to_vec()))
        );
        assert_eq!((..=vec![1u8]).into_half_open(), (vec![], Some(vec![1, 0])));
        assert_eq!(
            (Bound::Excluded("a"), Bound::<&str>::Unbounded).into_half_open(),
            (b"a\0".to_vec(), None)
        );
    }
}
