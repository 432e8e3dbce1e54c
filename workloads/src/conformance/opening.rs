//! Rules about opening a database, and about what is not declared: it is refused, never made weaker in silence.

use crate::driver::{Durability, ErrorKind, Isolation, OpenMode, Target, TargetError};

use super::bench::{Actor, Bench, Check, T, does_not_apply};

pub(super) fn declared(bench: &Bench) -> Check {
    let own = bench.capabilities();
    let name = bench.factory().name();
    bench
        .steps
        .same(name, own.name.as_str(), |name| format!("the name `{name}`"))?;
    if own.durabilities.is_empty() || own.isolations.is_empty() {
        return Err(bench.broken("a durability and an isolation level", "none is declared"));
    }
    let target = bench.open()?;
    let mut of_target = target.capabilities().clone();
    // Options may change these, a page size for instance.
    (of_target.key_len_max, of_target.value_len_max) = (own.key_len_max, own.value_len_max);
    bench
        .steps
        .same(own, &of_target, |declared| format!("{declared:?}"))
}

pub(super) fn create_new(bench: &Bench) -> Check {
    bench.persistent()?;
    let mut options = bench.options()?;
    let target = bench.open_with(&options)?;
    bench
        .actor("A", target.as_ref())?
        .write(&[(T, b"k", Some(b"first"))])?;
    close(bench, target);
    bench.open_refused(&options, "create a database in the same directory")?;
    options.mode = OpenMode::Existing;
    let target = bench.open_with(&options)?;
    bench
        .actor("A", target.as_ref())?
        .expect_table(T, &[(b"k", b"first")])
}

pub(super) fn open_missing(bench: &Bench) -> Check {
    let mut options = bench.options()?;
    options.mode = OpenMode::Existing;
    bench.open_refused(&options, "open a database in a directory that is not there")?;
    if std::fs::create_dir_all(&options.dir).is_ok() {
        bench.open_refused(&options, "open a database in an empty directory")?;
    }
    options.mode = OpenMode::Create;
    let target = bench.open_with(&options)?;
    bench.actor("A", target.as_ref())?.expect_table(T, &[])
}

pub(super) fn declared_levels(bench: &Bench) -> Check {
    for &durability in &bench.capabilities().durabilities {
        let mut options = bench.options()?;
        options.durability = durability;
        let target = bench.open_with(&options)?;
        for isolation in bench.levels(Isolation::ReadUncommitted)? {
            let mut actor = Actor::new("A", target.as_ref(), isolation, durability, bench.steps.clone())?;
            actor.write(&[(T, b"k", Some(isolation.name().as_bytes()))])?;
            actor.expect_table(T, &[(b"k", isolation.name().as_bytes())])?;
        }
    }
    Ok(())
}

pub(super) fn declared_compressions(bench: &Bench) -> Check {
    if bench.capabilities().compressions.is_empty() {
        return does_not_apply("declared no compressions");
    }
    for codec in &bench.capabilities().compressions {
        bench.note(format!("compression {codec}"));
        let mut options = bench.options()?;
        options.compression = Some(codec.clone());
        let target = bench.open_with(&options)?;
        let told = target.settings().compression.map(|name| name.to_lowercase());
        if told
            .as_ref()
            .is_some_and(|told| !told.starts_with(&codec.to_lowercase()))
        {
            return Err(bench.broken(format!("settings that tell {codec}"), format!("{told:?}")));
        }
        let value = vec![b'v'; 5000];
        bench
            .actor("A", target.as_ref())?
            .write(&[(T, b"k", Some(&value))])?;
        if bench.capabilities().persistent {
            close(bench, target);
            options.mode = OpenMode::Existing;
            let target = bench.open_with(&options)?;
            bench
                .actor("A", target.as_ref())?
                .expect_table(T, &[(b"k", &value)])?;
        }
    }
    Ok(())
}

pub(super) fn cache_size(bench: &Bench) -> Check {
    if !bench.capabilities().cache_size {
        return does_not_apply("declared cache_size = false");
    }
    let told = |mib: u64| {
        let mut options = bench.options()?;
        options.cache_size_bytes = Some(mib << 20);
        bench.note(format!("cache size {mib} MiB"));
        let target = bench.open_with(&options)?;
        bench
            .actor("A", target.as_ref())?
            .write(&[(T, b"k", Some(b"v"))])?;
        Ok(target.settings().cache_size_bytes)
    };
    match (told(8)?, told(64)?) {
        (Some(small), Some(large)) if small >= large => Err(bench.broken(
            "more memory for 64 MiB than for 8 MiB",
            format!("{large} bytes and {small} bytes"),
        )),
        _ => Ok(()),
    }
}

