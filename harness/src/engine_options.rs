//! How the databases of one engine are opened in a run: what all engines are asked for, what `--set ENGINE.KEY=VALUE` asks of
//! this one, and what it would choose by itself and differently each time, chosen once.
//!
//! An engine that cannot do what is asked is refused before anything is made. A bound that keeps nothing is none of the
//! compared: what only files can have is left out for it, and its notes say so.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use units::{parse_duration, parse_size};
use workloads::driver::{OpenOptions, TargetFactory};

use crate::drivers::factory;
use crate::error::{HarnessError, Result};
use crate::values::parts;

/// Settings that every engine has, by the names that `--set` gives them.
pub(crate) const COMMON: [(&str, &str); 3] = [
    ("cache-size", "memory for its page cache, where it has one"),
    ("compression", "compression of stored data, where it has that"),
    ("busy-timeout", "how long a transaction waits for another's lock"),
];

/// The least cache, as in specifications.
const CACHE_SIZE_MIN: u64 = 64 << 10;

/// What `--set` was given: a setting of one engine, with one value or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// The engine.
    pub engine: String,
    /// The setting.
    pub name: String,
    /// Its values.
    pub values: Vec<String>,
}

impl Setting {
    /// From `ENGINE.KEY=VALUE`.
    ///
    /// # Errors
    /// What was expected.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let found = text.split_once('=').and_then(|(left, value)| {
            // Names of engines may have points, those of settings not.
            let (engine, name) = left.rsplit_once('.')?;
            let is_there = |text: &str| !text.trim().is_empty();
            (is_there(engine) && is_there(name) && is_there(value)).then_some((engine, name, value))
        });
        let (engine, name, value) = found.ok_or_else(|| {
            format!(
                "`{text}` is not a setting; expected ENGINE.KEY=VALUE, for instance palimpsest.page-size=8KiB (`harness list` \
                 has them)"
            )
        })?;
        let values: Vec<String> = parts(value)?.into_iter().map(str::to_owned).collect();
        // The same value in two spellings is one, and not two cases.
        let size = |value: &String| parse_size(value).map_or_else(|_| value.clone(), |size| size.to_string());
        for (at, value) in values.iter().enumerate() {
            if values[..at].iter().any(|other| size(other) == size(value)) {
                return Err(format!("`{value}` is there twice"));
            }
        }
        Ok(Self {
            engine: engine.trim().to_owned(),
            name: name.trim().replace('_', "-"),
            values,
        })
    }

    /// Its name with that of its engine.
    pub(crate) fn full_name(&self) -> String {
        format!("{}.{}", self.engine, self.name)
    }
}

/// How databases of one engine are opened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EngineOptions {
    /// Memory for the cache, in bytes; `None` leaves the engine's default.
    pub cache_size_bytes: Option<u64>,
    /// Compression of stored data; `None` leaves the engine's default.
    pub compression: Option<String>,
    /// How long a transaction waits for another's lock; `None` leaves the scenario's default.
    pub busy_timeout: Option<Duration>,
    /// The engine's own settings.
    pub settings: Vec<(String, String)>,
    /// What was left out for it, in words.
    pub notes: Vec<String>,
}

impl EngineOptions {
    /// What was asked of every engine, which one of them may not be able to do.
    ///
    /// # Errors
    /// Usage, with what the engine has.
    pub(crate) fn of_all(
        engine: &str,
        cache_size_bytes: Option<u64>,
        compression: Option<&str>,
        busy_timeout: Option<Duration>,
    ) -> Result<Self> {
        let factory = factory(engine)?;
        let capabilities = factory.capabilities();
        let mut options = Self {
            cache_size_bytes,
            compression: compression.map(str::to_owned),
            busy_timeout,
            ..Self::default()
        };
        if !capabilities.persistent {
            if options.cache_size_bytes.take().is_some() && !capabilities.cache_size {
                options
                    .notes
                    .push(format!("{engine} has no cache of a settable size"));
            }
            if let Some(codec) = options
                .compression
                .take()
                .filter(|_| capabilities.compressions.is_empty())
            {
                options
                    .notes
                    .push(format!("{engine} does not compress (asked for {codec})"));
            }
        }
        if options.cache_size_bytes.is_some() && !capabilities.cache_size {
            return Err(HarnessError::Usage(format!(
                "{engine} has no cache of a settable size; leave out --cache-size or this engine"
            )));
        }
        Ok(options)
    }

