//! Room that is set aside for a full disk, and extents that are moved to make the file shorter.

use super::*;
use crate::store::{Moved, Slack};

fn pages_of(file: &DataFile, count: u32) -> Vec<PageNumber> {
    (0..count).map(|_| file.allocate_page().unwrap()).collect()
}

#[test]
fn a_checkpoint_leaves_the_commit_beside_it_the_room_that_it_was_promised() {
    let vfs = MemoryVfs::default();
    let file = create_with(&vfs, Codec::None);
    // A commit before it promised the same and needed none of it.
    file.ensure_room(50).unwrap();
    let frozen = file.freeze(CommitId(1));
    file.ensure_room(50).unwrap();
    // Whoever has looked has not created the pages yet.
    file.commit_checkpoint(frozen, LogPosition(100), LogPosition(100))
        .unwrap();
    vfs.set_capacity(Some(vfs.used_bytes()));
    let pages = pages_of(&file, 50);
    checkpoint(&file, CommitId(2)).unwrap();
    write(&file, CommitId(3), &pages, &mut Model::new()).unwrap();
    checkpoint(&file, CommitId(3)).unwrap();
    assert_eq!(verified(&file).unwrap(), 50);
}

#[test]
fn a_checkpoint_gives_back_what_was_promised_before_it_and_the_file_gets_shorter() {
    let vfs = MemoryVfs::default();
    let file = create_with(&vfs, Codec::None);
    file.ensure_room(2000).unwrap();
    let pages = pages_of(&file, 20);
    write(&file, CommitId(1), &pages, &mut Model::new()).unwrap();
    let before = file.stats().file_bytes;
    checkpoint(&file, CommitId(1)).unwrap();
    let after = file.stats().file_bytes;
    assert!(4 * after < before, "{before} bytes before, {after} now");
    file.shrink_to_fit();
    assert!(file.stats().file_bytes < after);
    assert_eq!(verified(&file).unwrap(), 20);
}

#[test]
fn what_is_kept_for_a_full_disk_completes_checkpoints_page_by_page() {
    let vfs = MemoryVfs::default();
    let file = create_with(&vfs, Codec::None);
    let mut model = Model::new();
    file.ensure_room(200).unwrap();
    let pages = pages_of(&file, 200);
    write(&file, CommitId(1), &pages, &mut model).unwrap();
    checkpoint(&file, CommitId(1)).unwrap();
    // Whatever is free is used up.
    vfs.set_capacity(Some(vfs.used_bytes()));
    let used_up = loop {
        if let Err(error) = file.reserve(&[1]) {
            break error;
        }
    };
    assert!(used_up.is_disk_full());
    for (round, page) in pages.iter().enumerate() {
        let commit = CommitId(2 + round as u64);
        write(&file, commit, &[*page], &mut model).unwrap();
        checkpoint(&file, commit).unwrap();
    }
    assert_eq!(contents(&file).unwrap(), model);
    assert_eq!(contents(&reopen(&vfs).unwrap()).unwrap(), model);
}

#[test]
fn extents_at_the_end_move_to_the_front_and_the_file_is_cut() {
    for codec in [Codec::None, Codec::Lz4] {
        let vfs = MemoryVfs::default();
        let file = create_with(&vfs, codec);
        let mut model = Model::new();
        let pages = pages_of(&file, 2000);
        write(&file, CommitId(1), &pages, &mut model).unwrap();
        checkpoint(&file, CommitId(1)).unwrap();
        for page in &pages[..1700] {
            file.free_page(*page, CommitId(2));
            model.remove(page);
        }
        checkpoint(&file, CommitId(2)).unwrap();
        let full = file.stats().file_bytes;
        assert!(file.is_too_long(Slack::Least));
        let mut steps = 0;
        while file.move_tail(Slack::Least).unwrap() == Moved::Some {
            steps += 1;
            assert!(steps < 20, "each extent moves once");
        }
        assert!(file.has_moved() && steps > 1);
        // A page that is written, and one that is freed, meanwhile.
        write(&file, CommitId(3), &pages[1700..1701], &mut model).unwrap();
        checkpoint(&file, CommitId(3)).unwrap();
        let stats = file.stats();
        assert!(
            stats.file_bytes * 2 < full && !file.has_moved(),
            "{full}: {stats:?}"
        );
        assert_eq!(contents(&file).unwrap(), model);
        assert_eq!(contents(&reopen(&vfs).unwrap()).unwrap(), model);
        verified(&file).unwrap();
    }
}

#[test]
fn a_damaged_extent_is_not_moved_and_stays_where_it_is() {
    let vfs = MemoryVfs::default();
    let file = create_with(&vfs, Codec::None);
    let mut model = Model::new();
    let pages = pages_of(&file, 600);
    write(&file, CommitId(1), &pages, &mut model).unwrap();
    checkpoint(&file, CommitId(1)).unwrap();
    for page in &pages[..500] {
        file.free_page(*page, CommitId(2));
    }
    checkpoint(&file, CommitId(2)).unwrap();
    let offset = |page: &&PageNumber| file.map.get(**page).unwrap().offset;
    let page = *pages[500..].iter().max_by_key(offset).unwrap();
    let last = file.map.get(page).unwrap();
    open_file(&vfs).write_at(&[0xFF; 8], last.offset + 60).unwrap();
    let error = file.move_tail(Slack::Least).unwrap_err();
    assert!(matches!(error, crate::Error::Corruption { .. }), "{error}");
    assert_eq!(file.map.get(page), Some(last));
    assert!(verified(&file).is_err());
}

/// The root of the page map has 32 bytes for each of its pieces: that of a large file is longer than a page.
#[test]
fn a_root_longer_than_any_page_can_be_written_on_a_full_disk() {
    let vfs = MemoryVfs::default();
    let file = create_with(&vfs, Codec::Lz4);
    let pages = pages_of(&file, 500 * 512);
    let image = |page, commit| PageImage {
        page,
        commit: CommitId(commit),
        raw: &[1; 64],
        has_ghosts: false,
    };
    for some in pages.chunks(1000) {
        let batch: Vec<_> = some.iter().map(|page| image(*page, 1)).collect();
        file.write_pages(&batch).unwrap();
    }
    file.keep_room();
    checkpoint(&file, CommitId(1)).unwrap();
    file.keep_for_next();
    // Others fill the disk, and whatever is free is used up.
    vfs.set_capacity(Some(vfs.used_bytes()));
    while file.reserve(&[1]).is_ok() {}
    for commit in 2..12 {
        let page = pages[commit as usize * 700];
        file.write_pages(&[image(page, commit)]).unwrap();
        checkpoint(&file, CommitId(commit)).unwrap();
    }
}

#[test]
fn where_there_is_no_room_for_all_that_is_to_be_kept_there_is_less() {
    let vfs = MemoryVfs::default();
    let file = create_with(&vfs, Codec::None);
    let pages = pages_of(&file, 600);
    write(&file, CommitId(1), &pages, &mut Model::new()).unwrap();
    file.keep_room();
    checkpoint(&file, CommitId(1)).unwrap();
    file.release_all_aside();
    vfs.set_capacity(Some(vfs.used_bytes()));
    while file.reserve(&[1]).is_ok() {}
    let before = file.stats().reserved_bytes;
    for room in [100_000, 150_000] {
        vfs.set_capacity(Some(vfs.used_bytes() + room));
        file.keep_for_next();
        assert!(file.stats().reserved_bytes - before >= room / 2, "{room}");
    }
}
