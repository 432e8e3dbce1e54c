//! What was asked for: a run and what to change about it. The help of its options is the manual, so each says what it does,
//! in which unit, and its default; which scenarios take it is in their table.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use units::{parse_count, parse_duration, parse_number, parse_size};
use workloads::driver::{Durability, Isolation};
use workloads::spec::Overrides;

use crate::drivers::factory;
use crate::engine_options::{EngineOptions, Setting};
use crate::error::{HarnessError, Result};
use crate::values::{Values, first, list};

/// A run and what to change about its specification.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Request {
    /// Workload: a built-in name (`harness list`) or a TOML file.
    #[arg(short, long, value_name = "NAME|FILE.toml")]
    pub workload: Option<String>,
    /// Engines to run, in turn.
    #[arg(
        short,
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "palimpsest,memory"
    )]
    pub engine: Vec<String>,
    /// Concurrent sessions, each on its own thread; several values, as in 1,2,4, make a run of each, drawn as curves
    /// [default: the specification's].
    #[arg(short, long, value_name = "N,..", value_parser = list(parse_threads))]
    pub threads: Option<Values<u16>>,
    /// Rows to load into each table: a whole number such as 100000, 100k, 1M or 1e6; several values make a run of each
    /// [default: the specification's].
    #[arg(short, long, value_name = "N,..", value_parser = list(parse_count))]
    pub rows: Option<Values<u64>>,
    /// Bytes of a value, for instance 100 or 1KiB; several values make a run of each [default: the specification's].
    #[arg(long, value_name = "SIZE,..", value_parser = list(parse_size))]
    pub value_size: Option<Values<u64>>,
    /// Length of the timed run, for instance 10s or 2m [default: the specification's].
    #[arg(short, long, value_name = "TIME", value_parser = parse_duration)]
    pub duration: Option<Duration>,
    /// Length of the warm-up, which is shown but not counted [default: the specification's].
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub warmup: Option<Duration>,
    /// Repetitions of each engine; repetitions of different engines interleave [default: the specification's].
    #[arg(long, value_name = "N", value_parser = |text: &str| count_up_to(text, 1000))]
    pub repeat: Option<u32>,
    /// Open loop: transactions offered each second over all threads, at random (Poisson) times; latency then counts
    /// from the intended start. Without it each thread starts its next transaction when the last has ended. Several values
    /// make a run of each.
    #[arg(long, value_name = "PER_SECOND,..", value_parser = list(parse_rate))]
    pub rate: Option<Values<f64>>,
    /// What a commit must survive before it is acknowledged: sync, no-sync [default: the specification's].
    #[arg(long, value_name = "LEVEL", value_parser = str::parse::<Durability>)]
    pub durability: Option<Durability>,
    /// Isolation level: read-committed, snapshot, ... [default: the specification's].
    #[arg(long, value_name = "LEVEL", value_parser = str::parse::<Isolation>)]
    pub isolation: Option<Isolation>,
    /// Memory for the engine's page cache, for instance 64MiB; several values make a run of each [default: the
    /// specification's, else the engine's].
    #[arg(long, value_name = "SIZE,..", value_parser = list(parse_size))]
    pub cache_size: Option<Values<u64>>,
    /// Compression of stored data, where the engine has it: NONE, LZ4, ZSTD [default: the engine's].
    #[arg(long, value_name = "CODEC")]
    pub compression: Option<String>,
    /// How long a transaction waits for another's lock, for instance 100ms [default: 1s].
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub busy_timeout: Option<Duration>,
    /// A setting of one engine, for instance palimpsest.page-size=8KiB; `harness list` has all of them. It outweighs what
    /// is asked of all engines. Several values, as in palimpsest.page-size=4KiB,16KiB, make a run of each. Can be repeated.
    #[arg(long = "set", value_name = "ENGINE.KEY=VALUE,..", value_parser = Setting::parse)]
    pub set: Vec<Setting>,
    /// How often to ask the engine for a checkpoint during the timed run; 0 never, which leaves them to the engine
    /// [default: once, in the middle, so that no figure is free of the work that was put off].
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub checkpoint_every: Option<Duration>,
    /// Seed of everything random: the same seed offers the same operations [default: the specification's].
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Many more survival choices, random mixes for --duration (10m), controlled schedules of the engine's threads for as
    /// long (in a build with --features schedules), damage of every kind in many more places, and --rounds (3000) of killing
    /// real processes.
    #[arg(long)]
    pub deep: bool,
    /// Rounds of kill and reopen, or of power loss.
    #[arg(long, value_name = "N", value_parser = |text: &str| count_up_to(text, 100_000))]
    pub rounds: Option<u32>,
    /// The file system acknowledges every sync of the work and ignores it, so commits must get
    /// lost and be reported. Shows that the scenario finds what it is there to find.
    #[arg(long)]
    pub drop_syncs: bool,
    /// Where to write the record, the report and the plots [default: target/harness/ and the run's name].
    #[arg(short, long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Write into --out although it has the record of another run: that, its page, its plots and its failures are removed.
    #[arg(long, requires = "out")]
    pub overwrite: bool,
    /// Where databases are made; its device is the one that is measured [default: inside the output directory].
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Write the record as JSON to standard output; text for people goes to standard error.
    #[arg(long)]
    pub json: bool,
    /// A line about each so long a part of what runs: how far it is, and the rate and latency of that part; to standard
    /// error, also with --json. From 250ms on; 0 for none [default: 10s, and on a terminal a bar].
    #[arg(long, value_name = "TIME", value_parser = parse_report_interval)]
    pub report_interval: Option<Duration>,
    /// What to call the run in its record, its page and comparisons, for instance "larger cache".
    #[arg(long, value_name = "TEXT", value_parser = parse_label)]
    pub label: Option<String>,
    /// Keep the databases after the run, as it left them: below --data-dir, or else the output directory, as
    /// databases-RUN-PROCESS/ENGINE-REPETITION; where, is told at the end. `harness inspect`, `verify` and `salvage` take them.
    /// Kept are those that are still there when a run ends: of the mixes all, of powerloss also states that were found wrong,
    /// of others the last. For one to begin runs with, see --prepare.
    #[arg(long)]
    pub keep: bool,
    /// Only load the database of each engine, into this new directory, for runs with --use.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["use", "out", "keep", "json", "data_dir"])]
    pub prepare: Option<PathBuf>,
    /// Begin with databases that --prepare has loaded, in place of loading them: each repetition copies one. Tables,
    /// rows and sizes must be those of --prepare.
    #[arg(id = "use", long, value_name = "DIR")]
    pub use_prepared: Option<PathBuf>,
}

