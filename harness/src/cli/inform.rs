//! The sub-commands that only tell: `list` and `explain`.

use std::fmt::Write as _;

use workloads::spec::{BUILTIN_NAMES, Overrides, builtin};

use super::workload::{SCENARIOS, Workload, resolve};
use crate::adapters::factories;
use crate::error::{HarnessError, Result};

/// Workloads and engines, one line each.
pub(crate) fn list() -> Result<String> {
    let mut text = String::from("Workloads (run with --workload NAME, read about with `explain NAME`):\n");
    for name in BUILTIN_NAMES {
        let spec = builtin(name).map_err(|error| HarnessError::Usage(error.to_string()))?;
        let _ = writeln!(text, "  {name:<18} {}", spec.title);
    }
    text.push_str("\nScenarios (run with --workload NAME):\n");
    for (name, about) in SCENARIOS {
        let _ = writeln!(text, "  {name:<18} {about}");
    }
    text.push_str("\nEngines (choose with --engine NAME,NAME):\n");
    for factory in factories() {
        let capabilities = factory.capabilities();
        let _ = writeln!(
            text,
            "  {:<18} {} ({})",
            capabilities.name, capabilities.description, capabilities.version
        );
        let durabilities: Vec<_> = capabilities
            .durabilities
            .iter()
            .map(|level| level.name())
            .collect();
        let isolations: Vec<_> = capabilities.isolations.iter().map(|level| level.name()).collect();
        let _ = writeln!(
            text,
            "  {:<18} durability {}; isolation {}",
            "",
            durabilities.join(", "),
            isolations.join(", ")
        );
    }
    Ok(text)
}

const RATIOS: &str = "\
ratios: the speed table.

Loads --rows rows (1,000,000 unless said otherwise) of --value-size bytes (100) into the engine and into the
in-memory bound. Each row of the table divides a figure of the engine by a bound of the same machine: the bound
`memory` doing the same calls, raw flushes of the same device a second, or a sequential read with CRC of the same log.
Both sides are measured in short slices (--duration, 500 ms) that take turns (--repeat pairs, 10); the value is the
median of the ratios of neighbouring slices. The row about an old snapshot has slices of twelve times that length, so
that it is held through a minute of updates. Targets are in reports/criteria/ratios.toml; a row that misses its
target makes exit code 1.
";

const RECOVERY: &str = "\
recovery: kill and reopen.

Each round starts a process that commits synchronous transactions on several threads; each transaction writes its
number into several rows. Acknowledgements go through a pipe to the parent, which logs them outside the process that
dies. At a random moment the parent kills it (SIGKILL), lets another process reopen the database, and compares:
every acknowledged transaction must be there, and none may be there in part. The next round goes on with the same
database; now and then a fresh one. --rounds says how many (40), --duration how long each works at most (60 ms).
Anything lost makes exit code 3.
";

const SPACE: &str = "\
space: what the data file takes at every moment.

Loads --rows rows (400,000) of --value-size bytes (100) in random order into a database whose cache (--cache-size) holds
an eighth of them, then replaces as many at random, without synchronous commits, with the engine's own checkpoints and
one beside the updates and one at the end.
Every 10 ms the files are looked at; the data file must never be larger than twice the live bytes, which are the keys
and values of committed rows. Moments with less than 4 MiB of them do not count, nor does the log. At the end every
row is compared with what was written last. The report draws all of it over time.
";

#[cfg(all(feature = "fuse", target_os = "linux"))]
const POWERLOSS: &str = "\
powerloss: the power fails under a working process.

The process of the workload `recovery` works, unmodified, in a mounted file system (FUSE) that keeps apart what was synced
and what was not. At some moment of each round the power is cut: the process stands still and is killed, and of
what was not synced anything may be missing, in any order, torn at 512 bytes; new names are certain only after a sync of their
directory. Three of the states that may be left are opened and compared with what was acknowledged; in some rounds the
power fails again, up to three times, while the database is being recovered. Works on any engine: --engine names them. It
needs /dev/fuse and the right to mount. --rounds says how many (40), --duration how long each works at most (80 ms).
With --drop-syncs the file system lies about every sync after the load, and commits must get lost. Anything lost makes exit code 3.
";

const CRASH: &str = "\
crash: power loss on a simulated disk.

Scripts (insert, split, merge, ..., recovery) and random mixes run once on a simulated file system that records every
file operation. Then power is lost after each operation: what was not synced survives or not, in many combinations, torn
at 512 bytes; names survive only once their directory was synced. Each image is opened, must hold exactly the state of
some commit, none older than what was promised to be durable, must be sound, and must be writable; the recovery itself
is cut off too, three deep. Beside many scripts checkpoints, collection, readers and the background thread go on, or
several threads commit. File operations are made to fail. Files at rest are damaged: flipped bits, lost and misdirected
writes; what is salvaged of them is compared as well. In builds with debug assertions the run counts which mechanisms of
the engine it went through, and must come to each of them (reach); and faults are planted in the engine, each of which must
be found with each of three seeds.

--seed N makes other choices; --deep tries many more, for --duration (10m) of random mixes; in a build with --features
schedules it lets a scheduler decide which of the engine's threads goes on, for as long, and proves on faults that take two
threads that this finds them; and it kills real processes --rounds times (3000). A failure is shortened and written to failure-N.json in the output directory: `harness replay
FILE` does it again. Anything lost, any planted fault not found and any mechanism not reached makes exit code 3.
";

/// A workload in words.
///
/// # Errors
/// Usage, when there is no such workload.
pub(crate) fn explain(name: &str) -> Result<String> {
    Ok(match resolve(name, &Overrides::default())? {
        Workload::Ratios => RATIOS.to_owned(),
        Workload::Crash => CRASH.to_owned(),
        Workload::Recovery => RECOVERY.to_owned(),
        Workload::Space => SPACE.to_owned(),
        #[cfg(all(feature = "fuse", target_os = "linux"))]
        Workload::PowerLoss => POWERLOSS.to_owned(),
        Workload::Mix { spec, .. } => spec.explain(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::workload::names;

    #[test]
    fn the_list_has_every_workload_and_engine() {
        let text = list().unwrap();
        for name in names().chain(["memory"]) {
            assert!(
                text.contains(&format!("  {name} ")),
                "{name} is missing in\n{text}"
            );
        }
    }

    #[test]
    fn every_workload_can_be_explained_and_an_unknown_one_not() {
        for name in names() {
            assert!(explain(name).unwrap().len() > 100, "{name}");
        }
        assert!(explain("nonsense").is_err());
    }
}
