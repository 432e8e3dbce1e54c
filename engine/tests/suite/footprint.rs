//! Files are as long as what is in them asks for: the log and the data file, small databases, large ones after a deletion,
//! and any number of lives.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use engine::vfs::simulated::{Effect, Fault, OperationKind, SimulatedVfs, Survival, choices};
use engine::vfs::{MemoryVfs, OpenMode, Vfs};
use engine::{Database, Options};

use crate::common::{PATH, assert_sound, nosync, put};
use crate::forward::forward;

fn files(vfs: &dyn Vfs) -> (u64, Vec<u64>) {
    let length = |path: &Path| {
        let file = vfs.open(path, engine::vfs::OpenMode::default()).unwrap();
        file.len().unwrap()
    };
    let dir = format!("{PATH}-wal");
    let log = vfs.list(Path::new(&dir)).unwrap();
    (
        length(Path::new(PATH)),
        log.iter().map(|path| length(path)).collect(),
    )
}

fn fill(db: &Database, rows: u32, len: usize) {
    let table = db.open_or_create("rows").unwrap();
    for batch in (0..rows).collect::<Vec<_>>().chunks(1000) {
        let mut tx = db.begin_with(nosync()).unwrap();
        for n in batch {
            tx.put(table, &n.to_be_bytes(), &vec![*n as u8; len]).unwrap();
        }
        tx.commit().unwrap();
    }
}

fn delete(db: &Database, rows: std::ops::Range<u32>) {
    let table = db.table("rows").unwrap();
    for batch in rows.collect::<Vec<_>>().chunks(1000) {
        let mut tx = db.begin_with(nosync()).unwrap();
        for n in batch {
            assert!(tx.delete(table, &n.to_be_bytes()).unwrap());
        }
        tx.commit().unwrap();
    }
}

fn assert_rows(db: &Database, rows: std::ops::Range<u32>) {
    let table = db.table("rows").unwrap();
    let snapshot = db.snapshot();
    let mut found = snapshot.scan(table, ..).unwrap();
    for n in rows {
        let (key, value) = found.next().unwrap().unwrap();
        assert_eq!((key, value[0]), (n.to_be_bytes().to_vec(), n as u8));
    }
    assert!(found.next().is_none());
    drop(found);
    assert_sound(db);
}

/// Bytes of the data file and of all log files.
fn footprint(vfs: &MemoryVfs) -> (u64, u64) {
    let (data, log) = files(vfs);
    (data, log.iter().sum())
}

#[test]
fn a_database_of_one_row_is_small_and_stays_small_over_a_thousand_lives() {
    let mut vfs = MemoryVfs::default();
    let open = |vfs: &MemoryVfs, background| {
        let options = Options::new().cache_size(0).background(background);
        options.vfs(Arc::new(vfs.clone())).open(PATH).unwrap()
    };
    let db = open(&vfs, true);
    fill(&db, 1, 100);
    db.close().unwrap();
    let (data, log) = footprint(&vfs);
    assert!(data + log <= 2 << 20, "{data} bytes and {log} of log");
    let mut files_at_most = 0;
    for life in 0..1000u32 {
        let db = open(&vfs, life % 100 == 0);
        let table = db.table("rows").unwrap();
        if life % 5 < 2 {
            put(&db, table, &0u32.to_be_bytes(), &[0; 100]);
        }
        match life % 7 {
            0..3 => db.close().unwrap(),
            3..5 => drop(db),
            // Killed.
            _ => vfs = vfs.fork(),
        }
        files_at_most = files_at_most.max(files(&vfs).1.len());
    }
    assert!(files_at_most <= 5, "{files_at_most} log files at a time");
    open(&vfs, false).close().unwrap();
    let (data_after, log_after) = footprint(&vfs);
    assert!(data_after <= 512 << 10, "{data} bytes before, {data_after} now");
    assert!(log_after <= 1 << 20, "{log} bytes of log before, {log_after} now");
    assert_rows(&open(&vfs, false), 0..1);
}

