//! What a range of an ordered map holds, worked out without [`BTreeMap::range`]'s refusal of inverted bounds: the answer
//! that a scan is compared with.

use std::collections::BTreeMap;
use std::ops::Bound;

use engine::Scan;

pub(crate) type Rows = BTreeMap<Vec<u8>, Vec<u8>>;
pub(crate) type Bounds<'k> = (Bound<&'k [u8]>, Bound<&'k [u8]>);

fn is_above(key: &[u8], low: Bound<&[u8]>) -> bool {
    match low {
        Bound::Included(low) => key >= low,
        Bound::Excluded(low) => key > low,
        Bound::Unbounded => true,
    }
}

fn is_below(key: &[u8], high: Bound<&[u8]>) -> bool {
    match high {
        Bound::Included(high) => key <= high,
        Bound::Excluded(high) => key < high,
        Bound::Unbounded => true,
    }
}

/// The rows between two bounds, in the direction asked for; none if the bounds are inverted.
pub(crate) fn rows_between<'m>(
    rows: &'m Rows,
    (low, high): Bounds<'m>,
    is_reverse: bool,
) -> Box<dyn Iterator<Item = (&'m [u8], &'m [u8])> + 'm> {
    let rows_of = |(key, value): (&'m Vec<u8>, &'m Vec<u8>)| (&key[..], &value[..]);
    if is_reverse {
        let from_end = rows.range::<[u8], _>((Bound::Unbounded, high)).rev();
        Box::new(
            from_end
                .map(rows_of)
                .take_while(move |(key, _)| is_above(key, low)),
        )
    } else {
        let from_start = rows.range::<[u8], _>((low, Bound::Unbounded));
        Box::new(
            from_start
                .map(rows_of)
                .take_while(move |(key, _)| is_below(key, high)),
        )
    }
}

/// A key in short.
pub(crate) fn short(key: &[u8]) -> String {
    match key.len() {
        0..=40 => format!("\"{}\"", key.escape_ascii()),
        len => {
            let (start, end) = (key[..12].escape_ascii(), key[len - 12..].escape_ascii());
            format!("\"{start}..{end}\" ({len} bytes)")
        }
    }
}

/// A bound in short.
pub(crate) fn shown(bound: Bound<&[u8]>) -> String {
    match bound {
        Bound::Included(key) => format!("included {}", short(key)),
        Bound::Excluded(key) => format!("excluded {}", short(key)),
        Bound::Unbounded => "unbounded".into(),
    }
}

/// Reads a scan to its end and says how it differs from what was expected.
pub(crate) fn difference<'m>(
    mut scan: Scan<'_>,
    expected: impl Iterator<Item = (&'m [u8], &'m [u8])>,
) -> Option<String> {
    let mut count = 0;
    for (key, value) in expected {
        match scan.next_row() {
            Ok(Some((found_key, found_value))) => {
                if found_key != key {
                    return Some(format!(
                        "row {count} is {}, expected {}",
                        short(found_key),
                        short(key)
                    ));
                }
                if found_value != value {
                    return Some(format!("row {} has another value", short(key)));
                }
            }
            Ok(None) => return Some(format!("ends after {count} rows, before {}", short(key))),
            Err(error) => return Some(format!("after {count} rows: {error}")),
        }
        count += 1;
    }
    match scan.next_row() {
        Ok(None) => None,
        Ok(Some((key, _))) => Some(format!("goes on after {count} rows with {}", short(key))),
        Err(error) => Some(format!("after {count} rows: {error}")),
    }
}
