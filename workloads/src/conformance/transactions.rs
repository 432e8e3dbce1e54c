//! Rules about where a transaction begins and ends, and who sees what of it. Two sessions take turns here, and never have
//! transactions open at once.

use crate::driver::{Direction, ErrorKind, RowBuffer, TableRef};

use super::bench::{Bench, Check, T, U, Write};

pub(super) fn outside(bench: &Bench) -> Check {
    let target = bench.open()?;
    let mut actor = bench.actor("A", target.as_ref())?;
    actor.rollback();
    let errors = [
        actor.refused("get", |session| session.get(T, b"k", &mut Vec::new()))?,
        actor.refused("put", |session| session.put(T, b"k", b"v"))?,
        actor.refused("delete", |session| session.delete(T, b"k"))?,
        actor.refused("scan", |session| {
            session.scan(T, b"", 1, Direction::Forward, &mut RowBuffer::new())
        })?,
        actor.refused("commit", |session| session.commit())?,
    ];
    if let Some(error) = errors.iter().find(|error| error.kind() != ErrorKind::Fatal) {
        return Err(bench.broken("an error of kind fatal", error.to_string()));
    }
    actor.write(&[(T, b"k", Some(b"v"))])?;
    actor.rollback();
    actor.expect_table(T, &[(b"k", b"v")])
}

pub(super) fn one(bench: &Bench) -> Check {
    let target = bench.open()?;
    let mut actor = bench.actor("A", target.as_ref())?;
    actor.begin()?;
    let options = actor.tx_options(false);
    actor.refused("begin again", |session| session.begin(&options))?;
    actor.rollback();
    actor.write(&[(T, b"k", Some(b"v"))]).map(drop)
}

pub(super) fn commit_visible(bench: &Bench) -> Check {
    let target = bench.open()?;
    let mut a = bench.actor("A", target.as_ref())?;
    let mut b = bench.actor("B", target.as_ref())?;
    // B has looked before, so that it could have kept what it saw.
    b.expect_table(T, &[])?;
    a.write(&[
        (T, b"k", Some(b"1")),
        (U, b"k", Some(b"2")),
        (T, b"l", Some(b"3")),
    ])?;
    b.expect_table(T, &[(b"k", b"1"), (b"l", b"3")])?;
    b.expect_table(U, &[(b"k", b"2")])?;
    a.write(&[(T, b"k", Some(b"changed")), (T, b"l", None)])?;
    b.expect_table(T, &[(b"k", b"changed")])?;
    a.expect_table(T, &[(b"k", b"changed")])?;
    bench
        .actor("C", target.as_ref())?
        .expect_table(U, &[(b"k", b"2")])
}

/// What the transactions of these rules do to a table with `a` and `b`, and that nothing came of it.
const CHANGES: [Write<'static>; 4] = [
    (T, b"a", Some(b"changed")),
    (T, b"b", None),
    (T, b"c", Some(b"new")),
    (U, b"c", Some(b"new")),
];
const BEFORE: [(&[u8], &[u8]); 2] = [(b"a", b"1"), (b"b", b"2")];

fn prepare(actor: &mut super::bench::Actor<'_>) -> Check {
    actor
        .write(&[(T, b"a", Some(b"1")), (T, b"b", Some(b"2"))])
        .map(drop)
}

fn change(actor: &mut super::bench::Actor<'_>) -> Check {
    actor.begin()?;
    for (table, key, value) in CHANGES {
        match value {
            Some(value) => actor.put(table, key, value)?,
            None => drop(actor.delete(table, key)?),
        }
    }
    Ok(())
}

pub(super) fn rollback_undone(bench: &Bench) -> Check {
    let target = bench.open()?;
    let mut a = bench.actor("A", target.as_ref())?;
    let mut b = bench.actor("B", target.as_ref())?;
    prepare(&mut a)?;
    for _ in 0..2 {
        change(&mut a)?;
        a.rollback();
        for actor in [&mut b, &mut a] {
            actor.expect_table(T, &BEFORE)?;
            actor.expect_table(U, &[])?;
        }
    }
    // A commit that follows takes nothing of it along.
    a.write(&[(T, b"d", Some(b"4"))])?;
    b.expect_table(T, &[(b"a", b"1"), (b"b", b"2"), (b"d", b"4")])
}

