//! Records that are legal but strange: nothing measured, one sample, the largest numbers, hostile names.

use reports::RunRecord;
use reports::record::{
    CheckpointSpan, CrashPhase, CrashScenario, CrashTest, DamageSweep, DamagedBlock, EngineStats, FaultSweep,
    Figure, FlushSample, GroupSize, InjectedBug, Interval, Latency, LatencySummary, Load, Measurement,
    RandomMixes, RatioRow, Recovery, Settings, Status, TransactionType, Verification, Warning,
};

/// A record with every part present and every optional figure absent.
pub(crate) fn bare() -> RunRecord {
    RunRecord {
        measurements: vec![Measurement {
            engine: "engine-a".into(),
            repetition: 1,
            status: Status::Ok,
            transaction_types: vec![TransactionType {
                name: "mix".into(),
                ..TransactionType::default()
            }],
            intervals: vec![Interval::default()],
            load: Some(Load::default()),
            ..Measurement::default()
        }],
        ratios: vec![RatioRow {
            id: "point-get-1".into(),
            what: "point get".into(),
            ..RatioRow::default()
        }],
        recovery: vec![Recovery::default()],
        crash: Some(CrashTest {
            scenarios: vec![CrashScenario::default()],
            random: Some(RandomMixes::default()),
            faults: vec![FaultSweep::default()],
            damage: Some(DamageSweep {
                blocks: vec![DamagedBlock::default()],
                ..DamageSweep::default()
            }),
            ..CrashTest::default()
        }),
        figures: vec![Figure {
            id: "figure.a".into(),
            ..Figure::default()
        }],
        ..RunRecord::new("bare", "2026-01-02T03:04:05Z")
    }
}

/// A record whose every number is the largest.
pub(crate) fn largest() -> RunRecord {
    let most = u64::MAX;
    let latency = Latency {
        summary: LatencySummary {
            count: most,
            latency_ns_min: most,
            latency_ns_mean: most,
            latency_ns_p50: most,
            latency_ns_p90: Some(most),
            latency_ns_p95: Some(most),
            latency_ns_p99: Some(most),
            latency_ns_p999: Some(most),
            latency_ns_max: most,
        },
        histogram: None,
    };
    let interval = Interval {
        start_ns: most,
        length_ns: most,
        committed: most,
        aborted: most,
        latency_ns_p50: Some(most),
        latency_ns_p99: Some(most),
        latency_ns_max: Some(most),
        wal_bytes: Some(most),
        bytes_written: Some(most),
        ..Interval::default()
    };
    let measurement = Measurement {
        engine: "engine-a".into(),
        repetition: u32::MAX,
        status: Status::Ok,
        settings: Settings {
            threads: Some(u32::MAX),
            rows: Some(most),
            cache_size_bytes: Some(most),
            ..Settings::default()
        },
        warmup_ns: Some(most),
        duration_ns: Some(most),
        transactions_per_second: Some(f64::MAX),
        transaction_types: vec![TransactionType {
            name: "mix".into(),
            committed: most,
            aborted: most,
            retries: most,
            latency: Some(latency.clone()),
            ..TransactionType::default()
        }],
        intervals: vec![interval; 3],
        engine_stats: EngineStats {
            commits: Some(most),
            flushes: Some(most),
            group_sizes: vec![
                GroupSize {
                    commits: most,
                    flushes: most,
                },
                GroupSize {
                    commits: 1,
                    flushes: most,
                },
            ],
            cache_hits: Some(most),
            cache_misses: Some(most),
            checkpoints: vec![CheckpointSpan {
                start_ns: most,
                end_ns: Some(0),
                ..CheckpointSpan::default()
            }],
            compression_ratio: Some(f64::INFINITY),
            write_amplification: Some(f64::NAN),
            ..EngineStats::default()
        },
        hiccup: Some(latency),
        verification: Verification::Verified {
            transactions: most,
            rows: most,
            reads: Some(most),
            structure: None,
        },
        ..Measurement::default()
    };
    RunRecord {
        measurements: vec![measurement.clone(), measurement],
        ratios: vec![
            RatioRow {
                id: "a".into(),
                value: Some(f64::INFINITY),
                target: Some(0.0),
                ..RatioRow::default()
            },
            RatioRow {
                id: "b".into(),
                value: Some(1e300),
                target: Some(1e-300),
                samples: vec![0.0, -1.0, 1e300],
                ..RatioRow::default()
            },
        ],
        recovery: vec![Recovery {
            open_duration_ns: vec![most; 5_000],
            duration_ns: Some(most),
            redo_bytes: Some(most),
            redo_duration_ns: Some(1),
            ..Recovery::default()
        }],
        crash: Some(largest_crash()),
        ..RunRecord::new("largest", "2026-01-02T03:04:05Z")
    }
}

