//! What is wrong with a run as a whole, found by looking at its record.

mod answers;

use std::collections::BTreeMap;

use reports::RunRecord;
use reports::record::{Measurement, Warning};
use reports::statistics::merged_summary;

use answers::{reads_missed, rows_returned_differ};

use crate::probe::environment::is_memory_file_system;

/// Shorter timed runs are warned about.
const RUN_NS_RECOMMENDED: u64 = 5_000_000_000;
/// An idle thread's p99 delay above which the machine counts as noisy.
const HICCUP_NS_P99_MAX: u64 = 1_000_000;
/// Largest over smallest throughput of repetitions above which they count as unstable.
const SPREAD_MAX: f64 = 1.3;
/// The same for raw flushes.
const FLUSH_SPREAD_MAX: f64 = 1.5;
/// Share of the median latency above which the cost of the measuring loop is warned about.
const LOOP_SHARE_MAX: f64 = 0.05;

/// Share of transactions that were aborted for good above which they are warned about.
const ABORTED_SHARE_MAX: f64 = 0.01;
/// Share of the time of all threads above which waiting for locks is warned about.
const LOCK_WAIT_SHARE_MAX: f64 = 0.1;

/// Largest over smallest count of bytes written above which they are warned about, if they are this many bytes apart.
const BYTES_FACTOR_MAX: f64 = 3.0;
const BYTES_APART_MIN: u64 = 32 << 20;

/// Every warning that the record calls for, apart from those that its measurements bear already.
pub(crate) fn warnings(whole: &RunRecord) -> Vec<Warning> {
    // Cases with other values are meant to differ, as engines are.
    let record = &*whole.by_case();
    let mut found = Vec::new();
    if !record.build.is_for_quoting() {
        found.push(Warning::DevBuild);
    }
    if record.interrupted {
        found.push(Warning::Interrupted);
    }
    if let Some(file_system) = &record.environment.file_system
        && is_memory_file_system(file_system)
    {
        found.push(Warning::MemoryFileSystem {
            file_system: file_system.clone(),
        });
    }
    let ran: Vec<&Measurement> = record
        .measurements
        .iter()
        .filter(|measurement| measurement.status.is_ok())
        .collect();
    found.extend(short_run(&ran));
    found.extend(noisy(record, &ran));
    found.extend(crowded(record, &ran));
    found.extend(loop_costs(record));
    found.extend(reads_missed(record));
    found.extend(many_aborted(record));
    found.extend(lock_waits(record));
    found.extend(rows_returned_differ(record));
    found.extend(bytes_disagree(record));
    found.extend(nothing_flushed(record));
    found.extend(unequal_survival(whole));
    found.extend(unstable(&ran));
    let rates: Vec<f64> = record
        .probes
        .raw_flush
        .iter()
        .filter_map(|sample| sample.flushes_per_second())
        .collect();
    if let Some(spread) = spread(&rates).filter(|spread| *spread > FLUSH_SPREAD_MAX) {
        found.push(Warning::UnstableFlush { spread });
    }
    found
}

fn short_run(ran: &[&Measurement]) -> Option<Warning> {
    let duration_ns = ran
        .iter()
        .filter_map(|measurement| measurement.duration_ns)
        .min()?;
    (duration_ns < RUN_NS_RECOMMENDED).then_some(Warning::ShortRun {
        duration_ns,
        recommended_ns: RUN_NS_RECOMMENDED,
    })
}

