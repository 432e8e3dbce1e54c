//! What the engine does with a data file all day.

use super::*;
use crate::error::Error;
use crate::vfs::OsVfs;

const CODECS: [Codec; 3] = Codec::AVAILABLE;

#[test]
fn pages_survive_a_checkpoint_and_reopening_with_every_codec() {
    for codec in CODECS {
        let vfs = MemoryVfs::default();
        let mut model = Model::new();
        let file = create_with(&vfs, codec);
        let all = allocate(&file, 1500);
        assert_eq!(all[0], PageNumber::CATALOG);
        write(&file, CommitId(1), &all, &mut model).unwrap();
        assert_contents(&file, &model);
        checkpoint(&file, CommitId(1)).unwrap();
        verified(&file).unwrap();
        drop(file);

        let file = reopen(&vfs).unwrap();
        assert_contents(&file, &model);
        assert_eq!(file.page_commit_at_open(), CommitId(1));
        assert_eq!(verified(&file).unwrap(), 1500);
        assert_eq!(usable_superblocks(&file), 2);
        let superblock = file.superblock();
        assert_eq!(
            (superblock.generation, superblock.page_count, superblock.page_high),
            (2, 1500, 1500)
        );
        assert_eq!(superblock.last_commit, CommitId(1));
        assert_eq!(file.allocate_page().unwrap(), PageNumber(1501));
    }
}

#[test]
fn a_new_file_is_empty_and_opens() {
    let vfs = MemoryVfs::default();
    let file = create_with(&vfs, Codec::Lz4);
    assert_eq!(file.stats().file_bytes, 8192);
    assert_eq!(file.stats().last_checkpoint, None);
    verified(&file).unwrap();
    assert_eq!(usable_superblocks(&file), 2);
    drop(file);
    let file = reopen(&vfs).unwrap();
    assert_contents(&file, &Model::new());
    assert_eq!(file.codec(), (Codec::Lz4, 0));
    assert_eq!(file.page_commit(PageNumber::CATALOG), None);
    checkpoint(&file, CommitId(0)).unwrap();
    assert_eq!(file.superblock().generation, 2);
    assert!(file.stats().last_checkpoint.is_some());
    drop(file);
    assert_contents(&reopen(&vfs).unwrap(), &Model::new());
}

#[test]
fn what_no_checkpoint_covers_is_gone_after_reopening() {
    let vfs = MemoryVfs::default();
    let file = create_with(&vfs, Codec::None);
    let all = allocate(&file, 10);
    let mut model = Model::new();
    write(&file, CommitId(1), &all, &mut model).unwrap();
    checkpoint(&file, CommitId(1)).unwrap();
    let mut newer = model.clone();
    write(&file, CommitId(2), &all[3..6], &mut newer).unwrap();
    assert_contents(&file, &newer);
    drop(file);
    let file = reopen(&vfs).unwrap();
    assert_contents(&file, &model);
    verified(&file).unwrap();
}

#[test]
fn rewriting_the_same_pages_reuses_space() {
    for codec in CODECS {
        let vfs = MemoryVfs::default();
        let file = create_with(&vfs, codec);
        let all = allocate(&file, 200);
        let mut model = Model::new();
        let mut largest = 0;
        for round in 1..=40 {
            write(&file, CommitId(round), &all, &mut model).unwrap();
            checkpoint(&file, CommitId(round)).unwrap();
            largest = file.stats().file_bytes;
        }
        verified(&file).unwrap();
        assert_contents(&file, &model);
        let live = file.stats().live_bytes;
        assert!(
            largest < live * 3 + (1 << 20),
            "{codec}: {largest} bytes for {live} live"
        );
        assert_eq!(file.stats().pending_bytes, 0);
    }
}

#[test]
fn an_extent_is_not_reused_before_the_next_checkpoint() {
    let vfs = MemoryVfs::default();
    let file = create_with(&vfs, Codec::None);
    let all = allocate(&file, 50);
    let mut model = Model::new();
    write(&file, CommitId(1), &all, &mut model).unwrap();
    checkpoint(&file, CommitId(1)).unwrap();
    // However often the pages are written, the checkpoint of commit 1 stays whole.
    for round in 2..10 {
        write(&file, CommitId(round), &all, &mut Model::new()).unwrap();
        assert_contents(&reopen(&vfs).unwrap(), &model);
    }
    assert!(file.stats().pending_bytes > 0);
}

