//! Rules about single rows: what keys and values may be, and what get, put and delete answer.

use crate::driver::TableRef;

use super::bench::{Actor, Bench, Check, T, U, Write, show};

/// Longest keys and values that are tried: limits beyond are not reached.
const KEY_MAX: usize = 16 << 10;
const VALUE_MAX: usize = 4 << 20;

pub(super) fn get_absent(bench: &Bench) -> Check {
    let target = bench.open()?;
    let mut a = bench.actor("A", target.as_ref())?;
    a.write(&[(T, b"k", Some(b"short")), (T, b"gone", Some(b"x"))])?;
    a.write(&[(T, b"gone", None)])?;
    a.begin()?;
    for (key, value) in [
        (&b"k"[..], Some(&b"short"[..])),
        (b"absent", None),
        (b"gone", None),
        (b"k", Some(b"short")),
    ] {
        for for_update in [false, true] {
            let mut out = b"what was in the buffer before".to_vec();
            let call = if for_update { "get_for_update" } else { "get" };
            let doing = format!("{call} t:{} into a buffer with something in it", show(key));
            let found = a.must(&doing, |session| match for_update {
                false => session.get(T, key, &mut out),
                true => session.get_for_update(T, key, &mut out),
            })?;
            let saw = (found, out);
            let expected = (value.is_some(), value.unwrap_or_default().to_vec());
            bench.steps.same(&expected, &saw, |(found, out)| {
                format!("{found}, and {} in the buffer", show(out))
            })?;
        }
    }
    a.commit().map(drop)
}

pub(super) fn put_replaces(bench: &Bench) -> Check {
    let target = bench.open()?;
    let mut a = bench.actor("A", target.as_ref())?;
    let (short, long) = (vec![b's'; 10], vec![b'l'; 6000]);
    for value in [&short, &long, &short, &Vec::new(), &long] {
        a.write(&[(T, b"k", Some(value))])?;
        a.expect_table(T, &[(b"k", value)])?;
    }
    a.write(&[
        (T, b"k", Some(b"1")),
        (T, b"k", Some(b"22")),
        (T, b"k", None),
        (T, b"k", Some(b"3")),
    ])?;
    a.expect_table(T, &[(b"k", b"3")])?;
    a.write(&[(T, b"k", Some(b"4")), (T, b"k", None)])?;
    a.expect_table(T, &[])
}

pub(super) fn delete_tells(bench: &Bench) -> Check {
    let target = bench.open()?;
    let mut a = bench.actor("A", target.as_ref())?;
    a.write(&[(T, b"k", Some(b"v")), (T, b"empty", Some(b""))])?;
    let expect = |a: &mut Actor<'_>, table: TableRef, key: &[u8], existed: bool| {
        let saw = a.delete(table, key)?;
        bench.steps.same(&existed, &saw, |existed| format!("{existed}"))
    };
    a.begin()?;
    expect(&mut a, T, b"absent", false)?;
    expect(&mut a, U, b"k", false)?;
    expect(&mut a, T, b"k", true)?;
    expect(&mut a, T, b"k", false)?;
    expect(&mut a, T, b"empty", true)?;
    a.rollback();
    a.begin()?;
    expect(&mut a, T, b"k", true)?;
    a.put(T, b"own", b"v")?;
    expect(&mut a, T, b"own", true)?;
    expect(&mut a, T, b"own", false)?;
    a.commit()?;
    a.begin()?;
    expect(&mut a, T, b"k", false)?;
    expect(&mut a, T, b"own", false)?;
    a.commit()?;
    a.expect_table(T, &[(b"empty", b"")])
}

/// Bytes of every value, that no compression makes much shorter.
fn bytes(len: usize) -> Vec<u8> {
    (0..len as u64)
        .map(|at| (crate::random::permute(at / 8) >> (at % 8 * 8)) as u8)
        .collect()
}

