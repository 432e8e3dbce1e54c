//! The command line. Its help is the manual, so every option says what it does, in which unit, and its default.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use workloads::target::{Durability, Isolation};

use super::units::{parse_duration, parse_size};

const AFTER_HELP: &str = "\
Examples:
  harness --workload oltp
      The main job: load, warm up, run, verify, report; our engine beside the in-memory bound.
  harness --workload oltp --threads 16 --duration 30s --repeat 5 --durability sync
      A longer run; five interleaved repetitions give medians and their spread.
  harness --workload ycsb-a --rows 1000000 --cache-size 64MiB --rate 20000
      A database larger than its cache, 20000 transactions offered each second (open loop).
  harness --workload my-mix.toml --engine palimpsest --json > run.json
      Your own specification; the machine-readable record on standard output.
  harness --workload ratios --rows 1000000
      The speed table: ratios to bounds that are measured in the same run.
  harness --workload space
      What the data file takes at every moment of a random-order load and updates, drawn over time.
  harness --workload recovery --rounds 200
      Kill a working process again and again; every acknowledged commit must survive.
  harness --workload powerloss --engine palimpsest,sqlite
      Cut the power under a working process (Linux, root, a build with --features fuse,sqlite).
  harness --workload crash
      Lose power, on a simulated disk, at file operations all over many scripts; --deep: at every one.
  harness report target/harness/run-a target/harness/run-b
      Compare runs.

Exit codes: 0 good; 1 a measured criterion failed or a run could not be made; 2 usage or bad specification;
3 verification failed.

Figures from a dev build (plain `cargo run`) are not for quoting: use `cargo run --release -p harness`.";