fn largest_crash() -> CrashTest {
    let most = u64::MAX;
    let scenario = CrashScenario {
        name: "a".into(),
        commits: most,
        phases: vec![CrashPhase {
            name: "commit".into(),
            points: most,
            images: most,
            by_operation: [("write".to_owned(), most), ("sync".to_owned(), most)].into(),
        }],
        images: most,
        choices: most,
        recoveries: most,
        duration_ns: 1,
        failures: most,
        ..CrashScenario::default()
    };
    CrashTest {
        scenarios: vec![scenario.clone(), scenario],
        faults: vec![FaultSweep {
            runs: most,
            failures: most,
            ..FaultSweep::default()
        }],
        injected: vec![InjectedBug {
            images: most,
            duration_ns: most,
            ..InjectedBug::default()
        }],
        duration_ns: most,
        ..CrashTest::default()
    }
}

/// A record whose every text is markup.
pub(crate) fn hostile() -> RunRecord {
    let text = || "<script>alert('x')</script>\"&\u{7}".to_owned();
    let mut record = crate::synthetic::record(1);
    record.run_id = text();
    record.created = text();
    record.command.display = Some(text());
    record.workload.name = text();
    record.workload.title = text();
    record.workload.description = text();
    record.workload.spec_toml = text();
    record.workload.overrides.insert(text(), text());
    record.environment.cpu_model = Some(text());
    record.build.version = text();
    record.warnings = vec![Warning::Other { message: text() }];
    record.probes.raw_flush.push(FlushSample {
        method: text(),
        ..FlushSample::default()
    });
    record.figures.push(Figure {
        id: text(),
        title: text(),
        subject: text(),
        unit: text(),
        value: Some(1.0),
    });
    for measurement in &mut record.measurements {
        measurement.engine = format!("{}{}", measurement.engine, text());
        measurement.engine_version = Some(text());
        measurement.settings.durability = Some(text());
        measurement.settings.notes = vec![text()];
        measurement.verification = Verification::Failed { what: vec![text()] };
        for one in &mut measurement.transaction_types {
            one.name.push_str(&text());
        }
    }
    let failed = Measurement {
        engine: text(),
        status: Status::Failed { reason: text() },
        ..Measurement::default()
    };
    record.measurements.push(failed);
    record.ratios = vec![RatioRow {
        id: text(),
        what: text(),
        against: text(),
        unit: text(),
        note: Some(text()),
        ..RatioRow::default()
    }];
    let mut crash = crate::crash_test::failed(1).crash;
    if let Some(crash) = &mut crash {
        crash.engine = text();
        for scenario in &mut crash.scenarios {
            scenario.name = text();
            scenario.title = text();
            for phase in &mut scenario.phases {
                phase.name = text();
                phase.by_operation.insert(text(), 1);
            }
        }
        for sweep in &mut crash.faults {
            (sweep.kind, sweep.effect) = (text(), text());
        }
        for fault in &mut crash.injected {
            (fault.name, fault.description, fault.finding) = (text(), text(), Some(text()));
        }
        for failure in &mut crash.failures {
            (failure.scenario, failure.point, failure.choice) = (text(), text(), text());
            (failure.finding, failure.replay) = (text(), Some(text()));
        }
    }
    record.crash = crash;
    record.recovery.push(Recovery {
        engine: text(),
        notes: vec![text()],
        findings: vec![text()],
        open_duration_ns: vec![1],
        ..Recovery::default()
    });
    record
}

/// A record with one short repetition and one transaction.
pub(crate) fn one_sample() -> RunRecord {
    let mut record = crate::synthetic::record(3);
    record.measurements.truncate(1);
    let measurement = &mut record.measurements[0];
    measurement.intervals.truncate(1);
    measurement.transaction_types.truncate(1);
    let mut histogram = hdrhistogram::Histogram::<u64>::new(3).expect("three digits are valid");
    histogram.record(1_000_000).expect("any value is taken");
    measurement.transaction_types[0].committed = 1;
    measurement.transaction_types[0].latency =
        Latency::from_histogram(&histogram).expect("it fits its encoding");
    record
}

/// All of them, with a name for messages.
pub(crate) fn all() -> Vec<(&'static str, RunRecord)> {
    vec![
        ("empty", RunRecord::new("empty", "2026-01-02T03:04:05Z")),
        ("bare", bare()),
        ("largest", largest()),
        ("hostile", hostile()),
        ("one sample", one_sample()),
        ("synthetic", crate::synthetic::record(5)),
        ("ratios", crate::synthetic::ratios(5)),
        ("crash", crate::crash_test::record(5)),
        ("crash that failed", crate::crash_test::failed(5)),
    ]
}
