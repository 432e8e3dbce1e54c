//! A made-up but plausible run record: the same from the same seed, marked as synthetic.

use hdrhistogram::Histogram;
use reports::RunRecord;
use reports::record::{
    Build, Check, CheckStatus, CheckpointSpan, Command, EngineStats, Environment, Figure, FlushSample,
    GroupSize, Interval, Latency, Load, Measurement, Phase, Probes, Profile, Recovery, Resources, Settings,
    Status, StorageInfo, TransactionType, Verification, Warning, Workload,
};

const SECOND_NS: u64 = 1_000_000_000;
const INTERVAL_NS: u64 = SECOND_NS / 4;
const WARMUP_NS: u64 = 2 * SECOND_NS;
const RUN_NS: u64 = 10 * SECOND_NS;

/// A small generator (xorshift64*), so that the example needs nothing else.
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    pub(crate) fn next(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Around one, with a spread.
    pub(crate) fn around(&mut self, spread: f64) -> f64 {
        1.0 + (self.next() + self.next() - 1.0) * spread
    }
}

/// How one made-up engine behaves.
struct Character {
    name: &'static str,
    durability: &'static str,
    rate: f64,
    latency_ns: f64,
    logs: bool,
}

/// The record.
pub(crate) fn record(seed: u64) -> RunRecord {
    let mut noise = Noise(seed | 1);
    let characters = [
        Character {
            name: "palimpsest",
            durability: "sync",
            rate: 5_200.0,
            latency_ns: 700_000.0,
            logs: true,
        },
        Character {
            name: "memory",
            durability: "in-memory",
            rate: 41_000.0,
            latency_ns: 80_000.0,
            logs: false,
        },
    ];
    let mut record = RunRecord {
        command: Command {
            argv: ["harness", "--workload", "oltp"].map(str::to_owned).to_vec(),
            display: Some("cargo run -p harness -- --workload oltp".to_owned()),
        },
        build: Build {
            version: "0.1.0".to_owned(),
            profile: Profile::Dev,
            debug_assertions: true,
            ..Build::default()
        },
        environment: Environment {
            os: Some("Example OS 1".to_owned()),
            kernel: Some("Linux 6.1.0".to_owned()),
            cpu_model: Some("Example CPU at 2.50 GHz".to_owned()),
            cpu_cores: Some(2),
            memory_bytes: Some(8 << 30),
            file_system: Some("ext4".to_owned()),
            device: Some("/dev/vda1".to_owned()),
            ..Environment::default()
        },
        workload: Workload {
            name: "oltp".to_owned(),
            title: "Online transactions: reads and writes".to_owned(),
            description:
                "Ten point reads, four ranges of 100 rows, two updates, a delete and an insert in one \
                          transaction, on several threads."
                    .to_owned(),
            spec_toml: "[workload]\nname = \"oltp\"\n".to_owned(),
            seed,
            ..Workload::default()
        },
        synthetic: true,
        warnings: vec![
            Warning::DevBuild,
            Warning::MoreThreadsThanCores { threads: 4, cores: 2 },
        ],
        ..RunRecord::new("demo", "2026-01-02T03:04:05Z")
    };
    for repetition in 1..=3 {
        for character in &characters {
            record
                .measurements
                .push(measurement(character, repetition, &mut noise));
        }
    }
    record.probes = probes(&mut noise);
    record
}

/// A record of the ratio table with one row missed and one not measured.
pub(crate) fn ratios(seed: u64) -> RunRecord {
    let mut noise = Noise(seed | 1);
    let mut record = record(seed);
    record.run_id = "demo-ratios".to_owned();
    record.measurements.clear();
    record.workload.name = "ratios".to_owned();
    record.workload.title = "Ratios to the machine's bounds".to_owned();
    for (index, target) in reports::criteria::ratio_targets().iter().enumerate() {
        let mut row = target.row();
        let share = [1.2, 0.85, 1.6, 1.0, 2.4][index % 5];
        if index == 6 {
            row.note = Some("fewer than 64 threads could be started".to_owned());
        } else {
            let typical = target.target * share;
            row.samples = (0..9).map(|_| typical * noise.around(0.15)).collect();
            row.value = reports::statistics::median(&row.samples);
            row.bound_value = Some(1_000.0);
            row.engine_value = row.value.map(|value| value * 1_000.0);
        }
        record.ratios.push(row);
    }
    record.recovery.push(Recovery {
        engine: "palimpsest".to_owned(),
        rounds: 40,
        rounds_planned: Some(40),
        acknowledged: 81_234,
        unacknowledged_present: Some(31),
        redo_bytes: Some(900 << 20),
        redo_duration_ns: Some(3 * SECOND_NS),
        open_duration_ns: (1..=40)
            .map(|round| (f64::from(round) * 2e6 * noise.around(0.4)) as u64)
            .collect(),
        open_redo_bytes: (1..=40).map(|round| round << 20).collect(),
        ..Recovery::default()
    });
    record.figures.push(Figure {
        id: "compression.zstd.ratio".to_owned(),
        title: "ZSTD, reference data".to_owned(),
        subject: "palimpsest".to_owned(),
        value: Some(3.4),
        unit: "x".to_owned(),
    });
    record.checks.push(Check {
        id: "isolation.serializable".to_owned(),
        title: "no anomaly at SERIALIZABLE".to_owned(),
        status: CheckStatus::Passed,
        detail: "8 anomalies tried".to_owned(),
    });
    record
}

