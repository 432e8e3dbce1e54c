//! Rules about sessions on several threads at once. What each thread did is known, so whatever the order was, the sum is.

use std::time::Duration;

use crate::driver::{Committed, Isolation, Target};

use super::bench::{Actor, Attempt, Bench, Check, Steps, T, U, does_not_apply};

const THREADS: usize = 4;
/// Attempts after which a transaction counts as never succeeding: with pauses, more than half a minute.
const ATTEMPTS: u32 = 20_000;

/// Runs a transaction until it commits; between attempts it waits a little.
fn until_committed(actor: &mut Actor<'_>, body: impl Fn(&mut Actor<'_>) -> Attempt) -> Check<Committed> {
    for attempt in 0..ATTEMPTS {
        if actor.try_begin(false)?.is_ok()
            && body(actor)?.is_ok()
            && let Ok(committed) = actor.try_commit()?
        {
            return Ok(committed);
        }
        actor.rollback();
        std::thread::sleep(Duration::from_micros(u64::from(attempt.min(100)) * 20));
    }
    Err(actor.steps.broken(
        "success after some attempts",
        format!("{ATTEMPTS} attempts failed"),
    ))
}

/// Runs `work` on each thread with a session of its own.
fn on_threads<R: Send>(
    bench: &Bench,
    target: &dyn Target,
    level: Isolation,
    work: impl Fn(usize, &mut Actor<'_>) -> Check<R> + Sync,
) -> Check<Vec<R>> {
    let durability = bench.durability()?;
    let results: Vec<Check<R>> = std::thread::scope(|scope| {
        let spawn = |thread: usize| {
            let work = &work;
            scope.spawn(move || {
                let name = ["A", "B", "C", "D"][thread % THREADS];
                let mut actor = Actor::new(name, target, level, durability, Steps::default())?;
                work(thread, &mut actor)
            })
        };
        let threads: Vec<_> = (0..THREADS).map(spawn).collect();
        threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    });
    results.into_iter().collect()
}

pub(super) fn threads(bench: &Bench) -> Check {
    const ROUNDS: u32 = 60;
    for level in bench.levels(Isolation::ReadUncommitted)? {
        let target = bench.open()?;
        bench.note(format!(
            "{THREADS} threads insert {ROUNDS} rows each, and delete a third of them, at {level}"
        ));
        on_threads(bench, target.as_ref(), level, |thread, actor| {
            for round in 0..ROUNDS {
                let key = format!("{thread}-{round:03}").into_bytes();
                until_committed(actor, |actor| {
                    let first = actor.try_put(T, &key, &key)?;
                    if first.is_err() {
                        return Ok(first);
                    }
                    actor.try_put(U, &key, &key)
                })?;
                if round % 3 == 0 {
                    until_committed(actor, |actor| Ok(actor.try_delete(T, &key)?.map(drop)))?;
                }
            }
            Ok(())
        })?;
        let keys = |all: bool| {
            let of_thread = move |thread| {
                (0..ROUNDS)
                    .filter(move |round| all || round % 3 > 0)
                    .map(move |round| format!("{thread}-{round:03}").into_bytes())
            };
            (0..THREADS).flat_map(of_thread).collect::<Vec<_>>()
        };
        let mut actor = bench.actor_at("E", target.as_ref(), level)?;
        for (table, keys) in [(T, keys(false)), (U, keys(true))] {
            let rows: Vec<(&[u8], &[u8])> = keys.iter().map(|key| (key.as_slice(), key.as_slice())).collect();
            actor.expect_table(table, &rows)?;
        }
    }
    Ok(())
}

fn number(value: Option<Vec<u8>>) -> u64 {
    value
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u64::from_be_bytes)
}

pub(super) fn increments(bench: &Bench) -> Check {
    const ROUNDS: u64 = 50;
    let locks = bench.capabilities().locks_rows;
    let from = if locks {
        Isolation::ReadUncommitted
    } else {
        Isolation::Snapshot
    };
    let Ok(levels) = bench.levels(from) else {
        return does_not_apply("declared locks_rows = false and no isolation from snapshot on");
    };
    for level in levels {
        let target = bench.open()?;
        bench
            .actor("A", target.as_ref())?
            .write(&[(T, b"count", Some(&0_u64.to_be_bytes()))])?;
        bench.note(format!(
            "{THREADS} threads add 1 to a row {ROUNDS} times each, at {level}"
        ));
        on_threads(bench, target.as_ref(), level, |_, actor| {
            for _ in 0..ROUNDS {
                until_committed(actor, |actor| {
                    let read = if locks {
                        actor.try_get_for_update(T, b"count")?
                    } else {
                        actor.try_get(T, b"count")?
                    };
                    match read {
                        Err(error) => Ok(Err(error)),
                        Ok(value) => {
                            std::thread::yield_now();
                            actor.try_put(T, b"count", &(number(value) + 1).to_be_bytes())
                        }
                    }
                })?;
            }
            Ok(())
        })?;
        let mut actor = bench.actor("E", target.as_ref())?;
        actor.begin_read_only()?;
        let sum = number(actor.get(T, b"count")?);
        bench.steps.same(&(ROUNDS * THREADS as u64), &sum, |sum| {
            format!("the row counts {sum}")
        })?;
    }
    Ok(())
}

pub(super) fn commit_ids_last(bench: &Bench) -> Check {
    const ROUNDS: u64 = 40;
    if !bench.capabilities().commit_ids {
        return does_not_apply("declared commit_ids = false");
    }
    let level = bench.isolation()?;
    let target = bench.open()?;
    bench.note(format!("{THREADS} threads write one row {ROUNDS} times each"));
    let commits = on_threads(bench, target.as_ref(), level, |thread, actor| {
        let mut last = None;
        for round in 0..ROUNDS {
            let value = format!("{thread}-{round}").into_bytes();
            let committed = until_committed(actor, |actor| actor.try_put(T, b"k", &value))?;
            last = last.max(Some((committed.commit_id, value)));
        }
        Ok(last)
    })?;
    let mut ids: Vec<_> = commits.into_iter().flatten().collect();
    ids.sort();
    let (id, value) = ids.pop().unwrap_or_default();
    let mut actor = bench.actor("E", target.as_ref())?;
    actor.begin_read_only()?;
    bench.note(format!("the greatest commit ID was {id:?}"));
    actor.expect(T, b"k", Some(&value))
}