#[test]
fn the_log_of_a_load_is_given_back_when_the_database_is_closed_and_by_compacting() {
    for closes in [true, false] {
        let vfs = MemoryVfs::default();
        let options = Options::new().background(false).vfs(Arc::new(vfs.clone()));
        let db = options.clone().open(PATH).unwrap();
        for _ in 0..3 {
            db.create_table("rows").ok();
            let table = db.table("rows").unwrap();
            for _ in 0..200 {
                let mut tx = db.begin_with(nosync()).unwrap();
                for n in 0..1000u32 {
                    tx.put(table, &n.to_be_bytes(), &[0; 150]).unwrap();
                }
                tx.commit().unwrap();
            }
            db.checkpoint().unwrap();
        }
        let (_, loaded) = files(&vfs);
        assert!(
            loaded.iter().any(|file| *file >= 8 << 20),
            "segments grow under load: {loaded:?}"
        );
        let db = if closes {
            db.close().unwrap();
            options.clone().open(PATH).unwrap()
        } else {
            let report = db.compact().unwrap();
            assert_eq!(report.wal_bytes_before, loaded.iter().sum::<u64>());
            db
        };
        let (_, log) = footprint(&vfs);
        assert!(log <= 1 << 20, "{log} bytes of log");
        put(&db, db.table("rows").unwrap(), b"after", b"it goes on");
        let killed = vfs.fork();
        let db = options.vfs(Arc::new(killed)).open(PATH).unwrap();
        assert_sound(&db);
    }
}

#[test]
fn one_failing_operation_does_not_leave_the_log_large() {
    for (kind, nth) in [
        (OperationKind::SetLen, 0),
        (OperationKind::Remove, 0),
        (OperationKind::Open, 0),
    ] {
        let vfs = SimulatedVfs::new(3);
        let options = Options::new().background(false).page_size(4096);
        let db = options.vfs(Arc::new(vfs.clone())).open(PATH).unwrap();
        fill(&db, 20_000, 300);
        db.checkpoint().unwrap();
        fill(&db, 20_000, 300);
        db.checkpoint().unwrap();
        assert!(
            files(&vfs).1.iter().sum::<u64>() > 4 << 20,
            "the load has left it large"
        );
        let effect = Effect::Error(std::io::ErrorKind::Other);
        vfs.set_faults([Fault {
            kind,
            nth,
            lasting: false,
            effect,
        }]);
        assert!(db.compact().is_err(), "{kind:?}");
        vfs.set_faults([]);
        db.compact().unwrap();
        db.close().unwrap();
        let log = files(&vfs).1;
        assert!(log.iter().sum::<u64>() <= 1 << 20, "{kind:?}: {log:?}");
    }
}

/// Does not remove one file of the log, the first that it was asked to.
#[derive(Clone, Debug, Default)]
struct Stubborn {
    files: MemoryVfs,
    kept: Arc<OnceLock<PathBuf>>,
}

impl Vfs for Stubborn {
    forward!(files: open, exists, list, create_dir, sync_dir, identity_of, open_dir, wall_clock, monotonic, random, rename);

    fn remove(&self, path: &Path) -> std::io::Result<()> {
        if self.kept.get_or_init(|| path.to_path_buf()) == path {
            return Err(std::io::ErrorKind::PermissionDenied.into());
        }
        self.files.remove(path)
    }
}

