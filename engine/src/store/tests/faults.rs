//! Full disks and failing syncs.

use super::*;
use crate::error::Error;

#[test]
fn a_full_disk_changes_nothing_and_works_again_with_room() {
    let vfs = MemoryVfs::default();
    let file = create_with(&vfs, Codec::None);
    let all = allocate(&file, 300);
    let mut model = Model::new();
    write(&file, CommitId(1), &all[..100], &mut model).unwrap();
    checkpoint(&file, CommitId(1)).unwrap();

    vfs.set_capacity(Some(vfs.used_bytes()));
    let before = file.stats();
    let error = write(&file, CommitId(2), &all, &mut Model::new()).unwrap_err();
    assert!(error.is_disk_full(), "{error}");
    let after = file.stats();
    assert_eq!(
        (after.live_bytes, after.pending_bytes),
        (before.live_bytes, before.pending_bytes)
    );
    assert_eq!(after.reserved_bytes, 0);
    assert_contents(&file, &model);
    verified(&file).unwrap();

    vfs.set_capacity(None);
    write(&file, CommitId(2), &all, &mut model).unwrap();
    checkpoint(&file, CommitId(2)).unwrap();
    verified(&file).unwrap();
    assert_contents(&reopen(&vfs).unwrap(), &model);
}

#[test]
fn the_last_bytes_of_a_disk_are_used() {
    let vfs = MemoryVfs::default();
    let file = create_with(&vfs, Codec::None);
    let page = file.allocate_page().unwrap();
    // Less than the piece by which the file would like to grow, and exactly what one page needs.
    vfs.set_capacity(Some(vfs.used_bytes() + 4096 + 512));
    let raw = [1; 4096];
    file.write_pages(&[PageImage {
        has_ghosts: false,
        page,
        commit: CommitId(1),
        raw: &raw,
    }])
    .unwrap();
    let error = file
        .write_pages(&[PageImage {
            has_ghosts: false,
            page,
            commit: CommitId(2),
            raw: &raw,
        }])
        .unwrap_err();
    assert!(error.is_disk_full(), "{error}");
    verified(&file).unwrap();
}

#[test]
fn a_checkpoint_without_room_for_the_map_can_be_tried_again() {
    let vfs = MemoryVfs::default();
    let file = create_with(&vfs, Codec::None);
    let all = allocate(&file, 1000);
    let mut model = Model::new();
    write(&file, CommitId(1), &all, &mut model).unwrap();
    // Fill what is free, so that the map finds no room.
    let mut filler = Vec::new();
    vfs.set_capacity(Some(vfs.used_bytes()));
    while let Ok(page) = file.allocate_page() {
        let raw = [1];
        if file
            .write_pages(&[PageImage {
                has_ghosts: false,
                page,
                commit: CommitId(1),
                raw: &raw,
            }])
            .is_err()
        {
            break;
        }
        filler.push(page);
        model.insert(page, (CommitId(1), raw.to_vec()));
    }
    let error = checkpoint(&file, CommitId(1)).unwrap_err();
    assert!(error.is_disk_full(), "{error}");
    assert_eq!(file.superblock().generation, 1);
    verified(&file).unwrap();
    assert_contents(&reopen(&vfs).unwrap(), &Model::new());

    vfs.set_capacity(None);
    checkpoint(&file, CommitId(1)).unwrap();
    verified(&file).unwrap();
    assert_contents(&reopen(&vfs).unwrap(), &model);
}

#[test]
fn a_failed_sync_is_final_until_the_file_is_opened_again() {
    let vfs = MemoryVfs::default();
    let file = create_with(&vfs, Codec::Zstd);
    let all = allocate(&file, 20);
    let mut model = Model::new();
    write(&file, CommitId(1), &all, &mut model).unwrap();
    checkpoint(&file, CommitId(1)).unwrap();
    let durable = model.clone();
    write(&file, CommitId(2), &all, &mut model).unwrap();

    vfs.fail_next_sync();
    let error = checkpoint(&file, CommitId(2)).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Io {
                operation: "sync",
                ..
            }
        ),
        "{error}"
    );
    for answer in [
        checkpoint(&file, CommitId(2)),
        write(&file, CommitId(3), &all, &mut Model::new()),
    ] {
        assert!(matches!(answer, Err(Error::Poisoned { .. })), "{answer:?}");
    }
    assert_contents(&file, &model);
    drop(file);
    let file = reopen(&vfs).unwrap();
    assert_contents(&file, &durable);
    write(&file, CommitId(3), &all, &mut model).unwrap();
    checkpoint(&file, CommitId(3)).unwrap();
    verified(&file).unwrap();
}

#[test]
fn creation_fails_with_the_sync_that_fails() {
    let vfs = MemoryVfs::default();
    vfs.fail_next_sync();
    let handle: Arc<dyn Vfs> = Arc::new(vfs.clone());
    let error =
        DataFile::create(handle, Path::new(PATH), open_file(&vfs), &options(Codec::None)).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
}

#[test]
#[should_panic(expected = "checkpoints go forward")]
fn a_checkpoint_that_goes_back_is_refused() {
    let file = create_with(&MemoryVfs::default(), Codec::None);
    checkpoint(&file, CommitId(5)).unwrap();
    let _never = checkpoint(&file, CommitId(4));
}

