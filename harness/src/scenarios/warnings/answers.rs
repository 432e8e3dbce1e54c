//! Warnings about answers: reads that find nothing, and ranges that return another number of rows than those of the bound.

use reports::RunRecord;
use reports::record::{Varied, Warning};

/// Share of reads that find no row above which they are warned about.
const MISSED_SHARE_MAX: f64 = 0.01;
/// Part by which the rows of a range may differ from those of the bound.
const ROWS_APART_MAX: f64 = 0.01;
/// The engine whose answers the others' are compared with.
const BOUND: &str = "memory";

/// Transaction types of which many reads found nothing.
pub(super) fn reads_missed(record: &RunRecord) -> Vec<Warning> {
    let mut found = Vec::new();
    for engine in reports::summary::engines(record) {
        for one in engine.types {
            let (Some(reads), Some(missed)) = (one.reads, one.reads_missed) else {
                continue;
            };
            if missed as f64 > MISSED_SHARE_MAX * reads as f64 {
                found.push(Warning::ReadsMissed {
                    engine: engine.engine.to_owned(),
                    transaction: one.name.to_owned(),
                    reads,
                    missed,
                });
            }
        }
    }
    found
}

/// Transaction types whose ranges returned another number of rows than on the bound.
pub(super) fn rows_returned_differ(record: &RunRecord) -> Vec<Warning> {
    let engines = reports::summary::engines(record);
    let per_range = |of: &reports::summary::TypeSummary<'_>| {
        let ranges = of.ranges.filter(|ranges| *ranges > 0)?;
        Some(of.rows_scanned? as f64 / ranges as f64)
    };
    let mut found = Vec::new();
    for of in engines.iter().filter(|of| !is_bound(record, of.engine)) {
        let Some(bound) = engines
            .iter()
            .find(|bound| is_bound_of(record, bound.engine, of.engine))
        else {
            continue;
        };
        for one in &of.types {
            let same = bound.types.iter().find(|other| other.name == one.name);
            let (Some(rows_per_range), Some(bound_rows_per_range)) =
                (per_range(one), same.and_then(per_range))
            else {
                continue;
            };
            if (rows_per_range - bound_rows_per_range).abs() > ROWS_APART_MAX * bound_rows_per_range {
                found.push(Warning::RowsReturnedDiffer {
                    engine: of.engine.to_owned(),
                    transaction: one.name.to_owned(),
                    rows_per_range,
                    bound: BOUND.to_owned(),
                    bound_rows_per_range,
                });
            }
        }
    }
    found
}

/// Whether a case is one of the bound: its name is the bound's with what is varied.
fn is_bound(record: &RunRecord, name: &str) -> bool {
    record
        .of_engine(name)
        .any(|one| Varied::words(BOUND, &one.varied) == name)
}

/// Whether `bound` is the bound with the same values as the case `name`, as far as it has them.
fn is_bound_of(record: &RunRecord, bound: &str, name: &str) -> bool {
    let varied = |name: &str| {
        let found = record.measurements.iter().find(|one| one.engine == name);
        found.map(|one| one.varied.as_slice())
    };
    is_bound(record, bound)
        && varied(bound)
            .zip(varied(name))
            .is_some_and(|(bound, own)| bound.iter().all(|one| own.contains(one)))
}

#[cfg(test)]
mod tests {
    use reports::record::TransactionType;

    use super::super::tests::calm;
    use super::*;

    #[test]
    fn an_engine_that_returns_fewer_rows_than_the_bound_is_named() {
        let with = |rows: [u64; 2], bound: &str| {
            let mut record = calm();
            record.measurements[0].engine = bound.into();
            for (measurement, rows) in record.measurements.iter_mut().zip(rows) {
                measurement.transactions_per_second = None;
                measurement.transaction_types = vec![TransactionType {
                    name: "t".into(),
                    ranges: Some(100),
                    rows_scanned: Some(rows),
                    ..TransactionType::default()
                }];
            }
            rows_returned_differ(&record)
        };
        assert_eq!(with([10_000, 10_000], BOUND), []);
        assert_eq!(with([10_000, 9_900], BOUND), []);
        assert_eq!(
            with([10_000, 5_000], "other"),
            [],
            "without the bound nothing is known"
        );
        assert_eq!(with([0, 0], BOUND), []);
        for rows in [9_899, 10_101, 0] {
            let found = with([10_000, rows], BOUND);
            let [
                Warning::RowsReturnedDiffer {
                    engine,
                    bound_rows_per_range,
                    ..
                },
            ] = &found[..]
            else {
                panic!("{rows}: {found:?}");
            };
            assert_eq!((engine.as_str(), *bound_rows_per_range), ("a", 100.0));
        }
    }

    #[test]
    fn reads_that_find_nothing_are_warned_about_from_one_in_a_hundred_on() {
        let missed = |reads, missed| {
            let mut record = calm();
            record.measurements.truncate(1);
            record.measurements[0].transaction_types = vec![TransactionType {
                name: "t".into(),
                reads,
                reads_missed: missed,
                ..TransactionType::default()
            }];
            reads_missed(&record)
        };
        assert_eq!(missed(Some(1000), Some(10)), []);
        assert_eq!(missed(Some(0), Some(0)), []);
        assert_eq!(missed(None, None), []);
        let found = missed(Some(1000), Some(11));
        assert_eq!(found.len(), 1);
        let message = found[0].message();
        assert!(message.contains("11 (1.1 %)"), "{message}");
    }

    #[test]
    fn each_case_is_compared_with_that_of_the_bound_with_the_same_values() {
        let mut record = calm();
        let form = record.measurements[0].clone();
        record.measurements.clear();
        for (engine, rows_asked, page, rows) in [
            (BOUND, "1k", None, 10_000),
            (BOUND, "2k", None, 20_000),
            ("a", "1k", Some("4KiB"), 10_000),
            ("a", "2k", Some("4KiB"), 20_000),
            ("a", "2k", Some("8KiB"), 10_000),
        ] {
            let mut one = form.clone();
            one.engine = engine.into();
            one.varied.push(Varied::new("rows", rows_asked));
            one.varied
                .extend(page.map(|page| Varied::new("a.page-size", page)));
            one.transaction_types = vec![TransactionType {
                name: "t".into(),
                ranges: Some(100),
                rows_scanned: Some(rows),
                ..TransactionType::default()
            }];
            record.measurements.push(one);
        }
        let found = rows_returned_differ(&record.by_case());
        let [Warning::RowsReturnedDiffer { engine, .. }] = &found[..] else {
            panic!("{found:?}");
        };
        assert_eq!(engine, "a, rows 2k, page-size 8KiB");
    }
}
