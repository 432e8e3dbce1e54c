//! A made-up record of crash tests.

use crate::synthetic::{self, Noise};
use reports::RunRecord;
use reports::record::{
    CrashFailure, CrashPhase, CrashScenario, CrashTest, DamageSweep, DamagedBlock, FaultSweep, InjectedBug,
    InjectedOrder, RandomMixes, Reached, Schedules,
};

const SCENARIOS: [(&str, &str); 17] = [
    ("insert", "rows one after the other"),
    (
        "split",
        "rows in rising and in scattered order until leaves and their parents split",
    ),
    (
        "merge",
        "deleting most rows until leaves merge and the tree grows lower",
    ),
    ("update", "updates in place, growing and shrinking"),
    ("delete", "deleted rows, and rows that come back"),
    ("overflow", "values of several pages: written, replaced, deleted"),
    ("many-pages", "transactions that change many pages at once"),
    (
        "savepoints",
        "savepoints, rollbacks, and several open transactions that want the same rows",
    ),
    ("tables", "tables created, filled, dropped and created again"),
    ("checkpoint", "checkpoints between changes of the same pages"),
    (
        "segments",
        "a log of small segments that fill, are recycled and fill again",
    ),
    ("direct", "the log written by direct, synchronous writes"),
    ("eviction", "more changed pages than memory holds"),
    ("group-commit", "several threads commit at once"),
    (
        "durabilities",
        "synchronised and unsynchronised commits, flushes and checkpoints between them",
    ),
    (
        "recovery",
        "the process dies again and again, and each recovery is cut short as well",
    ),
    ("everything", "a mix of it all, compressed with ZSTD"),
];

/// Operations just before a crash point, by their share.
const OPERATIONS: [(&str, f64); 7] = [
    ("write", 52.0),
    ("sync", 31.0),
    ("set length", 6.0),
    ("sync directory", 5.0),
    ("create", 3.0),
    ("rename", 2.0),
    ("remove", 1.0),
];

const PHASES: [(&str, f64); 7] = [
    ("open", 30.0),
    ("commit", 90.0),
    ("checkpoint", 160.0),
    ("collect", 25.0),
    ("recovery", 60.0),
    ("second recovery", 20.0),
    ("close", 12.0),
];

const INJECTED: [(&str, &str); 36] = [
    (
        "flush-without-sync",
        "a flush of the log writes and does not sync",
    ),
    (
        "acknowledge-before-sync",
        "a commit is acknowledged before its flush",
    ),
    (
        "no-sync-before-superblock",
        "the superblock is written before the pages are synced",
    ),
    (
        "superblock-without-sync",
        "the superblock is written and not synced",
    ),
    (
        "early-reuse",
        "an extent is used again before the checkpoint that replaced it",
    ),
    ("no-frame-checksum", "the checksum of a log frame is not compared"),
    (
        "checksum-without-salt",
        "frames of a recycled segment pass for new ones",
    ),
    ("no-directory-sync", "a new segment's name is not made durable"),
    ("redo-without-commit-id", "redo applies what a page has already"),
    (
        "cut-at-damage",
        "damage in the middle of the log ends it silently",
    ),
    ("torn-superblock", "the superblock's checksum is not compared"),
    ("one-superblock", "both superblocks are in one place"),
    (
        "recycle-too-early",
        "a segment is recycled before its checkpoint is durable",
    ),
    (
        "page-before-log",
        "a page is written before the log is durable up to it",
    ),
    ("lost-separator", "a split forgets to log the parent's change"),
    ("partial-commit", "frames without a commit mark are applied"),
    ("stale-page-map", "a chunk of the page map is not written"),
    ("no-length-sync", "a file's growth is not made durable"),
    (
        "overflow-not-logged",
        "an overflow page is written and not logged",
    ),
    ("catalog-skipped", "a dropped table stays in the catalog"),
    ("salt-from-clock", "salts of two segments can be equal"),
    ("poison-ignored", "a commit after a failed flush is acknowledged"),
    (
        "half-commit-copied",
        "a page is copied between two changes of one commit",
    ),
    (
        "bound-unchecked",
        "a bound is searched in a leaf that does not cover it",
    ),
    (
        "old-snapshot-for-locked-row",
        "a locked row is read as an old snapshot has it",
    ),
    (
        "dropped-table-freed-early",
        "pages of a dropped table are freed under an older snapshot",
    ),
    (
        "unchanged-commit-not-flushed",
        "a commit without changes does not make durable what it read",
    ),
    ("visible-before-durable", "a commit is visible before its flush"),
    ("rows-not-locked", "a row is changed without its lock"),
    (
        "version-off-by-one",
        "a snapshot reads the version of the next commit",
    ),
    (
        "ghost-purged-early",
        "a deleted row is purged while a snapshot needs it",
    ),
    (
        "dirty-mark-cleared",
        "a page that changed while it was written is taken for clean",
    ),
    (
        "redo-position-late",
        "a checkpoint's redo position is behind a change that it left out",
    ),
    (
        "map-chunk-skipped",
        "only the first chunk of the page map is written",
    ),
    ("shrink-too-far", "a file is cut where it still holds an extent"),
    (
        "loss-hidden-by-salvage",
        "salvage does not report what it could not read",
    ),
];