#[test]
fn a_codec_that_fails_writes_nothing() {
    use crate::compress::{CompressionError, Compressor};

    /// Leaves half of its work behind.
    #[derive(Debug)]
    struct Failing;
    impl Compressor for Failing {
        fn name(&self) -> &'static str {
            "LZ4"
        }
        fn codec(&self) -> Codec {
            Codec::Lz4
        }
        fn compress(&self, _src: &[u8], _out: &mut Vec<u8>) -> std::result::Result<(), CompressionError> {
            Err(CompressionError::new(Codec::Lz4, "no memory"))
        }
        fn decompress(
            &self,
            _: &[u8],
            _: usize,
            _: &mut Vec<u8>,
        ) -> std::result::Result<(), CompressionError> {
            Err(CompressionError::new(Codec::Lz4, "no memory"))
        }
    }
    let vfs = MemoryVfs::default();
    let file = create_with(&vfs, Codec::Lz4);
    let all = allocate(&file, 4);
    let mut model = Model::new();
    write(&file, CommitId(1), &all, &mut model).unwrap();
    let working = std::mem::replace(&mut *file.compressor.write(), Arc::new(Failing));
    let raw = [7; 4096];
    let image = PageImage {
        has_ghosts: false,
        page: all[0],
        commit: CommitId(2),
        raw: &raw,
    };
    let error = file.write_pages(&[image]).unwrap_err();
    assert!(error.to_string().contains("no memory"), "{error}");
    assert!(checkpoint(&file, CommitId(2)).is_err() || file.superblock().page_count == 4);
    *file.compressor.write() = working;
    assert_contents(&file, &model);
    assert_eq!(file.stats().reserved_bytes, 0);
    checkpoint(&file, CommitId(2)).unwrap();
    verified(&file).unwrap();
    assert_contents(&reopen(&vfs).unwrap(), &model);
}

#[test]
fn a_map_too_long_for_one_write_is_written_in_several() {
    let vfs = MemoryVfs::default();
    let file = create_with(&vfs, Codec::None);
    let mut model = Model::new();
    // The last page of each chunk, so that all its entries are written: over a mebibyte of map.
    let last_ones = pages((0..100).map(|chunk| chunk * 512 + 511));
    for page in &last_ones {
        file.mark_allocated(*page).unwrap();
    }
    write(&file, CommitId(1), &last_ones, &mut model).unwrap();
    checkpoint(&file, CommitId(1)).unwrap();
    verified(&file).unwrap();
    assert_contents(&reopen(&vfs).unwrap(), &model);
    assert!(
        file.map.copy_chunk(5000).iter().all(Option::is_none),
        "a chunk that never was"
    );
}

#[test]
fn what_is_reserved_is_for_the_thread_that_commits() {
    let vfs = MemoryVfs::default();
    let file = create_with(&vfs, Codec::None);
    let all = allocate(&file, 40);
    let mut model = Model::new();
    write(&file, CommitId(1), &all, &mut model).unwrap();
    checkpoint(&file, CommitId(1)).unwrap();
    let reservation = file.reservation();
    reservation.extend_to(3).unwrap();
    reservation.extend_to(2).unwrap();
    let reserved_bytes = file.stats().reserved_bytes;
    assert_eq!(
        reserved_bytes,
        3 * 9 * 512,
        "three pages of 4096 bytes and what an extent costs"
    );
    vfs.set_capacity(Some(vfs.used_bytes()));
    let put_for = |page: PageNumber, commit: u64, privilege| {
        let raw = [commit as u8; 1500];
        let image = PageImage {
            has_ghosts: false,
            page,
            commit: CommitId(commit),
            raw: &raw,
        };
        let answer = file.write_pages_for(&[image], privilege);
        answer.map(|()| (page, (CommitId(commit), raw.to_vec())))
    };
    let put = |page, commit| put_for(page, commit, None);
    // Everybody else's room is used up first.
    let mut commit = 2;
    let error = loop {
        // New pages, since what replaces an extent that no checkpoint has had needs no room.
        match put(file.allocate_page().unwrap(), commit) {
            Ok(row) => model.extend([row]),
            Err(error) => break error,
        }
        commit += 1;
    };
    assert!(error.is_disk_full(), "{error}");
    assert_eq!(file.stats().reserved_bytes, reserved_bytes);
    {
        let privilege = Some(reservation.privilege());
        model.extend([put_for(all[1], commit, privilege).unwrap()]);
        assert_eq!(
            file.stats().reserved_bytes,
            reserved_bytes - 9 * 512,
            "the rest of it is free again"
        );
    }
    assert!(put(all[2], commit).is_ok(), "in that rest");
    model.insert(all[2], (CommitId(commit), vec![commit as u8; 1500]));
    verified(&file).unwrap();
    vfs.set_capacity(None);
    checkpoint(&file, CommitId(commit)).unwrap();
    drop(reservation);
    file.release_reserved(0);
    assert_eq!(file.stats().reserved_bytes, 0);
    verified(&file).unwrap();
    assert_contents(&reopen(&vfs).unwrap(), &model);
}

#[test]
fn a_write_is_a_mebibyte_at_most() {
    use crate::store::extent::OVERHEAD_BYTES;
    use crate::store::writing::{Batch, WRITE_BYTES_MAX};
    let batch = Batch::new();
    assert!(!batch.would_overflow(WRITE_BYTES_MAX - OVERHEAD_BYTES));
    assert!(batch.would_overflow(WRITE_BYTES_MAX - OVERHEAD_BYTES + 1));
}
