//! Specs: good ones survive the way through text, bad ones are answered with place and expectation.

use std::time::Duration;

use proptest::prelude::*;
use workloads::driver::{Direction, Durability, Isolation};
use workloads::keys::{Distribution, KeyForm, KeyOrder};
use workloads::spec::{
    Action, BUILTIN_NAMES, KeySpec, OperationSpec, Overrides, Range, Spec, TableSpec, TransactionSpec,
    ValueSpec, builtin, builtin_text,
};

const GOOD: &str = r#"title = "t"
threads = 2
[[table]]
name = "a"
rows = 10
[[transaction]]
name = "x"
operations = [{ op = "point-read" }]
"#;

/// The error for the good spec with one line replaced.
fn error_of(line: &str, replacement: &str) -> String {
    assert!(GOOD.contains(line), "{line}");
    Spec::parse("good", "my.toml", &GOOD.replace(line, replacement))
        .unwrap_err()
        .to_string()
}

#[test]
fn levels_and_counts_are_spelled_as_on_the_command_line() {
    let text = |isolation: &str, durability: &str, rows: &str| {
        format!(
            "title = \"t\"\nisolation = \"{isolation}\"\ndurability = \"{durability}\"\n[[table]]\nname = \"t\"\nrows = {rows}\n\
             [[transaction]]\nname = \"x\"\noperations = [{{ op = \"point-read\" }}]\n"
        )
    };
    for (isolation, durability, rows) in [
        ("READ COMMITTED", "nosync", "1e6"),
        ("read_committed", "NO_SYNC", "\"1e6\""),
        ("read-committed", "no-sync", "\"1M\""),
        ("Read-Committed", "No Sync", "1_000_000"),
    ] {
        let spec = Spec::parse("t", "t.toml", &text(isolation, durability, rows)).unwrap();
        assert_eq!(
            (spec.isolation, spec.durability, spec.tables[0].rows),
            (Isolation::ReadCommitted, Durability::NoSync, 1_000_000)
        );
    }
    let error = Spec::parse("t", "t.toml", &text("snapshot", "sync", "1.5")).unwrap_err();
    assert!(error.to_string().contains("whole number"), "{error}");
}

