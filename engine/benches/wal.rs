//! The log alone: appending frames, making groups of commits durable, reading the log back.
//!
//! - `append`: one-row commits of 100 bytes into the log buffer, written (not synced) to memory files every 4 MiB.
//! - `flush`: commits made durable on the disk of the temporary directory (`TMPDIR`), 1, 16 and 64 in one flush; beside
//!   the bound `raw`, the same bytes written and synced without a log.
//! - `recover`: the log in memory files read back, checks included; beside the bound `crc`, the CRC of as many bytes.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use engine::ids::{CommitId, LogPosition, PageNumber};
use engine::vfs::{MemoryVfs, OpenMode, OsVfs, Vfs};
use engine::wal::{CommitMark, FrameKind, Wal, WalOptions, WalSync};

const ROW_BYTES: usize = 100;
const WRITE_OUT_BYTES: usize = 4 << 20;

/// A log that appends one-row commits.
struct Appending {
    wal: Wal,
    next: u64,
}

impl Appending {
    fn new(vfs: Arc<dyn Vfs>, options: WalOptions) -> Self {
        let wal = Wal::start(vfs, options, LogPosition(0)).expect("the log starts");
        Self { wal, next: 1 }
    }

    fn append(&mut self, count: u64) {
        let mut appender = self.wal.appender();
        for _ in 0..count {
            let id = CommitId(self.next);
            let mark = CommitMark {
                frame_count: 1,
                wall_clock_ms: 1_700_000_000_000 + self.next,
            };
            let page = PageNumber(1 + (self.next % 1000) as u32);
            appender
                .frame(page, id, FrameKind::Delta, Some(mark), |out| {
                    out.extend_from_slice(black_box(&[7; ROW_BYTES]));
                })
                .expect("the frame is appended");
            self.next += 1;
        }
    }

    /// Keeps the buffer and the number of segments bounded.
    fn trim(&mut self) {
        if self.wal.buffered_bytes() > WRITE_OUT_BYTES {
            let position = self.wal.flush().expect("the log is flushed");
            self.wal.checkpoint(position).expect("segments are recycled");
        }
    }
}

fn append(c: &mut Criterion) {
    let mut group = c.benchmark_group("append");
    group.throughput(Throughput::Elements(1));
    group.bench_function("one_row_commit", |b| {
        let mut log = Appending::new(Arc::new(MemoryVfs::default()), WalOptions::new("/wal"));
        b.iter(|| {
            log.append(1);
            log.trim();
        });
    });
    group.finish();
}

fn flush(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut group = c.benchmark_group("flush");
    for commits in [1u64, 16, 64] {
        group.throughput(Throughput::Elements(commits));
        for sync in [WalSync::Fdatasync, WalSync::Direct] {
            let name = format!("{sync:?}").to_lowercase();
            let options = WalOptions {
                dir: dir.path().join(format!("{name}-{commits}")),
                sync,
                ..WalOptions::new("")
            };
            let vfs = Arc::new(OsVfs::default());
            let Ok(wal) = Wal::start(vfs, options, LogPosition(0)) else {
                eprintln!(
                    "flush/{name}: not supported by the file system of {}",
                    dir.path().display()
                );
                continue;
            };
            let mut log = Appending { wal, next: 1 };
            group.bench_function(BenchmarkId::new(name, commits), |b| {
                b.iter(|| {
                    log.append(commits);
                    let durable = log.wal.flush().expect("the log is flushed");
                    log.wal.checkpoint(durable).expect("segments are recycled");
                });
            });
        }
        group.bench_function(BenchmarkId::new("raw", commits), |b| {
            let file = zeroed_file(dir.path());
            let bytes = vec![7; (commits as usize * (ROW_BYTES + 30)).next_multiple_of(4096)];
            let mut offset = 0;
            b.iter(|| {
                file.write_at(&bytes, offset).expect("written");
                file.sync_data().expect("synced");
                offset = (offset + 4096) % (8 << 20);
            });
        });
    }
    group.finish();
}

fn zeroed_file(dir: &Path) -> Arc<dyn engine::vfs::VfsFile> {
    let mode = OpenMode {
        create: true,
        ..OpenMode::default()
    };
    let file = OsVfs::default()
        .open(&dir.join("raw"), mode)
        .expect("the file is created");
    file.write_at(&vec![0; 9 << 20], 0).expect("zeros are written");
    file.sync_all().expect("synced");
    file
}

fn recover(c: &mut Criterion) {
    const COMMITS: u64 = 100_000;
    let vfs = MemoryVfs::default();
    let mut log = Appending::new(Arc::new(vfs.clone()), WalOptions::new("/wal"));
    let begin = log.wal.end();
    log.append(COMMITS);
    let end = log.wal.flush().expect("the log is flushed");
    let bytes = log.wal.stats().bytes_appended;
    let mut group = c.benchmark_group("recover");
    group.throughput(Throughput::Bytes(bytes));
    group.bench_function("one_row_commits", |b| {
        b.iter(|| {
            let mut rows = 0u64;
            let recovered = Wal::recover(&vfs, &WalOptions::new("/wal"), begin, end, |commit| {
                rows += commit.frames().map(|frame| frame.body.len() as u64).sum::<u64>();
                Ok(())
            });
            assert_eq!(recovered.expect("an intact log").commits, COMMITS);
            rows
        });
    });
    group.bench_function("crc", |b| {
        let log = vec![7u8; bytes as usize];
        b.iter(|| crc32fast::hash(black_box(&log)));
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .sample_size(30);
    targets = append, flush, recover
}
criterion_main!(benches);
