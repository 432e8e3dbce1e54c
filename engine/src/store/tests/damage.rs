//! Damaged, foreign and truncated files: each is an error that says what and where, and none a panic.

use super::*;
use crate::error::Error;
use crate::store::opening::root_place;
use crate::vfs::OsVfs;

/// A small database of two checkpoints: its bytes, what it holds, and what the checkpoint before held.
fn small(codec: Codec) -> (Vec<u8>, Model, Model) {
    let vfs = MemoryVfs::default();
    let file = create_with(&vfs, codec);
    let all = allocate(&file, 4);
    let mut model = Model::new();
    write(&file, CommitId(1), &all, &mut model).unwrap();
    checkpoint(&file, CommitId(1)).unwrap();
    let before = model.clone();
    write(&file, CommitId(2), &all[1..3], &mut model).unwrap();
    checkpoint(&file, CommitId(2)).unwrap();
    verified(&file).unwrap();
    (bytes_of(&vfs), model, before)
}

/// The bytes that the checkpoint in force depends on, padding left out.
fn used_ranges(file: &DataFile) -> Vec<std::ops::Range<usize>> {
    let mut places: Vec<_> = root_place(&file.superblock()).into_iter().collect();
    places.extend(file.durable.lock().chunks.values().map(|of| of.place));
    file.map.for_each(|_, entry| places.push(entry.place()));
    places
        .iter()
        .map(|place| place.offset as usize..place.offset as usize + place.length as usize)
        .collect()
}

/// Whether the byte is of an extent's header or CRC.
fn near_an_end(range: &std::ops::Range<usize>, at: usize) -> bool {
    range.contains(&at) && (at < range.start + 28 || at + 4 >= range.end)
}

fn is_corruption(error: &Error) -> bool {
    matches!(error, Error::Corruption { .. })
}

#[test]
fn each_single_bit_flip_is_harmless_or_reported() {
    for codec in Codec::AVAILABLE {
        let (good, model, before) = small(codec);
        let vfs = vfs_of(&good);
        let handle = open_file(&vfs);
        let used = used_ranges(&reopen(&vfs).unwrap());
        let mut reported = 0;
        for at in 0..good.len() {
            let in_fields = at < 8192 && !(104..4090).contains(&(at % 4096));
            let bits = match (in_fields, used.iter().any(|range| range.contains(&at))) {
                (false, false) if at % 61 > 0 => continue,
                (false, false) => 3..4,
                (true, _) => 0..8,
                // Every bit of the extents' headers and CRCs, and one of each byte between.
                (_, true) if used.iter().any(|range| near_an_end(range, at)) => 0..8,
                (_, true) => at % 8..at % 8 + 1,
            };
            for bit in bits {
                handle.write_at(&[good[at] ^ (1 << bit)], at as u64).unwrap();
                match reopen(&vfs).and_then(|file| contents(&file)) {
                    Ok(seen) if at < 8192 => assert!(seen == model || seen == before, "byte {at}"),
                    Ok(seen) => assert!(
                        seen == model && used.iter().all(|range| !range.contains(&at)),
                        "byte {at} bit {bit} went unnoticed"
                    ),
                    Err(error) => {
                        assert!(is_corruption(&error), "byte {at}: {error}");
                        reported += 1;
                    }
                }
            }
            handle.write_at(&good[at..=at], at as u64).unwrap();
        }
        let used_bytes: usize = used.iter().map(std::ops::Range::len).sum();
        assert!(reported >= used_bytes, "{reported} of at least {used_bytes}");
    }
}

#[test]
fn verify_finds_each_flip_in_use_even_in_padding() {
    let (good, ..) = small(Codec::None);
    let vfs = vfs_of(&good);
    let file = reopen(&vfs).unwrap();
    let handle = open_file(&vfs);
    let mut lasting = Vec::new();
    file.map
        .for_each(|page, entry| lasting.push((page, entry.place())));
    for (page, place) in lasting {
        let end = place.units().end() * 512;
        for at in place.offset..end {
            handle.write_at(&[good[at as usize] ^ 4], at).unwrap();
            let error = verified(&file).unwrap_err();
            assert!(error.to_string().contains(&format!("(page {page})")), "{error}");
            let mut count = 0;
            let sound = file.verify(&mut |_| count += 1).unwrap();
            assert_eq!((count, sound), (1, 3));
            handle.write_at(&good[at as usize..=at as usize], at).unwrap();
        }
    }
    verified(&file).unwrap();
}