#[test]
fn a_freed_page_leaves_with_the_checkpoint_that_covers_its_commit() {
    let vfs = MemoryVfs::default();
    let file = create_with(&vfs, Codec::Lz4);
    let all = allocate(&file, 5);
    let mut model = Model::new();
    write(&file, CommitId(1), &all, &mut model).unwrap();
    checkpoint(&file, CommitId(1)).unwrap();

    assert!(file.free_page(PageNumber(2), CommitId(7)));
    assert!(!file.free_page(PageNumber(2), CommitId(7)), "freed already");
    assert!(!file.is_allocated(PageNumber(2)));
    assert_eq!((file.stats().used_pages, file.stats().free_pages), (4, 1));
    // The freeing commit is not durable yet, so the page must not be missing from this checkpoint.
    checkpoint(&file, CommitId(6)).unwrap();
    assert_contents(&reopen(&vfs).unwrap(), &model);
    assert_eq!(
        file.allocate_page().unwrap(),
        PageNumber(6),
        "the number is still taken"
    );
    // A late image of the freed page is not written.
    write(&file, CommitId(6), &pages([2]), &mut Model::new()).unwrap();
    assert_eq!(
        file.read_page(PageNumber(2), &mut Vec::new()).unwrap(),
        Some(CommitId(1))
    );

    checkpoint(&file, CommitId(7)).unwrap();
    model.remove(&PageNumber(2));
    assert_contents(&file, &model);
    assert_contents(&reopen(&vfs).unwrap(), &model);
    assert_eq!(file.allocate_page().unwrap(), PageNumber(2));
    verified(&file).unwrap();
}

#[test]
fn all_pages_can_be_freed_and_the_file_shrinks() {
    let vfs = MemoryVfs::default();
    let file = create_with(&vfs, Codec::None);
    let all = allocate(&file, 2000);
    write(&file, CommitId(1), &all, &mut Model::new()).unwrap();
    checkpoint(&file, CommitId(1)).unwrap();
    let full = file.stats().file_bytes;
    for &page in &all {
        assert!(file.free_page(page, CommitId(2)));
    }
    checkpoint(&file, CommitId(2)).unwrap();
    assert_eq!(file.stats().page_count, 0);
    assert!(
        file.stats().file_bytes < full / 4,
        "{} of {full}",
        file.stats().file_bytes
    );
    assert_eq!(file.stats().file_bytes, bytes_of(&vfs).len() as u64);
    verified(&file).unwrap();
    assert_contents(&reopen(&vfs).unwrap(), &Model::new());
    assert_eq!(file.superblock().root_offset, 0);
    assert_eq!(file.allocate_page().unwrap(), PageNumber(1));
}

#[test]
fn an_older_image_does_not_replace_a_newer_one() {
    let vfs = MemoryVfs::default();
    let file = create_with(&vfs, Codec::Lz4);
    let all = allocate(&file, 2);
    let mut model = Model::new();
    write(&file, CommitId(9), &all, &mut model).unwrap();
    write(&file, CommitId(8), &all[..1], &mut Model::new()).unwrap();
    assert_contents(&file, &model);
    assert_eq!(file.stats().pending_bytes, 0);
    verified(&file).unwrap();
}

#[test]
fn extents_that_no_checkpoint_has_had_are_used_again_at_once() {
    let vfs = MemoryVfs::default();
    let file = create_with(&vfs, Codec::None);
    let all = allocate(&file, 100);
    let mut model = Model::new();
    write(&file, CommitId(1), &all, &mut model).unwrap();
    checkpoint(&file, CommitId(1)).unwrap();
    // Images differ in length.
    let one = file.stats().live_bytes * 5 / 4;
    for commit in 2..200 {
        write(&file, CommitId(commit), &all, &mut model).unwrap();
        let stats = file.stats();
        // The durable checkpoint keeps one copy, and so does the one that failed; another is live, and one is being written.
        let copies = if commit <= 100 { 1 } else { 2 };
        assert!(stats.pending_bytes <= copies * one, "{stats:?}");
        assert!(
            stats.file_bytes <= (copies + 3) * one,
            "{stats:?} with about {one} bytes live"
        );
        if commit == 100 {
            drop(file.freeze(CommitId(100)));
        }
    }
    assert_contents(&file, &model);
    verified(&file).unwrap();
    checkpoint(&file, CommitId(199)).unwrap();
    assert_eq!(file.stats().pending_bytes, 0);
    assert_contents(&file, &model);
    verified(&file).unwrap();
    let file = reopen(&vfs).unwrap();
    assert_contents(&file, &model);
}

