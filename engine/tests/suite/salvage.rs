//! Salvage: what is intact comes back, what is not is named, and nothing wrong is made up.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use engine::vfs::{MemoryVfs, OpenMode, Vfs};
use engine::{Error, Options, SalvageReport, salvage};

use crate::common::{PATH, assert_sound, nosync};
use crate::damage::{
    Contents, Crashed, SUPERBLOCKS, build, build_log, contents, kind_of, live_extents, options, read_file,
    wal_files, write_file,
};

const NEW: &str = "/new.db";
const UNIT: usize = 512;

/// Salvages, and reads the new database whole.
fn run(vfs: &MemoryVfs) -> (SalvageReport, Contents) {
    let report = salvage(PATH, NEW, options(vfs)).unwrap();
    let db = options(vfs).open(NEW).unwrap();
    let found = db.verify().unwrap();
    assert!(found.is_sound(), "{:?}", found.problems);
    let contents = contents(&db).unwrap();
    assert_eq!(
        report.rows(),
        contents.values().map(|t| t.len() as u64).sum::<u64>()
    );
    (report, contents)
}

/// The smallest cache and short segments.
fn small_options(vfs: &MemoryVfs) -> Options {
    Options::new()
        .page_size(4096)
        .cache_size(0)
        .wal_segment_size(32 << 10)
        .background(false)
        .vfs(Arc::new(vfs.clone()))
}

/// Everything that came back is right, and what is missing lies where the report says.
fn check_part(report: &SalvageReport, found: &Contents, whole: &Contents, context: &str) {
    for table in &report.tables {
        let Some(expected) = whole.get(&table.name) else {
            panic!("{context}: table {} came from nowhere", table.name);
        };
        let rows = &found[&table.name];
        for (key, value) in rows {
            assert!(
                expected.get(key) == Some(value),
                "{context}: a wrong row, {key:?}"
            );
        }
        for key in expected.keys().filter(|key| !rows.contains_key(*key)) {
            let in_range = table
                .lost_ranges
                .iter()
                .any(|(low, high)| low <= key && high.as_ref().is_none_or(|high| key < high));
            assert!(
                in_range || table.lost_values.contains(key),
                "{context}: {key:?} is missing and not reported"
            );
        }
    }
}

/// Closing gives back a log that is larger than it needs to be: in what is left there is no frame from the redo position on.
#[test]
fn a_database_whose_log_was_given_back_comes_back_whole() {
    let vfs = MemoryVfs::default();
    let options = || Options::new().background(false).vfs(Arc::new(vfs.clone()));
    let db = options().open(PATH).unwrap();
    let table = db.create_table("rows").unwrap();
    for batch in 0..40u32 {
        db.write(|tx| {
            (0..100).try_for_each(|row| tx.put(table, &(batch * 100 + row).to_be_bytes(), &[7; 1000]))
        })
        .unwrap();
    }
    db.close().unwrap();
    let report = salvage(PATH, NEW, options()).unwrap();
    assert_eq!(report.problems, [""; 0]);
    assert!(report.is_complete());
    assert_eq!(report.rows(), 4000);
}

#[test]
fn a_healthy_database_comes_back_whole() {
    for codec in ["NONE", "LZ4", "ZSTD"] {
        let (vfs, [whole]) = build(codec);
        let (report, found) = run(&vfs);
        assert!(report.is_complete(), "{codec}: {report:#?}");
        assert!(found == whole, "{codec}");
    }
    // With its newest commits in the log only.
    let Crashed { vfs, states, .. } = build_log();
    let (report, found) = run(&vfs);
    assert!(report.is_complete() && report.log_frames > 60, "{report:#?}");
    assert!(Some(&found) == states.last());
}

#[test]
fn old_states_of_pages_and_dropped_tables_stay_away() {
    let vfs = MemoryVfs::default();
    let db = options(&vfs).open(PATH).unwrap();
    let rows = db.create_table("rows").unwrap();
    let dropped = db.create_table("dropped").unwrap();
    for n in 0..200u32 {
        db.write(|tx| {
            tx.put(rows, &n.to_be_bytes(), &[n as u8; 120])?;
            tx.put(dropped, &n.to_be_bytes(), &[n as u8; 120])
        })
        .unwrap();
    }
    db.checkpoint().unwrap();
    db.drop_table("dropped").unwrap();
    // Most leaves are merged away.
    db.write(|tx| (0..190u32).try_for_each(|n| tx.delete(rows, &n.to_be_bytes()).map(drop)))
        .unwrap();
    db.gc(1);
    db.checkpoint().unwrap();
    let whole = contents(&db).unwrap();
    db.close().unwrap();
    let (report, found) = run(&vfs);
    assert!(report.is_complete(), "{report:#?}");
    assert!(found == whole);
}