/// A distribution with a long tail around a typical latency.
fn latency(typical_ns: f64, count: u64, noise: &mut Noise) -> Histogram<u64> {
    let mut histogram = Histogram::<u64>::new(3).expect("three digits are valid");
    for _ in 0..count {
        let tail = 0.25 / (1.0 - noise.next()).powf(0.6);
        let ns = typical_ns * (0.6 + tail);
        histogram
            .record(ns as u64)
            .expect("an auto-resizing histogram takes any value");
    }
    histogram
}

fn measurement(character: &Character, repetition: u32, noise: &mut Noise) -> Measurement {
    let pace = noise.around(0.08);
    let checkpoints = [(3_400, 4_700), (8_100, 9_300)].map(|(from, to)| CheckpointSpan {
        start_ns: from * 1_000_000,
        end_ns: Some(to * 1_000_000),
        pages_written: Some(1_800),
        bytes_written: Some(14 << 20),
    });
    let active = |at: u64| {
        character.logs
            && checkpoints
                .iter()
                .any(|span| span.start_ns <= at && span.end_ns.is_some_and(|end| at < end))
    };
    let mut intervals = Vec::new();
    for index in 0..(WARMUP_NS + RUN_NS) / INTERVAL_NS {
        let start_ns = index * INTERVAL_NS;
        let warm = (start_ns as f64 / WARMUP_NS as f64).min(1.0) * 0.5 + 0.5;
        let slowed = if active(start_ns) { 0.82 } else { 1.0 };
        let speed = pace * warm * slowed * noise.around(0.07);
        let committed = (character.rate * speed / 4.0) as u64;
        let typical = character.latency_ns / speed;
        intervals.push(Interval {
            start_ns,
            length_ns: INTERVAL_NS,
            phase: if start_ns < WARMUP_NS {
                Phase::Warmup
            } else {
                Phase::Run
            },
            committed,
            latency_ns_p50: Some((typical * 0.95) as u64),
            latency_ns_p99: Some((typical * 4.0 * noise.around(0.2)) as u64),
            latency_ns_max: Some((typical * 20.0 * noise.around(0.8)) as u64),
            wal_bytes: character.logs.then_some(committed * 700),
            bytes_written: character
                .logs
                .then(|| committed * 720 + if active(start_ns) { 2_900_000 } else { 0 }),
            flushes: character.logs.then_some(committed / 3),
            checkpoint_active: character.logs.then(|| active(start_ns)),
            ..Interval::default()
        });
    }
    let committed: u64 = intervals
        .iter()
        .filter(|i| i.phase == Phase::Run)
        .map(|i| i.committed)
        .sum();
    let histogram = latency(character.latency_ns, committed.min(50_000), noise);
    let mixed = |share: u64, name: &str, typical: f64, noise: &mut Noise| TransactionType {
        name: name.to_owned(),
        committed: committed * share / 100,
        retries: committed * share / 9_000,
        conflicts: committed * share / 9_000,
        operations: Some(committed * share / 100 * 18),
        reads: Some(committed * share / 100 * 14),
        reads_missed: Some(0),
        updates_missed: Some(0),
        deletes_missed: Some(0),
        ranges: Some(committed * share / 100 * 4),
        rows_scanned: Some(committed * share / 100 * 400),
        rows_returned: Some(committed * share / 100 * 410),
        latency: Latency::from_histogram(&latency(typical, 20_000, noise))
            .expect("the histogram fits its encoding"),
        ..TransactionType::default()
    };
    let transaction_types = vec![
        TransactionType {
            latency: Latency::from_histogram(&histogram).expect("the histogram fits its encoding"),
            ..mixed(90, "read-write", character.latency_ns, noise)
        },
        mixed(10, "stock-level", character.latency_ns * 0.4, noise),
    ];
    let hiccup =
        Latency::from_histogram(&latency(20_000.0, 5_000, noise)).expect("the histogram fits its encoding");
    Measurement {
        engine: character.name.to_owned(),
        engine_version: Some("0.1.0".to_owned()),
        repetition,
        settings: Settings {
            threads: Some(4),
            rows: Some(100_000),
            value_size_bytes: Some(100),
            durability: Some(character.durability.to_owned()),
            isolation: Some("read-committed".to_owned()),
            cache_size_bytes: character.logs.then_some(64 << 20),
            page_size_bytes: character.logs.then_some(16 << 10),
            compression: Some(if character.logs { "lz4" } else { "none" }.to_owned()),
            sync_method: Some(if character.logs { "fdatasync" } else { "none" }.to_owned()),
            engine_options: [("page-size", "16384"), ("redo-threads", "2")]
                .into_iter()
                .filter(|_| character.logs)
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            notes: if character.logs {
                vec![]
            } else {
                vec!["keeps everything in memory; nothing is durable".to_owned()]
            },
            ..Settings::default()
        },
        status: Status::Ok,
        load: Some(Load {
            rows: 100_000,
            duration_ns: SECOND_NS / 3,
            logical_bytes: 100_000 * 108,
        }),
        warmup_ns: Some(WARMUP_NS),
        duration_ns: Some(RUN_NS),
        transactions_per_second: Some(committed as f64 / 10.0),
        operations_per_second: Some(committed as f64 * 1.8),
        transaction_types,
        intervals,
        engine_stats: if character.logs {
            engine_stats(committed, &checkpoints)
        } else {
            EngineStats::default()
        },
        resources: Resources {
            cpu_user_ns: Some(13 * SECOND_NS),
            cpu_system_ns: Some(3 * SECOND_NS),
            rss_bytes_peak: Some(120 << 20),
            device_bytes_written: character.logs.then_some(committed * 800),
            ..Resources::default()
        },
        hiccup,
        verification: Verification::Verified {
            transactions: committed,
            rows: 100_000,
            reads: Some(committed * 410),
            structure: character.logs.then_some(true),
        },
        ..Measurement::default()
    }
}

