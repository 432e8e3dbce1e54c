//! Redo of logs written by hand onto data files written by hand: what each state of a start leads to.

mod steps;

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::compress::Codec;
use crate::ids::TableId;
use crate::page::builder::{NodeBuilder, NodeHeader};
use crate::page::delta::Operation;
use crate::page::edit::NodeMut;
use crate::page::image;
use crate::page::words::{Words, private_page};
use crate::store::{CreateOptions, DataFile, PageImage};
use crate::txn::IMAGE_CODEC_NONE;
use crate::vfs::{MemoryVfs, OpenMode};
use crate::wal::{CommitMark, FrameKind};

const DATA: &str = "/db/data";
const PAGE_SIZE: u32 = 4096;

/// A database as a crash left it: what the data file holds, and the frames of each commit behind it.
struct Crashed {
    vfs: MemoryVfs,
    options: WalOptions,
    wal: Option<Wal>,
    next: u64,
}

/// A leaf in the data file: page, commit, rows.
type Leaf<'a> = (u32, u64, &'a [(&'a str, &'a str)]);

/// One frame: page, kind, body.
type TestFrame = (u32, FrameKind, Vec<u8>);

impl Crashed {
    /// A data file with these leaves (page, commit, rows), and an empty log behind it.
    fn new(leaves: &[Leaf<'_>]) -> Self {
        let vfs = MemoryVfs::default();
        vfs.create_dir(Path::new("/db")).unwrap();
        let create = CreateOptions {
            page_size: PAGE_SIZE,
            codec: Codec::None,
            level: 0,
            wal_segment_size: 64 << 10,
        };
        let shared: Arc<dyn Vfs> = Arc::new(vfs.clone());
        let store = DataFile::create(shared, Path::new(DATA), open_file(&vfs), &create).unwrap();
        let last = leaves.iter().map(|leaf| leaf.1).max().unwrap_or(0);
        let options = WalOptions {
            segment_size: 64 << 10,
            page_size: PAGE_SIZE as usize,
            ..WalOptions::new("/db/wal")
        };
        let wal = Wal::start(Arc::new(vfs.clone()), options.clone(), LogPosition(0)).unwrap();
        for &(page, commit, rows) in leaves {
            store.mark_allocated(PageNumber(page)).unwrap();
            let image = leaf(page, commit, rows);
            store
                .write_pages(&[PageImage {
                    has_ghosts: false,
                    page: PageNumber(page),
                    commit: CommitId(commit),
                    raw: &image,
                }])
                .unwrap();
        }
        let frozen = store.freeze(CommitId(last));
        store.commit_checkpoint(frozen, wal.end(), wal.end()).unwrap();
        Self {
            vfs,
            options,
            wal: Some(wal),
            next: last + 1,
        }
    }

    fn log(mut self, frames: &[TestFrame]) -> Self {
        let wal = self.wal.as_ref().unwrap();
        for (index, (page, kind, body)) in frames.iter().enumerate() {
            let mark = (index + 1 == frames.len()).then_some(CommitMark {
                frame_count: frames.len() as u32,
                wall_clock_ms: 0,
            });
            wal.append(PageNumber(*page), CommitId(self.next), *kind, mark, body)
                .unwrap();
        }
        wal.flush().unwrap();
        self.next += 1;
        self
    }

    fn recover(&self, threads: usize) -> Result<(Pool, Redone)> {
        self.recover_within(threads, BATCH_BYTES, &self.options)
    }

    fn recover_within(
        &self,
        threads: usize,
        batch_bytes: usize,
        options: &WalOptions,
    ) -> Result<(Pool, Redone)> {
        let vfs = self.vfs.fork();
        let store = DataFile::open(Arc::new(vfs.clone()), Path::new(DATA), open_file(&vfs))?;
        let pool = Pool::new(Arc::new(store), PAGE_SIZE as usize, 4 << 20);
        let redone = recover(&vfs, &pool, options, threads, batch_bytes)?;
        Ok((pool, redone))
    }

    /// The reason why recovery fails, however many threads redo.
    fn refusal(&self) -> String {
        let one = self.recover(1).unwrap_err().to_string();
        assert_eq!(self.recover(4).unwrap_err().to_string(), one);
        one
    }
}

fn open_file(vfs: &MemoryVfs) -> Arc<dyn crate::vfs::VfsFile> {
    let mode = OpenMode {
        create: true,
        ..OpenMode::default()
    };
    vfs.open(Path::new(DATA), mode).unwrap()
}

/// The image of a leaf.
fn leaf(page: u32, commit: u64, rows: &[(&str, &str)]) -> Vec<u8> {
    let header = NodeHeader {
        page: PageNumber(page),
        table: TableId(1),
        commit: CommitId(commit),
        level: 0,
        low: Vec::new(),
        high: None,
        first_child: PageNumber::NONE,
    };
    let memory = private_page(PAGE_SIZE as usize);
    let mut node = NodeMut::new(Words::new(&memory));
    node.replace(&NodeBuilder::new(PAGE_SIZE as usize, &header).finish());
    for (key, value) in rows {
        node.put(key.as_bytes(), value.as_bytes(), 0, CommitId(0))
            .unwrap();
    }
    let mut image = Vec::new();
    image::encode(*node, &mut image);
    image
}

fn image_frame(page: u32, commit: u64, rows: &[(&str, &str)]) -> TestFrame {
    let mut body = vec![IMAGE_CODEC_NONE];
    body.extend(leaf(page, commit, rows));
    (page, FrameKind::Image, body)
}

fn put(page: u32, key: &str, value: &str) -> TestFrame {
    let (key, value) = (key.as_bytes(), value.as_bytes());
    let mut body = Vec::new();
    Operation::Put { key, value }.encode(&mut body);
    (page, FrameKind::Delta, body)
}

/// The commit and the rows of a page; `None` if there is no such page.
fn page(pool: &Pool, page: u32) -> Option<(u64, Vec<(String, String)>)> {
    let found = pool.reader().get(PageNumber(page)).unwrap()?;
    let node = found.node();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let rows = (0..node.count()).map(|index| {
        let (offset, len) = node.payload_position(node.slot(index));
        let mut value = Vec::new();
        assert!(node.words.append_to(offset, len, &mut value));
        (text(node.key(index)), text(value))
    });
    Some((node.commit_id().0, rows.collect()))
}

fn rows(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |&(key, value): &(&str, &str)| (key.to_owned(), value.to_owned());
    expected.iter().map(own).collect()
}

#[test]
fn an_empty_log_changes_nothing() {
    let crashed = Crashed::new(&[(1, 7, &[("a", "old")])]);
    let (pool, redone) = crashed.recover(1).unwrap();
    assert_eq!(redone.last, CommitId(7));
    let expected = RecoveryReport {
        redo_ns: redone.report.redo_ns,
        ..RecoveryReport::default()
    };
    assert_eq!(redone.report, expected);
    assert_eq!(pool.dirty_count(), 0);
    assert_eq!(page(&pool, 1), Some((7, rows(&[("a", "old")]))));
}

#[test]
fn commits_behind_the_checkpoint_are_redone_in_order_and_counted() {
    let crashed = Crashed::new(&[(1, 2, &[("a", "old")])])
        .log(&[put(1, "a", "new"), image_frame(2, 3, &[("x", "1")])])
        .log(&[put(1, "b", "more"), put(2, "x", "2")])
        .log(&[(0, FrameKind::Commit, Vec::new())]);
    let end = crashed.wal.as_ref().unwrap().durable();
    let (pool, redone) = crashed.recover(1).unwrap();
    assert_eq!((redone.last, redone.end), (CommitId(5), end));
    let report = redone.report;
    assert_eq!((report.commits, report.frames, report.pages), (3, 5, 2));
    assert!(report.bytes > 4 * 25 && !report.torn_tail);
    assert_eq!(page(&pool, 1), Some((4, rows(&[("a", "new"), ("b", "more")]))));
    assert_eq!(page(&pool, 2), Some((4, rows(&[("x", "2")]))));
    assert_eq!(pool.dirty_count(), 2, "the checkpoint after recovery writes both");
}

#[test]
fn what_the_data_file_has_already_is_not_redone() {
    for (written_at, expected) in [
        (4, rows(&[("a", "written out"), ("b", "5")])),
        (5, rows(&[("a", "written out")])),
    ] {
        let pool = recovered_after_writing_out(written_at);
        assert_eq!(page(&pool, 1), Some((5, expected)));
        assert_eq!(pool.dirty_count(), usize::from(written_at < 5));
    }
}

/// Three commits to a page, which was written out after one of them, past the checkpoint that knows of none.
fn recovered_after_writing_out(written_at: u64) -> Pool {
    let crashed = Crashed::new(&[(1, 2, &[("a", "2")])])
        .log(&[put(1, "a", "3")])
        .log(&[put(1, "a", "4")])
        .log(&[put(1, "b", "5")]);
    let vfs = crashed.vfs.fork();
    let store = DataFile::open(Arc::new(vfs.clone()), Path::new(DATA), open_file(&vfs)).unwrap();
    let written = leaf(1, written_at, &[("a", "written out")]);
    let (page_number, commit) = (PageNumber(1), CommitId(written_at));
    store
        .write_pages(&[PageImage {
            has_ghosts: false,
            page: page_number,
            commit,
            raw: &written,
        }])
        .unwrap();
    let (redo, must_reach) = (store.superblock().redo, store.superblock().must_reach);
    store
        .commit_checkpoint(store.freeze(CommitId(2)), redo, must_reach)
        .unwrap();
    drop(store);
    let crashed = Crashed { vfs, ..crashed };
    let (pool, redone) = crashed.recover(1).unwrap();
    assert_eq!(redone.last, CommitId(5));
    pool
}

#[test]
fn all_before_an_image_or_a_freeing_is_left_out() {
    let nonsense = (1, FrameKind::Delta, vec![99, 0]);
    let crashed = Crashed::new(&[(1, 1, &[]), (2, 1, &[])])
        .log(&[nonsense.clone(), put(2, "a", "1")])
        .log(&[image_frame(1, 3, &[("k", "image")])])
        .log(&[put(1, "l", "delta"), (2, FrameKind::Freed, Vec::new())])
        .log(&[image_frame(3, 5, &[]), put(1, "m", "more")])
        .log(&[(3, FrameKind::Freed, Vec::new())])
        .log(&[image_frame(3, 7, &[("again", "3")])]);
    let (pool, _) = crashed.recover(1).unwrap();
    assert_eq!(
        page(&pool, 1),
        Some((5, rows(&[("k", "image"), ("l", "delta"), ("m", "more")])))
    );
    assert!(!pool.store().is_allocated(PageNumber(2)));
    assert_eq!(page(&pool, 2), None);
    assert_eq!(page(&pool, 3), Some((7, rows(&[("again", "3")]))));
}

#[test]
fn many_pages_are_redone_by_several_threads_as_by_one() {
    let pages: Vec<u32> = (1..=300).collect();
    let images: Vec<_> = pages.iter().map(|&page| image_frame(page, 1, &[])).collect();
    let mut crashed = Crashed::new(&[]).log(&images);
    for _ in 0..3 {
        let commit = crashed.next.to_string();
        let puts: Vec<_> = pages.iter().map(|&page| put(page, &commit, "v")).collect();
        crashed = crashed.log(&puts);
    }
    let expected = Some((4, rows(&[("2", "v"), ("3", "v"), ("4", "v")])));
    for threads in [1, 2, 8] {
        let (pool, redone) = crashed.recover(threads).unwrap();
        assert_eq!((redone.report.pages, redone.report.frames), (300, 1200));
        for &number in &pages {
            assert_eq!(page(&pool, number), expected, "page {number}, {threads} threads");
        }
    }
}

#[test]
fn a_log_that_ends_in_half_a_commit_is_torn_and_the_half_is_not_redone() {
    let crashed = Crashed::new(&[(1, 1, &[])]).log(&[put(1, "a", "1")]);
    let wal = crashed.wal.as_ref().unwrap();
    let end = wal.durable();
    let (number, kind, body) = put(1, "b", "never");
    wal.append(PageNumber(number), CommitId(3), kind, None, &body)
        .unwrap();
    wal.flush().unwrap();
    let (pool, redone) = crashed.recover(1).unwrap();
    assert!(redone.report.torn_tail);
    assert_eq!((redone.last, redone.end), (CommitId(2), end));
    assert_eq!(page(&pool, 1), Some((2, rows(&[("a", "1")]))));
}

#[test]
fn frames_that_cannot_be_redone_are_corruption_that_says_why() {
    let fresh = || Crashed::new(&[(1, 1, &[])]);
    let image = |body: &[u8]| (1, FrameKind::Image, body.to_vec());
    let freed = |page| (page, FrameKind::Freed, Vec::new());
    for (crashed, why) in [
        (fresh().log(&[image(&[])]), "empty page image"),
        (fresh().log(&[image(&[9, 1, 2])]), "page image with codec 9"),
        (
            fresh().log(&[image(&[IMAGE_CODEC_NONE, 1, 2])]),
            "bad page image: page image of 2 bytes",
        ),
        (
            fresh().log(&[put(5, "a", "b")]),
            "the page that it changes does not exist",
        ),
        (
            fresh().log(&[(1, FrameKind::Delta, vec![99, 0])]),
            "malformed page delta",
        ),
        (
            fresh().log(&[freed(1)]).log(&[put(1, "a", "b")]),
            "the page was freed before",
        ),
        (
            fresh().log(&[put(1, "a", "b"), put(1, "a", "c")]),
            "the second one of its commit",
        ),
    ] {
        let error = crashed.refusal();
        assert!(
            error.contains(why) && error.contains("cannot be redone"),
            "{error}"
        );
        // The same among so many pages that several threads redo them.
        let others: Vec<_> = (100..300).map(|page| image_frame(page, 9, &[])).collect();
        let error = crashed.log(&others).refusal();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn pages_newer_than_the_log_are_corruption() {
    let crashed = Crashed::new(&[(1, 9, &[])]);
    let vfs = crashed.vfs.fork();
    // A checkpoint that claims less than its pages hold: the log that held the rest is gone.
    let store = DataFile::open(Arc::new(vfs.clone()), Path::new(DATA), open_file(&vfs)).unwrap();
    let raw = leaf(2, 20, &[]);
    store.mark_allocated(PageNumber(2)).unwrap();
    store
        .write_pages(&[PageImage {
            has_ghosts: false,
            page: PageNumber(2),
            commit: CommitId(20),
            raw: &raw,
        }])
        .unwrap();
    let (redo, must_reach) = (store.superblock().redo, store.superblock().must_reach);
    store
        .commit_checkpoint(store.freeze(CommitId(9)), redo, must_reach)
        .unwrap();
    drop(store);
    let error = Crashed { vfs, ..crashed }.refusal();
    assert!(
        error.contains("pages hold commit 20, but the log ends with commit 9"),
        "{error}"
    );
}

#[test]
fn a_data_file_that_cannot_be_read_or_grown_ends_recovery_with_that_error() {
    // An image for which the cache has no frame and the disk no room: what the page store says is passed on.
    let pages: Vec<_> = (1..=200).map(|page| image_frame(page, 1, &[])).collect();
    let crashed = Crashed::new(&[]).log(&pages);
    let vfs = crashed.vfs.fork();
    let store = DataFile::open(Arc::new(vfs.clone()), Path::new(DATA), open_file(&vfs)).unwrap();
    let pool = Pool::new(Arc::new(store), PAGE_SIZE as usize, 0);
    vfs.set_capacity(Some(vfs.used_bytes()));
    for threads in [1, 4] {
        let error = recover(&vfs, &pool, &crashed.options, threads, BATCH_BYTES).unwrap_err();
        assert!(error.is_disk_full(), "{error}");
    }
}
