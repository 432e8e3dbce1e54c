//! Verdicts on injected records: each criterion must pass on evidence, fail on contradiction, and otherwise stay
//! unmeasured.

use reports::RunRecord;
use reports::record::{
    Check, CheckStatus, EngineStats, Figure, Measurement, Outcome, Recovery, Settings, Status, StorageInfo,
    Verdict, Verification,
};

/// A measurement that supports every criterion it can.
fn good_measurement() -> Measurement {
    Measurement {
        engine: "palimpsest".into(),
        repetition: 1,
        settings: Settings {
            threads: Some(4),
            durability: Some("sync".into()),
            isolation: Some("read-committed".into()),
            compression: Some("lz4".into()),
            ..Settings::default()
        },
        status: Status::Ok,
        engine_stats: EngineStats {
            commits: Some(1000),
            flushes: Some(300),
            wal_bytes: Some(200_000),
            checkpoints_completed: Some(2),
            pages_written: Some(50),
            compression_ratio: Some(1.8),
            storage_info: Some(StorageInfo {
                page_count: Some(100),
                used_pages: Some(90),
                free_pages: Some(10),
                compression_ratio: Some(1.8),
                wal_size_bytes: Some(0),
                last_checkpoint: Some("2026-01-02T03:04:05Z".into()),
            }),
            ..EngineStats::default()
        },
        verification: Verification::Verified {
            transactions: 1000,
            rows: 500,
            reads: Some(9000),
            structure: Some(true),
        },
        ..Measurement::default()
    }
}

fn record(measurements: Vec<Measurement>) -> RunRecord {
    RunRecord {
        measurements,
        ..RunRecord::new("run", "2026-01-02T03:04:05Z")
    }
}

fn verdict(record: &RunRecord, id: &str) -> Verdict {
    reports::evaluate(record)
        .into_iter()
        .find(|verdict| verdict.id == id)
        .unwrap_or_else(|| panic!("no verdict for {id}"))
}

const BY_MEASUREMENT: [&str; 8] = [
    "wal-append",
    "wal-checkpoint",
    "mvcc-reads",
    "mvcc-writes",
    "read-committed",
    "concurrent-read-write",
    "page-compression",
    "storage-info",
];

#[test]
fn nothing_passes_without_a_measurement() {
    let verdicts = reports::evaluate(&record(vec![]));
    assert_eq!(verdicts.len(), 10 + 7 + 6 + 15);
    for verdict in verdicts {
        assert_eq!(verdict.outcome, Outcome::NotMeasured, "{}", verdict.id);
        assert_eq!(verdict.value, None, "{}", verdict.id);
        assert!(!verdict.detail.is_empty(), "{}", verdict.id);
    }
}

#[test]
fn a_file_that_was_too_large_at_one_moment_fails() {
    for (rows, largest, outcome, value) in [
        (400_000, Some(2.0), Outcome::Pass, Some("2.00x at most")),
        (400_000, Some(2.01), Outcome::Fail, Some("2.01x at most")),
        (400_000, None, Outcome::NotMeasured, None),
        // Of a small file the target says nothing.
        (399_999, Some(3.0), Outcome::NotMeasured, None),
    ] {
        let mut record = record(vec![]);
        record.space.push(reports::record::SpaceOverTime {
            rows,
            largest_ratio: largest,
            last_ratio: Some(1.5),
            ..Default::default()
        });
        let verdict = verdict(&record, "space-over-time");
        assert_eq!((verdict.outcome, verdict.value.as_deref()), (outcome, value));
    }
}

#[test]
fn a_verified_run_passes_what_it_measures_and_nothing_else() {
    let record = record(vec![good_measurement()]);
    for verdict in reports::evaluate(&record) {
        let expected = if BY_MEASUREMENT.contains(&verdict.id.as_str()) {
            Outcome::Pass
        } else {
            Outcome::NotMeasured
        };
        assert_eq!(verdict.outcome, expected, "{}: {}", verdict.id, verdict.detail);
    }
    assert_eq!(
        verdict(&record, "wal-append").value.as_deref(),
        Some("195 KiB appended")
    );
    assert_eq!(
        verdict(&record, "page-compression").value.as_deref(),
        Some("1.80x")
    );
}