#[test]
fn one_file_that_cannot_be_removed_stands_in_the_way_of_nothing_else() {
    let vfs = Stubborn::default();
    let options = || Options::new().background(false).page_size(4096);
    let db = options().vfs(Arc::new(vfs.clone())).open(PATH).unwrap();
    fill(&db, 20_000, 300);
    let mut failed = 0;
    let mut largest = 0;
    for _ in 0..12 {
        failed += u32::from(db.checkpoint().is_err());
        fill(&db, 2_000, 300);
        largest = footprint(&vfs.files).1;
    }
    failed += u32::from(db.compact().is_err());
    assert!(vfs.kept.get().is_some(), "a file was to be removed");
    assert_eq!(failed, 1, "it is told once");
    assert!(largest < 24 << 20, "the log goes on being recycled: {largest}");
    fill(&db, 2_000, 300);
    db.close().unwrap();
    let (_, log) = files(&vfs);
    let stubborn = vfs.open(vfs.kept.get().unwrap(), OpenMode::default()).unwrap();
    let rest = log.iter().sum::<u64>() - stubborn.len().unwrap();
    assert!(rest <= 1 << 20, "{log:?}");
    let db = options().vfs(Arc::new(vfs.files.clone())).open(PATH).unwrap();
    assert_rows(&db, 0..20_000);
    db.close().unwrap();
    assert!(footprint(&vfs.files).1 <= 1 << 20, "the next opening removes it");
}

/// Slots are set aside for pages until they are written, each as long as a page can be; what images do not fill of them
/// must not be left in the file.
#[test]
fn after_a_load_in_random_order_and_closing_the_file_is_hardly_longer_than_its_rows() {
    // With a cache that holds everything, and with one that holds a small part.
    for (cache, rows, codec, most) in [
        (64 << 20, 20_000u32, "NONE", 140),
        (64 << 20, 50_000, "NONE", 140),
        (64 << 20, 100_000, "NONE", 140),
        (64 << 20, 100_000, "LZ4", 80),
        (1 << 20, 50_000, "NONE", 140),
        (1 << 20, 50_000, "LZ4", 90),
    ] {
        for explicit in [false, true] {
            let vfs = MemoryVfs::default();
            let options = Options::new().background(false).vfs(Arc::new(vfs.clone()));
            let options = options.cache_size(cache).compression(codec, 0).unwrap();
            let db = options.clone().open(PATH).unwrap();
            let table = db.create_table("rows").unwrap();
            for batch in 0..rows / 1000 {
                let mut tx = db.begin_with(nosync()).unwrap();
                for n in batch * 1000..(batch + 1) * 1000 {
                    let key = (u64::from(n) * 618_033 % u64::from(rows)) as u32;
                    // Half of it compresses.
                    let mut value = [b'.'; 100];
                    let mut word = u64::from(key) + 1;
                    value[..50].fill_with(|| {
                        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        (word >> 56) as u8
                    });
                    tx.put(table, &key.to_be_bytes(), &value).unwrap();
                }
                tx.commit().unwrap();
            }
            if explicit {
                db.checkpoint().unwrap();
            }
            db.close().unwrap();
            let (data, _) = footprint(&vfs);
            let bytes = u64::from(rows) * 104;
            assert!(
                data * 100 <= bytes * most,
                "{data} bytes for {bytes} bytes of {rows} rows, {codec}, cache {cache}, {explicit}"
            );
            let db = options.open(PATH).unwrap();
            let table = db.table("rows").unwrap();
            assert_eq!(db.snapshot().scan(table, ..).unwrap().count(), rows as usize);
            assert_sound(&db);
        }
    }
}

#[test]
fn the_file_gets_shorter_when_its_front_was_deleted() {
    let vfs = MemoryVfs::default();
    let options = || {
        Options::new()
            .background(false)
            .cache_size(8 << 20)
            .vfs(Arc::new(vfs.clone()))
    };
    let db = options().open(PATH).unwrap();
    fill(&db, 60_000, 100);
    db.close().unwrap();
    let (full, _) = footprint(&vfs);
    let db = options().open(PATH).unwrap();
    delete(&db, 0..54_000);
    let report = db.compact().unwrap();
    let (now, _) = footprint(&vfs);
    assert_eq!(
        (report.file_bytes_before >= full, report.file_bytes_after),
        (true, now)
    );
    assert!(now * 10 <= full * 3, "{full} bytes before, {now} now");
    assert_rows(&db, 54_000..60_000);
    // And again: nothing is left to be done, and nothing is lost.
    let again = db.compact().unwrap();
    assert!(
        again.file_bytes_after <= now + (128 << 10),
        "{report:?}, {again:?}"
    );
    db.close().unwrap();
    let db = options().open(PATH).unwrap();
    assert_rows(&db, 54_000..60_000);
    assert!(footprint(&vfs).0 <= now + (128 << 10));
}

