//! Rules about scans: order, start, limit, count. Their expected answers come from an ordered map.

use std::collections::BTreeMap;

use crate::driver::{Direction, RowBuffer};
use crate::random::permute;

use super::bench::{Actor, Bench, Check, Row, T, Write, show_rows};

use Direction::{Forward, Reverse};

/// Writes `b`, `d`, `f`, `h`, and one in another table.
fn letters(actor: &mut Actor<'_>) -> Check {
    let keys: [&[u8]; 4] = [b"f", b"b", b"h", b"d"];
    let mut rows: Vec<Write<'_>> = keys.iter().map(|&key| (T, key, Some(key))).collect();
    rows.push((super::bench::U, b"e", Some(b"of another table")));
    actor.write(&rows).map(drop)
}

pub(super) fn order(bench: &Bench) -> Check {
    let target = bench.open()?;
    let mut a = bench.actor("A", target.as_ref())?;
    letters(&mut a)?;
    a.expect_table(T, &[(b"b", b"b"), (b"d", b"d"), (b"f", b"f"), (b"h", b"h")])
}

pub(super) fn start(bench: &Bench) -> Check {
    let target = bench.open()?;
    let mut a = bench.actor("A", target.as_ref())?;
    letters(&mut a)?;
    a.begin_read_only()?;
    for (start, rising, falling) in [
        (
            &b""[..],
            &[&b"b"[..], b"d", b"f", b"h"][..],
            &[&b"h"[..], b"f", b"d", b"b"][..],
        ),
        (b"a", &[b"b", b"d", b"f", b"h"], &[]),
        (b"b", &[b"b", b"d", b"f", b"h"], &[b"b"]),
        (b"c", &[b"d", b"f", b"h"], &[b"b"]),
        (b"d", &[b"d", b"f", b"h"], &[b"d", b"b"]),
        (b"d\0", &[b"f", b"h"], &[b"d", b"b"]),
        (b"h", &[b"h"], &[b"h", b"f", b"d", b"b"]),
        (b"h\0", &[], &[b"h", b"f", b"d", b"b"]),
        (b"\xff\xff", &[], &[b"h", b"f", b"d", b"b"]),
    ] {
        a.expect_keys(T, start, 10, Forward, rising)?;
        a.expect_keys(T, start, 10, Reverse, falling)?;
    }
    a.commit().map(drop)
}

pub(super) fn limit(bench: &Bench) -> Check {
    let target = bench.open()?;
    let mut a = bench.actor("A", target.as_ref())?;
    letters(&mut a)?;
    a.begin_read_only()?;
    let rising: [&[u8]; 4] = [b"b", b"d", b"f", b"h"];
    let falling: [&[u8]; 4] = [b"h", b"f", b"d", b"b"];
    for limit in [0, 1, 2, 3, 4, 5, 1000, usize::MAX] {
        a.expect_keys(T, b"", limit, Forward, &rising[..limit.min(4)])?;
        a.expect_keys(T, b"", limit, Reverse, &falling[..limit.min(4)])?;
        a.expect_keys(T, b"d", limit, Forward, &rising[1..][..limit.min(3)])?;
        a.expect_keys(T, b"d", limit, Reverse, &falling[2..][..limit.min(2)])?;
    }
    a.commit().map(drop)
}

pub(super) fn appends(bench: &Bench) -> Check {
    let target = bench.open()?;
    let mut a = bench.actor("A", target.as_ref())?;
    letters(&mut a)?;
    a.begin_read_only()?;
    for direction in [Forward, Reverse] {
        for limit in [0, 2, 9] {
            let mut sink = RowBuffer::new();
            sink.push(b"there", b"before");
            let doing = format!("scan {limit} {direction:?} into a buffer with one row");
            let count = a.must(&doing, |session| {
                session.scan(T, b"", limit, direction, &mut sink)
            })?;
            let there = limit.min(4);
            let first = sink.get(0) == Some((b"there", b"before"));
            let expected = (there, there + 1, true);
            bench
                .steps
                .same(&expected, &(count, sink.len(), first), |&(count, rows, first)| {
                    let kept = if first { "kept" } else { "lost" };
                    format!("the count {count}, {rows} rows in the buffer, the row before {kept}")
                })?;
        }
    }
    a.commit().map(drop)
}

pub(super) fn many(bench: &Bench) -> Check {
    const ROWS: u64 = 4000;
    let key = |number: u64| format!("key-{:06}", permute(number) % 1_000_000).into_bytes();
    let value = |number: u64| vec![b'a' + (number % 26) as u8; 20 + (permute(number) % 300) as usize];
    let target = bench.open()?;
    let mut a = bench.actor("A", target.as_ref())?;
    let mut model: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    for batch in 0..ROWS / 200 {
        a.begin()?;
        for number in batch * 200..(batch + 1) * 200 {
            a.put(T, &key(number), &value(number))?;
            model.insert(key(number), value(number));
            // Two of five go again, those of an earlier batch as a rule.
            if number % 5 < 2 {
                let gone = key(permute(number) % (number + 1));
                a.delete(T, &gone)?;
                model.remove(&gone);
            }
        }
        // Also before the commit, with its own rows among those of others.
        if batch % 5 == 4 {
            compare(bench, &mut a, &model, batch)?;
        }
        a.commit()?;
    }
    a.begin_read_only()?;
    for round in 0..10 {
        compare(bench, &mut a, &model, round)?;
    }
    a.commit().map(drop)
}

/// Some scans from existing and other keys, of some lengths.
fn compare(bench: &Bench, a: &mut Actor<'_>, model: &BTreeMap<Vec<u8>, Vec<u8>>, round: u64) -> Check {
    for turn in 0..12 {
        let draw = permute(round * 100 + turn);
        let start = format!("key-{:06}", draw % 1_000_000).into_bytes();
        let limit = [1, 10, 100, 700, usize::MAX][(draw >> 32) as usize % 5];
        let owned = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone(), value.clone());
        let rising: Vec<Row> = model.range(start.clone()..).take(limit).map(owned).collect();
        let falling: Vec<Row> = model
            .range(..=start.clone())
            .rev()
            .take(limit)
            .map(owned)
            .collect();
        for (direction, expected) in [(Forward, rising), (Reverse, falling)] {
            let found = a.scan(T, &start, limit, direction)?;
            let first = expected.iter().zip(&found).position(|(a, b)| a != b);
            let at = first.unwrap_or(expected.len().min(found.len()));
            bench.steps.same(&expected, &found, |rows| {
                let near = &rows[at.min(rows.len())..(at + 2).min(rows.len())];
                format!("{} rows, and from number {at} on {}", rows.len(), show_rows(near))
            })?;
        }
    }
    Ok(())
}