#[test]
fn bad_images_are_refused_before_anything_is_written() {
    let vfs = MemoryVfs::default();
    let file = create_with(&vfs, Codec::None);
    let page = file.allocate_page().unwrap();
    let raw = vec![1; 4097];
    let commit = CommitId(1);
    let error = file
        .write_pages(&[PageImage {
            has_ghosts: false,
            page,
            commit,
            raw: &raw,
        }])
        .unwrap_err();
    assert!(error.to_string().contains("4097 bytes for page 1"), "{error}");
    assert_eq!(file.stats().bytes_written, 0);
    file.write_pages(&[]).unwrap();
}

#[test]
fn images_of_pages_that_are_not_in_use_are_dropped() {
    let vfs = MemoryVfs::default();
    let file = create_with(&vfs, Codec::None);
    for number in [0, 2, u32::MAX] {
        let page = PageNumber(number);
        file.write_pages(&[PageImage {
            has_ghosts: false,
            page,
            commit: CommitId(1),
            raw: &[1; 10],
        }])
        .unwrap();
        assert_eq!(file.page_commit(page), None);
    }
}

#[test]
fn redo_can_bring_pages_into_being() {
    let vfs = MemoryVfs::default();
    let file = create_with(&vfs, Codec::None);
    let mut model = Model::new();
    let far = [1, 600, 1 << 22, u32::MAX - 1].map(PageNumber);
    for page in far {
        file.mark_allocated(page).unwrap();
        file.mark_allocated(page).unwrap();
    }
    assert!(file.mark_allocated(PageNumber(u32::MAX)).is_err());
    assert!(file.mark_allocated(PageNumber(0)).is_err());
    write(&file, CommitId(1), &far, &mut model).unwrap();
    checkpoint(&file, CommitId(1)).unwrap();
    let file = reopen(&vfs).unwrap();
    let mut raw = Vec::new();
    for (page, (commit, image)) in &model {
        assert_eq!(file.read_page(*page, &mut raw).unwrap(), Some(*commit));
        assert_eq!(raw, *image);
    }
    assert_eq!(file.superblock().page_high, u32::MAX - 1);
    assert_eq!(file.allocate_page().unwrap(), PageNumber(2));
    verified(&file).unwrap();
}

#[test]
fn the_codec_can_be_changed_and_every_page_keeps_its_own() {
    let vfs = MemoryVfs::default();
    let file = create_with(&vfs, Codec::None);
    let all = allocate(&file, 30);
    let mut model = Model::new();
    for (n, codec) in (0..).zip(CODECS) {
        file.set_codec(codec, 5).unwrap();
        write(&file, CommitId(1), &all[n * 10..n * 10 + 10], &mut model).unwrap();
    }
    assert!(file.set_codec(Codec::Zstd, 20).is_err());
    assert!(file.set_codec(Codec::Gzip, 1).is_err());
    assert_eq!(file.codec(), (Codec::Zstd, 5));
    assert_contents(&file, &model);
    checkpoint(&file, CommitId(1)).unwrap();
    let file = reopen(&vfs).unwrap();
    assert_eq!(file.codec(), (Codec::Zstd, 5));
    assert_contents(&file, &model);
}

#[test]
fn figures_add_up() {
    let vfs = MemoryVfs::default();
    let file = create_with(&vfs, Codec::Lz4);
    let all = allocate(&file, 100);
    let raw = vec![7; 4096];
    let images: Vec<PageImage<'_>> = all
        .iter()
        .map(|&page| PageImage {
            has_ghosts: false,
            page,
            commit: CommitId(1),
            raw: &raw,
        })
        .collect();
    file.write_pages(&images).unwrap();
    let stats = file.stats();
    assert_eq!(
        (
            stats.page_count,
            stats.used_pages,
            stats.free_pages,
            stats.mapped_pages
        ),
        (100, 100, 0, 100)
    );
    assert_eq!(stats.raw_bytes, 409_600);
    assert!(stats.stored_bytes * 10 < stats.raw_bytes);
    assert_eq!(
        (stats.pages_written, stats.writes),
        (100, 1),
        "neighbours are written together"
    );
    assert_eq!(stats.bytes_written, 100 * 512);
    let sum = |s: &crate::store::StoreStats| {
        8192 + s.live_bytes + s.reserved_bytes + s.pending_bytes + s.free_bytes
    };
    assert_eq!(sum(&stats), stats.file_bytes);
    write(&file, CommitId(2), &all[..50], &mut Model::new()).unwrap();
    checkpoint(&file, CommitId(2)).unwrap();
    let stats = file.stats();
    assert_eq!(sum(&stats), stats.file_bytes);
    assert_eq!(stats.file_bytes, bytes_of(&vfs).len() as u64);
    assert_eq!(stats.generation, 2);
}