#[test]
fn all_rows_come_back_without_superblocks_and_page_map() {
    for codec in ["NONE", "LZ4", "ZSTD"] {
        let (vfs, [whole]) = build(codec);
        let path = Path::new(PATH);
        let file = read_file(&vfs, path);
        write_file(&vfs, path, &[0; SUPERBLOCKS], 0);
        for extent in live_extents(&file).iter().filter(|extent| extent.kind != 1) {
            write_file(&vfs, path, &vec![0; extent.units() * UNIT], extent.start);
        }
        assert!(options(&vfs).open(PATH).is_err());
        let (report, found) = run(&vfs);
        assert!(found == whole, "{codec}: {report:#?}");
        assert!(
            !report.is_complete(),
            "that these are the newest states cannot be known"
        );
    }
}

#[test]
fn every_lost_extent_costs_what_is_in_it_and_no_more() {
    let (base, [whole]) = build("NONE");
    let path = Path::new(PATH);
    let file = read_file(&base, path);
    let extents = live_extents(&file);
    let total: usize = whole.values().map(|table| table.len()).sum();
    // The database was closed and needs no log, but recycled segments may still hold what a lost extent held.
    for path in wal_files(&base) {
        base.remove(&path).unwrap();
    }
    for extent in &extents {
        let vfs = base.fork();
        write_file(&vfs, path, &vec![0; extent.units() * UNIT], extent.start);
        let kind = kind_of(&file, &extents, extent.start);
        let context = format!("{kind} at {}", extent.start);
        let (report, found) = run(&vfs);
        assert!(!report.is_complete(), "{context}");
        let back: usize = found.values().map(|table| table.len()).sum();
        match &*kind {
            "catalog" => {
                // The names are lost, the rows are not.
                assert!(
                    found.keys().all(|name| name.starts_with("lost_")),
                    "{context}: {:?}",
                    found.keys()
                );
                let mut rows: Vec<_> = found.values().collect();
                let mut expected: Vec<_> = whole.values().collect();
                rows.sort();
                expected.sort();
                assert!(rows == expected, "{context}: {report:#?}");
            }
            "map root" | "map chunk" | "inner" => assert!(found == whole, "{context}: {report:#?}"),
            "overflow" => {
                check_part(&report, &found, &whole, &context);
                assert_eq!(back, total - 1, "{context}: {report:#?}");
            }
            _ => {
                let has_older = report.tables.iter().any(|t| !t.older_pages.is_empty());
                if !has_older {
                    check_part(&report, &found, &whole, &context);
                    assert!(back < total && back + 60 >= total, "{context}: {back} of {total}");
                }
            }
        }
    }
}

#[test]
fn damage_in_the_log_is_named_and_the_rest_is_used() {
    let Crashed {
        vfs: base, states, ..
    } = build_log();
    let mut damaged = 0;
    for path in wal_files(&base) {
        let file = read_file(&base, &path);
        for start in (4096..file.len()).step_by(1024) {
            if file[start..start + 8].iter().all(|&byte| byte == 0) {
                continue;
            }
            let vfs = base.fork();
            write_file(&vfs, &path, &[!file[start + 4]], start + 4);
            let (report, found) = run(&vfs);
            damaged += u32::from(!report.is_complete());
            // Every row is one that was committed once.
            for (name, rows) in &found {
                for (key, value) in rows {
                    let known = states
                        .iter()
                        .any(|state| state.get(name).and_then(|t| t.get(key)) == Some(value));
                    assert!(known, "{name}: {key:?} has a value that was never there");
                }
            }
            if report.is_complete() {
                assert!(states.contains(&found), "complete, but no state of the database");
            }
        }
    }
    assert!(damaged > 5, "{damaged}");
}

#[test]
fn nothing_is_overwritten_and_an_open_database_is_left_alone() {
    let (vfs, _) = build("NONE");
    let db = options(&vfs).open(PATH).unwrap();
    assert!(matches!(
        salvage(PATH, NEW, options(&vfs)),
        Err(Error::Locked { .. })
    ));
    db.close().unwrap();
    options(&vfs).open(NEW).unwrap().close().unwrap();
    let error = salvage(PATH, NEW, options(&vfs)).unwrap_err();
    assert!(error.to_string().contains(NEW), "{error}");
    assert!(matches!(
        salvage("/none.db", "/other.db", options(&vfs)),
        Err(Error::Io { .. })
    ));
}

