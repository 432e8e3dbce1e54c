//! Rules about commit IDs.

use crate::driver::{Committed, OpenMode};

use super::bench::{Bench, Check, T, does_not_apply};
use super::opening::close;

pub(super) fn given(bench: &Bench) -> Check {
    let declared = bench.capabilities().commit_ids;
    let target = bench.open()?;
    let mut a = bench.actor("A", target.as_ref())?;
    let wrote = a.write(&[(T, b"k", Some(b"v"))])?.commit_id;
    if wrote.is_some() != declared {
        let expected = if declared {
            "a commit ID"
        } else {
            "no commit ID, since none are declared"
        };
        return Err(bench.broken(expected, format!("{wrote:?}")));
    }
    for read_only in [true, false] {
        if read_only {
            a.begin_read_only()?;
        } else {
            a.begin()?;
        }
        a.expect(T, b"k", Some(b"v"))?;
        let read = a.commit()?.commit_id;
        if read.is_some() {
            return Err(bench.broken(
                "no commit ID of a transaction that wrote nothing",
                format!("{read:?}"),
            ));
        }
    }
    Ok(())
}

fn declared(bench: &Bench) -> Check {
    if bench.capabilities().commit_ids {
        Ok(())
    } else {
        does_not_apply("declared commit_ids = false")
    }
}

/// That a commit comes after another, and returns its ID.
pub(super) fn after(bench: &Bench, before: Option<u64>, committed: Committed) -> Check<Option<u64>> {
    let id = committed.commit_id;
    if id.is_none() || id <= before {
        return Err(bench.broken(format!("a commit ID above {before:?}"), format!("{id:?}")));
    }
    Ok(id)
}

pub(super) fn rise(bench: &Bench) -> Check {
    declared(bench)?;
    let target = bench.open()?;
    let mut a = bench.actor("A", target.as_ref())?;
    let mut b = bench.actor("B", target.as_ref())?;
    let mut last = None;
    for round in 0..10_u8 {
        last = after(bench, last, a.write(&[(T, b"k", Some(&[round]))])?)?;
        last = after(bench, last, b.write(&[(T, b"other", Some(&[round]))])?)?;
        a.begin()?;
        a.put(T, b"k", b"never")?;
        a.rollback();
        last = after(bench, last, b.write(&[(T, b"k", None)])?)?;
    }
    Ok(())
}

pub(super) fn reopened(bench: &Bench) -> Check {
    declared(bench)?;
    bench.persistent()?;
    let mut options = bench.options()?;
    let mut last = None;
    for _ in 0..3 {
        let target = bench.open_with(&options)?;
        let mut a = bench.actor("A", target.as_ref())?;
        for round in 0..5_u8 {
            last = after(bench, last, a.write(&[(T, b"k", Some(&[round]))])?)?;
        }
        drop(a);
        close(bench, target);
        options.mode = OpenMode::Existing;
    }
    Ok(())
}
