//! Rules about what an engine does and tells beside rows: checkpoints, its own check, its figures.

use crate::driver::{ErrorKind, OpenMode, Target, TargetError, TargetStats};

use super::bench::{Actor, Bench, Check, T};
use super::opening::close;

/// That a call which is not declared is refused as unsupported.
fn undeclared(bench: &Bench, result: Result<(), TargetError>) -> Check {
    match result {
        Err(error) if error.kind() == ErrorKind::Unsupported => Ok(()),
        Err(error) => Err(bench.broken("an error of kind unsupported", error.to_string())),
        Ok(()) => Err(bench.broken(
            "an error of kind unsupported, since it is not declared",
            "success",
        )),
    }
}

pub(super) fn checkpoint(bench: &Bench) -> Check {
    let mut options = bench.options()?;
    let target = bench.open_with(&options)?;
    let mut a = bench.actor("A", target.as_ref())?;
    a.write(&[(T, b"a", Some(b"1")), (T, b"b", Some(b"2"))])?;
    let before = target.stats();
    bench.note("checkpoint");
    let done = target.checkpoint();
    if !bench.capabilities().checkpoint {
        return undeclared(bench, done);
    }
    done.map_err(|error| bench.broken("success", error.to_string()))?;
    if target.stats().since(&before).checkpoints == Some(0) {
        return Err(bench.broken("a checkpoint more than before", "the same number of checkpoints"));
    }
    a.expect_table(T, &[(b"a", b"1"), (b"b", b"2")])?;
    a.write(&[(T, b"b", None), (T, b"c", Some(b"3"))])?;
    a.expect_table(T, &[(b"a", b"1"), (b"c", b"3")])?;
    if bench.capabilities().persistent {
        drop(a);
        close(bench, target);
        options.mode = OpenMode::Existing;
        let target = bench.open_with(&options)?;
        bench
            .actor("A", target.as_ref())?
            .expect_table(T, &[(b"a", b"1"), (b"c", b"3")])?;
    }
    Ok(())
}

pub(super) fn verify(bench: &Bench) -> Check {
    let target = bench.open()?;
    let mut a = bench.actor("A", target.as_ref())?;
    work(&mut a, 300)?;
    bench.note("verify");
    let done = target.verify();
    if !bench.capabilities().verify {
        return undeclared(bench, done);
    }
    done.map_err(|error| bench.broken("nothing that is wrong", error.to_string()))
}

/// Commits that write: inserts, some of them deleted again.
fn work(actor: &mut Actor<'_>, commits: u32) -> Check {
    for number in 0..commits {
        let key = format!("{number:06}").into_bytes();
        actor.write(&[(T, &key, Some(&[b'v'; 500]))])?;
        if number % 4 == 3 {
            actor.write(&[(T, &key, None)])?;
        }
    }
    Ok(())
}

/// Commits that `work` makes.
const fn commits_of(work: u32) -> u64 {
    (work + work / 4) as u64
}

pub(super) fn counters(bench: &Bench) -> Check {
    let target = bench.open()?;
    let mut a = bench.actor("A", target.as_ref())?;
    let mut before = target.stats();
    for round in 0..8 {
        work(&mut a, 10)?;
        a.begin()?;
        a.put(T, b"k", b"rolled back")?;
        a.rollback();
        if round == 4 && bench.capabilities().checkpoint {
            target
                .checkpoint()
                .map_err(|error| bench.broken("success", error.to_string()))?;
        }
        let now = target.stats();
        compare(bench, &before, &now)?;
        before = now;
    }
    Ok(())
}

fn compare(bench: &Bench, before: &TargetStats, now: &TargetStats) -> Check {
    for ((name, earlier), (_, later)) in before.counters().into_iter().zip(now.counters()) {
        if earlier.is_some() && later < earlier {
            return Err(bench.broken(
                format!("{name} no less than before"),
                format!("{earlier:?}, and then {later:?}"),
            ));
        }
    }
    Ok(())
}

/// The figures before and after some work.
fn figures(bench: &Bench, target: &dyn Target, commits: u32) -> Check<TargetStats> {
    let mut a = bench.actor("A", target)?;
    let before = target.stats();
    work(&mut a, commits)?;
    a.begin()?;
    a.put(T, b"k", b"rolled back")?;
    a.rollback();
    Ok(target.stats().since(&before))
}

pub(super) fn commits_counted(bench: &Bench) -> Check {
    let target = bench.open()?;
    let stats = figures(bench, target.as_ref(), 40)?;
    if let Some(commits) = stats.commits {
        bench.steps.same(&commits_of(40), &commits, |commits| {
            format!("{commits} commits counted")
        })?;
    }
    if stats.rollbacks == Some(0) {
        return Err(bench.broken("the transaction that was rolled back counted", "0 rollbacks"));
    }
    Ok(())
}

pub(super) fn no_zero(bench: &Bench) -> Check {
    let capabilities = bench.capabilities();
    let mut options = bench.options()?;
    // The strongest, which is the one that must write.
    let Some(&durability) = capabilities.durabilities.first() else {
        return Ok(());
    };
    options.durability = durability;
    let target = bench.open_with(&options)?;
    let mut a = Actor::new(
        "A",
        target.as_ref(),
        bench.isolation()?,
        durability,
        bench.steps.clone(),
    )?;
    work(&mut a, 40)?;
    let stats = target.stats();
    let mut wrong = Vec::new();
    let mut refuse_zero = |name: &'static str, figure: Option<u64>, applies: bool| {
        if applies && figure == Some(0) {
            wrong.push(name);
        }
    };
    let written = capabilities.persistent && durability == crate::driver::Durability::Sync;
    refuse_zero("commits", stats.commits, true);
    refuse_zero("bytes_written", stats.bytes_written, written);
    refuse_zero("flushes", stats.flushes, written);
    refuse_zero("file_bytes", stats.file_bytes, written);
    refuse_zero("page_count", stats.page_count, written);
    // What nothing is kept in has none of these.
    for (name, figure) in [
        ("wal_bytes", stats.wal_bytes),
        ("bytes_written", stats.bytes_written),
        ("flushes", stats.flushes),
    ] {
        refuse_zero(name, figure, !capabilities.persistent);
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(bench.broken(
        "no figure (None) where it is not known",
        format!("0 for {}", wrong.join(", ")),
    ))
}
