//! The engine's options by name, as `--set palimpsest.NAME=VALUE` gives them.
//!
//! One table has the name of each, what it takes, and what it does with it. What an open database ran with is told by the
//! engine itself ([`Options::values`]), so a record never says what was only asked for.

use engine::{Options, WalSync};
use units::{parse_count, parse_duration, parse_size};
use workloads::driver::{EngineSetting, OpenOptions, TargetError};

use super::failed;

/// Level for ZSTD when none is given, the library's own default.
const ZSTD_LEVEL: i32 = 3;

/// More threads than that would only wait for each other.
const REDO_THREADS_MAX: usize = 1024;
/// Pages that the engine's cache has at least: it would raise a smaller one by itself.
const CACHE_PAGES_MIN: u64 = 64;
/// What the engine counts for a row beside its key and value at least: 64 bytes for the change and 64 for its lock. A smaller
/// transaction can change nothing. What a larger one holds depends on its rows, and the engine says it when they come.
const TRANSACTION_BYTES_MIN: u64 = 128;

/// What is said of an option, and what it does to the engine's options. The error says what was expected.
type Entry = (EngineSetting, fn(Options, &str) -> Result<Options, String>);

const fn entry(
    name: &'static str,
    values: &'static str,
    about: &'static str,
    set: fn(Options, &str) -> Result<Options, String>,
) -> Entry {
    let is_fixed = false;
    (
        EngineSetting {
            name,
            values,
            about,
            is_fixed,
        },
        set,
    )
}

/// For what is chosen when a database is made.
const fn fixed((setting, set): Entry) -> Entry {
    let is_fixed = true;
    (EngineSetting { is_fixed, ..setting }, set)
}

static TABLE: [Entry; 12] = [
    fixed(entry(
        "page-size",
        "SIZE",
        "page size, a power of two from 4KiB to 64KiB (16KiB)",
        |options, text| Ok(options.page_size(size(text)?)),
    )),
    fixed(entry(
        "wal-segment-size",
        "SIZE",
        "size of the largest log segments, a multiple of 4KiB (16MiB)",
        |options, text| Ok(options.wal_segment_size(parse_size(text)?)),
    )),
    entry(
        "wal-sync",
        "fdatasync|direct|auto",
        "how the log is made durable (the faster, tried out once for a run; auto: at each open)",
        |options, text| {
            let sync: WalSync = text.parse().map_err(|error: engine::Error| error.to_string())?;
            Ok(options.wal_sync(sync))
        },
    ),
    entry(
        "max-transaction-size",
        "SIZE",
        "most bytes of changes in one transaction (1GiB)",
        |options, text| Ok(options.max_transaction_size(size(text)?)),
    ),
    entry(
        "version-budget",
        "SIZE",
        "most bytes of former row versions for open snapshots (256MiB)",
        |options, text| Ok(options.version_budget(size(text)?)),
    ),
    entry(
        "keep-versions",
        "N",
        "versions of each row that stay readable (1)",
        |options, text| Ok(options.keep_versions(count(text)?)),
    ),
    entry(
        "checkpoint",
        "automatic|manual",
        "manual: only when one is asked for (automatic)",
        |options, text| match text {
            "automatic" => Ok(options),
            "manual" => Ok(options
                .checkpoint_pages(usize::MAX)
                .checkpoint_wal_bytes(u64::MAX)
                .checkpoint_interval(None)),
            _ => Err("expected automatic or manual".to_owned()),
        },
    ),
    entry(
        "checkpoint-pages",
        "N",
        "checkpoint when so many pages have changed (never)",
        |options, text| Ok(options.checkpoint_pages(or_never(text, count)?.unwrap_or(usize::MAX))),
    ),
    entry(
        "checkpoint-wal-bytes",
        "SIZE",
        "checkpoint when so much log has been written (256MiB)",
        |options, text| {
            let bytes = or_never(text, parse_size)?;
            Ok(options.checkpoint_wal_bytes(bytes.unwrap_or(u64::MAX)))
        },
    ),
    entry(
        "checkpoint-interval",
        "TIME",
        "checkpoint after this time, or never (60s)",
        |options, text| Ok(options.checkpoint_interval(or_never(text, parse_duration)?)),
    ),
    entry(
        "background",
        "on|off",
        "a thread that checkpoints and prepares log segments (on)",
        |options, text| match text {
            "on" | "true" => Ok(options.background(true)),
            "off" | "false" => Ok(options.background(false)),
            _ => Err("expected on or off".to_owned()),
        },
    ),
    entry(
        "redo-threads",
        "N",
        "threads that redo the log at open (one for each processor)",
        |options, text| match count(text)? {
            threads @ 1..=REDO_THREADS_MAX => Ok(options.redo_threads(threads)),
            _ => Err(format!("expected 1 to {REDO_THREADS_MAX}")),
        },
    ),
];

