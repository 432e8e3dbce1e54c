//! Keys, values and bounds of the shapes that ordered stores go wrong with.

use std::ops::Bound;

use rand::{Rng, RngExt};

/// Keys that share a prefix, keys that are prefixes of each other, runs of `00` and `FF`, the empty and the longest key.
pub(super) fn key(rng: &mut impl Rng, keys: u32, longest: usize) -> Vec<u8> {
    let n = rng.random_range(0..keys);
    match rng.random_range(0..12) {
        0..=5 => format!("user{n:06}").into_bytes(),
        6 | 7 => [&[b'p'; 300][..], format!("{:03}", n % 60).as_bytes()].concat(),
        8 => vec![0xFF; n as usize % 10],
        9 => vec![0; n as usize % 5],
        10 => b"userabcd"[..n as usize % 9].to_vec(),
        _ => vec![if n % 2 == 0 { 0xFF } else { b'u' }; longest - n as usize % 2],
    }
}

/// Mostly short, sometimes empty, sometimes too long for a leaf.
pub(super) fn value(rng: &mut impl Rng, page_size: usize) -> Vec<u8> {
    let len = match rng.random_range(0..40) {
        0 => rng.random_range(page_size / 4..3 * page_size),
        1 | 2 => 0,
        _ => rng.random_range(1..200),
    };
    let start = rng.random::<u16>();
    (0..len).map(|i| (usize::from(start) + i * i / 5) as u8).collect()
}

/// A key, or something beside one.
fn beside(rng: &mut impl Rng, mut key: Vec<u8>) -> Vec<u8> {
    match rng.random_range(0..8) {
        0 => key.push(0),
        1 => key.push(0xFF),
        2 => {
            key.pop();
        }
        3 => {
            if let Some(last) = key.pop().and_then(|last| last.checked_sub(1)) {
                key.extend([last, 0xFF]);
            }
        }
        4 => key.truncate(rng.random_range(0..=key.len())),
        _ => {}
    }
    key
}

fn bound(rng: &mut impl Rng, key: Vec<u8>) -> Bound<Vec<u8>> {
    match rng.random_range(0..7) {
        0 => Bound::Unbounded,
        1..=3 => Bound::Included(key),
        _ => Bound::Excluded(key),
    }
}

/// Two bounds, drawn independently as a rule, so that many ranges are inverted or reach over everything.
pub(super) fn range(rng: &mut impl Rng, keys: u32, longest: usize) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    let place = |rng: &mut _| {
        let key = match RngExt::random_range(rng, 0..6) {
            0 => vec![RngExt::random::<u8>(rng)],
            1 => vec![b's' + RngExt::random_range(rng, 0..4u8)],
            _ => key(rng, keys, longest),
        };
        beside(rng, key)
    };
    let low = place(rng);
    let high = if rng.random_bool(0.2) {
        beside(rng, low.clone())
    } else {
        place(rng)
    };
    (bound(rng, low), bound(rng, high))
}

/// How many rows a scan may give.
pub(super) fn limit(rng: &mut impl Rng) -> Option<usize> {
    match rng.random_range(0..6) {
        0 => Some(0),
        1 => Some(1),
        2 => Some(rng.random_range(2..40)),
        _ => None,
    }
}
