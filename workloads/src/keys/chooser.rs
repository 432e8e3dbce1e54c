//! Choosing the next row by a distribution.
//!
//! All distributions but `latest` choose among the rows that were loaded, so that the hot rows stay where they are for
//! the whole run. `latest` prefers rows inserted lately, by any thread: it draws a rank from a growing Zipf distribution
//! and steps back that far from the newest rows, as its thread sees them: its own newest insert counts as the newest of all, then
//! those of the other threads in turn. The draws themselves never depend on timing; only where "newest"
//! is does, because that is the point of the distribution. With one thread everything is reproducible.

use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::random::{Random, Scatter};

use super::Zipfian;

/// How often each row is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize)]
#[serde(
    tag = "distribution",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case"
)]
pub enum Distribution {
    /// Every row equally often.
    #[default]
    Uniform,
    /// A few rows very often, by Zipf's law.
    Zipfian {
        /// Skew, between 0 and 1; YCSB uses 0.99.
        theta: f64,
        /// Hot rows are scattered over the table, and not its first ones.
        scrambled: bool,
    },
    /// As Zipfian, by age: the newest rows most often.
    Latest {
        /// Skew, between 0 and 1; YCSB uses 0.99.
        theta: f64,
    },
    /// A hot part of the table gets most of the accesses; both parts are uniform inside.
    Hotspot {
        /// Share of the rows that is hot (the first rows of the table), between 0 and 1.
        hot_fraction: f64,
        /// Share of the accesses that go to the hot part, between 0 and 1.
        hot_probability: f64,
    },
    /// One row after the other, round and round; each thread starts at its own place.
    Sequential,
}

impl Distribution {
    /// Every distribution, as a spec means it that gives only the name.
    pub const ALL: [Distribution; 5] = [
        Distribution::Uniform,
        Distribution::Zipfian {
            theta: 0.99,
            scrambled: true,
        },
        Distribution::Latest { theta: 0.99 },
        Distribution::Hotspot {
            hot_fraction: 0.2,
            hot_probability: 0.8,
        },
        Distribution::Sequential,
    ];

    /// The name used in specs.
    pub const fn name(self) -> &'static str {
        match self {
            Distribution::Uniform => "uniform",
            Distribution::Zipfian { .. } => "zipfian",
            Distribution::Latest { .. } => "latest",
            Distribution::Hotspot { .. } => "hotspot",
            Distribution::Sequential => "sequential",
        }
    }
}

/// A counter alone on its cache lines, so that threads which publish do not slow each other.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Published(AtomicU64);

/// How many rows each thread has inserted into each table: shared by the streams of a run.
///
/// Thread `t` of `n` inserts rows `loaded + t`, `loaded + t + n`, `loaded + t + 2n`, ... so that row numbers are given
/// out without any sharing.
#[derive(Debug)]
pub struct Frontier {
    threads: u16,
    inserted: Vec<Published>,
}

impl Frontier {
    /// For a run of `threads` threads on `tables` tables, with nothing inserted.
    pub fn new(tables: usize, threads: u16) -> Self {
        let threads = threads.max(1);
        let slots = tables * usize::from(threads);
        Frontier {
            threads,
            inserted: (0..slots).map(|_| Published::default()).collect(),
        }
    }

    /// Number of threads that share it.
    pub fn threads(&self) -> u16 {
        self.threads
    }

    fn slot(&self, table: usize, thread: u16) -> &AtomicU64 {
        &self.inserted[table * usize::from(self.threads) + usize::from(thread)].0
    }

    /// Rows that `thread` has inserted into table number `table`.
    #[inline]
    pub fn inserted(&self, table: usize, thread: u16) -> u64 {
        self.slot(table, thread).load(Ordering::Acquire)
    }

    /// Says that the first `count` inserts of `thread` into table number `table` are over.
    #[inline]
    pub fn publish(&self, table: usize, thread: u16, count: u64) {
        self.slot(table, thread).store(count, Ordering::Release);
    }

    /// The row number of insert number `index` (from 0) of `thread`, into a table loaded with `loaded` rows.
    #[inline]
    pub fn row(&self, loaded: u64, thread: u16, index: u64) -> u64 {
        loaded + index * u64::from(self.threads) + u64::from(thread)
    }
}

/// Draws rows of one table by one distribution, for one thread.
#[derive(Clone, Debug)]
pub struct Chooser {
    table: usize,
    loaded: u64,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Uniform,
    Zipfian { ranks: Zipfian, places: Option<Scatter> },
    Latest { ranks: Zipfian },
    Hotspot { hot_rows: u64, hot_probability: f64 },
    Sequential { next: Option<u64> },
}