pub(super) fn dropped_undone(bench: &Bench) -> Check {
    let target = bench.open()?;
    let mut b = bench.actor("B", target.as_ref())?;
    prepare(&mut b)?;
    let mut a = bench.actor("A", target.as_ref())?;
    change(&mut a)?;
    bench.note("A: drop the session");
    drop(a);
    b.expect_table(T, &BEFORE)?;
    b.write(&[(T, b"a", Some(b"by B")), (T, b"b", None)])?;
    b.expect_table(T, &[(b"a", b"by B")])?;
    b.expect_table(U, &[])
}

pub(super) fn failed_undone(bench: &Bench) -> Check {
    let target = bench.open()?;
    let mut a = bench.actor("A", target.as_ref())?;
    prepare(&mut a)?;
    change(&mut a)?;
    a.refused("put into table 99", |session| {
        session.put(TableRef(99), b"k", b"v")
    })?;
    a.rollback();
    a.expect_table(T, &BEFORE)?;
    a.write(&[(T, b"a", Some(b"later"))])?;
    bench
        .actor("B", target.as_ref())?
        .expect_table(T, &[(b"a", b"later"), (b"b", b"2")])
}

pub(super) fn own_writes_get(bench: &Bench) -> Check {
    let target = bench.open()?;
    let mut a = bench.actor("A", target.as_ref())?;
    prepare(&mut a)?;
    change(&mut a)?;
    a.expect(T, b"a", Some(b"changed"))?;
    a.expect(T, b"b", None)?;
    a.expect(T, b"c", Some(b"new"))?;
    a.expect(U, b"c", Some(b"new"))?;
    let mut out = Vec::new();
    let found = a.must("get_for_update t:\"c\"", |session| {
        session.get_for_update(T, b"c", &mut out)
    })?;
    bench
        .steps
        .same(&Some(b"new".to_vec()), &found.then_some(out), |value| {
            super::bench::show_value(value.as_deref())
        })?;
    a.delete(T, b"c")?;
    a.expect(T, b"c", None)?;
    a.put(T, b"b", b"back")?;
    a.expect(T, b"b", Some(b"back"))?;
    a.commit()?;
    a.expect_table(T, &[(b"a", b"changed"), (b"b", b"back")])
}

pub(super) fn own_writes_scan(bench: &Bench) -> Check {
    use Direction::{Forward, Reverse};
    let target = bench.open()?;
    let mut a = bench.actor("A", target.as_ref())?;
    let rows: Vec<[u8; 1]> = (b'c'..=b'w').step_by(4).map(|key| [key]).collect();
    let rows: Vec<Write<'_>> = rows.iter().map(|key| (T, &key[..], Some(&b"old"[..]))).collect();
    a.write(&rows)?; // c g k o s w
    a.begin()?;
    a.put(T, b"a", b"new")?;
    a.put(T, b"h", b"new")?;
    a.put(T, b"z", b"new")?;
    a.put(T, b"k", b"changed")?;
    a.delete(T, b"o")?;
    a.delete(T, b"w")?;
    a.expect_scan(
        T,
        &[
            (b"a", b"new"),
            (b"c", b"old"),
            (b"g", b"old"),
            (b"h", b"new"),
            (b"k", b"changed"),
            (b"s", b"old"),
            (b"z", b"new"),
        ],
    )?;
    a.expect_keys(T, b"g", 3, Forward, &[b"g", b"h", b"k"])?;
    a.expect_keys(T, b"o", 2, Forward, &[b"s", b"z"])?;
    a.expect_keys(T, b"o", 3, Reverse, &[b"k", b"h", b"g"])?;
    a.expect_keys(T, b"", 2, Reverse, &[b"z", b"s"])?;
    a.delete(T, b"h")?;
    a.put(T, b"o", b"back")?;
    a.expect_keys(T, b"g", 3, Forward, &[b"g", b"k", b"o"])?;
    a.commit().map(drop)
}

pub(super) fn read_only(bench: &Bench) -> Check {
    let target = bench.open()?;
    let mut a = bench.actor("A", target.as_ref())?;
    prepare(&mut a)?;
    a.begin_read_only()?;
    a.expect(T, b"a", Some(b"1"))?;
    a.refused("put t:\"a\"", |session| session.put(T, b"a", b"changed"))?;
    a.rollback();
    a.begin_read_only()?;
    a.refused("delete t:\"a\"", |session| session.delete(T, b"a"))?;
    a.rollback();
    a.begin_read_only()?;
    a.expect_scan(T, &BEFORE)?;
    a.commit()?;
    a.expect_table(T, &BEFORE)
}
