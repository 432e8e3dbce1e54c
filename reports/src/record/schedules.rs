//! What controlled schedules of an engine's threads tried and found.

use serde::{Deserialize, Serialize};

use super::crash::Reached;

/// Schedules of the whole engine, each with its power losses.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Schedules {
    /// Why there were none, and how to get them.
    pub not_run: Option<String>,
    /// The first seed; the others follow.
    pub first_seed: u64,
    /// Schedules that were run.
    pub schedules: u64,
    /// Of these, different ones, by the file operations that they led to.
    pub distinct: u64,
    /// Points at which a scheduler chose which thread goes on, in all.
    pub points: u64,
    /// Commits, in all.
    pub commits: u64,
    /// Images of the disk after a power loss that were recovered and checked.
    pub images: u64,
    /// Threads of the operating system, each with a scheduler of its own.
    pub threads: u32,
    /// Duration without that of the injected bugs, in nanoseconds.
    pub duration_ns: u64,
    /// Schedules that failed.
    pub failures: u64,
    /// How often each mechanism was gone through that schedules are there to bring together; empty where that is not
    /// counted or there were too few schedules.
    pub reach: Vec<Reached>,
    /// Bugs injected into the engine that take two threads in a particular order.
    #[serde(alias = "planted")]
    pub injected: Vec<InjectedOrder>,
}

/// A fault injected in the engine that only an order of threads shows.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct InjectedOrder {
    /// Its name.
    pub name: String,
    /// What the engine does wrong.
    pub description: String,
    /// Whether it was found from every first seed on.
    pub caught: bool,
    /// For each first seed, after how many schedules it was found; `null` where it was not.
    pub schedules: Vec<Option<u64>>,
    /// The most schedules that it took; `null` if a first seed did not come to it.
    pub schedules_max: Option<u64>,
    /// Time of all of them, in nanoseconds.
    pub duration_ns: u64,
    /// What was found.
    pub finding: Option<String>,
}

impl Schedules {
    /// Schedules each second, checks and power losses included; `None` when there were none.
    #[must_use]
    pub fn per_second(&self) -> Option<f64> {
        units::per_second(self.schedules, self.duration_ns).filter(|_| self.schedules > 0)
    }

    /// Injected bugs that were found.
    #[must_use]
    pub fn injected_caught(&self) -> usize {
        self.injected.iter().filter(|fault| fault.caught).count()
    }

    /// Mechanisms that were never gone through.
    pub fn unreached(&self) -> impl Iterator<Item = &str> {
        let never = self.reach.iter().filter(|reached| reached.count == 0);
        never.map(|reached| reached.name.as_str())
    }

    /// Whether none failed, every injected bug was found, and every mechanism was reached.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.failures == 0
            && self.injected.iter().all(|fault| fault.caught)
            && self.unreached().next().is_none()
    }

    /// All of it in a sentence.
    #[must_use]
    pub fn headline(&self) -> String {
        use units::{count, number, or_missing};
        if let Some(why) = &self.not_run {
            return format!("Schedules were not run: {why}");
        }
        let failed = match self.failures {
            0 => "none failed".to_owned(),
            failures => format!("{} FAILED", count(failures)),
        };
        let mut words = format!(
            "{} schedules of {} points from seed {} on, {} of them different, {} a second on {} threads; {} commits, {} images; \
             {failed}",
            count(self.schedules),
            count(self.points),
            self.first_seed,
            count(self.distinct),
            or_missing(self.per_second(), number),
            self.threads,
            count(self.commits),
            count(self.images),
        );
        if !self.injected.is_empty() {
            words.push_str(&format!(
                "; {} of {} injected bugs found",
                self.injected_caught(),
                self.injected.len()
            ));
        }
        let unreached: Vec<&str> = self.unreached().collect();
        if !unreached.is_empty() {
            words.push_str(&format!("; never reached: {}", unreached.join(", ")));
        }
        words
    }
}

impl InjectedOrder {
    /// After how many schedules each first seed came to it, in words.
    #[must_use]
    pub fn schedules_text(&self) -> String {
        let each = self.schedules.iter();
        let each = each.map(|found| units::or_missing(*found, units::count));
        each.collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_found_or_reached_is_not_good() {
        let mut schedules = Schedules {
            schedules: 400,
            duration_ns: 2_000_000_000,
            injected: vec![InjectedOrder {
                caught: true,
                schedules: vec![Some(3), Some(1200)],
                ..InjectedOrder::default()
            }],
            reach: vec![Reached {
                count: 1,
                ..Reached::default()
            }],
            ..Schedules::default()
        };
        assert!(schedules.is_good());
        assert_eq!(schedules.per_second(), Some(200.0));
        assert_eq!(schedules.injected[0].schedules_text(), "3; 1,200");
        for spoil in [
            (|schedules| schedules.failures = 1) as fn(&mut Schedules),
            |schedules| schedules.injected[0].caught = false,
            |schedules| schedules.reach[0].count = 0,
        ] {
            let mut spoilt = schedules.clone();
            spoil(&mut spoilt);
            assert!(!spoilt.is_good(), "{spoilt:?}");
        }
        schedules.not_run = Some("because".into());
        assert!(schedules.headline().contains("not run: because"));
    }
}