/// Runs workloads against storage engines, measures them, verifies the result, and reports.
#[derive(Debug, Parser)]
#[command(name = "harness", version, after_help = AFTER_HELP, args_conflicts_with_subcommands = true)]
#[command(max_term_width = 110, args_override_self = true)]
pub(crate) struct Cli {
    /// The run to make, when no sub-command is given.
    #[command(flatten)]
    pub run: RunArgs,
    /// Something else than a run.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What else the harness does.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List workloads and engines.
    List,
    /// Explain a workload in words: tables, distributions, transactions, and where it comes from.
    Explain {
        /// A built-in name or a TOML file.
        workload: String,
    },
    /// Make reports again from recorded runs; several runs are compared.
    Report {
        /// Run directories or run.json files.
        #[arg(required = true, value_name = "RUN")]
        runs: Vec<PathBuf>,
        /// Where to write; default: the run's own directory, or target/harness/comparison for several.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Do again what a failure file of the workload `crash` says.
    Replay {
        /// The file, for instance target/harness/RUN/failure-1.json.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Say what the files of a database say of themselves: IDs, time lines, log positions. They are only read.
    Inspect {
        /// The database.
        #[arg(value_name = "DB")]
        database: PathBuf,
    },
    /// Check the structure of a database: every page, checksum and reference. It is only read; what is in its log is
    /// redone in memory.
    Verify {
        /// The database.
        #[arg(value_name = "DB")]
        database: PathBuf,
    },
    /// Recover every readable row of a damaged database into a new one, and say what is missing.
    ///
    /// Exit code 0 when everything was recovered, 1 when something is missing or uncertain.
    Salvage {
        /// The damaged database; it is only read.
        #[arg(value_name = "DB")]
        database: PathBuf,
        /// The database to create; there must be nothing at this path.
        #[arg(value_name = "NEW")]
        new: PathBuf,
    },
    /// One engine, one repetition, in a process of its own.
    #[command(hide = true)]
    Child {
        /// What to do, as JSON.
        job: PathBuf,
    },
}

/// A run and what to change about its specification.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
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
    /// Concurrent sessions, each on its own thread [default: the specification's].
    #[arg(short, long, value_name = "N")]
    pub threads: Option<u32>,
    /// Rows to load into each table [default: the specification's].
    #[arg(short, long, value_name = "N", value_parser = parse_count)]
    pub rows: Option<u64>,
    /// Bytes of a value, for instance 100 or 1KiB [default: the specification's].
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub value_size: Option<u64>,
    /// Length of the timed run, for instance 10s or 2m [default: the specification's].
    #[arg(short, long, value_name = "TIME", value_parser = parse_duration)]
    pub duration: Option<Duration>,
    /// Length of the warm-up, which is shown but not counted [default: the specification's].
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub warmup: Option<Duration>,
    /// Repetitions of each engine; repetitions of different engines interleave [default: the specification's].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub repeat: Option<u32>,
    /// Open loop: transactions offered each second over all threads, at random (Poisson) times; latency then counts
    /// from the intended start. Without it each thread starts its next transaction when the last has ended.
    #[arg(long, value_name = "PER_SECOND", value_parser = parse_rate)]
    pub rate: Option<f64>,
    /// What a commit must survive before it is acknowledged: sync, no-sync [default: the specification's].
    #[arg(long, value_name = "LEVEL", value_parser = parse_durability)]
    pub durability: Option<Durability>,
    /// Isolation level: read-committed, snapshot, ... [default: the specification's].
    #[arg(long, value_name = "LEVEL", value_parser = parse_isolation)]
    pub isolation: Option<Isolation>,
    /// Memory for the engine's page cache, for instance 64MiB [default: the specification's, else the engine's].
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub cache_size: Option<u64>,
    /// Compression of stored data, where the engine has it: NONE, LZ4, ZSTD [default: the engine's].
    #[arg(long, value_name = "CODEC")]
    pub compression: Option<String>,
    /// How often to ask the engine for a checkpoint during the timed run; 0 never, which leaves them to the engine
    /// [default: once, in the middle, so that no figure is free of the work that was put off].
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub checkpoint_every: Option<Duration>,
    /// Seed of everything random: the same seed offers the same operations [default: the specification's].
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// For the workload `crash`: many more survival choices, random mixes for --duration (10m), controlled schedules of
    /// the engine's threads for as long (in a build with --features schedules), damage of every kind in
    /// many more places, and --rounds (3000) of killing real processes.
    #[arg(long)]
    pub deep: bool,
    /// Rounds of kill and reopen, or of power loss, for the workloads `recovery` and `powerloss`.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rounds: Option<u32>,
    /// For the workload `powerloss`: the file system acknowledges every sync of the work and ignores it, so commits must get
    /// lost and be reported. Shows that the scenario finds what it is there to find.
    #[arg(long)]
    pub drop_syncs: bool,
    /// Where to write the record, the report and the plots [default: target/harness/ and the run's name].
    #[arg(short, long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Where databases are made; its device is the one that is measured [default: inside the output directory].
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Write the record as JSON to standard output; text for people goes to standard error.
    #[arg(long)]
    pub json: bool,
    /// Keep the databases after the run.
    #[arg(long)]
    pub keep: bool,
}

fn parse_count(text: &str) -> Result<u64, String> {
    let plain = text.replace(['_', ','], "");
    let (digits, factor) = match plain.char_indices().next_back() {
        Some((at, 'k' | 'K')) => (&plain[..at], 1_000),
        Some((at, 'm' | 'M')) => (&plain[..at], 1_000_000),
        _ => (plain.as_str(), 1),
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
        .ok_or_else(|| format!("`{text}` is not a count; expected for instance 100000, 100k or 1M"))
}

fn parse_rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(rate),
        _ => Err(format!(
            "`{text}` is not a rate; expected transactions each second above 0, for instance 5000"
        )),
    }
}

fn parse_durability(text: &str) -> Result<Durability, String> {
    match text.to_lowercase().replace('_', "-").as_str() {
        "nosync" => Ok(Durability::NoSync),
        "none" | "memory" => Ok(Durability::InMemory),
        other => other.parse(),
    }
}

fn parse_isolation(text: &str) -> Result<Isolation, String> {
    text.to_lowercase().replace(['_', ' '], "-").parse()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn figures_are_read_as_people_write_them() {
        let cli = Cli::parse_from([
            "harness",
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
        ]);
        assert_eq!(cli.run.engine, ["memory", "palimpsest"]);
        assert_eq!(cli.run.rows, Some(10_000));
        assert_eq!(cli.run.value_size, Some(1024));
        assert_eq!(cli.run.duration, Some(Duration::from_secs(90)));
        assert_eq!(cli.run.durability, Some(Durability::NoSync));
        assert_eq!(cli.run.isolation, Some(Isolation::ReadCommitted));
        assert_eq!(cli.run.rate, Some(5000.0));
    }

    #[test]
    fn bad_figures_are_refused() {
        for bad in [
            ["--rows", "many"],
            ["--rate", "-1"],
            ["--rate", "inf"],
            ["--repeat", "0"],
            ["--duration", "10"],
            ["--durability", "maybe"],
            ["--rows", "99999999999999999M"],
        ] {
            assert!(
                Cli::try_parse_from(["harness", "-w", "oltp"].into_iter().chain(bad)).is_err(),
                "{bad:?}"
            );
        }
    }
}
