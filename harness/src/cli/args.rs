//! The command line. What its options do is said where they are ([`Request`]); the table of scenarios says for which.

use std::path::PathBuf;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use super::conform::Conform;
use crate::request::Request;
use crate::scenarios;

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
  harness --workload oltp --threads 1,2,4,8 --set palimpsest.page-size=4KiB,16KiB
      A run of each combination in one record, with curves of throughput and latency.
  harness --workload ycsb-b --rows 10M --prepare DIR, then: harness --workload ycsb-b --rows 10M --use DIR
      Load once, run many times.
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
  harness conform palimpsest
      Check an engine against the rules of the driver contract (`--rules` lists them).
  harness report target/harness/run-a target/harness/run-b
      Compare runs.

What a setting means to a workload, and its default there: `harness explain NAME`.

Exit codes:
    0  all that was measured and verified is good
    1  a measured criterion failed, a run could not be made or not in all parts, or a file could not be read or written;
       of verify: the database cannot be read (permission, I/O error, in use); of salvage: something is
       missing or uncertain
    2  wrong usage: arguments, a specification, a file or database that is not there, or something that an engine or a workload does not have; nothing was run
    3  verification failed, or a database is damaged
  130  ended by Ctrl-C, 143 by SIGTERM: what the run had is recorded

Counts are whole numbers such as 100000, 100k, 1M or 1e6; sizes 4096, 1KiB or 64MiB; durations 250ms, 10s or 1m30s.
Tables are as wide as the terminal, or as COLUMNS says.

Figures from a dev build (plain `cargo run`) are not for quoting: use `cargo run --release -p harness`.";

/// Runs workloads against storage engines, measures them, verifies the result, and reports.
#[derive(Debug, Parser)]
#[command(name = "harness", version, after_help = AFTER_HELP, args_conflicts_with_subcommands = true)]
#[command(max_term_width = 110, args_override_self = true)]
pub(crate) struct Cli {
    /// The run to make, when no sub-command is given.
    #[command(flatten)]
    pub run: Request,
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
    /// Check engines against the rules of the driver contract, and say which ones they break.
    ///
    /// Exit code 0 when every rule is kept that applies, 3 when one is broken.
    Conform(Conform),
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
        /// The database, or a directory that a run has kept.
        #[arg(value_name = "DB")]
        database: PathBuf,
    },
    /// Check the structure of a database: every page, checksum and reference. It is only read; what is in its log is
    /// redone in memory.
    ///
    /// Exit code 0 when it is sound, 1 when it cannot be read, 3 when it is damaged.
    Verify {
        /// The database, or a directory that a run has kept.
        #[arg(value_name = "DB")]
        database: PathBuf,
    },
    /// Recover every readable row of a damaged database into a new one, and say what is missing.
    ///
    /// Exit code 0 when everything was recovered, 1 when something is missing or uncertain.
    Salvage {
        /// The damaged database, or a directory that a run has kept; it is only read.
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

impl Cli {
    /// The command line of this process; ends the process if it is wrong, or asks for help.
    pub(crate) fn of_process() -> Self {
        Self::from_arg_matches(&command().get_matches()).unwrap_or_else(|error| error.exit())
    }
}

/// The command, with the workloads that take an option in its help.
fn command() -> clap::Command {
    scenarios::settings()
        .into_iter()
        .fold(Cli::command(), |command, (name, takers)| {
            command.mut_arg(name.replace('-', "_"), |option| {
                let help = option.get_help().map(ToString::to_string).unwrap_or_default();
                option.help(format!("{help} [workloads: {takers}]"))
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_says_which_workloads_take_an_option() {
        command().debug_assert();
        let help = command().render_long_help().to_string();
        let deep = help
            .split("\n      --deep")
            .nth(1)
            .and_then(|text| text.split("\n\n").next());
        let deep = deep.unwrap_or_default().split_whitespace().collect::<Vec<_>>();
        assert!(
            deep.join(" ").ends_with("[workloads: crash]"),
            "{deep:?} in {help}"
        );
    }
}
