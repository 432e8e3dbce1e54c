//! Salvage: what is intact comes back, what is not is named, and nothing wrong is made up.

use std::path::Path;

use engine::vfs::{MemoryVfs, Vfs};
use engine::{Error, SalvageReport, salvage};

use crate::common::PATH;
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