#[test]
fn verify_finds_a_damaged_map_and_superblock_of_an_open_file() {
    let (good, ..) = small(Codec::Lz4);
    let vfs = vfs_of(&good);
    let file = reopen(&vfs).unwrap();
    let handle = open_file(&vfs);
    let superblock = file.superblock();
    let chunk = file.durable.lock().chunks[&0].place.offset;
    for at in [
        superblock.root_offset + 40,
        chunk + 30,
        superblock.slot_offset() + 50,
    ] {
        handle.write_at(&[!good[at as usize]], at).unwrap();
        assert!(is_corruption(&verified(&file).unwrap_err()), "byte {at}");
        handle.write_at(&good[at as usize..=at as usize], at).unwrap();
    }
    let other = superblock.slot_offset() ^ 4096;
    handle.write_at(&[9], other + 200).unwrap();
    verified(&file).unwrap();
    assert_eq!(usable_superblocks(&file), 1, "one good superblock is enough");
}

#[test]
fn a_file_cut_anywhere_is_reported() {
    let (good, model, _) = small(Codec::Lz4);
    let used = {
        let file = reopen(&vfs_of(&good)).unwrap();
        let mut end = file.superblock().root_offset + u64::from(file.superblock().root_length);
        file.map
            .for_each(|_, entry| end = end.max(entry.offset + u64::from(entry.length)));
        end.max(file.durable.lock().chunks[&0].place.offset) as usize
    };
    for len in (0..good.len())
        .step_by(64)
        .chain([1, 15, 16, 4095, 8191, used - 1])
    {
        match reopen(&vfs_of(&good[..len])) {
            Ok(file) => {
                assert!(len >= used, "{len} of {used}");
                assert_contents(&file, &model);
            }
            Err(Error::NotADatabase { .. }) => assert!(len < 16, "{len}"),
            Err(error) => assert!(is_corruption(&error), "{len}: {error}"),
        }
    }
}

#[test]
fn exchanged_and_stale_extents_are_noticed() {
    let (good, ..) = small(Codec::None);
    let places: Vec<(PageNumber, u64)> = {
        let file = reopen(&vfs_of(&good)).unwrap();
        let mut places = Vec::new();
        file.map.for_each(|page, entry| places.push((page, entry.offset)));
        places
    };
    // Another page's extent in this page's place: intact, and still wrong.
    let (a, b) = (places[0].1 as usize, places[3].1 as usize);
    let mut mixed = good.clone();
    mixed.copy_within(b..b + 512, a);
    let error = contents(&reopen(&vfs_of(&mixed)).unwrap()).unwrap_err();
    assert!(is_corruption(&error), "{error}");
}

#[test]
fn foreign_files_are_not_databases() {
    for (bytes, what) in [
        (Vec::new(), "empty"),
        (vec![0; 100], "zeros"),
        (vec![0; 100_000], "zeros"),
        (b"SQLite format 3\0".repeat(1000), "does not begin"),
    ] {
        let error = reopen(&vfs_of(&bytes)).unwrap_err();
        assert!(matches!(error, Error::NotADatabase { .. }), "{error}");
        assert!(
            error.to_string().contains(what) && error.to_string().contains(PATH),
            "{error}"
        );
    }
}

#[test]
fn a_blank_file_is_told_from_one_that_holds_something() {
    let is_blank = |bytes: &[u8]| DataFile::is_blank(&*open_file(&vfs_of(bytes)), Path::new(PATH)).unwrap();
    assert!(is_blank(&[]));
    assert!(is_blank(&[0; 5000]));
    assert!(is_blank(&[0; 8192]), "creation was cut off");
    assert!(!is_blank(&[0; 8193]));
    assert!(!is_blank(b"x"));
    let vfs = vfs_of(&[0; 4096]);
    create_with(&vfs, Codec::None);
    reopen(&vfs).unwrap();
}