/// Judged by the idle look before the run where there are as many workers as processors: then the workers themselves
/// delay an idle thread.
fn noisy(record: &RunRecord, ran: &[&Measurement]) -> Option<Warning> {
    let cores = record.environment.cpu_cores.unwrap_or(1);
    let beside_work = ran
        .iter()
        .filter(|measurement| {
            measurement
                .settings
                .threads
                .is_some_and(|threads| threads < cores)
        })
        .filter_map(|measurement| measurement.hiccup.as_ref());
    let hiccups = beside_work.chain(&record.probes.idle_hiccup);
    let worst = hiccups
        .map(|hiccup| hiccup.summary)
        .max_by_key(|summary| summary.latency_ns_p99)?;
    let hiccup_ns_p99 = worst.latency_ns_p99?;
    (hiccup_ns_p99 > HICCUP_NS_P99_MAX).then_some(Warning::NoisyMachine {
        hiccup_ns_p99,
        hiccup_ns_max: worst.latency_ns_max,
    })
}

fn crowded(record: &RunRecord, ran: &[&Measurement]) -> Option<Warning> {
    let cores = record.environment.cpu_cores?;
    let threads = ran
        .iter()
        .filter_map(|measurement| measurement.settings.threads)
        .max()?;
    (threads > cores).then_some(Warning::MoreThreadsThanCores { threads, cores })
}

/// Engines of whose median latency the measuring loop is too large a part.
fn loop_costs(record: &RunRecord) -> Vec<Warning> {
    let of_engine = |engine: &str| {
        let measurements = || record.of_engine(engine).filter(|one| one.status.is_ok());
        let costs = measurements().filter_map(|one| one.loop_cost?.transaction_ns_all_threads);
        let loop_ns = costs.min_by(f64::total_cmp)?;
        let latencies = measurements().flat_map(|one| &one.transaction_types);
        let summary = merged_summary(latencies.filter_map(|of| of.latency.as_ref()))?;
        let latency_ns_p50 = summary.latency_ns_p50;
        (loop_ns > LOOP_SHARE_MAX * latency_ns_p50 as f64).then(|| Warning::LoopCost {
            engine: engine.to_owned(),
            loop_ns,
            latency_ns_p50,
        })
    };
    record.engines().into_iter().filter_map(of_engine).collect()
}

/// Engines of which many transactions were aborted for good.
fn many_aborted(record: &RunRecord) -> Vec<Warning> {
    let of_engine = |of: reports::summary::EngineSummary<'_>| {
        let sum =
            |count: fn(&reports::summary::TypeSummary<'_>) -> u64| of.types.iter().map(count).sum::<u64>();
        let aborted = sum(|one| one.aborted);
        let transactions = aborted + sum(|one| one.committed);
        (aborted as f64 > ABORTED_SHARE_MAX * transactions as f64).then(|| Warning::ManyAborted {
            engine: of.engine.to_owned(),
            aborted,
            transactions,
        })
    };
    reports::summary::engines(record)
        .into_iter()
        .filter_map(of_engine)
        .collect()
}

/// Engines with a repetition whose threads waited for locks too long; its worst.
fn lock_waits(record: &RunRecord) -> Vec<Warning> {
    let of_engine = |engine: &str| {
        let shares = record
            .of_engine(engine)
            .filter_map(|one| Some((one.lock_wait_share()?, one)));
        let (share, worst) = shares.max_by(|a, b| a.0.total_cmp(&b.0))?;
        (share > LOCK_WAIT_SHARE_MAX).then(|| Warning::LockWaits {
            engine: engine.to_owned(),
            lock_wait_ns: worst.engine_stats.lock_wait_ns.unwrap_or(0),
            share,
        })
    };
    record.engines().into_iter().filter_map(of_engine).collect()
}

/// Engines with a repetition in which who knows best (the device, or else the kernel, whose count for a process may be of whole
/// folios) saw far more written than the engine says; or the device far less, of what must have reached it.
fn bytes_disagree(record: &RunRecord) -> Vec<Warning> {
    let of_engine = |engine: &str| {
        record.of_engine(engine).find_map(|measurement| {
            let engine_bytes = measurement.engine_stats.bytes_written?;
            let process_bytes = measurement.resources.process_bytes_written;
            let device_bytes = measurement.resources.device_bytes_written;
            let seen = device_bytes.or(process_bytes)?;
            let is_far_above = |more: u64, less: u64| {
                more > less + BYTES_APART_MIN && more as f64 > BYTES_FACTOR_MAX * less as f64
            };
            let is_synced = measurement.settings.durability.as_deref() == Some("sync");
            let apart = is_far_above(seen, engine_bytes) || is_synced && is_far_above(engine_bytes, seen);
            apart.then(|| Warning::BytesDisagree {
                engine: engine.to_owned(),
                engine_bytes: Some(engine_bytes),
                process_bytes,
                device_bytes,
            })
        })
    };
    record.engines().into_iter().filter_map(of_engine).collect()
}