impl Chooser {
    /// For table number `table`, loaded with `loaded` rows (at least 1).
    pub fn new(table: usize, loaded: u64, distribution: Distribution) -> Self {
        assert!(
            loaded > 0,
            "the spec was checked: rows are only chosen in tables that have some"
        );
        let kind = match distribution {
            Distribution::Uniform => Kind::Uniform,
            Distribution::Zipfian { theta, scrambled } => Kind::Zipfian {
                ranks: Zipfian::new(loaded, theta),
                places: scrambled.then(|| Scatter::new(loaded)),
            },
            Distribution::Latest { theta } => Kind::Latest {
                ranks: Zipfian::new(loaded, theta),
            },
            Distribution::Hotspot {
                hot_fraction,
                hot_probability,
            } => {
                let hot_rows = ((loaded as f64 * hot_fraction).ceil() as u64).clamp(1, loaded);
                Kind::Hotspot {
                    hot_rows,
                    hot_probability,
                }
            }
            Distribution::Sequential => Kind::Sequential { next: None },
        };
        Chooser { table, loaded, kind }
    }

    /// The next row, for `thread`.
    #[inline]
    pub fn choose(&mut self, random: &mut Random, frontier: &Frontier, thread: u16) -> u64 {
        let loaded = self.loaded;
        match &mut self.kind {
            Kind::Uniform => random.below(loaded),
            Kind::Zipfian { ranks, places } => {
                let rank = ranks.rank(random);
                places.map_or(rank, |places| places.apply(rank))
            }
            Kind::Latest { ranks } => {
                let threads = u64::from(frontier.threads());
                let inserted = threads * frontier.inserted(self.table, thread);
                ranks.grow(loaded + inserted);
                let rank = ranks.rank(random);
                let author = ((u64::from(thread) + rank) % threads) as u16;
                let depth = rank / threads;
                match frontier.inserted(self.table, author).checked_sub(depth + 1) {
                    Some(index) => frontier.row(loaded, author, index),
                    // Behind all that were inserted come the loaded ones, the last first. An author who has inserted less
                    // than this thread has one of them drawn instead.
                    None => loaded - 1 - rank.saturating_sub(inserted) % loaded,
                }
            }
            Kind::Hotspot {
                hot_rows,
                hot_probability,
            } => {
                if *hot_rows == loaded || random.unit() < *hot_probability {
                    random.below(*hot_rows)
                } else {
                    *hot_rows + random.below(loaded - *hot_rows)
                }
            }
            Kind::Sequential { next } => {
                let start = u64::from(thread % frontier.threads()) * loaded / u64::from(frontier.threads());
                let row = next.unwrap_or(start);
                *next = Some((row + 1) % loaded);
                row
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(distribution: Distribution, rows: u64, draws: u64) -> Vec<u64> {
        let mut chooser = Chooser::new(0, rows, distribution);
        let (mut random, frontier) = (Random::new(5, 1), Frontier::new(1, 4));
        let mut counts = vec![0; rows as usize];
        for _ in 0..draws {
            counts[chooser.choose(&mut random, &frontier, 1) as usize] += 1;
        }
        counts
    }

    #[test]
    fn uniform_is_even() {
        let counts = counts(Distribution::Uniform, 100, 100_000);
        let chi: f64 = counts.iter().map(|&c| (c as f64 - 1000.0).powi(2) / 1000.0).sum();
        assert!(
            chi < 148.2,
            "chi-square with 99 degrees of freedom, one in a thousand: {chi}"
        );
    }

    #[test]
    fn scrambling_moves_the_hot_rows_and_keeps_the_share_of_each() {
        let plain = counts(
            Distribution::Zipfian {
                theta: 0.99,
                scrambled: false,
            },
            10_000,
            200_000,
        );
        let scrambled = counts(
            Distribution::Zipfian {
                theta: 0.99,
                scrambled: true,
            },
            10_000,
            200_000,
        );
        assert_eq!(
            plain.iter().max(),
            Some(&plain[0]),
            "unscrambled, row 0 is the hottest"
        );
        assert_ne!(scrambled.iter().max(), Some(&scrambled[0]));
        // The same draws: each rank has its own row, and no other joins it there.
        let sorted = |mut counts: Vec<u64>| {
            counts.sort_unstable();
            counts
        };
        assert_eq!(sorted(scrambled.clone()), sorted(plain));
        let hot_neighbours = (0..10).filter(|&row| scrambled[row] > 1000).count();
        assert!(hot_neighbours < 5, "the hot rows are scattered");
    }

    #[test]
    fn hotspot_gives_the_hot_part_its_share() {
        let counts = counts(
            Distribution::Hotspot {
                hot_fraction: 0.1,
                hot_probability: 0.8,
            },
            1000,
            100_000,
        );
        let hot: u64 = counts[..100].iter().sum();
        assert!((79_000..81_000).contains(&hot), "{hot}");
        // Even inside both parts: 800 draws of each hot row and 22 of each other, chi-square at one in a thousand.
        let chi = |counts: &[u64]| {
            let mean = counts.iter().sum::<u64>() as f64 / counts.len() as f64;
            counts
                .iter()
                .map(|&c| (c as f64 - mean).powi(2) / mean)
                .sum::<f64>()
        };
        assert!(chi(&counts[..100]) < 148.2, "{}", chi(&counts[..100]));
        assert!(chi(&counts[100..]) < 1035.0, "{}", chi(&counts[100..]));
        let all = Distribution::Hotspot {
            hot_fraction: 1.0,
            hot_probability: 0.0,
        };
        assert_eq!(self::counts(all, 10, 1000).iter().sum::<u64>(), 1000);
    }

    #[test]
    fn sequential_goes_round_from_the_threads_own_place() {
        let mut chooser = Chooser::new(0, 8, Distribution::Sequential);
        let (mut random, frontier) = (Random::new(0, 0), Frontier::new(1, 4));
        let rows: Vec<u64> = (0..9)
            .map(|_| chooser.choose(&mut random, &frontier, 3))
            .collect();
        assert_eq!(rows, [6, 7, 0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn latest_is_by_age_over_inserted_and_loaded_rows() {
        let frontier = Frontier::new(1, 1);
        frontier.publish(0, 0, 500);
        let mut chooser = Chooser::new(0, 1000, Distribution::Latest { theta: 0.5 });
        let mut random = Random::new(2, 0);
        let draws = 1_000_000;
        let mut counts = vec![0_u64; 1500];
        for _ in 0..draws {
            counts[chooser.choose(&mut random, &frontier, 0) as usize] += 1;
        }
        // With one thread row 1499 is the newest, and row 0 the oldest.
        let zeta: f64 = (1..=1500).rev().map(|i| f64::from(i).powf(-0.5)).sum();
        for row in [1499, 1000, 999, 998, 499, 0] {
            let mean = f64::from(1500 - row).powf(-0.5) / zeta * f64::from(draws);
            let counted = counts[row as usize] as f64;
            assert!(
                (counted - mean).abs() < 5.0 * mean.sqrt(),
                "row {row}: {counted} and not {mean}"
            );
        }
    }

    #[test]
    fn latest_prefers_the_newest_rows_and_never_one_that_is_not_there() {
        let frontier = Frontier::new(1, 2);
        let mut chooser = Chooser::new(0, 1000, Distribution::Latest { theta: 0.99 });
        let mut random = Random::new(9, 0);
        let before: Vec<u64> = (0..1000)
            .map(|_| chooser.choose(&mut random, &frontier, 0))
            .collect();
        assert!(before.iter().all(|&row| row < 1000));
        assert!(before.iter().filter(|&&row| row >= 990).count() > 300);
        frontier.publish(0, 0, 500);
        frontier.publish(0, 1, 20);
        let after: Vec<u64> = (0..10_000)
            .map(|_| chooser.choose(&mut random, &frontier, 0))
            .collect();
        for &row in &after {
            let (author, index) = ((row % 2) as u16, row.saturating_sub(1000) / 2);
            assert!(
                row < 1000 || index < frontier.inserted(0, author),
                "row {row} was never inserted"
            );
        }
        // Over 1000 loaded rows and twice what this thread has inserted, by the closed form.
        let zeta: f64 = (1..=2000).rev().map(|i| f64::from(i).powf(-0.99)).sum();
        let share = |row| after.iter().filter(|&&drawn| drawn == row).count() as f64 / 10_000.0;
        for (age, row) in [(1, frontier.row(1000, 0, 499)), (3, frontier.row(1000, 0, 498))] {
            let expected = f64::from(age).powf(-0.99) / zeta;
            let deviation = (expected * (1.0 - expected) / 10_000.0).sqrt();
            assert!(
                (share(row) - expected).abs() < 5.0 * deviation,
                "age {age}: {} and not {expected}",
                share(row)
            );
        }
        assert!(
            after.iter().any(|&row| row % 2 == 1 && row >= 1000),
            "other threads' rows are read too"
        );
    }
}