#[test]
fn what_an_opening_refuses_a_salvage_does_not_call_complete() {
    let vfs = MemoryVfs::default();
    let db = small_options(&vfs).open(PATH).unwrap();
    let table = db.create_table("rows").unwrap();
    for n in 0..60u8 {
        db.write(|tx| tx.put(table, &[n], &[n; 900])).unwrap();
    }
    let mut silent = Vec::new();
    for path in wal_files(&vfs) {
        let len = read_file(&vfs, &path).len() as u64;
        for cut in [None, Some(4096), Some(len / 2)] {
            let lost = vfs.fork();
            match cut {
                None => lost.remove(&path).unwrap(),
                Some(len) => lost
                    .open(&path, OpenMode::default())
                    .unwrap()
                    .set_len(len)
                    .unwrap(),
            }
            let copy = lost.fork();
            let Err(error) = small_options(&copy).open(PATH) else {
                continue;
            };
            let report = salvage(PATH, "/new.db", small_options(&lost)).unwrap();
            if report.is_complete() && report.rows() < 60 {
                silent.push(format!("{} rows of 60 although {error}", report.rows()));
            }
        }
    }
    assert!(silent.is_empty(), "{silent:#?}");
}

/// Damages the newest image of a page that has `part` in it, and says whether there was one.
fn damage_newest(vfs: &MemoryVfs, page: u32, part: &[u8]) -> bool {
    let file = read_file(vfs, Path::new(PATH));
    let u32_at = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    let newest = (8192..file.len())
        .step_by(512)
        .filter(|&at| file[at..].starts_with(b"PXTN") && file[at + 24] == 1 && u32_at(at + 4) == page)
        .filter(|&at| {
            let raw = &file[at + 28..at + 28 + u32_at(at + 20) as usize];
            raw.windows(part.len()).any(|window| window == part)
        })
        .max_by_key(|&at| u64::from_le_bytes(file[at + 8..at + 16].try_into().unwrap()));
    if let Some(at) = newest {
        write_file(vfs, Path::new(PATH), &[0xAA; 8], at + 60);
    }
    newest.is_some()
}

/// The root of the first table.
const FIRST_ROOT: u32 = 2;

#[test]
fn salvage_says_that_a_page_is_older_if_the_log_has_a_hole_behind_its_image() {
    let mut silent = Vec::new();
    for at in (0..200).step_by(20) {
        let vfs = MemoryVfs::default();
        let small = || {
            small_options(&vfs)
                .wal_segment_size(16 << 10)
                .compression("none", 0)
                .unwrap()
        };
        let db = small().open(PATH).unwrap();
        let rows = db.create_table("rows").unwrap();
        let other = db.create_table("other").unwrap();
        db.write(|tx| tx.put(rows, b"x", b"old").and_then(|()| tx.put(rows, b"y", b"1")))
            .unwrap();
        db.checkpoint().unwrap();
        for n in 0..200u8 {
            db.write(|tx| tx.put(other, &[n % 3], &[n; 900])).unwrap();
            if n == at {
                db.write(|tx| tx.put(rows, b"x", b"new")).unwrap();
            }
        }
        // More segments become superfluous than are kept, so the kept ones have a hole behind them.
        db.checkpoint().unwrap();
        db.write(|tx| tx.put(rows, b"y", b"2")).unwrap();
        let copy = vfs.fork();
        assert!(damage_newest(&copy, FIRST_ROOT, b"new"));
        let report = salvage(PATH, "/new.db", small_options(&copy)).unwrap();
        let new = small_options(&copy).open("/new.db").unwrap();
        let rows = new.table("rows").unwrap();
        let x = new.snapshot().get(rows, b"x").unwrap();
        if x.as_deref() != Some(b"new") && report.is_complete() {
            silent.push(format!("x of commit {at}: {x:?}"));
        }
    }
    assert!(silent.is_empty(), "{silent:#?}");
}