/// Engines with a repetition whose commits were to be synchronised, and were not as far as can be seen.
fn nothing_flushed(record: &RunRecord) -> Vec<Warning> {
    let of_engine = |engine: &str| {
        record.of_engine(engine).find_map(|measurement| {
            let stats = &measurement.engine_stats;
            let logical_bytes = stats.logical_bytes.filter(|bytes| *bytes > 0)?;
            let device_bytes = measurement.resources.device_bytes_written;
            let is_synced = measurement.settings.durability.as_deref() == Some("sync");
            let is_nothing = stats.flushes == Some(0) || device_bytes == Some(0);
            (is_synced && is_nothing).then(|| Warning::NothingFlushed {
                engine: engine.to_owned(),
                logical_bytes,
                flushes: stats.flushes,
                device_bytes,
            })
        })
    };
    record.engines().into_iter().filter_map(of_engine).collect()
}

fn unequal_survival(record: &RunRecord) -> Option<Warning> {
    let (mut survive, mut lose) = (Vec::new(), Vec::new());
    for engine in record.engines() {
        match record.of_engine(engine).find_map(|one| one.settings.survival) {
            Some(survival) if survival.missing == 0 => survive.push(engine.to_owned()),
            Some(_) => lose.push(engine.to_owned()),
            None => {}
        }
    }
    (!survive.is_empty() && !lose.is_empty()).then_some(Warning::UnequalSurvival { survive, lose })
}

fn unstable(ran: &[&Measurement]) -> Vec<Warning> {
    let mut by_engine: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for measurement in ran {
        by_engine
            .entry(&measurement.engine)
            .or_default()
            .extend(measurement.throughput());
    }
    if by_engine.values().any(|rates| rates.len() == 1) {
        return vec![Warning::SingleRepetition];
    }
    let unstable = by_engine.into_iter().filter_map(|(engine, rates)| {
        let spread = spread(&rates).filter(|spread| *spread > SPREAD_MAX)?;
        Some(Warning::UnstableRepetitions {
            engine: engine.to_owned(),
            spread,
        })
    });
    unstable.collect()
}

/// Largest over smallest; `None` below two values or when the smallest is not positive.
fn spread(values: &[f64]) -> Option<f64> {
    let smallest = values.iter().copied().fold(f64::INFINITY, f64::min);
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (values.len() > 1 && smallest > 0.0).then(|| largest / smallest)
}

#[cfg(test)]
mod tests {
    use super::*;

    use reports::record::{
        Build, Latency, LatencySummary, LoopCost, Profile, Settings, Status, Survival, TransactionType,
    };

    fn measurement(engine: &str, rate: f64) -> Measurement {
        Measurement {
            engine: engine.into(),
            status: Status::Ok,
            settings: Settings {
                threads: Some(2),
                ..Settings::default()
            },
            duration_ns: Some(RUN_NS_RECOMMENDED),
            transactions_per_second: Some(rate),
            ..Measurement::default()
        }
    }

    pub(super) fn calm() -> RunRecord {
        let mut record = RunRecord::new("r", "now");
        record.build = Build {
            profile: Profile::Release,
            debug_assertions: false,
            ..Build::default()
        };
        record.environment.cpu_cores = Some(2);
        record.environment.file_system = Some("ext4".into());
        record.measurements = vec![measurement("a", 100.0), measurement("a", 110.0)];
        record
    }