#[test]
fn the_good_spec_is_good_and_has_the_documented_defaults() {
    let spec = Spec::parse("good", "my.toml", GOOD).unwrap();
    assert_eq!(
        (
            spec.name.as_str(),
            spec.threads,
            spec.seed,
            spec.repeat,
            spec.rate
        ),
        ("good", 2, 1, 1, None)
    );
    assert_eq!(
        (spec.isolation, spec.durability),
        (Isolation::ReadCommitted, Durability::Sync)
    );
    assert_eq!(
        (spec.warmup, spec.run),
        (Duration::from_secs(2), Duration::from_secs(10))
    );
    let table = &spec.tables[0];
    assert_eq!(
        (table.key.size, table.value.size, table.value.compressibility),
        (8, Range::fixed(100), 0.5)
    );
    assert_eq!(spec.load_bytes(), 10 * 108);
    assert!(spec.is_read_only());
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (line, replacement, expected) in [
        (
            "threads = 2",
            "threads = 0",
            "my.toml:2:11: `threads` is 0, expected 1 to 1024",
        ),
        (
            "threads = 2",
            "threads = \"2\"",
            "my.toml:2:11: `threads`: found the text \"2\", expected a whole number",
        ),
        (
            "threads = 2",
            "threads = 2.5",
            "my.toml:2:11: `threads`: found the number 2.5, expected a whole number",
        ),
        (
            "threads = 2",
            "thread = 2",
            "my.toml:2:1: unknown field `thread` in the spec: did you mean `threads`?",
        ),
        ("threads = 2", "threads 2", "my.toml:2:"),
        (
            "threads = 2",
            "isolation = \"serialisable\"",
            "did you mean `serializable`?",
        ),
        (
            "threads = 2",
            "run = \"0s\"",
            "my.toml:2:7: `run` is out of range",
        ),
        (
            "threads = 2",
            "run = 10",
            "my.toml:2:7: `run`: found the number 10, expected a duration in quotes",
        ),
        ("threads = 2", "rate = -5", "my.toml:2:8: `rate` is -5"),
        (
            "threads = 2",
            "cache-size = \"1KiB\"",
            "my.toml:2:14: `cache-size` is 1024 bytes, expected at least 64KiB",
        ),
        (
            "rows = 10",
            "rows = -1",
            "my.toml:5:8: `rows`: found the number -1, expected a whole number from 0, such as 1000, 1e6 or \"100k\"",
        ),
        (
            "rows = 10",
            "rows = 0",
            "point-read chooses a row of table `a`, which has none",
        ),
        (
            "rows = 10",
            "row = 10",
            "my.toml:5:1: unknown field `row` in table 1: did you mean `rows`?",
        ),
        (
            "rows = 10",
            "",
            "my.toml:3:1: `rows` is missing in table 1, expected the number of rows to load",
        ),
        (
            "rows = 10",
            "rows = 10\nkeys = \"zipfan\"",
            "my.toml:6:8: `keys`: unknown distribution `zipfan`: did you mean `zipfian`?",
        ),
        (
            "rows = 10",
            "rows = 10\nkeys = { distribution = \"zipfian\", theta = 1.0 }",
            "my.toml:6:44: `theta` is 1, expected more than 0 and less than 1",
        ),
        (
            "rows = 10",
            "rows = 10\nkeys = { distribution = \"uniform\", theta = 0.5 }",
            "my.toml:6:36: unknown field `theta` in the keys: known: distribution",
        ),
        (
            "rows = 10",
            "rows = 10\nkeys = { distribution = \"hotspot\", hot-fraction = 0 }",
            "`hot-fraction` is 0",
        ),
        (
            "rows = 10",
            "rows = 10\nvalue = { size = { min = 5, max = 4 } }",
            "my.toml:6:18: value `size` has min 5 above max 4",
        ),
        (
            "rows = 10",
            "rows = 10\nvalue = { size = \"2GiB\" }",
            "value `size` is 2147483648, expected 0 to 1073741824",
        ),
        (
            "rows = 10",
            "rows = 10\nvalue = { compressibility = 1.5 }",
            "my.toml:6:29: `compressibility` is 1.5",
        ),
        (
            "rows = 10",
            "rows = 10\nkey = { size = 7 }",
            "my.toml:6:16: key `size` is 7, expected 8 to 4096 bytes for integer keys",
        ),
        (
            "rows = 10",
            "rows = 10\nkey = { form = \"text\", order = \"hashed\", size = 20 }",
            "expected 24 to 4096 bytes for hashed text keys",
        ),
        (
            "name = \"a\"",
            "name = \"a b\"",
            "my.toml:4:8: `a b` is no table name",
        ),
        (
            "op = \"point-read\"",
            "op = \"pointread\"",
            "my.toml:8:22: `op`: unknown operation `pointread`: did you mean `point-read`?",
        ),
        (
            "op = \"point-read\"",
            "op = \"range\"",
            "`length` is missing in operation 1",
        ),
        (
            "op = \"point-read\"",
            "op = \"range\", length = 0",
            "`length` is 0, expected 1 to",
        ),
        (
            "op = \"point-read\"",
            "op = \"point-read\", count = 0",
            "my.toml:8:44: `count` is 0",
        ),
        (
            "op = \"point-read\"",
            "op = \"point-read\", table = \"b\"",
            "unknown table `b`: known: a",
        ),
        (
            "op = \"point-read\"",
            "op = \"insert\", keys = \"uniform\"",
            "an insert always takes the next new row",
        ),
        (
            "{ op = \"point-read\" }",
            "",
            "my.toml:8:14: the transaction has 0 operations",
        ),
        ("name = \"x\"", "name = \"x\"\nweight = 0", "all weights are 0"),
        ("title = \"t\"", "title = \" \"", "my.toml:1:9: `title` is empty"),
        (
            "title = \"t\"",
            "",
            "`title` is missing in the spec, expected one line of text",
        ),
    ] {
        let error = error_of(line, replacement);
        assert!(
            error.contains(expected),
            "`{replacement}`\n  gave     {error}\n  expected {expected}"
        );
        assert!(error.starts_with("my.toml:"), "{error}");
    }
    for (name, expected) in [
        ("b", "my.toml:8:15: `table` is missing"),
        ("a", "my.toml:10:8: there are two tables named `a`"),
    ] {
        let two = format!("{GOOD}[[table]]\nname = \"{name}\"\nrows = 1\n");
        let error = Spec::parse("x", "my.toml", &two).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    let missing = Spec::load(std::path::Path::new("/nonexistent/spec.toml"))
        .unwrap_err()
        .to_string();
    assert!(missing.contains("cannot be read"), "{missing}");
}

#[test]
fn overrides_are_checked_by_the_same_rules_and_name_the_option() {
    let oltp = || builtin("oltp").unwrap();
    let spec = oltp()
        .with_overrides(&Overrides {
            rows: Some(50),
            value_size: Some(10),
            threads: Some(7),
            run: Some(Duration::from_millis(1)),
            rate: Some(Some(10.0)),
            durability: Some(Durability::NoSync),
            ..Overrides::default()
        })
        .unwrap();
    assert_eq!(
        (spec.tables[0].rows, spec.tables[0].value.size, spec.threads),
        (50, Range::fixed(10), 7)
    );
    assert_eq!((spec.rate, spec.durability), (Some(10.0), Durability::NoSync));
    assert_eq!(oltp().with_overrides(&Overrides::default()).unwrap(), oltp());
    for (overrides, expected) in [
        (
            Overrides {
                threads: Some(0),
                ..Overrides::default()
            },
            "--threads: `threads` is 0",
        ),
        (
            Overrides {
                run: Some(Duration::ZERO),
                ..Overrides::default()
            },
            "--duration: `run`",
        ),
        (
            Overrides {
                value_size: Some(1 << 40),
                ..Overrides::default()
            },
            "--value-size: value `size`",
        ),
        (
            Overrides {
                rate: Some(Some(f64::NAN)),
                ..Overrides::default()
            },
            "--rate: `rate` is NaN",
        ),
        (
            Overrides {
                rows: Some(0),
                ..Overrides::default()
            },
            "which has none",
        ),
        (
            Overrides {
                rows: Some(u64::MAX),
                ..Overrides::default()
            },
            "--rows: `rows`",
        ),
    ] {
        let error = oltp().with_overrides(&overrides).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let mixed = builtin("mixed").unwrap();
    let scaled = mixed
        .with_overrides(&Overrides {
            rows: Some(100),
            ..Overrides::default()
        })
        .unwrap();
    assert_eq!(
        (scaled.tables[0].rows, scaled.tables[1].rows),
        (100, 25),
        "tables keep their proportions"
    );
}

#[test]
fn a_spec_travels_as_json_with_the_fields_of_its_file() {
    for name in BUILTIN_NAMES {
        let spec = builtin(name).unwrap();
        let text = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<Spec>(&text).unwrap(), spec, "{text}");
        assert_eq!(toml::from_str::<Spec>(&spec.to_toml()).unwrap(), spec);
        assert_eq!(
            serde_json::from_str::<toml::Value>(&text).unwrap(),
            toml::from_str::<toml::Value>(&spec.to_toml()).unwrap(),
            "{text}"
        );
    }
    let mut spec = builtin("mixed").unwrap();
    (spec.rate, spec.cache_size_bytes) = (Some(2.5), Some(u64::MAX));
    let text = serde_json::to_string(&spec).unwrap();
    assert_eq!(serde_json::from_str::<Spec>(&text).unwrap(), spec, "{text}");
    let error = serde_json::from_str::<Spec>(&text.replace("\"theta\"", "\"teta\"")).unwrap_err();
    assert!(error.to_string().contains("unknown field `teta`"), "{error}");
}

#[test]
fn mistakes_are_found_in_the_order_of_the_text() {
    for (first, second) in [
        ("threads = 0.5", "repeat = 0.5"),
        ("repeat = 0.5", "threads = 0.5"),
    ] {
        let error = error_of("threads = 2", &format!("{first}\n{second}"));
        assert!(error.starts_with("my.toml:2:"), "{error}");
    }
}

#[test]
fn the_short_forms_mean_the_long_ones() {
    let of = |fields: &str| {
        let spec = GOOD.replace("rows = 10", &format!("rows = 10\n{fields}"));
        let spec = Spec::parse("good", "my.toml", &spec).unwrap();
        (spec.tables[0].value.size, spec.tables[0].distribution)
    };
    for (short, long) in [
        ("value = { size = 7 }", "value = { size = { min = 7, max = 7 } }"),
        (
            "value = { size = \"1KiB\" }",
            "value = { size = { min = 1024, max = \"1KiB\" } }",
        ),
        (
            "keys = \"hotspot\"",
            "keys = { distribution = \"hotspot\", hot-probability = 0.8 }",
        ),
        (
            "keys = \"zipfian\"",
            "keys = { distribution = \"zipfian\", theta = 0.99 }",
        ),
    ] {
        assert_eq!(of(short), of(long), "{short}");
    }
    assert_eq!(
        of("keys = { distribution = \"zipfian\", scrambled = false }").1,
        Distribution::Zipfian {
            theta: 0.99,
            scrambled: false
        }
    );
}

#[test]
fn built_in_specs_survive_the_way_through_text() {
    for name in BUILTIN_NAMES {
        let spec = builtin(name).unwrap();
        assert_eq!(
            Spec::parse("other", "text", &spec.to_toml()).unwrap(),
            spec,
            "{name}"
        );
        assert!(builtin_text(name).unwrap().len() > 100);
    }
}

fn any_distribution() -> impl Strategy<Value = Distribution> {
    prop_oneof![
        Just(Distribution::Uniform),
        Just(Distribution::Sequential),
        (0.01..0.99f64, any::<bool>())
            .prop_map(|(theta, scrambled)| Distribution::Zipfian { theta, scrambled }),
        (0.01..0.99f64).prop_map(|theta| Distribution::Latest { theta }),
        (0.01..=1.0f64, 0.0..=1.0f64).prop_map(|(hot_fraction, hot_probability)| Distribution::Hotspot {
            hot_fraction,
            hot_probability
        }),
    ]
}

fn any_range(max: u64) -> impl Strategy<Value = Range> {
    (1..max, 0..max).prop_map(|(min, extra)| Range {
        min,
        max: min + extra,
    })
}

fn any_table() -> impl Strategy<Value = (u64, KeySpec, ValueSpec, Distribution)> {
    let key = (0..2usize, 0..2usize, 0..50usize).prop_map(|(form, order, extra)| {
        let (form, order) = (KeyForm::ALL[form], KeyOrder::ALL[order]);
        KeySpec {
            form,
            order,
            size: form.min_size(order) + extra,
        }
    });
    let value = (any_range(5000), 0.0..=1.0).prop_map(|(size, compressibility)| ValueSpec {
        size,
        compressibility,
    });
    (1..1_000_000u64, key, value, any_distribution())
}

fn any_operation() -> impl Strategy<Value = (Action, u32, Option<Distribution>)> {
    let action = prop_oneof![
        Just(Action::PointRead),
        (any_range(1000), any::<bool>()).prop_map(|(length, reverse)| Action::Range {
            length,
            direction: if reverse {
                Direction::Reverse
            } else {
                Direction::Forward
            },
        }),
        Just(Action::Update),
        Just(Action::ReadModifyWrite),
        Just(Action::Insert),
        Just(Action::Delete),
        Just(Action::DeleteInsert),
    ];
    (action, 1..20u32, proptest::option::of(any_distribution()))
}

fn any_spec() -> impl Strategy<Value = Spec> {
    let texts = (
        "[a-z-]{1,10}",
        "(?s).{0,20}x",
        "(?s)[\\PC\"'\\\\\r\n\t\u{0}\u{7f}]{0,40}",
        any::<u64>(),
    );
    let settings = (
        1..1024u16,
        0..4usize,
        0..3usize,
        1..100u32,
        proptest::option::of(f64::MIN_POSITIVE..1e9),
    );
    let sizes = (
        proptest::option::of(65536..=u64::MAX),
        0..100_000_000_000u64,
        1..100_000_000_000u64,
    );
    let tables = proptest::collection::vec(any_table(), 1..4);
    let operations = proptest::collection::vec((any_operation(), any::<prop::sample::Index>()), 1..6);
    let transactions = proptest::collection::vec((operations, 0.1..100.0f64), 1..4);
    (texts, settings, sizes, tables, transactions).prop_map(
        |(texts, settings, sizes, tables, transactions)| {
            let tables: Vec<TableSpec> = tables
                .into_iter()
                .enumerate()
                .map(|(index, (rows, key, value, distribution))| TableSpec {
                    name: format!("table-{index}"),
                    rows,
                    key,
                    value,
                    distribution,
                })
                .collect();
            let transactions = transactions
                .into_iter()
                .enumerate()
                .map(|(index, (operations, weight))| TransactionSpec {
                    name: format!("type_{index}"),
                    weight,
                    operations: operations
                        .into_iter()
                        .map(|((action, count, distribution), table)| OperationSpec {
                            action,
                            table: tables[table.index(tables.len())].name.clone(),
                            count,
                            distribution: distribution.filter(|_| action != Action::Insert),
                        })
                        .collect(),
                })
                .collect();
            Spec {
                name: texts.0,
                title: texts.1,
                description: texts.2.trim().to_owned(),
                source: texts.2.chars().rev().collect::<String>().trim().to_owned(),
                seed: texts.3,
                threads: settings.0,
                isolation: Isolation::ALL[settings.1],
                durability: Durability::ALL[settings.2],
                repeat: settings.3,
                rate: settings.4,
                cache_size_bytes: sizes.0,
                warmup: Duration::from_nanos(sizes.1),
                run: Duration::from_nanos(sizes.2),
                tables,
                transactions,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_spec_survives_the_way_through_text(spec in any_spec()) {
        let text = spec.to_toml();
        let again = Spec::parse("other", "text", &text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        prop_assert_eq!(&again, &spec);
        prop_assert!(spec.explain().contains(&spec.name));
    }

    #[test]
    fn no_text_makes_the_reader_panic(cut in any::<prop::sample::Index>(), byte in any::<char>(), name in 0..BUILTIN_NAMES.len()) {
        let text = builtin_text(BUILTIN_NAMES[name]).unwrap();
        let mut at = cut.index(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let _ = Spec::parse("x", "x.toml", &text[..at]);
        let mut changed = text.to_owned();
        changed.insert(at, byte);
        let _ = Spec::parse("x", "x.toml", &changed);
    }
}

#[test]
fn counts_are_read_as_on_the_command_line() {
    let text = "title = \"t\"\n[[table]]\nname = \"a\"\nrows = \"1.5k\"\n[[transaction]]\nname = \"x\"\noperations = [{ op = \"update\" }]\n";
    let spec = Spec::parse("counts", "counts.toml", text).unwrap();
    assert_eq!(spec.tables[0].rows, 1500);
}