#[test]
fn a_directory_is_no_database() {
    let dir = tempfile::tempdir().unwrap();
    let vfs: Arc<dyn Vfs> = Arc::new(OsVfs::default());
    let read_only = OpenMode {
        read_only: true,
        ..OpenMode::default()
    };
    let handle = vfs.open(dir.path(), read_only).unwrap();
    let error = DataFile::open(Arc::clone(&vfs), dir.path(), handle).unwrap_err();
    assert!(error.to_string().contains("it is a directory"), "{error}");
}

#[test]
fn a_superblock_that_disagrees_with_the_rest_or_this_build_is_named() {
    use crate::store::superblock::field;
    let (good, ..) = small(Codec::Lz4);
    for (at, byte, what) in [
        (field::CODEC, Codec::Gzip.to_byte(), "names codec GZIP"),
        (
            field::PAGE_COUNT,
            3,
            "the page map has 4 pages up to number 4, the superblock says 3",
        ),
        (field::PAGE_HIGH, 9, "the superblock says 4 up to 9"),
        (field::ROOT_OFFSET, 1, "not a multiple of 512"),
    ] {
        let mut bytes = good.clone();
        for block in bytes[..8192].chunks_mut(4096) {
            block[at] = byte;
            let crc = crc32fast::hash(&block[..field::CRC]);
            block[field::CRC..].copy_from_slice(&crc.to_le_bytes());
        }
        let error = reopen(&vfs_of(&bytes)).unwrap_err();
        assert!(
            is_corruption(&error) && error.to_string().contains(what),
            "{error}"
        );
    }
}

#[test]
fn a_generation_without_a_next_one_ends_checkpoints_with_an_error() {
    use crate::store::superblock::field;
    let (mut bytes, model, _) = small(Codec::Lz4);
    let last = reopen(&vfs_of(&bytes)).unwrap().superblock();
    let handed = crate::store::superblock::Superblock {
        generation: u64::MAX,
        root_offset: 0,
        root_length: 0,
        page_count: 0,
        page_high: 0,
        ..last
    };
    bytes[4096..8192].copy_from_slice(&handed.encode()[..]);
    bytes[field::MAGIC..4096].fill(0);
    let file = reopen(&vfs_of(&bytes)).unwrap();
    let error = checkpoint(&file, CommitId(9)).unwrap_err();
    assert!(matches!(error, Error::CapacityExceeded { .. }), "{error}");
    assert!(!model.is_empty() && contents(&file).unwrap().is_empty());
}

#[test]
fn verify_compares_the_file_with_what_is_known_of_it() {
    let (good, ..) = small(Codec::None);
    let damage = |plant: &dyn Fn(&DataFile)| {
        let vfs = vfs_of(&good);
        let file = reopen(&vfs).unwrap();
        verified(&file).unwrap();
        plant(&file);
        let mut found = String::new();
        file.verify(&mut |error| found += &error.to_string()).unwrap();
        found
    };
    let lost_entry = damage(&|file| assert!(file.map.set(PageNumber(2), None).is_some()));
    assert!(lost_entry.contains("units are in no state"), "{lost_entry}");
    let unlisted = damage(&|file| assert!(file.durable.lock().chunks.remove(&0).is_some()));
    assert!(
        unlisted.contains("lists other chunks than are in use"),
        "{unlisted}"
    );
    let no_superblock = damage(&|file| file.file.write_at(&[0; 8192], 0).unwrap());
    assert!(
        no_superblock.contains("superblock") || no_superblock.contains("zeros"),
        "{no_superblock}"
    );
    let older = damage(&|file| {
        let slot = file.superblock().slot_offset();
        file.file.write_at(&[0; 4096], slot).unwrap();
    });
    assert!(older.contains("not the one last written"), "{older}");
    assert!(format!("{:?}", reopen(&vfs_of(&good)).unwrap()).contains("/db/data"));
}