    #[test]
    fn a_calm_run_has_none() {
        assert_eq!(warnings(&calm()), []);
    }

    #[test]
    fn each_trouble_has_its_warning() {
        let mut record = calm();
        record.build = Build::default();
        record.environment.file_system = Some("tmpfs".into());
        record.interrupted = true;
        record.measurements[0].duration_ns = Some(1);
        record.measurements[0].settings.threads = Some(8);
        record.measurements[1].transactions_per_second = Some(500.0);
        let found = warnings(&record);
        assert!(found.contains(&Warning::DevBuild) && found.contains(&Warning::Interrupted));
        assert!(found.contains(&Warning::MoreThreadsThanCores { threads: 8, cores: 2 }));
        assert!(found.contains(&Warning::MemoryFileSystem {
            file_system: "tmpfs".into()
        }));
        assert!(
            found
                .iter()
                .any(|warning| matches!(warning, Warning::ShortRun { duration_ns: 1, .. }))
        );
        assert!(
            found.iter().any(
                |warning| matches!(warning, Warning::UnstableRepetitions { spread, .. } if *spread == 5.0)
            )
        );
    }

    #[test]
    fn delays_of_an_idle_thread_count_unless_the_workers_fill_the_machine() {
        let mut record = calm();
        let summary = LatencySummary {
            count: 9,
            latency_ns_p99: Some(5_000_000),
            ..LatencySummary::default()
        };
        let hiccup = Latency {
            summary,
            histogram: None,
        };
        record.measurements[0].hiccup = Some(hiccup.clone());
        assert_eq!(warnings(&record), [], "two workers on two processors");
        record.measurements[0].settings.threads = Some(1);
        assert!(matches!(
            warnings(&record)[..],
            [Warning::NoisyMachine {
                hiccup_ns_p99: 5_000_000,
                ..
            }]
        ));
        record.measurements[0].hiccup = None;
        record.probes.idle_hiccup = Some(hiccup);
        assert!(matches!(warnings(&record)[..], [Warning::NoisyMachine { .. }]));
    }

    #[test]
    fn many_aborted_transactions_are_warned_about() {
        let with = |aborted| {
            let mut record = calm();
            record.measurements[0].transaction_types = vec![TransactionType {
                name: "t".into(),
                committed: 990,
                aborted,
                ..TransactionType::default()
            }];
            warnings(&record)
        };
        assert_eq!(with(10), [], "one in a hundred");
        let expected = Warning::ManyAborted {
            engine: "a".into(),
            aborted: 11,
            transactions: 1001,
        };
        assert_eq!(with(11), [expected]);
    }

    #[test]
    fn waiting_for_locks_is_warned_about_from_a_tenth_of_the_time_on() {
        let with = |lock_wait_ns| {
            let mut record = calm();
            record.measurements[1].engine_stats.lock_wait_ns = lock_wait_ns;
            warnings(&record)
        };
        // Two threads for as long as a run should be.
        assert_eq!(with(Some(RUN_NS_RECOMMENDED / 5)), []);
        assert_eq!(with(None), []);
        let found = with(Some(RUN_NS_RECOMMENDED));
        assert!(
            matches!(&found[..], [Warning::LockWaits { share, .. }] if *share == 0.5),
            "{found:?}"
        );
    }

    #[test]
    fn synchronised_commits_without_a_flush_are_warned_about() {
        let with = |durability: &str, logical, flushes, device| {
            let mut record = calm();
            let one = &mut record.measurements[1];
            one.settings.durability = Some(durability.into());
            one.engine_stats.logical_bytes = logical;
            one.engine_stats.flushes = flushes;
            one.resources.device_bytes_written = device;
            !warnings(&record).is_empty()
        };
        assert!(with("sync", Some(100), Some(0), None));
        assert!(with("sync", Some(100), None, Some(0)));
        assert!(!with("sync", Some(100), Some(1), Some(4096)));
        assert!(!with("sync", Some(100), None, None), "nothing is known");
        assert!(!with("sync", Some(0), Some(0), Some(0)), "nothing was written");
        assert!(!with("no-sync", Some(100), Some(0), Some(0)));
    }