fn engine_stats(committed: u64, checkpoints: &[CheckpointSpan]) -> EngineStats {
    let shares = [(1, 9), (2, 22), (3, 38), (4, 26), (6, 4), (8, 1)];
    EngineStats {
        commits: Some(committed),
        flushes: Some(committed / 3),
        group_sizes: shares
            .map(|(commits, share)| GroupSize {
                commits,
                flushes: committed / 300 * share,
            })
            .to_vec(),
        wal_bytes: Some(committed * 700),
        wal_bytes_written: Some(committed * 760),
        wal_bytes_zeroed: Some(committed * 300),
        wal_live_bytes: Some(3 << 20),
        wal_file_bytes: Some(4 << 20),
        logical_bytes: Some(committed * 432),
        bytes_written: Some(committed * 1_900),
        pages_written: Some(3_600),
        cache_hits: Some(committed * 60),
        cache_misses: Some(committed / 2),
        checkpoints_completed: Some(checkpoints.len() as u64),
        checkpoints: checkpoints.to_vec(),
        file_bytes: Some(17 << 20),
        live_logical_bytes: Some(11 << 20),
        compression_ratio: Some(1.4),
        storage_info: Some(StorageInfo {
            page_count: Some(1_150),
            used_pages: Some(1_020),
            free_pages: Some(130),
            compression_ratio: Some(1.4),
            wal_size_bytes: Some(3 << 20),
            last_checkpoint: Some("2026-01-02T03:04:16Z".to_owned()),
        }),
        ..EngineStats::default()
    }
}

fn probes(noise: &mut Noise) -> Probes {
    let raw_flush = (1..=4)
        .map(|repetition| FlushSample {
            repetition,
            method: "pwrite+fdatasync".to_owned(),
            write_bytes: 4096,
            flushes: 2_000,
            duration_ns: (1.1e9 * noise.around(0.1)) as u64,
            latency: Latency::from_histogram(&latency(500_000.0, 2_000, noise))
                .expect("the histogram fits its encoding"),
        })
        .collect();
    Probes {
        raw_flush,
        idle_hiccup: Latency::from_histogram(&latency(9_000.0, 5_000, noise))
            .expect("the histogram fits its encoding"),
        clock_read_ns: Some(24),
    }
}