/// What can be chosen.
pub(super) static SETTINGS: [EngineSetting; TABLE.len()] = {
    let mut settings = [TABLE[0].0; TABLE.len()];
    let mut at = 0;
    while at < TABLE.len() {
        settings[at] = TABLE[at].0;
        at += 1;
    }
    settings
};

fn size(text: &str) -> Result<usize, String> {
    usize::try_from(parse_size(text)?).map_err(|error| error.to_string())
}

fn count(text: &str) -> Result<usize, String> {
    usize::try_from(parse_count(text)?).map_err(|error| error.to_string())
}

fn or_never<T>(text: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>, String> {
    if text == "never" {
        return Ok(None);
    }
    read(text).map(Some)
}

/// The engine's options for the options of a run.
///
/// # Errors
/// Unsupported, for what it does not have or a value out of range; says which, and what was expected.
pub(super) fn engine_options(options: &OpenOptions) -> Result<Options, TargetError> {
    let mut engine = Options::new().busy_timeout(options.busy_timeout);
    if let Some(bytes) = options.cache_size_bytes {
        engine = engine.cache_size(usize::try_from(bytes).unwrap_or(usize::MAX));
    }
    if let Some(codec) = &options.compression {
        let (name, level) = match codec.split_once(':') {
            Some((name, level)) => {
                let level = level.parse().map_err(|_| {
                    TargetError::unsupported(format!("compression {codec}: the level is no number"))
                })?;
                (name, level)
            }
            None if codec.eq_ignore_ascii_case("ZSTD") => (codec.as_str(), ZSTD_LEVEL),
            None => (codec.as_str(), 0),
        };
        engine = engine.compression(&name.to_uppercase(), level).map_err(failed)?;
    }
    for (name, value) in &options.engine_settings {
        let (_, set) = TABLE
            .iter()
            .find(|(setting, _)| setting.name == name)
            .ok_or_else(|| TargetError::unsupported(format!("palimpsest has no setting `{name}`")))?;
        engine = set(engine, value)
            .map_err(|error| TargetError::unsupported(format!("palimpsest.{name}={value}: {error}")))?;
    }
    engine.check().map_err(failed)?;
    Ok(engine)
}

/// An option's number, by the name that the engine gives it; `None` where it is `never`.
fn number(options: &Options, name: &str) -> Option<u64> {
    let values = options.values();
    let (_, value) = values.iter().find(|(known, _)| *known == name)?;
    value.parse().ok()
}

/// Refuses sizes that the engine takes and that cannot work, or that it would change by itself. `memory` is that of the machine, in
/// bytes.
///
/// # Errors
/// Unsupported, with what was expected.
pub(super) fn check_sizes(options: &Options, memory: Option<u64>) -> Result<(), TargetError> {
    let refuse = |name: &str, bytes: u64, expected: String| {
        let bytes = units::exact_size(bytes);
        Err(TargetError::unsupported(format!(
            "palimpsest.{name}={bytes}: expected {expected}"
        )))
    };
    if let Some((cache, page)) = number(options, "cache_size").zip(number(options, "page_size"))
        && cache < CACHE_PAGES_MIN * page
    {
        let least = units::exact_size(CACHE_PAGES_MIN * page);
        return refuse(
            "cache-size",
            cache,
            format!("at least {CACHE_PAGES_MIN} pages, which is {least}"),
        );
    }
    if let Some(bytes) = number(options, "max_transaction_size")
        && bytes < TRANSACTION_BYTES_MIN
    {
        let least = units::exact_size(TRANSACTION_BYTES_MIN);
        return refuse(
            "max-transaction-size",
            bytes,
            format!("at least {least}, without which not one row can be changed"),
        );
    }
    let budget = number(options, "version_budget").unwrap_or(u64::MAX);
    if let Some(memory) = memory
        && budget > memory
    {
        let most = units::bytes(memory);
        return refuse(
            "version-budget",
            budget,
            format!("at most the memory of this machine, {most}"),
        );
    }
    Ok(())
}

/// What a database ran with, by the names above and those that all engines have. The log's way to sync is `sync`, which
/// only the open database knows.
pub(super) fn effective(options: &Options, sync: Option<&'static str>) -> Vec<(String, String)> {
    let values = options.values().into_iter();
    values
        .filter(|(name, _)| *name != "read_only")
        .map(|(name, value)| match (name, sync) {
            ("wal_sync", Some(sync)) => (name, sync.to_owned()),
            _ => (name, value),
        })
        .map(|(name, value)| (name.replace('_', "-"), value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(name: &str, value: &str) -> OpenOptions {
        let mut options = OpenOptions::create("unused", ["t"]);
        options.engine_settings = vec![(name.into(), value.into())];
        options
    }

    #[test]
    fn every_setting_changes_what_the_engine_tells_of_it() {
        let examples = [
            ("page-size", "8KiB", "8192"),
            ("wal-segment-size", "1MiB", "1048576"),
            ("wal-sync", "direct", "direct"),
            ("max-transaction-size", "2MiB", "2097152"),
            ("version-budget", "1MiB", "1048576"),
            ("keep-versions", "3", "3"),
            ("checkpoint-pages", "100", "100"),
            ("checkpoint-wal-bytes", "1MiB", "1048576"),
            ("checkpoint-interval", "never", "never"),
            ("background", "off", "false"),
            ("redo-threads", "7", "7"),
        ];
        assert_eq!(
            examples.len() + 1,
            SETTINGS.len(),
            "checkpoint is three others at once"
        );
        let of = |engine: &Options, name: &str| {
            let all = effective(engine, None);
            all.into_iter().find(|(known, _)| known == name).unwrap().1
        };
        for (name, value, expected) in examples {
            let plain = of(&Options::new(), name);
            let changed = of(&engine_options(&options(name, value)).unwrap(), name);
            assert_eq!(changed, expected, "{name}");
            assert_ne!(plain, changed, "{name}");
        }
        let manual = engine_options(&options("checkpoint", "manual")).unwrap();
        for name in ["checkpoint-wal-bytes", "checkpoint-interval", "checkpoint-pages"] {
            assert_eq!(of(&manual, name), "never");
        }
    }

    #[test]
    fn what_is_out_of_range_is_refused_with_what_was_expected() {
        for (name, value, expected) in [
            ("page-size", "5000", "power of two"),
            ("page-size", "big", "not a size"),
            ("wal-segment-size", "100", "multiple of 4096"),
            ("wal-sync", "fsync", "fdatasync or direct"),
            ("checkpoint", "often", "automatic or manual"),
            ("background", "perhaps", "on or off"),
            ("keep-versions", "0", "at least 1"),
            ("colour", "blue", "no setting `colour`"),
        ] {
            let error = engine_options(&options(name, value)).unwrap_err();
            assert_eq!(error.kind(), workloads::driver::ErrorKind::Unsupported);
            assert!(error.message().contains(expected), "{error}");
        }
    }

    #[test]
    fn sizes_that_cannot_work_or_would_be_changed_are_refused() {
        let refusal = |options: &OpenOptions| {
            let checked = check_sizes(&engine_options(options).unwrap(), Some(1 << 33));
            checked
                .err()
                .map(|error| error.message().to_owned())
                .unwrap_or_default()
        };
        for (name, value, expected) in [
            ("max-transaction-size", "127", "at least 128B"),
            ("max-transaction-size", "128", ""),
            ("version-budget", "1TiB", "at most the memory"),
            ("version-budget", "0", ""),
        ] {
            let said = refusal(&options(name, value));
            assert!(
                said.contains(expected) && said.is_empty() == expected.is_empty(),
                "{name}={value}: {said}"
            );
        }
        let mut small = options("page-size", "4KiB");
        small.cache_size_bytes = Some(256 << 10);
        assert_eq!(refusal(&small), "");
        small.engine_settings.clear();
        assert!(refusal(&small).contains("at least 64 pages, which is 1MiB"));
        for value in ["0", "1025"] {
            assert!(
                engine_options(&options("redo-threads", value)).is_err(),
                "{value}"
            );
        }
    }

    #[test]
    fn the_way_to_sync_is_that_of_the_open_database() {
        let all = effective(&Options::new(), Some("fdatasync"));
        assert!(all.contains(&("wal-sync".into(), "fdatasync".into())), "{all:?}");
    }
}