/// That an error is of kind unsupported.
fn unsupported(bench: &Bench, error: &TargetError) -> Check {
    if error.kind() == ErrorKind::Unsupported {
        Ok(())
    } else {
        Err(bench.broken("an error of kind unsupported", error.to_string()))
    }
}

pub(super) fn isolation_refused(bench: &Bench) -> Check {
    let declared = &bench.capabilities().isolations;
    let target = bench.open()?;
    let mut is_any = false;
    for isolation in Isolation::ALL
        .into_iter()
        .filter(|level| !declared.contains(level))
    {
        is_any = true;
        for read_only in [false, true] {
            let mut actor = bench.actor_at("A", target.as_ref(), isolation)?;
            let options = actor.tx_options(read_only);
            let error = actor.refused(
                &format!("begin ({isolation}, read_only = {read_only})"),
                |session| session.begin(&options),
            )?;
            unsupported(bench, &error)?;
            actor.isolation = bench.isolation()?;
            actor.begin()?;
            actor.rollback();
        }
    }
    if is_any {
        Ok(())
    } else {
        does_not_apply("declared every isolation level")
    }
}

pub(super) fn durability_refused(bench: &Bench) -> Check {
    let declared = &bench.capabilities().durabilities;
    let undeclared: Vec<Durability> = Durability::ALL
        .into_iter()
        .filter(|level| !declared.contains(level))
        .collect();
    for &durability in &undeclared {
        // Fixed at open or asked for by each transaction: one of the two refuses.
        let mut options = bench.options()?;
        options.durability = durability;
        bench.note(format!("open for durability {durability}"));
        let error = match bench.factory().open(&options) {
            Err(error) => error,
            Ok(target) => {
                let mut actor = Actor::new(
                    "A",
                    target.as_ref(),
                    bench.isolation()?,
                    durability,
                    bench.steps.clone(),
                )?;
                let options = actor.tx_options(false);
                actor.refused(&format!("begin ({durability})"), |session| {
                    session.begin(&options)
                })?
            }
        };
        unsupported(bench, &error)?;
    }
    if undeclared.is_empty() {
        does_not_apply("declared every durability")
    } else {
        Ok(())
    }
}

pub(super) fn compression_refused(bench: &Bench) -> Check {
    let mut options = bench.options()?;
    options.compression = Some("no-such-codec".to_owned());
    unsupported(
        bench,
        &bench.open_refused(&options, "create with compression no-such-codec")?,
    )
}

pub(super) fn setting_refused(bench: &Bench) -> Check {
    let mut options = bench.options()?;
    options.engine_settings = vec![("no_such_setting".to_owned(), "1".to_owned())];
    unsupported(
        bench,
        &bench.open_refused(&options, "create with the setting no_such_setting = 1")?,
    )
}

pub(super) fn checked_before(bench: &Bench) -> Check {
    let mut setting = bench.options()?;
    setting.engine_settings = vec![("no-such-setting".to_owned(), "1".to_owned())];
    let mut asked = vec![("a setting no-such-setting = 1".to_owned(), setting, false)];
    let codecs = bench.capabilities().compressions.iter();
    // Not to compress is what an engine without compression does.
    for (codec, is_there) in codecs
        .map(|codec| (codec.as_str(), true))
        .chain([("NONE", true), ("no-such-codec", false)])
    {
        let mut options = bench.options()?;
        options.compression = Some(codec.to_owned());
        asked.push((format!("compression {codec}"), options, is_there));
    }
    for (what, options, is_there) in asked {
        bench.note(format!("check {what}"));
        match (bench.check(&options), is_there) {
            (Ok(()), true) => drop(bench.open_with(&options)?),
            (Err(error), false) => unsupported(bench, &error)?,
            (Ok(()), false) => return Err(bench.broken("an error", "no objection")),
            (Err(error), true) => return Err(bench.broken("no objection", error.to_string())),
        }
    }
    Ok(())
}

pub(super) fn unknown_table(bench: &Bench) -> Check {
    let target = bench.open()?;
    let unknown = crate::driver::TableRef(99);
    let mut actor = bench.actor("A", target.as_ref())?;
    actor.begin()?;
    actor.refused("get from table 99", |session| {
        session.get(unknown, b"k", &mut Vec::new())
    })?;
    actor.rollback();
    actor.begin()?;
    actor.refused("put into table 99", |session| session.put(unknown, b"k", b"v"))?;
    actor.rollback();
    Ok(())
}

/// Closes a database, as a step.
pub(super) fn close(bench: &Bench, target: Box<dyn Target>) {
    bench.note("close the database");
    drop(target);
}