#[test]
fn a_failed_verification_fails_all_that_rests_on_it() {
    let mut measurement = good_measurement();
    measurement.verification = Verification::Failed {
        what: vec!["row 7 lost".into()],
    };
    // One good repetition must not hide a bad one.
    let record = record(vec![good_measurement(), measurement]);
    for id in BY_MEASUREMENT {
        let verdict = verdict(&record, id);
        assert_eq!(verdict.outcome, Outcome::Fail, "{id}");
        assert_eq!(
            verdict.cause.as_deref(),
            Some("row 7 lost"),
            "{id}: {}",
            verdict.detail
        );
    }
}

#[test]
fn a_crashed_engine_fails_and_an_unsupported_one_measures_nothing() {
    let mut measurement = good_measurement();
    measurement.status = Status::Failed {
        reason: "killed by signal 11".into(),
    };
    measurement.engine_stats = EngineStats::default();
    measurement.verification = Verification::default();
    let crashed = record(vec![measurement.clone()]);
    let found = verdict(&crashed, "concurrent-read-write");
    assert_eq!(found.outcome, Outcome::Fail);
    assert_eq!(
        found.cause.as_deref(),
        Some("killed by signal 11"),
        "{}",
        found.detail
    );

    measurement.status = Status::Unsupported { reason: "x".into() };
    let unsupported = record(vec![measurement]);
    assert_eq!(
        verdict(&unsupported, "concurrent-read-write").outcome,
        Outcome::NotMeasured
    );
}

#[test]
fn missing_evidence_leaves_a_criterion_unmeasured() {
    let change = |change: fn(&mut Measurement)| {
        let mut measurement = good_measurement();
        change(&mut measurement);
        record(vec![measurement])
    };
    let unverified = change(|m| {
        m.verification = Verification::NotRun {
            reason: "too big".into(),
        }
    });
    for id in BY_MEASUREMENT {
        assert_eq!(verdict(&unverified, id).outcome, Outcome::NotMeasured, "{id}");
    }
    let read_only = change(|m| {
        m.engine_stats.commits = Some(0);
        m.engine_stats.wal_bytes = Some(0);
    });
    assert_eq!(verdict(&read_only, "wal-append").outcome, Outcome::NotMeasured);
    assert_eq!(verdict(&read_only, "mvcc-reads").outcome, Outcome::NotMeasured);
    let one_thread = change(|m| m.settings.threads = Some(1));
    assert_eq!(verdict(&one_thread, "mvcc-writes").outcome, Outcome::NotMeasured);
    let no_checkpoint = change(|m| m.engine_stats.checkpoints_completed = Some(0));
    assert_eq!(
        verdict(&no_checkpoint, "wal-checkpoint").outcome,
        Outcome::NotMeasured
    );
    let unknown = change(|m| m.engine_stats.wal_bytes = None);
    assert_eq!(verdict(&unknown, "wal-append").outcome, Outcome::NotMeasured);
    let other_engine = change(|m| m.engine = "memory".into());
    assert!(
        reports::evaluate(&other_engine)
            .iter()
            .all(|v| v.outcome == Outcome::NotMeasured)
    );
    let no_figure = change(|m| {
        if let Some(info) = &mut m.engine_stats.storage_info {
            info.last_checkpoint = None;
        }
    });
    assert_eq!(verdict(&no_figure, "storage-info").outcome, Outcome::NotMeasured);
}

#[test]
fn figures_that_contradict_a_criterion_fail_it() {
    let change = |change: fn(&mut Measurement)| {
        let mut measurement = good_measurement();
        change(&mut measurement);
        record(vec![measurement])
    };
    let unlogged = change(|m| m.engine_stats.wal_bytes = Some(10));
    assert_eq!(verdict(&unlogged, "wal-append").outcome, Outcome::Fail);
    let larger = change(|m| m.engine_stats.compression_ratio = Some(0.9));
    assert_eq!(verdict(&larger, "page-compression").outcome, Outcome::Fail);
    let structure = change(|m| {
        m.verification = Verification::Verified {
            transactions: 1,
            rows: 1,
            reads: Some(1),
            structure: Some(false),
        };
    });
    assert_eq!(
        verdict(&structure, "concurrent-read-write").outcome,
        Outcome::Fail
    );
    let pages = change(|m| {
        if let Some(info) = &mut m.engine_stats.storage_info {
            info.used_pages = Some(101);
        }
    });
    assert_eq!(verdict(&pages, "storage-info").outcome, Outcome::Fail);
}

