//! Reading and writing records, good and bad.

use reports::RunRecord;
use reports::record::{
    Latency, LatencySummary, Measurement, RECORD_FILE_NAME, RecordError, RecoveryKind, Status,
    TransactionType, Verification, Warning,
};
use std::path::Path;

fn sample() -> RunRecord {
    let mut record = RunRecord::new("oltp-1", "2026-01-02T03:04:05Z");
    record.workload.name = "oltp".into();
    record.workload.seed = u64::MAX;
    record.measurements.push(Measurement {
        engine: "engine-a".into(),
        repetition: 1,
        status: Status::Ok,
        duration_ns: Some(10_000_000_000),
        transaction_types: vec![TransactionType {
            name: "mix".into(),
            committed: 20,
            latency: Some(Latency {
                summary: LatencySummary {
                    count: 20,
                    latency_ns_max: u64::MAX,
                    ..LatencySummary::default()
                },
                histogram: None,
            }),
            ..TransactionType::default()
        }],
        verification: Verification::Verified {
            transactions: 20,
            rows: 7,
            reads: None,
            structure: Some(true),
        },
        warnings: vec![
            Warning::DevBuild,
            Warning::MoreThreadsThanCores { threads: 4, cores: 2 },
        ],
        ..Measurement::default()
    });
    record.measurements.push(Measurement {
        engine: "engine-b".into(),
        repetition: 1,
        status: Status::Unsupported {
            reason: "no durability".into(),
        },
        ..Measurement::default()
    });
    record
}

#[test]
fn a_record_survives_its_file_and_a_directory_stands_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let record = sample();
    record.save(directory.path()).unwrap();
    assert_eq!(RunRecord::load(directory.path()).unwrap(), record);
    assert_eq!(
        RunRecord::load(directory.path().join(RECORD_FILE_NAME)).unwrap(),
        record
    );
    assert_eq!(record.measurements[0].throughput(), Some(2.0));
    assert_eq!(record.measurements[1].throughput(), None);
}

#[test]
fn missing_figures_are_null_in_the_file() {
    let json = sample().to_json().unwrap();
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    let measurement = &value["measurements"][1];
    for field in ["duration_ns", "transactions_per_second", "load", "hiccup"] {
        assert!(measurement[field].is_null(), "{field}");
    }
    assert!(measurement["engine_stats"]["wal_bytes"].is_null());
    assert!(measurement["resources"]["rss_bytes_peak"].is_null());
}

#[test]
fn another_schema_version_is_refused_by_name() {
    for (text, found) in [
        (
            r#"{"schema_version": 99, "future": true}"#,
            "its schema version is 99",
        ),
        (r#"{"schema_version": "1"}"#, "its schema version is \"1\""),
        (r#"{"run_id": "x"}"#, "it has no schema version"),
    ] {
        let error = RunRecord::parse(text, Path::new("some/run.json")).unwrap_err();
        let message = error.to_string();
        assert!(matches!(error, RecordError::SchemaVersion { .. }), "{message}");
        assert!(
            message.starts_with("some/run.json: ") && message.contains(found),
            "{message}"
        );
    }
}

#[test]
fn malformed_content_names_file_and_field() {
    let mut value: serde_json::Value = serde_json::from_str(&sample().to_json().unwrap()).unwrap();
    value["measurements"][0]["transaction_types"][0]["committed"] = "many".into();
    let error = RunRecord::parse(&value.to_string(), Path::new("run.json")).unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("`measurements[0].transaction_types[0].committed`"),
        "{message}"
    );
    assert!(message.contains("many"), "{message}");

    value["measurements"][0]["transaction_types"][0]["committed"] = (-3).into();
    assert!(RunRecord::parse(&value.to_string(), Path::new("run.json")).is_err());
}

#[test]
fn text_that_is_no_record_is_an_error() {
    let good = sample().to_json().unwrap();
    let cut = &good[..good.len() / 2];
    let doubled = format!("{good}{good}");
    for text in ["", "[]", "null", "{", cut, &doubled] {
        let error = RunRecord::parse(text, Path::new("run.json")).unwrap_err();
        assert!(error.to_string().starts_with("run.json: "), "{error}");
    }
    let error = RunRecord::load("no/such/run.json").unwrap_err();
    assert!(
        error.to_string().starts_with("no/such/run.json: cannot read"),
        "{error}"
    );
}

#[test]
fn unknown_fields_are_ignored_so_that_the_format_can_grow() {
    let mut value: serde_json::Value = serde_json::from_str(&sample().to_json().unwrap()).unwrap();
    value["added_later"] = 1.into();
    value["measurements"][0]["added_later"] = true.into();
    assert_eq!(
        RunRecord::parse(&value.to_string(), Path::new("run.json")).unwrap(),
        sample()
    );
}

#[test]
fn recovery_is_a_list_and_the_single_entry_of_older_records_is_read() {
    let path = std::env::temp_dir().join(format!("palimpsest-recovery-{}.json", std::process::id()));
    let read = |recovery: serde_json::Value| {
        let mut json = serde_json::to_value(RunRecord::new("r", "now")).unwrap();
        json["recovery"] = recovery;
        std::fs::write(&path, json.to_string()).unwrap();
        RunRecord::load(&path).map(|record| record.recovery)
    };
    let one = serde_json::json!({"engine": "a", "rounds": 2, "acknowledged": 3, "lost": 0, "partial": 0});
    let single = read(one.clone()).unwrap();
    assert_eq!((single.len(), single[0].rounds), (1, 2));
    assert_eq!(single[0].kind, RecoveryKind::Kill);
    let mut loss = one.clone();
    loss["kind"] = "power_loss".into();
    let both = read(serde_json::json!([one, loss])).unwrap();
    assert_eq!(both[1].kind, RecoveryKind::PowerLoss);
    assert!(read(serde_json::Value::Null).unwrap().is_empty());
    assert!(read(serde_json::json!("none")).is_err());
    let _ = std::fs::remove_file(&path);
}