#[test]
fn the_background_shortens_the_file_of_a_database_that_is_left_alone() {
    let vfs = MemoryVfs::default();
    let options = Options::new()
        .checkpoint_interval(Some(Duration::from_millis(20)))
        .vfs(Arc::new(vfs.clone()));
    let db = options.open(PATH).unwrap();
    fill(&db, 60_000, 100);
    db.checkpoint().unwrap();
    let (full, log) = footprint(&vfs);
    delete(&db, 0..54_000);
    let start = Instant::now();
    loop {
        let (now, log_now) = footprint(&vfs);
        if now * 10 <= full * 3 && log_now <= 1 << 20 {
            break;
        }
        assert!(
            start.elapsed() < Duration::from_secs(120),
            "{full} and {log} bytes before, {now} and {log_now} still"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_rows(&db, 54_000..60_000);
}

#[test]
fn power_may_fail_while_the_file_is_made_shorter() {
    let vfs = SimulatedVfs::new(3);
    let options = Options::new()
        .page_size(4096)
        .cache_size(0)
        .wal_segment_size(64 << 10)
        .background(false);
    let db = options.clone().vfs(Arc::new(vfs.clone())).open(PATH).unwrap();
    fill(&db, 600, 1000);
    db.checkpoint().unwrap();
    delete(&db, 0..500);
    db.sync().unwrap();
    let vfs = SimulatedVfs::from_image(&vfs.crash(Survival::All), 4);
    vfs.record();
    let db = options.clone().vfs(Arc::new(vfs.clone())).open(PATH).unwrap();
    let report = db.compact().unwrap();
    assert!(
        report.file_bytes_after * 2 < report.file_bytes_before,
        "{report:?}"
    );
    let trace = vfs.take_trace();
    let mut replay = trace.replay();
    let mut images = 0;
    while replay.step().is_some() {
        if !replay.point().is_multiple_of(3) {
            continue;
        }
        for survival in choices(replay.pending(), 2, 2, replay.point() as u64) {
            let image = replay.medium().image(survival);
            let vfs = SimulatedVfs::from_image(&image, 5);
            let db = options.clone().vfs(Arc::new(vfs)).open(PATH).unwrap();
            assert_rows(&db, 500..600);
            images += 1;
        }
    }
    assert!(images > 60, "{images} images");
}

/// A commit reserves room for the pages that it changes, once for each, and for those that are changed already: not for pages
/// that it cannot need, such as parts of pages that do not split.
#[test]
fn a_commit_makes_the_file_longer_by_what_its_pages_take_at_most() {
    const PAGE: u64 = 16 << 10;
    let vfs = MemoryVfs::default();
    let open = || {
        let options = Options::new().page_size(PAGE as usize).cache_size(0);
        let options = options.background(false).vfs(Arc::new(vfs.clone()));
        options.open(PATH).unwrap()
    };
    let db = open();
    fill(&db, 60_000, 100);
    db.compact().unwrap();
    db.close().unwrap();
    for changed in [10u32, 100, 500] {
        let db = open();
        db.checkpoint().unwrap();
        let (before, _) = footprint(&vfs);
        let table = db.table("rows").unwrap();
        let mut tx = db.begin_with(nosync()).unwrap();
        for n in 0..changed {
            // Rows that are there, with values of the same length.
            let n = n * (60_000 / changed);
            tx.put(table, &n.to_be_bytes(), &[n as u8; 100]).unwrap();
        }
        tx.commit().unwrap();
        let (after, _) = footprint(&vfs);
        // What is reserved, the copies of as many pages, and as many as are in the cache and set aside.
        let extents = 2 * u64::from(changed) + 64 + 64;
        assert!(
            after <= before + extents * (PAGE + 512) + (1 << 20),
            "{changed} rows: {before} bytes, then {after}"
        );
    }
}