#[test]
fn recovery_passes_only_when_nothing_is_lost_or_partial() {
    let with = |recovery: Recovery| RunRecord {
        recovery: vec![recovery],
        ..record(vec![])
    };
    let good = Recovery {
        engine: "palimpsest".into(),
        durability: Some("sync".into()),
        rounds: 20,
        acknowledged: 5000,
        ..Recovery::default()
    };
    assert_eq!(
        verdict(&with(good.clone()), "wal-recovery").outcome,
        Outcome::Pass
    );
    assert!(!with(good.clone()).verification_failed());
    for bad in [
        Recovery {
            lost: 1,
            ..good.clone()
        },
        Recovery {
            partial: 1,
            ..good.clone()
        },
        Recovery {
            unreadable: 1,
            ..good.clone()
        },
        Recovery {
            findings: vec!["did not open".into()],
            ..good.clone()
        },
    ] {
        let record = with(bad);
        assert_eq!(verdict(&record, "wal-recovery").outcome, Outcome::Fail);
        assert!(record.verification_failed());
    }
    let mut record = with(Recovery {
        unreadable: 1234,
        ..good.clone()
    });
    for rounds in [20, 0] {
        record.recovery[0].rounds = rounds;
        let page = reports::render_report(&record).unwrap();
        assert!(page.contains("Did not open") && page.contains("1,234"));
    }
    let text = reports::text_table(&record);
    assert!(text.contains("not opened") && text.contains("1,234"), "{text}");
    // Where nothing is promised, or nothing was done, nothing is known of what is promised.
    let idle = Recovery {
        acknowledged: 0,
        ..good.clone()
    };
    let unpromised = Recovery {
        durability: Some("no-sync".into()),
        missing_with_leave: 4000,
        ..good
    };
    for silent in [idle, unpromised] {
        let record = with(silent);
        assert_eq!(verdict(&record, "wal-recovery").outcome, Outcome::NotMeasured);
        assert!(!record.verification_failed());
    }
}

#[test]
fn scenario_figures_and_checks_are_judged() {
    let with = |value: Option<f64>, status: CheckStatus| RunRecord {
        figures: vec![Figure {
            id: "compression.zstd.ratio".into(),
            value,
            ..Figure::default()
        }],
        checks: vec![Check {
            id: "isolation.serializable".into(),
            status,
            ..Check::default()
        }],
        ..record(vec![])
    };
    let outcomes = |record: &RunRecord| {
        (
            verdict(record, "zstd-ratio").outcome,
            verdict(record, "serializable").outcome,
        )
    };
    assert_eq!(
        outcomes(&with(Some(3.0), CheckStatus::Passed)),
        (Outcome::Pass, Outcome::Pass)
    );
    assert_eq!(
        outcomes(&with(Some(2.99), CheckStatus::Failed)),
        (Outcome::Fail, Outcome::Fail)
    );
    assert_eq!(
        outcomes(&with(None, CheckStatus::NotRun)),
        (Outcome::NotMeasured, Outcome::NotMeasured)
    );
}

#[test]
fn ratios_are_judged_by_the_built_in_target_whatever_the_record_says() {
    let mut row = reports::criteria::ratio_target("durable-16").unwrap().row();
    row.value = Some(7.5);
    row.target = Some(1.0);
    let record = RunRecord {
        ratios: vec![row],
        ..record(vec![])
    };
    let found = verdict(&record, "speed.durable-16");
    assert_eq!((found.outcome, found.stretch_met), (Outcome::Fail, Some(false)));
    assert_eq!(found.value.as_deref(), Some("7.50"));
}