impl Request {
    /// The settings that were given, by the names of their options, as they are recorded.
    pub(crate) fn settings(&self) -> BTreeMap<String, String> {
        let (duration, size) = (units::exact_duration, units::exact_size);
        let entries = [
            ("threads", text(&self.threads)),
            ("rows", text(&self.rows)),
            (
                "value-size",
                self.value_size.as_ref().map(|values| values.text(size)),
            ),
            ("duration", self.duration.map(duration)),
            ("warmup", self.warmup.map(duration)),
            ("repeat", self.repeat.map(|value| value.to_string())),
            ("rate", text(&self.rate)),
            ("durability", self.durability.map(|value| value.to_string())),
            ("isolation", self.isolation.map(|value| value.to_string())),
            (
                "cache-size",
                self.cache_size.as_ref().map(|values| values.text(size)),
            ),
            ("compression", self.compression.clone()),
            ("busy-timeout", self.busy_timeout.map(duration)),
            ("set", (!self.set.is_empty()).then(|| self.set_text())),
            ("checkpoint-every", self.checkpoint_every.map(duration)),
            (
                "use",
                self.use_prepared.as_ref().map(|path| path.display().to_string()),
            ),
            ("seed", self.seed.map(|value| value.to_string())),
            ("deep", self.deep.then(|| "yes".into())),
            ("rounds", self.rounds.map(|value| value.to_string())),
            ("drop-syncs", self.drop_syncs.then(|| "yes".into())),
        ];
        entries
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect()
    }