/// A crash test in which everything was as it should be.
pub(crate) fn record(seed: u64) -> RunRecord {
    let mut noise = Noise(seed | 1);
    let base = synthetic::record(seed);
    let mut record = RunRecord {
        measurements: Vec::new(),
        ..base
    };
    record.run_id = "demo-crash".to_owned();
    record.workload.name = "crash".to_owned();
    record.workload.title = "Crash tests on a simulated disk".to_owned();
    record.workload.description =
        "Power is lost at every file operation of scripted scenarios and of random mixes.".to_owned();
    record.workload.spec_toml.clear();
    record.command.argv = ["harness", "--workload", "crash"].map(str::to_owned).to_vec();
    record.command.display = Some("cargo run -p harness -- --workload crash".to_owned());
    let scenarios: Vec<CrashScenario> = SCENARIOS
        .map(|(name, title)| scenario(name, title, &mut noise))
        .to_vec();
    record.crash = Some(CrashTest {
        reach: [
            ("LeafSplit", "a leaf was split", 151),
            ("TornTail", "the log ended in a commit that was not complete", 9),
        ]
        .map(|(name, description, count)| Reached {
            name: name.to_owned(),
            description: description.to_owned(),
            count,
        })
        .to_vec(),
        engine: "palimpsest".to_owned(),
        seed,
        threads: 2,
        scenarios,
        random: Some(RandomMixes {
            mixes: 240,
            operations: 31_204,
            images: 9_120,
            recoveries: 19_800,
            duration_ns: 7_100_000_000,
            failures: 0,
        }),
        faults: faults(&mut noise),
        damage: Some(damage()),
        injected: injected(&mut noise),
        schedules: Some(Schedules {
            first_seed: seed,
            schedules: 120_000,
            distinct: 119_204,
            points: 402_118_000,
            commits: 1_320_000,
            images: 240_000,
            threads: 2,
            duration_ns: 600_000_000_000,
            injected: vec![InjectedOrder {
                name: "WaiterNotWoken".to_owned(),
                description: "who waits for a flush is not woken".to_owned(),
                caught: true,
                schedules: vec![Some(2), Some(3), Some(1)],
                schedules_max: Some(3),
                duration_ns: 80_000_000,
                finding: Some("deadlock".to_owned()),
            }],
            ..Schedules::default()
        }),
        failures: Vec::new(),
        duration_ns: 61_000_000_000,
    });
    record
}

/// A crash test that found losses and did not find an injected bug.
pub(crate) fn failed(seed: u64) -> RunRecord {
    let mut record = record(seed);
    record.run_id = "demo-crash-failed".to_owned();
    if let Some(crash) = &mut record.crash {
        crash.scenarios[9].failures = 2;
        crash.faults[3].failures = 1;
        crash.injected[6].caught = false;
        crash.injected[6].scenario = None;
        crash.injected[6].finding = None;
        crash.injected[6].images = 24_310;
        crash.failures.push(CrashFailure {
            scenario: "checkpoint".to_owned(),
            point: "operation 212, after sync, in checkpoint".to_owned(),
            choice: "all but 3".to_owned(),
            finding: "lost: commit 17 was acknowledged as durable, and the database ends with commit 16"
                .to_owned(),
            replay: Some("target/harness/demo-crash/failure-1.toml".to_owned()),
            feature: None,
        });
    }
    record
}