    #[test]
    fn one_repetition_has_no_known_spread() {
        let mut record = calm();
        record.measurements.truncate(1);
        assert_eq!(warnings(&record), [Warning::SingleRepetition]);
    }

    #[test]
    fn engines_that_do_not_promise_the_same_are_named() {
        let with = |missing: [Option<u64>; 2]| {
            let mut record = calm();
            record.measurements[0].engine = "b".into();
            for (measurement, missing) in record.measurements.iter_mut().zip(missing) {
                measurement.settings.survival = missing.map(|missing| Survival {
                    kills: 3,
                    acknowledged: 300,
                    missing,
                });
            }
            let unequal = |warning: &Warning| matches!(warning, Warning::UnequalSurvival { .. });
            warnings(&record).into_iter().find(unequal)
        };
        for alike in [
            [None, None],
            [Some(0), Some(0)],
            [Some(1), Some(300)],
            [Some(0), None],
        ] {
            assert_eq!(with(alike), None, "{alike:?}");
        }
        let warning = with([Some(1), Some(0)]).unwrap();
        let expected = Warning::UnequalSurvival {
            survive: vec!["a".into()],
            lose: vec!["b".into()],
        };
        assert_eq!(warning, expected);
    }

    #[test]
    fn counts_of_bytes_that_contradict_each_other_are_named() {
        const MIB: u64 = 1 << 20;
        let with = |engine: Option<u64>, process: Option<u64>, device: Option<u64>| {
            let mut record = calm();
            let measurement = &mut record.measurements[1];
            measurement.engine_stats.bytes_written = engine.map(|mib| mib * MIB);
            measurement.resources.process_bytes_written = process.map(|mib| mib * MIB);
            measurement.resources.device_bytes_written = device.map(|mib| mib * MIB);
            warnings(&record)
        };
        for agreeing in [
            (None, None, None),
            (Some(117), Some(4127), Some(179)),
            (Some(100), None, None),
            (Some(1), Some(5000), Some(3)),
            (None, Some(100), Some(5000)),
            (Some(100), Some(5000), Some(0)),
        ] {
            assert_eq!(with(agreeing.0, agreeing.1, agreeing.2), [], "{agreeing:?}");
        }
        for (engine, process, device) in [
            (Some(133), Some(23_245), None),
            (Some(34), Some(82), Some(134)),
            (Some(0), Some(0), Some(33)),
        ] {
            let found = with(engine, process, device);
            assert!(
                matches!(&found[..], [Warning::BytesDisagree { engine, .. }] if engine == "a"),
                "{found:?}"
            );
        }
    }

    #[test]
    fn a_loop_that_is_more_than_a_twentieth_of_the_median_is_named() {
        let with_median = |latency_ns_p50| {
            let mut record = calm();
            for (measurement, loop_ns) in record.measurements.iter_mut().zip([101.0, 300.0]) {
                measurement.loop_cost = Some(LoopCost {
                    transaction_ns: Some(1.0),
                    transaction_ns_all_threads: Some(loop_ns),
                    ..LoopCost::default()
                });
            }
            let summary = LatencySummary {
                count: 9,
                latency_ns_p50,
                ..LatencySummary::default()
            };
            record.measurements[0].transaction_types = vec![TransactionType {
                latency: Some(Latency {
                    summary,
                    histogram: None,
                }),
                ..TransactionType::default()
            }];
            warnings(&record)
        };
        assert_eq!(with_median(2100), []);
        let expected = Warning::LoopCost {
            engine: "a".into(),
            loop_ns: 101.0,
            latency_ns_p50: 2000,
        };
        assert_eq!(with_median(2000), [expected]);
    }
}