#[test]
fn works_on_the_operating_systems_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    let vfs: Arc<dyn Vfs> = Arc::new(OsVfs::default());
    let open = || vfs.open(&path, CREATE).unwrap();
    let mut model = Model::new();
    for codec in CODECS {
        let _fresh = std::fs::remove_file(&path);
        model.clear();
        let file = DataFile::create(Arc::clone(&vfs), &path, open(), &options(codec)).unwrap();
        let all = allocate(&file, 600);
        for round in 1..5 {
            write(&file, CommitId(round), &all[round as usize * 100..], &mut model).unwrap();
            checkpoint(&file, CommitId(round)).unwrap();
        }
        drop(file);
        let file = DataFile::open(Arc::clone(&vfs), &path, open()).unwrap();
        assert_contents(&file, &model);
        verified(&file).unwrap();
    }
    let error = DataFile::create(Arc::clone(&vfs), &path, open(), &options(Codec::None)).unwrap_err();
    assert!(matches!(error, Error::NotADatabase { .. }), "{error}");
    assert_contents(&DataFile::open(Arc::clone(&vfs), &path, open()).unwrap(), &model);
}

#[test]
fn options_out_of_range_are_refused() {
    let vfs = MemoryVfs::default();
    let good = options(Codec::Zstd);
    let bad = [
        (
            CreateOptions {
                page_size: 2048,
                ..good
            },
            "page_size",
        ),
        (
            CreateOptions {
                page_size: 5000,
                ..good
            },
            "page_size",
        ),
        (
            CreateOptions {
                page_size: 131_072,
                ..good
            },
            "page_size",
        ),
        (
            CreateOptions {
                wal_segment_size: 0,
                ..good
            },
            "wal_segment_size",
        ),
        (
            CreateOptions {
                wal_segment_size: 5000,
                ..good
            },
            "wal_segment_size",
        ),
        (CreateOptions { level: 20, ..good }, "compression_level"),
        (
            CreateOptions {
                codec: Codec::Rle,
                ..good
            },
            "compression",
        ),
    ];
    for (options, name) in bad {
        let vfs_handle: Arc<dyn Vfs> = Arc::new(vfs.clone());
        let error = DataFile::create(vfs_handle, Path::new(PATH), open_file(&vfs), &options).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
    assert!(open_file(&vfs).is_empty().unwrap(), "nothing was written");
}

#[test]
fn a_checkpoint_writes_down_all_that_a_start_needs() {
    let vfs = MemoryVfs::default();
    let file = create_with(&vfs, Codec::Lz4);
    let mut model = Model::new();
    let all = allocate(&file, 3);
    write(&file, CommitId(5), &all, &mut model).unwrap();
    file.set_codec(Codec::Zstd, 7).unwrap();
    let before = file.superblock();
    file.commit_checkpoint(file.freeze(CommitId(6)), LogPosition(4000), LogPosition(4500))
        .unwrap();
    let found = reopen(&vfs).unwrap().superblock();
    assert_eq!(found, file.superblock());
    assert_eq!(
        (found.redo, found.must_reach),
        (LogPosition(4000), LogPosition(4500))
    );
    assert_eq!(
        (found.last_commit, found.generation),
        (CommitId(6), before.generation + 1)
    );
    assert_eq!((found.codec, found.level), (Codec::Zstd, 7));
    assert_eq!((found.page_count, found.page_high), (3, 3));
    assert_eq!(found.database_id, before.database_id);
    assert!(found.wall_clock_ms >= before.wall_clock_ms && before.wall_clock_ms > 1_700_000_000_000);
}
