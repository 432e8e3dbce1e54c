//! Whatever was flushed before the last flush has a witness outside its block and outside its file: every course of a few
//! flushes, checkpoints, failed checkpoints and restarts, after each of which every block and every file is lost in turn.

use super::*;
use crate::error::Error;
use crate::vfs::{SimulatedVfs, simulated};
use crate::wal::WalSync;
use crate::wal::block::BLOCK_BYTES;

/// What is done with the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// A small commit is flushed.
    Flush,
    /// A checkpoint begins; one that was under way has failed.
    Begin,
    /// The checkpoint under way becomes durable, and the log does not know yet.
    Durable,
    /// The log hears of it.
    Checkpoint,
    /// The log is recovered and goes on in another segment. No checkpoint follows: the disk may be full.
    Restart,
}

use Step::{Begin, Checkpoint, Durable, Flush, Restart};

/// Every course of `count` steps that can be.
fn courses(count: usize) -> Vec<Vec<Step>> {
    let mut courses = vec![Vec::new()];
    for _ in 0..count {
        let longer = |course: &Vec<Step>| {
            let last = course.iter().rfind(|step| **step != Flush).copied();
            let next: &[Step] = match last {
                Some(Begin) => &[Flush, Begin, Durable, Restart],
                Some(Durable) => &[Flush, Checkpoint, Restart],
                _ => &[Flush, Begin, Restart],
            };
            let add = |step: &Step| [&course[..], &[*step]].concat();
            next.iter().map(add).collect::<Vec<_>>()
        };
        courses = courses.iter().flat_map(longer).collect();
    }
    courses
}

/// A log on which a course was taken.
struct Taken {
    image: Image,
    options: WalOptions,
    /// Of the superblock in force.
    redo: LogPosition,
    must_reach: LogPosition,
    /// Behind what was durable before the last flush.
    durable_before: LogPosition,
}

/// Takes a course, behind a commit of `filler` bytes and with commits of `len` bytes.
fn take(course: &[Step], sync: WalSync, filler: usize, len: usize) -> Taken {
    let vfs = SimulatedVfs::from_image(&simulated::Image::with_dirs(["/", "/db"]), 3);
    let options = WalOptions {
        segment_size: SEGMENT + BLOCK_BYTES as u64,
        sync,
        ..options()
    };
    let start = |after| Wal::start(Arc::new(vfs.clone()), options.clone(), after).unwrap();
    let mut wal = start(LogPosition(0));
    let mut number = 0;
    let mut flush = |wal: &Wal, len: usize| {
        number += 1;
        let mark = CommitMark {
            frame_count: 1,
            wall_clock_ms: CLOCK_MS,
        };
        let body = vec![number as u8; len];
        wal.append(
            PageNumber(1),
            CommitId(number),
            FrameKind::Delta,
            Some(mark),
            &body,
        )
        .unwrap();
        wal.flush().unwrap()
    };
    let (mut redo, mut must_reach) = (wal.end(), wal.end());
    let mut begun = redo;
    let mut durable_before = begun;
    let mut durable = flush(&wal, filler);
    for step in course {
        match step {
            Flush => durable_before = std::mem::replace(&mut durable, flush(&wal, len)),
            Begin => begun = wal.begin_checkpoint(),
            Durable => (redo, must_reach) = (begun, wal.durable()),
            Checkpoint => wal.checkpoint(redo).unwrap(),
            Restart => {
                durable_before = durable;
                let (recovered, _) = recover_with(&vfs, &options, redo, must_reach).unwrap();
                assert_eq!(recovered.end, durable.max(redo));
                drop(wal);
                wal = start(recovered.end);
            }
        }
    }
    Taken {
        image: image(&vfs),
        options,
        redo,
        must_reach,
        durable_before,
    }
}

impl Taken {
    /// What is lost without a word, if anything.
    fn find_silent(&self) -> Option<String> {
        for (path, bytes) in &self.image {
            for start in (0..bytes.len()).step_by(BLOCK_BYTES) {
                let vfs = restore(&self.image);
                overwrite(&vfs, path, &[0; BLOCK_BYTES], start as u64);
                if let Some(end) = self.recovers_less(&vfs) {
                    return Some(format!("{} at {start}: {end}", path.display()));
                }
            }
            let vfs = restore(&self.image);
            vfs.remove(path).unwrap();
            if let Some(end) = self.recovers_less(&vfs) {
                return Some(format!("{}: {end}", path.display()));
            }
        }
        None
    }

    /// Where a recovery that reports nothing ends, if that is before what it must find.
    fn recovers_less(&self, vfs: &MemoryVfs) -> Option<LogPosition> {
        match recover_with(vfs, &self.options, self.redo, self.must_reach) {
            Ok((recovered, _)) => (recovered.end < self.durable_before).then_some(recovered.end),
            Err(error) => {
                let is_report = matches!(error, Error::Corruption { .. } | Error::Mismatch { .. });
                assert!(is_report, "{error}");
                None
            }
        }
    }
}

#[test]
fn after_any_course_a_lost_block_or_file_is_reported_or_held_the_last_flush_only() {
    let mut silent = Vec::new();
    let block = BLOCK_BYTES - 600;
    // Into the middle of a block, to its end, to that of the segment's frames.
    for (steps, filler, len) in [(6, 100, 40), (5, block, 300), (5, 2 * block + 500, 350)] {
        for course in courses(steps) {
            for sync in [WalSync::Fdatasync, WalSync::Direct] {
                let lost = take(&course, sync, filler, len).find_silent();
                silent.extend(lost.map(|lost| format!("{filler} {len} {sync:?} {course:?}: {lost}")));
            }
        }
    }
    assert!(
        silent.is_empty(),
        "{} courses, for instance {:#?}",
        silent.len(),
        &silent[..silent.len().min(6)]
    );
}