pub(super) fn values(bench: &Bench) -> Check {
    let limit = bench.capabilities().value_len_max;
    let target = bench.open()?;
    let mut a = bench.actor("A", target.as_ref())?;
    let most = limit.unwrap_or(VALUE_MAX).min(VALUE_MAX);
    let every: Vec<u8> = (0..=255).collect();
    let mut written = vec![(b"every".to_vec(), every)];
    for len in [0, 1, 7, 100, 4096, 65_536, 100_000, 1 << 20, most] {
        if len <= most {
            written.push((format!("{len:08}").into_bytes(), bytes(len)));
        }
    }
    written.dedup_by(|a, b| a.0 == b.0);
    for (key, value) in &written {
        a.write(&[(T, key, Some(value))])?;
    }
    written.sort();
    let expected: Vec<(&[u8], &[u8])> = written
        .iter()
        .map(|(key, value)| (key.as_slice(), value.as_slice()))
        .collect();
    a.expect_table(T, &expected)?;
    if let Some(limit) = limit.filter(|&limit| limit < VALUE_MAX) {
        too_long(bench, &mut a, b"long", &bytes(limit + 1))?;
    }
    Ok(())
}

pub(super) fn keys(bench: &Bench) -> Check {
    let limit = bench.capabilities().key_len_max;
    let target = bench.open()?;
    let mut a = bench.actor("A", target.as_ref())?;
    let most = limit.unwrap_or(KEY_MAX).min(KEY_MAX);
    let mut keys: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
    for text in ["a", "aa", "ab", "aaa", "b", "user1", "user10", "user2", "\u{e9}"] {
        keys.push(text.as_bytes().to_vec());
    }
    for bytes in [
        &[0, 0][..],
        &[0, 0, 0],
        &[0, 1],
        &[0xff, 0],
        &[0xff, 0xff],
        &[0xff, 0xff, 0xff],
        &[b'a', 0],
        &[b'a', 0xff],
    ] {
        keys.push(bytes.to_vec());
    }
    for len in [most / 2, most - 1, most] {
        keys.push(vec![b'x'; len]);
        keys.push([&vec![b'x'; len - 1][..], b"y"].concat());
    }
    keys.retain(|key| key.len() <= most && !key.is_empty());
    keys.sort();
    keys.dedup();
    // In an order that is not that of the keys.
    let mut order: Vec<usize> = (0..keys.len()).collect();
    order.sort_by_key(|&at| crate::random::permute(at as u64));
    for half in order.chunks(keys.len() / 2) {
        let rows: Vec<Write<'_>> = half
            .iter()
            .map(|&at| (T, &keys[at][..], Some(&keys[at][..])))
            .collect();
        a.write(&rows)?;
    }
    let expected: Vec<(&[u8], &[u8])> = keys.iter().map(|key| (key.as_slice(), key.as_slice())).collect();
    a.expect_table(T, &expected)?;
    if let Some(limit) = limit.filter(|&limit| limit < KEY_MAX) {
        too_long(bench, &mut a, &vec![b'z'; limit + 1], b"v")?;
    }
    Ok(())
}

/// That what is longer than declared is an error, or else kept as it is.
fn too_long(bench: &Bench, a: &mut Actor<'_>, key: &[u8], value: &[u8]) -> Check {
    a.begin()?;
    bench.note(format!("A: put t:{} = {}", show(key), show(value)));
    let put = a.attempt_any(|session| session.put(T, key, value));
    if put.is_ok() {
        a.expect(T, key, Some(value))?;
    }
    a.rollback();
    Ok(())
}

pub(super) fn tables_apart(bench: &Bench) -> Check {
    let target = bench.open()?;
    let mut a = bench.actor("A", target.as_ref())?;
    a.write(&[
        (T, b"k", Some(b"of t")),
        (U, b"k", Some(b"of u")),
        (T, b"only t", Some(b"1")),
        (U, b"v", Some(b"2")),
    ])?;
    a.expect_table(T, &[(b"k", b"of t"), (b"only t", b"1")])?;
    a.expect_table(U, &[(b"k", b"of u"), (b"v", b"2")])?;
    a.write(&[(T, b"k", None)])?;
    a.expect_table(T, &[(b"only t", b"1")])?;
    a.expect_table(U, &[(b"k", b"of u"), (b"v", b"2")])
}