    /// Adds a setting of this engine alone, which outweighs what was asked of all.
    ///
    /// # Errors
    /// Usage, when a common one has a value that cannot be read.
    pub(crate) fn set(&mut self, engine: &str, name: &str, value: &str) -> Result<()> {
        let wrong = |error: String| HarnessError::Usage(format!("--set {engine}.{name}={value}: {error}"));
        match name {
            "cache-size" => {
                if !factory(engine)?.capabilities().cache_size {
                    return Err(wrong(format!("{engine} has no cache of a settable size")));
                }
                let bytes = parse_size(value).map_err(wrong)?;
                if bytes < CACHE_SIZE_MIN {
                    return Err(wrong(format!(
                        "expected at least {}",
                        units::exact_size(CACHE_SIZE_MIN)
                    )));
                }
                self.cache_size_bytes = Some(bytes);
            }
            "compression" => self.compression = Some(value.to_owned()),
            "busy-timeout" => self.busy_timeout = Some(parse_duration(value).map_err(wrong)?),
            _ => {
                self.settings.retain(|(known, _)| known != name);
                self.settings.push((name.to_owned(), value.to_owned()));
            }
        }
        Ok(())
    }

    /// That the engine takes all of it.
    ///
    /// # Errors
    /// Usage, with what there is.
    pub(crate) fn check(&self, engine: &str) -> Result<()> {
        let memory = crate::probe::environment::memory_bytes();
        if let Some((asked, there)) = self.cache_size_bytes.zip(memory)
            && asked > there
        {
            return Err(HarnessError::Usage(format!(
                "{engine}: a cache of {} is more than the memory of this machine ({})",
                units::bytes(asked),
                units::bytes(there)
            )));
        }
        let mut options = OpenOptions::create("unused", ["t"]);
        self.apply(&mut options);
        let refused = |error: workloads::driver::TargetError| {
            let message = error.message();
            // Most name it themselves.
            let of = if message.contains(engine) {
                String::new()
            } else {
                format!("{engine}: ")
            };
            HarnessError::Usage(format!(
                "{of}{message} (`harness list` has what each engine takes)"
            ))
        };
        factory(engine)?.check(&options).map_err(refused)
    }

    /// Adds what the engine would choose by trying out the machine, where nothing was asked for, with the help of the
    /// directory `dir`, which is made and removed.
    ///
    /// # Errors
    /// When it cannot be tried.
    pub(crate) fn choose(&mut self, factory: &dyn TargetFactory, dir: &Path) -> Result<()> {
        std::fs::create_dir_all(dir).map_err(|error| HarnessError::io("make", dir, &error))?;
        let chosen = factory.chosen(dir).map_err(|error| {
            HarnessError::Run(format!(
                "cannot try out the machine for {}: {error}",
                factory.name()
            ))
        })?;
        std::fs::remove_dir(dir).map_err(|error| HarnessError::io("remove", dir, &error))?;
        self.add_missing(&chosen);
        Ok(())
    }

    /// Adds settings that it does not have yet.
    pub(crate) fn add_missing(&mut self, settings: &[(String, String)]) {
        for (name, value) in settings {
            if !self.settings.iter().any(|(known, _)| known == name) {
                self.settings.push((name.clone(), value.clone()));
            }
        }
    }

