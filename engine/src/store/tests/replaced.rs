//! What pages have replaced: when it is much, who waits, and what room is used for first.

use super::*;

/// A file of 600 pages, larger than what may always be replaced, and all of them in a durable page map.
fn filled(vfs: &MemoryVfs) -> (DataFile, Vec<PageNumber>) {
    let file = create_with(vfs, Codec::None);
    let pages: Vec<_> = (0..600).map(|_| file.allocate_page().unwrap()).collect();
    write(&file, CommitId(1), &pages, &mut Model::new()).unwrap();
    checkpoint(&file, CommitId(1)).unwrap();
    (file, pages)
}

#[test]
fn what_is_replaced_is_much_until_a_page_map_is_durable_and_fresh_extents_do_not_count() {
    let vfs = MemoryVfs::default();
    let (file, pages) = filled(&vfs);
    let mut model = Model::new();
    assert!(!file.has_much_replaced());
    write(&file, CommitId(2), &pages[..50], &mut model).unwrap();
    assert!(!file.has_much_replaced(), "a twelfth of the file");
    for commit in 3..9 {
        write(&file, CommitId(commit), &pages[..50], &mut model).unwrap();
    }
    assert!(
        !file.has_much_replaced(),
        "the same pages again replace nothing old"
    );
    write(&file, CommitId(9), &pages[50..150], &mut model).unwrap();
    assert!(file.has_much_replaced() && !file.has_too_much_replaced());
    write(&file, CommitId(10), &pages[150..250], &mut model).unwrap();
    assert!(file.has_too_much_replaced());
    checkpoint(&file, CommitId(10)).unwrap();
    assert!(!file.has_much_replaced());
}

#[test]
fn who_waits_goes_on_when_a_page_map_is_durable_and_nobody_waits_after_a_failure() {
    for is_failing in [false, true] {
        let vfs = MemoryVfs::default();
        let (file, pages) = filled(&vfs);
        assert!(!file.await_freed());
        write(&file, CommitId(2), &pages[..300], &mut Model::new()).unwrap();
        assert!(file.has_too_much_replaced());
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| file.await_freed());
            let frozen = file.freeze(CommitId(2));
            while file.replaced.maps.lock().waiting == 0 && !waiter.is_finished() {
                std::thread::yield_now();
            }
            if is_failing {
                drop(frozen);
            } else {
                let superblock = file.superblock();
                file.commit_map(frozen, superblock.redo, superblock.must_reach)
                    .unwrap();
            }
            assert!(waiter.join().unwrap(), "it waited");
        });
        assert_eq!(file.has_too_much_replaced(), is_failing);
        assert!(!file.await_freed(), "nobody may be able to free anything");
    }
}

#[test]
fn who_waits_for_nobody_gives_up() {
    let vfs = MemoryVfs::default();
    let (file, pages) = filled(&vfs);
    write(&file, CommitId(2), &pages[..300], &mut Model::new()).unwrap();
    assert!(file.await_freed());
    file.poison.set("a sync failed");
    assert!(!file.await_freed(), "nobody will free anything");
}

#[test]
fn images_go_to_the_front_of_what_was_set_aside_and_the_rest_is_cut() {
    for codec in [Codec::None, Codec::Lz4] {
        let vfs = MemoryVfs::default();
        let file = create_with(&vfs, codec);
        file.ensure_room(2000).unwrap();
        let pages: Vec<_> = (0..2000).map(|_| file.allocate_page().unwrap()).collect();
        let aside = file.stats().file_bytes;
        let mut model = Model::new();
        for pages in pages.chunks(32) {
            write(&file, CommitId(1), pages, &mut model).unwrap();
        }
        checkpoint(&file, CommitId(1)).unwrap();
        let stats = file.stats();
        assert!(
            stats.file_bytes < stats.live_bytes + stats.live_bytes / 4 + (1 << 20)
                && stats.file_bytes < aside,
            "{codec:?}: {stats:?}, {aside} were set aside"
        );
        assert_eq!(contents(&file).unwrap(), model);
    }
}
