//! Tests of the log as a whole, on files in memory; what they share.

mod concurrency;
mod damage;
mod files;
mod format_doc;
mod os;
mod power_loss;
mod recycling;
mod restart;
mod round_trip;
mod sweep;
mod windows;
mod witnesses;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{CommitMark, FrameKind, Recovered, Wal, WalOptions};
use crate::error::Result;
use crate::ids::{CommitId, LogPosition, PageNumber};
use crate::vfs::{MemoryVfs, OpenMode, Vfs, read_exact_at};

const DIR: &str = "/db/wal";
const CLOCK_MS: u64 = 1_700_000_000_000;

/// The smallest segments, so that a short log has several: 4096 bytes of frames each.
const SEGMENT: u64 = 12_288;
/// Where the first segment of a log starts.
const START: u64 = 4096;

fn options() -> WalOptions {
    WalOptions {
        segment_size: SEGMENT,
        page_size: 512,
        ..WalOptions::new(DIR)
    }
}

fn start(vfs: &MemoryVfs, after: LogPosition) -> Wal {
    Wal::start(Arc::new(vfs.clone()), options(), after).unwrap()
}

/// A commit as written and as read back.
#[derive(Clone, Debug, PartialEq, Eq)]
struct TestCommit {
    id: u64,
    wall_clock_ms: u64,
    frames: Vec<(u32, FrameKind, Vec<u8>)>,
}

/// A commit whose contents follow from its number: 1 to 3 frames, bodies of 0 to `body_max` bytes.
fn commit(id: u64, body_max: usize) -> TestCommit {
    let frames = (0..1 + id % 3).map(|index| {
        let kind = [FrameKind::Delta, FrameKind::Image, FrameKind::Freed][((id + index) % 3) as usize];
        let len = (id * 31 + index * 17) as usize % (body_max + 1);
        (1 + (id * 7 + index) as u32, kind, vec![(id + index) as u8; len])
    });
    let frames = if id.is_multiple_of(11) {
        vec![(0, FrameKind::Commit, Vec::new())]
    } else {
        frames.collect()
    };
    TestCommit {
        id,
        wall_clock_ms: CLOCK_MS + id * 3,
        frames,
    }
}

/// Appends under one lock; returns the position behind the commit.
fn append(wal: &Wal, commit: &TestCommit) -> Result<LogPosition> {
    let mut appender = wal.appender();
    let count = commit.frames.len();
    let mut end = appender.end();
    for (index, (page, kind, body)) in commit.frames.iter().enumerate() {
        let mark = (index + 1 == count).then_some(CommitMark {
            frame_count: count as u32,
            wall_clock_ms: commit.wall_clock_ms,
        });
        end = appender.frame(PageNumber(*page), CommitId(commit.id), *kind, mark, |out| {
            out.extend_from_slice(body);
        })?;
    }
    Ok(end)
}

/// Recovers with the given options and collects the commits.
fn recover_with(
    vfs: &dyn Vfs,
    options: &WalOptions,
    from: LogPosition,
    must_reach: LogPosition,
) -> Result<(Recovered, Vec<TestCommit>)> {
    let mut commits: Vec<TestCommit> = Vec::new();
    let mut goes_on = false;
    let recovered = Wal::recover(vfs, options, from, must_reach, |commit| {
        let frames = commit
            .frames()
            .map(|frame| (frame.page.0, frame.kind, frame.to_body().to_vec()));
        let is_part = std::mem::replace(&mut goes_on, !commit.is_last_part);
        if let Some(before) = commits.last_mut().filter(|_| is_part) {
            assert_eq!(
                (before.id, before.wall_clock_ms),
                (commit.id.0, commit.wall_clock_ms)
            );
            before.frames.extend(frames);
            return Ok(());
        }
        commits.push(TestCommit {
            id: commit.id.0,
            wall_clock_ms: commit.wall_clock_ms,
            frames: frames.collect(),
        });
        Ok(())
    })?;
    assert_eq!(recovered.commits, commits.len() as u64);
    assert_eq!(recovered.last_commit, commits.last().map(|c| CommitId(c.id)));
    assert_eq!(
        recovered.frames,
        commits.iter().map(|c| c.frames.len() as u64).sum::<u64>()
    );
    Ok((recovered, commits))
}

fn recover(
    vfs: &dyn Vfs,
    from: LogPosition,
    must_reach: LogPosition,
) -> Result<(Recovered, Vec<TestCommit>)> {
    recover_with(vfs, &options(), from, must_reach)
}

/// The files of the log directory with their bytes.
type Image = Vec<(PathBuf, Vec<u8>)>;

fn image(vfs: &dyn Vfs) -> Image {
    let read = |path: PathBuf| {
        let file = vfs.open(&path, OpenMode::default()).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        read_exact_at(&*file, &mut bytes, 0).unwrap();
        (path, bytes)
    };
    vfs.list(Path::new(DIR)).unwrap().into_iter().map(read).collect()
}

fn restore(image: &Image) -> MemoryVfs {
    let vfs = MemoryVfs::default();
    vfs.create_dir(Path::new(DIR)).unwrap();
    for (path, bytes) in image {
        overwrite(&vfs, path, bytes, 0);
    }
    vfs
}

fn overwrite(vfs: &MemoryVfs, path: &Path, bytes: &[u8], offset: u64) {
    let create = OpenMode {
        create: true,
        ..OpenMode::default()
    };
    vfs.open(path, create).unwrap().write_at(bytes, offset).unwrap();
}

/// Names of the segment files, short.
fn names(vfs: &dyn Vfs) -> Vec<String> {
    let files = vfs.list(Path::new(DIR)).unwrap();
    files
        .iter()
        .map(|path| {
            path.file_stem()
                .unwrap()
                .to_str()
                .unwrap()
                .trim_start_matches('0')
                .to_owned()
        })
        .collect()
}