    /// Puts it into the options of a database.
    pub(crate) fn apply(&self, options: &mut OpenOptions) {
        options.cache_size_bytes = self.cache_size_bytes;
        options.compression.clone_from(&self.compression);
        if let Some(timeout) = self.busy_timeout {
            options.busy_timeout = timeout;
        }
        options.engine_settings.extend(self.settings.iter().cloned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_has_an_engine_a_name_and_values() {
        let setting = Setting::parse("palimpsest.page_size=4KiB,16KiB").unwrap();
        assert_eq!(setting.full_name(), "palimpsest.page-size");
        assert_eq!(setting.values, ["4KiB", "16KiB"]);
        for bad in [
            "page-size=4KiB",
            "palimpsest.page-size",
            "palimpsest.=1",
            ".x=1",
            "a.b=",
            "a.b=1,",
            "a.b=1,1",
            "a.b=4KiB,4096",
        ] {
            assert!(Setting::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_an_engine_does_not_have_is_refused_with_what_it_has() {
        let refusal = |name: &str, value: &str| {
            let mut options = EngineOptions::default();
            options
                .set("palimpsest", name, value)
                .and_then(|()| options.check("palimpsest"))
                .unwrap_err()
                .to_string()
        };
        for (name, value, expected) in [
            ("page-sizes", "8KiB", "did you mean `page-size`"),
            ("page-size", "8KB", "power of two"),
            ("compression", "BROTLI", "it has LZ4, NONE, ZSTD"),
            ("busy-timeout", "soon", "not a duration"),
            ("cache-size", "much", "not a size"),
        ] {
            let message = refusal(name, value);
            assert!(message.contains(expected), "{message}");
        }
        let mut options = EngineOptions::default();
        let message = options
            .set("memory", "cache-size", "1MiB")
            .unwrap_err()
            .to_string();
        assert!(message.contains("no cache of a settable size"), "{message}");
    }

    #[test]
    fn a_bound_is_let_off_what_only_files_can_have_and_says_so() {
        let options = EngineOptions::of_all("memory", Some(1 << 20), Some("LZ4"), None).unwrap();
        options.check("memory").unwrap();
        assert_eq!(
            (options.cache_size_bytes, options.compression.as_deref()),
            (None, None)
        );
        assert_eq!(options.notes.len(), 2, "{:?}", options.notes);
    }

    #[test]
    fn what_is_set_for_one_engine_outweighs_what_is_asked_of_all() {
        let mut options = EngineOptions::of_all(
            "palimpsest",
            Some(1 << 20),
            Some("LZ4"),
            Some(Duration::from_secs(1)),
        )
        .unwrap();
        for (name, value) in [
            ("cache-size", "8MiB"),
            ("compression", "ZSTD:5"),
            ("busy-timeout", "20ms"),
            ("page-size", "4KiB"),
            ("page-size", "8KiB"),
        ] {
            options.set("palimpsest", name, value).unwrap();
        }
        options.check("palimpsest").unwrap();
        let mut open = OpenOptions::create("unused", ["t"]);
        options.apply(&mut open);
        assert_eq!(open.cache_size_bytes, Some(8 << 20));
        assert_eq!(open.compression.as_deref(), Some("ZSTD:5"));
        assert_eq!(open.busy_timeout, Duration::from_millis(20));
        assert_eq!(
            open.engine_settings,
            [("page-size".to_owned(), "8KiB".to_owned())]
        );
    }

    #[test]
    fn the_way_to_sync_is_chosen_once_and_not_where_it_was_asked_for() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("trial");
        let factory = factory("palimpsest").unwrap();
        let mut options = EngineOptions::default();
        options.choose(factory.as_ref(), &directory).unwrap();
        let [(name, value)] = options.settings.as_slice() else {
            panic!("{:?}", options.settings)
        };
        assert_eq!(name, "wal-sync");
        assert!(["fdatasync", "direct"].contains(&value.as_str()), "{value}");
        assert!(!directory.exists());
        let mut asked = EngineOptions::default();
        asked.set("palimpsest", "wal-sync", "direct").unwrap();
        asked.choose(factory.as_ref(), &directory).unwrap();
        assert_eq!(asked.settings, [("wal-sync".to_owned(), "direct".to_owned())]);
    }
}