    /// All of `--set`, as it is recorded.
    fn set_text(&self) -> String {
        let all = self.set.iter();
        all.map(|setting| format!("{}={}", setting.full_name(), setting.values.join(",")))
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// What it changes in a specification, with the first of several values.
    pub(crate) fn overrides(&self) -> Overrides {
        Overrides {
            rows: first(&self.rows),
            value_size: first(&self.value_size),
            threads: first(&self.threads),
            run: self.duration,
            warmup: self.warmup,
            repeat: self.repeat,
            rate: first(&self.rate).map(Some),
            isolation: self.isolation,
            durability: self.durability,
            cache_size_bytes: first(&self.cache_size),
            seed: self.seed,
            ..Overrides::default()
        }
    }

    /// The options that were given several values.
    pub(crate) fn lists(&self) -> Vec<String> {
        let several = [
            (
                "--threads",
                self.threads.as_ref().is_some_and(Values::are_several),
            ),
            ("--rows", self.rows.as_ref().is_some_and(Values::are_several)),
            (
                "--value-size",
                self.value_size.as_ref().is_some_and(Values::are_several),
            ),
            (
                "--cache-size",
                self.cache_size.as_ref().is_some_and(Values::are_several),
            ),
            ("--rate", self.rate.as_ref().is_some_and(Values::are_several)),
        ];
        let options = several.into_iter().filter(|(_, several)| *several);
        let set = self.set.iter().filter(|setting| setting.values.len() > 1);
        options
            .map(|(name, _)| name.to_owned())
            .chain(set.map(|setting| format!("--set {}", setting.full_name())))
            .collect()
    }

    /// How databases of `engine` are opened, with the first of several values.
    ///
    /// # Errors
    /// Usage, when the engine does not have what is asked for.
    pub(crate) fn engine_options(&self, engine: &str) -> Result<EngineOptions> {
        let mut options = EngineOptions::of_all(
            engine,
            first(&self.cache_size),
            self.compression.as_deref(),
            self.busy_timeout,
        )?;
        for setting in self.set.iter().filter(|setting| setting.engine == engine) {
            options.set(engine, &setting.name, &setting.values[0])?;
        }
        options.check(engine)?;
        Ok(options)
    }

    /// The one engine beside the in-memory bound.
    ///
    /// # Errors
    /// Usage, when there is none or more than one.
    pub(crate) fn one_engine(&self, scenario: &str) -> Result<&str> {
        let others: Vec<&String> = self.engine.iter().filter(|name| *name != "memory").collect();
        let one = match others.as_slice() {
            [one] => one.as_str(),
            [] => {
                return Err(HarnessError::Usage(format!(
                    "{scenario} works on an engine that keeps its data, and memory does not; give for instance --engine palimpsest"
                )));
            }
            several => {
                return Err(HarnessError::Usage(format!(
                    "{scenario} works on one engine at a time, and {} were given: {}; give for instance --engine {}",
                    several.len(),
                    self.engine.join(", "),
                    several[0]
                )));
            }
        };
        // The bound is run as it is, or not at all.
        if let Some(set) = self.set.iter().find(|set| set.engine != one) {
            return Err(HarnessError::Usage(format!(
                "--set {}: {scenario} takes settings of {one} only",
                set.full_name()
            )));
        }
        Ok(one)
    }

    /// That every engine exists, and is there once.
    ///
    /// # Errors
    /// Usage, when one does not.
    pub(crate) fn check_engines(&self) -> Result<()> {
        if self.engine.is_empty() {
            return Err(HarnessError::Usage("--engine needs at least one name".into()));
        }
        for (at, name) in self.engine.iter().enumerate() {
            factory(name)?;
            if self.engine[..at].contains(name) {
                return Err(HarnessError::Usage(format!(
                    "engine `{name}` is given twice; use --repeat for repetitions"
                )));
            }
        }
        for (at, setting) in self.set.iter().enumerate() {
            let name = setting.full_name();
            if !self.engine.contains(&setting.engine) {
                return Err(HarnessError::Usage(format!(
                    "--set {name}: the run has no engine `{}`, but {}",
                    setting.engine,
                    self.engine.join(", ")
                )));
            }
            let (has_list, option) = match setting.name.as_str() {
                "cache-size" => (
                    self.cache_size.as_ref().is_some_and(Values::are_several),
                    "--cache-size",
                ),
                _ => (false, ""),
            };
            if has_list {
                return Err(HarnessError::Usage(format!(
                    "{option} has several values, and --set {name} outweighs all of them; give one of the two"
                )));
            }
            if self.set[..at].iter().any(|other| other.full_name() == name) {
                return Err(HarnessError::Usage(format!("--set {name} is given twice")));
            }
        }
        Ok(())
    }
}

/// The values of an option as they are recorded.
fn text<T: Copy + ToString>(values: &Option<Values<T>>) -> Option<String> {
    Some(values.as_ref()?.text(|value| value.to_string()))
}

fn parse_threads(text: &str) -> Result<u16, String> {
    text.parse()
        .ok()
        .filter(|threads| *threads > 0)
        .ok_or_else(|| format!("`{text}` is not a number of threads; expected 1 to {}", u16::MAX))
}

fn count_up_to(text: &str, most: u32) -> Result<u32, String> {
    let count = parse_count(text)?;
    u32::try_from(count)
        .ok()
        .filter(|count| (1..=most).contains(count))
        .ok_or_else(|| format!("{text} is not in 1..={most}"))
}

/// Shorter than that are no intervals of the record.
fn parse_report_interval(text: &str) -> Result<Duration, String> {
    let time = parse_duration(text)?;
    if time.is_zero() || time >= Duration::from_millis(250) {
        return Ok(time);
    }
    Err(format!(
        "{text} is too short; expected 250ms or longer, or 0 for no lines"
    ))
}

fn parse_label(text: &str) -> Result<String, String> {
    const LENGTH_MAX: usize = 200;
    let label = text.trim();
    if label.is_empty() || label.chars().count() > LENGTH_MAX || label.contains(char::is_control) {
        return Err(format!("expected 1 to {LENGTH_MAX} characters on one line"));
    }
    Ok(label.to_owned())
}

fn parse_rate(text: &str) -> Result<f64, String> {
    match parse_number(text) {
        Ok(rate) if rate > 0.0 => Ok(rate),
        _ => Err(format!(
            "`{text}` is not a rate; expected transactions each second above 0, for instance 5000"
        )),
    }
}

#[cfg(test)]
impl Request {
    /// With every setting given.
    pub(crate) fn all_settings() -> Self {
        use clap::{Command, FromArgMatches as _};
        let arguments = [
            "harness",
            "--threads",
            "1",
            "--rows",
            "1",
            "--value-size",
            "1",
            "--duration",
            "1s",
            "--warmup",
            "1s",
            "--repeat",
            "1",
            "--rate",
            "1",
            "--durability",
            "sync",
            "--isolation",
            "snapshot",
            "--cache-size",
            "1",
            "--compression",
            "NONE",
            "--busy-timeout",
            "1s",
            "--set",
            "palimpsest.page-size=8KiB",
            "--checkpoint-every",
            "1s",
            "--use",
            "prepared",
            "--seed",
            "1",
            "--deep",
            "--rounds",
            "1",
            "--drop-syncs",
        ];
        let matches = Self::augment_args(Command::new("harness")).get_matches_from(arguments);
        Self::from_arg_matches(&matches).expect("the arguments are good")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        request: Request,
    }