/// A commit larger than the cache, of which a page was moved out in the middle; then, with `damage`, that page's newest
/// image is damaged. The rows that salvage finds, if it calls that complete.
fn salvage_beside_half_an_image(filler: u32, len: usize, damage: bool) -> Option<[Option<usize>; 3]> {
    let vfs = MemoryVfs::default();
    let large = || {
        small_options(&vfs)
            .wal_segment_size(64 << 10)
            .compression("none", 0)
            .unwrap()
    };
    let db = large().open(PATH).unwrap();
    let rows = db.create_table("rows").unwrap();
    let other = db.create_table("other").unwrap();
    db.write(|tx| {
        ["k0", "k1", "k3"]
            .iter()
            .try_for_each(|key| tx.put(rows, key.as_bytes(), b"old"))
    })
    .unwrap();
    for round in 0..2 {
        db.write(|tx| (0..filler).try_for_each(|n| tx.put(other, &n.to_be_bytes(), &[round; 900])))
            .unwrap();
        db.checkpoint().unwrap();
    }
    db.write(|tx| {
        tx.delete(rows, b"k0")?;
        tx.put(rows, b"k1", b"newer")?;
        tx.put(rows, b"k2", &vec![9; len])?;
        tx.put(rows, b"k3", b"newer")
    })
    .unwrap();
    db.checkpoint().unwrap();
    // The page is written once more, as it is, without the deleted row.
    db.gc(1);
    db.checkpoint().unwrap();
    db.checkpoint().unwrap();
    // The log of the commit is used for others.
    for n in 0..3000u32 {
        let mut tx = db.begin_with(nosync()).unwrap();
        tx.put(other, &0u32.to_be_bytes(), &[n as u8; 900]).unwrap();
        tx.commit().unwrap();
    }
    db.sync().unwrap();
    let copy = vfs.fork();
    if damage {
        assert!(damage_newest(&copy, FIRST_ROOT, b"k3newer"));
    } else {
        assert_sound(&small_options(&copy.fork()).open(PATH).unwrap());
    }
    let report = salvage(PATH, "/new.db", small_options(&copy)).unwrap();
    let new = small_options(&copy).open("/new.db").unwrap();
    let rows = new.table("rows").unwrap();
    let snapshot = new.snapshot();
    let found = ["k1", "k2", "k3"].map(|key| snapshot.get(rows, key.as_bytes()).unwrap().map(|v| v.len()));
    report.is_complete().then_some(found)
}

#[test]
fn salvage_of_a_sound_database_finds_whole_commits() {
    for filler in [150, 200, 250] {
        for len in [300_000, 600_000, 1_000_000] {
            let found = salvage_beside_half_an_image(filler, len, false);
            assert_eq!(
                found,
                Some([Some(5), Some(len), Some(5)]),
                "{filler} rows beside it"
            );
        }
    }
}

#[test]
fn salvage_does_not_take_half_a_commit_for_the_whole() {
    for len in [600_000, 1_000_000] {
        let found = salvage_beside_half_an_image(200, len, true);
        assert!(
            found.is_none_or(|found| found == [Some(5), Some(len), Some(5)]),
            "complete with {found:?}"
        );
    }
}

#[test]
fn images_of_a_commit_that_a_crash_cut_off_stay_away_when_its_id_is_used_again() {
    let mut strays = 0;
    for round in 0..3u8 {
        let vfs = MemoryVfs::default();
        let large = |vfs: &MemoryVfs| small_options(vfs).wal_segment_size(256 << 10);
        let db = large(&vfs).open(PATH).unwrap();
        let rows = db.create_table("rows").unwrap();
        let key = |n: u32| n.to_be_bytes();
        db.write(|tx| (0..4000u32).try_for_each(|n| tx.put(rows, &key(n), &[round; 100])))
            .unwrap();
        db.checkpoint().unwrap();
        let is_done = AtomicBool::new(false);
        let mut copies = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                db.write(|tx| (0..4000u32).try_for_each(|n| tx.put(rows, &key(n), &[0xEE; 150])))
                    .unwrap();
                is_done.store(true, Ordering::SeqCst);
            });
            while !is_done.load(Ordering::SeqCst) {
                copies.push(vfs.fork());
                std::thread::sleep(std::time::Duration::from_micros(300));
            }
        });
        for copy in copies.iter().rev().take(8) {
            let db = large(copy).open(PATH).unwrap();
            let rows = db.table("rows").unwrap();
            // What is left of the large commit has the same ID.
            db.write(|tx| tx.put(rows, &key(1), b"small")).unwrap();
            let whole = contents(&db).unwrap();
            let copy = copy.fork();
            let file = read_file(&copy, Path::new(PATH));
            let has_old = whole["rows"].values().any(|value| value[..] == [round; 100]);
            let has_new = file.windows(150).any(|window| *window == [0xEE; 150]);
            strays += u32::from(has_old && has_new);
            let (report, found) = run(&copy);
            assert!(found == whole, "round {round}: {report:#?}");
            assert!(report.is_complete(), "round {round}: {report:#?}");
        }
    }
    assert!(strays > 0, "no copy had a page of a commit that was cut off");
}
