//! Rules about what is there in a later life of a database.

use std::path::Path;

use crate::driver::{ErrorKind, OpenMode, TableRef};
use crate::random::permute;

use super::bench::{Actor, Bench, Check, T, U, does_not_apply};
use super::opening::close;

pub(super) fn reopened(bench: &Bench) -> Check {
    bench.persistent()?;
    for &durability in &bench.capabilities().durabilities {
        let mut options = bench.options()?;
        options.durability = durability;
        let target = bench.open_with(&options)?;
        let mut a = Actor::new(
            "A",
            target.as_ref(),
            bench.isolation()?,
            durability,
            bench.steps.clone(),
        )?;
        a.write(&[
            (T, b"a", Some(b"1")),
            (T, b"b", Some(b"2")),
            (U, b"a", Some(b"3")),
        ])?;
        a.write(&[(T, b"a", Some(b"changed")), (T, b"b", None)])?;
        a.begin()?;
        a.put(T, b"c", b"never committed")?;
        bench.note("A: drop the session");
        drop(a);
        close(bench, target);
        options.mode = OpenMode::Existing;
        for _ in 0..2 {
            let target = bench.open_with(&options)?;
            let mut a = bench.actor("A", target.as_ref())?;
            a.expect_table(T, &[(b"a", b"changed")])?;
            a.expect_table(U, &[(b"a", b"3")])?;
            drop(a);
            close(bench, target);
        }
    }
    Ok(())
}

pub(super) fn reopened_many(bench: &Bench) -> Check {
    const LIVES: u64 = 3;
    const ROWS: u64 = 1500;
    bench.persistent()?;
    let mut options = bench.options()?;
    let mut model = std::collections::BTreeMap::new();
    for life in 0..LIVES {
        let target = bench.open_with(&options)?;
        let mut a = bench.actor("A", target.as_ref())?;
        for batch in 0..ROWS / 100 {
            a.begin()?;
            for row in 0..100 {
                let draw = permute(life * ROWS + batch * 100 + row);
                let key = format!("{:05}", draw % 3000).into_bytes();
                if draw >> 60 == 0 {
                    a.delete(T, &key)?;
                    model.remove(&key);
                } else {
                    let value = vec![b'a' + (draw % 26) as u8; (draw >> 40) as usize % 400];
                    a.put(T, &key, &value)?;
                    model.insert(key, value);
                }
            }
            a.commit()?;
        }
        drop(a);
        close(bench, target);
        options.mode = OpenMode::Existing;
        let target = bench.open_with(&options)?;
        expect(bench, &mut bench.actor("A", target.as_ref())?, T, &model)?;
        if bench.capabilities().verify {
            target
                .verify()
                .map_err(|error| bench.broken("a good database", error.to_string()))?;
        }
    }
    Ok(())
}

fn expect(
    bench: &Bench,
    a: &mut Actor<'_>,
    table: TableRef,
    model: &std::collections::BTreeMap<Vec<u8>, Vec<u8>>,
) -> Check {
    a.begin_read_only()?;
    let found: std::collections::BTreeMap<_, _> = a
        .scan(table, b"", usize::MAX, crate::driver::Direction::Forward)?
        .into_iter()
        .collect();
    a.rollback();
    let wrong = model
        .iter()
        .filter(|(key, value)| found.get(*key) != Some(value))
        .count();
    let more = found.keys().filter(|key| !model.contains_key(*key)).count();
    if (wrong, more) == (0, 0) {
        return Ok(());
    }
    Err(bench.broken(
        format!("{} rows as they were committed", model.len()),
        format!(
            "{} rows; {wrong} are missing or have other values, {more} are too many",
            found.len()
        ),
    ))
}

pub(super) fn sync(bench: &Bench) -> Check {
    bench.persistent()?;
    let options = bench.options()?;
    let target = bench.open_with(&options)?;
    let mut a = bench.actor("A", target.as_ref())?;
    a.write(&[(T, b"a", Some(b"1")), (U, b"b", Some(&[b'v'; 3000]))])?;
    a.write(&[(T, b"c", Some(b"3"))])?;
    bench.note("sync");
    target
        .sync()
        .map_err(|error| bench.broken("success", error.to_string()))?;
    // A checkpoint of the engine's own may come between two files of a copy; hardly between those of each.
    let mut result = Ok(());
    for _ in 0..3 {
        let mut copied = bench.options()?;
        bench.note("copy the directory, with the database open, and open the copy");
        if let Err(error) = copy(&options.dir, &copied.dir) {
            return Err(bench.broken("a copy", error.to_string()));
        }
        copied.mode = OpenMode::Existing;
        result = bench.open_with(&copied).and_then(|copy| {
            let mut a = bench.actor("A", copy.as_ref())?;
            a.expect_table(T, &[(b"a", b"1"), (b"c", b"3")])?;
            a.expect_table(U, &[(b"b", &[b'v'; 3000])])
        });
        if result.is_ok() {
            break;
        }
    }
    result
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

pub(super) fn not_persistent(bench: &Bench) -> Check {
    if bench.capabilities().persistent {
        return does_not_apply("declared persistent = true");
    }
    let target = bench.open()?;
    bench.note("sync");
    match target.sync() {
        Err(error) if error.kind() == ErrorKind::Unsupported => Ok(()),
        Err(error) => Err(bench.broken("an error of kind unsupported", error.to_string())),
        Ok(()) => Err(bench.broken("an error of kind unsupported", "success")),
    }
}
