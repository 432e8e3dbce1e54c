//! Figures that an engine can tell about itself. Whatever it does not know is `None`, never 0 (`no-zero-for-unknown`); what it knows
//! once it knows always, and counters never fall (`counters`). Each commit that wrote is counted once (`commits-counted`).

use serde::{Deserialize, Serialize};

/// How many log flushes made durable a group of this many commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupSize {
    /// Greatest number of commits in this class; the class begins after the one before.
    pub commits_max: u64,
    /// Number of flushes in the class.
    pub flushes: u64,
}

macro_rules! stats {
    (
        counters { $( $(#[$counter_doc:meta])* $counter:ident ),* $(,)? }
        gauges { $( $(#[$gauge_doc:meta])* $gauge:ident : $kind:ty ),* $(,)? }
    ) => {
        /// Figures of an engine, since it was opened (counters) or now (gauges).
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct TargetStats {
            $( $(#[$counter_doc])* pub $counter: Option<u64>, )*
            $( $(#[$gauge_doc])* pub $gauge: Option<$kind>, )*
            /// Flushes by the number of commits that they made durable, as a counter, in rising classes.
            pub commits_per_flush: Option<Vec<GroupSize>>,
        }

        impl TargetStats {
            /// The counters by name.
            pub fn counters(&self) -> Vec<(&'static str, Option<u64>)> {
                vec![$( (stringify!($counter), self.$counter), )*]
            }

            /// What happened between `earlier` and now: counters are subtracted, gauges are those of now. A counter
            /// that is missing on one side, or ran backwards, is `None`.
            #[must_use]
            pub fn since(&self, earlier: &TargetStats) -> TargetStats {
                TargetStats {
                    $( $counter: difference(self.$counter, earlier.$counter), )*
                    $( $gauge: self.$gauge.clone(), )*
                    commits_per_flush: group_difference(
                        self.commits_per_flush.as_deref(),
                        earlier.commits_per_flush.as_deref(),
                    ),
                }
            }
        }
    };
}

stats! {
    counters {
        /// Transactions committed that wrote something.
        commits,
        /// Transactions rolled back, by request or by failure.
        rollbacks,
        /// Flushes of the log to the device.
        flushes,
        /// Bytes appended to the write-ahead log.
        wal_bytes,
        /// Bytes written to the log's files, with padding and rewritten blocks, without zeros ahead of use.
        wal_bytes_written,
        /// Bytes of zeros written to new files of the log ahead of use.
        wal_bytes_zeroed,
        /// Bytes written to any file, log included.
        bytes_written,
        /// Bytes read from any file.
        bytes_read,
        /// Checkpoints completed.
        checkpoints,
        /// Nanoseconds during which a checkpoint was running.
        checkpoint_ns,
        /// Pages read from the data file.
        pages_read,
        /// Pages written to the data file.
        pages_written,
        /// Pages dropped from the cache to make room.
        pages_evicted,
        /// Page requests answered from the cache.
        cache_hits,
        /// Page requests that had to read.
        cache_misses,
        /// Times that a transaction had to wait for a lock.
        lock_waits,
        /// Nanoseconds spent waiting for locks, all transactions together.
        lock_wait_ns,
        /// Deadlocks resolved.
        deadlocks,
        /// Write conflicts reported.
        conflicts,
    }
    gauges {
        /// Bytes of write-ahead log that recovery would have to read now.
        wal_live_bytes: u64,
        /// Bytes of the log's files, live or kept for use again.
        wal_file_bytes: u64,
        /// Bytes of all files of the database, log included.
        file_bytes: u64,
        /// Pages in the data file.
        page_count: u64,
        /// Pages in the data file that hold nothing.
        pages_free: u64,
        /// Pages in memory that differ from the data file.
        pages_dirty: u64,
        /// Bytes of cached pages in memory.
        cache_bytes: u64,
        /// Bytes of old versions kept for snapshots.
        version_bytes: u64,
        /// Uncompressed bytes per stored byte of the data file; 2.0 means half the size.
        compression_ratio: f64,
        /// True while a checkpoint is running.
        checkpoint_active: bool,
        /// Bytes of log that the last open had to redo.
        redo_bytes: u64,
        /// Nanoseconds that redo took at the last open.
        redo_ns: u64,
        /// When the last checkpoint ended, in milliseconds since 1970.
        last_checkpoint_ms: u64,
    }
}

fn difference(now: Option<u64>, earlier: Option<u64>) -> Option<u64> {
    now?.checked_sub(earlier?)
}

fn group_difference(now: Option<&[GroupSize]>, earlier: Option<&[GroupSize]>) -> Option<Vec<GroupSize>> {
    let earlier = earlier?;
    now?.iter()
        .map(|group| {
            let before = earlier
                .iter()
                .find(|e| e.commits_max == group.commits_max)
                .map_or(0, |e| e.flushes);
            Some(GroupSize {
                flushes: group.flushes.checked_sub(before)?,
                ..*group
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_subtracted_gauges_are_not_and_missing_stays_missing() {
        let earlier = TargetStats {
            commits: Some(10),
            flushes: None,
            wal_bytes: Some(50),
            file_bytes: Some(7),
            commits_per_flush: Some(vec![GroupSize {
                commits_max: 1,
                flushes: 4,
            }]),
            ..TargetStats::default()
        };
        let now = TargetStats {
            commits: Some(25),
            flushes: Some(3),
            wal_bytes: Some(40),
            file_bytes: Some(9),
            commits_per_flush: Some(vec![
                GroupSize {
                    commits_max: 1,
                    flushes: 6,
                },
                GroupSize {
                    commits_max: 2,
                    flushes: 1,
                },
            ]),
            ..TargetStats::default()
        };
        let run = now.since(&earlier);
        assert_eq!(run.commits, Some(15));
        assert_eq!(run.flushes, None, "unknown before, so unknown for the span");
        assert_eq!(
            run.wal_bytes, None,
            "a counter that ran backwards is not a figure"
        );
        assert_eq!(run.file_bytes, Some(9));
        assert_eq!(run.cache_hits, None);
        let groups = run.commits_per_flush.unwrap();
        assert_eq!((groups[0].flushes, groups[1].flushes), (2, 1));
    }
}