fn scenario(name: &str, title: &str, noise: &mut Noise) -> CrashScenario {
    let size = noise.around(0.8);
    let phases: Vec<CrashPhase> = PHASES
        .iter()
        .filter(|(phase, _)| !phase.contains("recovery") || matches!(name, "recovery" | "everything"))
        .map(|(phase, points)| {
            let points = points * size;
            let by_operation = OPERATIONS
                .iter()
                .map(|(operation, share)| {
                    (
                        (*operation).to_owned(),
                        (points * share / 100.0 * noise.around(0.4)) as u64,
                    )
                })
                .filter(|(_, points)| *points > 0)
                .collect::<std::collections::BTreeMap<String, u64>>();
            CrashPhase {
                name: (*phase).to_owned(),
                points: by_operation.values().sum(),
                images: by_operation.values().sum::<u64>() * 4,
                by_operation,
            }
        })
        .collect();
    let points: u64 = phases.iter().map(|phase| phase.points).sum();
    let images = points * 5;
    CrashScenario {
        name: name.to_owned(),
        title: title.to_owned(),
        commits: points / 8,
        operations: points.saturating_sub(1),
        choices: points * 19,
        images,
        recoveries: images * 2,
        duration_ns: (images as f64 * 2.0 * 400_000.0 * noise.around(0.9)) as u64,
        failures: 0,
        phases,
    }
}

fn faults(noise: &mut Noise) -> Vec<FaultSweep> {
    let effects = [
        ("read", "error", false),
        ("read", "short", false),
        ("write", "error", false),
        ("write", "error", true),
        ("write", "short", false),
        ("write", "disk full", true),
        ("any", "disk full at every size", true),
        ("sync", "failed sync: kept dirty", false),
        ("sync", "failed sync: marked clean", false),
        ("sync", "failed sync: reverted", false),
        ("rename", "error", false),
    ];
    effects
        .map(|(kind, effect, lasting)| {
            let runs = (900.0 * noise.around(0.9)) as u64;
            FaultSweep {
                kind: kind.to_owned(),
                effect: effect.to_owned(),
                lasting,
                runs,
                struck: runs * if lasting { 4 } else { 1 },
                refused: runs * 3,
                poisoned: if kind == "sync" { runs } else { 0 },
                reopened: runs * 3,
                failures: 0,
                duration_ns: runs * 3_000_000,
            }
        })
        .to_vec()
}

fn damage() -> DamageSweep {
    let kinds = [
        "superblock",
        "page map",
        "extent",
        "log frame",
        "log's end",
        "unused space",
    ];
    let block = |kind: &str| DamagedBlock {
        kind: format!("{kind}: one bit"),
        flips: 4_096,
        detected: if kind == "unused space" { 0 } else { 3_988 },
        harmless: if kind == "unused space" { 4_096 } else { 96 },
        cut_off: if kind == "log's end" { 12 } else { 0 },
        missed: 0,
    };
    DamageSweep {
        blocks: kinds.map(block).to_vec(),
        duration_ns: 2_000_000_000,
    }
}

fn injected(noise: &mut Noise) -> Vec<InjectedBug> {
    INJECTED
        .map(|(name, description)| {
            let images = 10f64.powf(noise.next() * 4.0) as u64;
            InjectedBug {
                name: name.to_owned(),
                description: description.to_owned(),
                caught: true,
                seeds: 3,
                seeds_caught: 3,
                check: Some("power loss".to_owned()),
                scenario: Some("split".to_owned()),
                images,
                duration_ns: images * 420_000,
                finding: Some(
                    "lost: commit 3 was acknowledged as durable, and the database ends with commit 2"
                        .to_owned(),
                ),
            }
        })
        .to_vec()
}