    fn request(arguments: &[&str]) -> Result<Request, clap::Error> {
        Line::try_parse_from(["harness"].iter().chain(arguments)).map(|line| line.request)
    }

    #[test]
    fn figures_are_read_as_people_write_them() {
        let request = request(&[
            "-w",
            "oltp",
            "--engine",
            "memory,palimpsest",
            "--rows",
            "10k",
            "--value-size",
            "1KiB",
            "--duration",
            "1m30s",
            "--durability",
            "nosync",
            "--isolation",
            "read_committed",
            "--rate",
            "5e3",
        ])
        .unwrap();
        assert_eq!(request.engine, ["memory", "palimpsest"]);
        assert_eq!(request.rows, Some(Values::from(10_000)));
        assert_eq!(request.value_size, Some(Values::from(1024)));
        assert_eq!(request.duration, Some(Duration::from_secs(90)));
        assert_eq!(request.durability, Some(Durability::NoSync));
        assert_eq!(request.isolation, Some(Isolation::ReadCommitted));
        assert_eq!(request.rate, Some(Values::from(5000.0)));
        assert_eq!(super::parse_rate("20k"), Ok(20_000.0));
        let settings = request.settings();
        assert_eq!(
            (&*settings["duration"], &*settings["value-size"]),
            ("90s", "1KiB")
        );
        assert_eq!(settings.len(), 6, "{settings:?}");
    }

    #[test]
    fn counts_take_powers_of_ten() {
        let request = request(&["--rows", "1e6", "--rounds", "1k", "--repeat", "1e2"]).unwrap();
        assert_eq!(
            (first(&request.rows), request.rounds, request.repeat),
            (Some(1_000_000), Some(1_000), Some(100))
        );
    }

    #[test]
    fn bad_figures_are_refused() {
        for bad in [
            ["--rows", "many"],
            ["--rate", "-1"],
            ["--rate", "inf"],
            ["--repeat", "0"],
            ["--threads", "0"],
            ["--threads", "70000"],
            ["--threads", "1,1"],
            ["--set", "page-size=4096"],
            ["--rows", "1.5"],
            ["--rounds", "1e6"],
            ["--rounds", "0"],
            ["--report-interval", "100ms"],
            ["--label", " "],
            ["--label", "a\nb"],
            ["--duration", "10"],
            ["--durability", "maybe"],
            ["--rows", "99999999999999999M"],
        ] {
            assert!(request(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn several_values_and_settings_are_recorded_as_they_were_given() {
        let request = request(&[
            "--threads=1,2,4",
            "--cache-size=1MiB,8MiB",
            "--set=palimpsest.page-size=4KiB,8KiB",
            "--set",
            "palimpsest.wal-sync=direct",
        ])
        .unwrap();
        let settings = request.settings();
        assert_eq!(
            (&*settings["threads"], &*settings["cache-size"]),
            ("1,2,4", "1MiB,8MiB")
        );
        assert_eq!(
            settings["set"],
            "palimpsest.page-size=4KiB,8KiB palimpsest.wal-sync=direct"
        );
        assert_eq!(
            request.lists(),
            ["--threads", "--cache-size", "--set palimpsest.page-size"]
        );
        let options = request.engine_options("palimpsest").unwrap();
        assert_eq!(options.cache_size_bytes, Some(1 << 20));
        assert_eq!(options.settings.len(), 2);
    }

    #[test]
    fn settings_go_to_engines_of_the_run_once() {
        let refusal = |arguments: &[&str]| {
            request(arguments)
                .unwrap()
                .check_engines()
                .unwrap_err()
                .to_string()
        };
        assert!(refusal(&["--set", "sqlite.page-size=4096"]).contains("no engine `sqlite`"));
        let twice = [
            "--set",
            "palimpsest.background=on",
            "--set",
            "palimpsest.background=off",
        ];
        assert!(refusal(&twice).contains("twice"));
        let both = ["--cache-size=1MiB,2MiB", "--set=palimpsest.cache-size=8MiB"];
        assert!(refusal(&both).contains("outweighs"));
    }

    #[test]
    fn engines_must_exist_once() {
        let engines = |names: &str| request(&["--engine", names]).unwrap();
        let refusal = |names: &str| engines(names).check_engines().unwrap_err().to_string();
        assert!(engines("memory").check_engines().is_ok());
        assert!(refusal("memory,memory").contains("twice"));
        assert!(refusal("postgres").contains("unknown engine"));
        assert_eq!(engines("a,memory").one_engine("ratios").unwrap(), "a");
        assert!(engines("memory").one_engine("ratios").is_err());
    }

    #[test]
    fn every_option_of_a_setting_is_recorded() {
        let recorded = Request::all_settings().settings();
        let beside = [
            "workload",
            "engine",
            "out",
            "overwrite",
            "data-dir",
            "json",
            "report-interval",
            "label",
            "keep",
            "prepare",
            "help",
        ];
        let command = <Line as clap::CommandFactory>::command();
        let options: Vec<&str> = command
            .get_arguments()
            .filter_map(|option| option.get_long())
            .collect();
        for option in options.iter().filter(|option| !beside.contains(option)) {
            assert!(recorded.contains_key(*option), "--{option}");
        }
        assert_eq!(
            recorded.len() + beside.len(),
            options.len() + usize::from(!options.contains(&"help"))
        );
    }
}
