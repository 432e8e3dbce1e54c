//! Damage at rest: bits that flip, blocks that become zero, writes that went to the wrong place or nowhere.
//!
//! Every kind of block is damaged in every way, and the database is opened, read whole and verified. What may come of it:
//!
//! | the damage is in | then |
//! |---|---|
//! | a live extent of the data file | an error or a finding, before anything of it is used |
//! | one of two superblocks, one of two copies of a segment header | the other serves: everything is there |
//! | the log before what a guard, a later frame or a header says was durable | an error |
//! | the last flush of the log | an error, or all before that flush: it looks like a torn write |
//! | anything else: padding, free extents, log behind its end | everything is there |
//!
//! Never a wrong row, never a panic. `DAMAGE_STEP=1` tries each bit of each byte instead of each bit of every 13th.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use engine::vfs::{MemoryVfs, OpenMode, Vfs};
use engine::{Database, Options};

use crate::common::{PATH, small};

const UNIT: usize = 512;
pub(crate) const SUPERBLOCKS: usize = 8192;

pub(crate) type Contents = BTreeMap<String, BTreeMap<Vec<u8>, Vec<u8>>>;

pub(crate) fn options(vfs: &MemoryVfs) -> Options {
    small(vfs).wal_segment_size(16 << 10).version_budget(64 << 10)
}

pub(crate) fn contents(db: &Database) -> engine::Result<Contents> {
    let snapshot = db.snapshot();
    db.table_names()
        .into_iter()
        .map(|name| {
            let rows = snapshot.scan(db.table(&name)?, ..)?.collect::<Result<_, _>>()?;
            Ok((name, rows))
        })
        .collect()
}

pub(crate) fn read_file(vfs: &MemoryVfs, path: &Path) -> Vec<u8> {
    let file = vfs.open(path, OpenMode::default()).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), bytes.len());
    bytes
}

pub(crate) fn write_file(vfs: &MemoryVfs, path: &Path, bytes: &[u8], offset: usize) {
    let file = vfs.open(path, OpenMode::default()).unwrap();
    file.write_at(bytes, offset as u64).unwrap();
}

pub(crate) fn wal_files(vfs: &MemoryVfs) -> Vec<PathBuf> {
    vfs.list(Path::new(&format!("{PATH}-wal"))).unwrap()
}

/// What came of one damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// An error or a finding.
    Detected,
    /// Everything is there.
    Harmless,
    /// Everything up to the first damaged commit at the end of the log is there.
    LostEnd,
}

/// Opens, reads everything and verifies.
fn examine(vfs: &MemoryVfs, states: &[Contents], may_lose_end: bool, context: &dyn fmt::Display) -> Outcome {
    let read = catch_unwind(AssertUnwindSafe(|| {
        let db = options(vfs).open(PATH)?;
        let read = contents(&db);
        let report = db.verify()?;
        // Verification finds whatever reading finds.
        if read.is_err() {
            assert!(!report.is_sound(), "verification missed {read:?}");
            assert!(db.metrics().corruptions_detected > 0, "not counted: {read:?}");
        }
        read.map(|read| (read, report.is_sound()))
    }));
    match read.unwrap_or_else(|_| panic!("{context}: panic")) {
        Err(error) => {
            assert!(
                error.to_string().contains(PATH),
                "{context}: {error} names no file"
            );
            Outcome::Detected
        }
        Ok((_, false)) => Outcome::Detected,
        Ok((read, true)) => match states.iter().rposition(|state| *state == read) {
            Some(at) if at + 1 == states.len() => Outcome::Harmless,
            Some(_) if may_lose_end => Outcome::LostEnd,
            Some(at) => panic!("{context}: silently the state {at} of {}", states.len() - 1),
            None => panic!("{context}: the contents are wrong, and nothing said so"),
        },
    }
}

/// An extent of the data file, as its header describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) start: usize,
    /// Without padding.
    pub(crate) len: usize,
    pub(crate) kind: u8,
    codec: u8,
    pub(crate) number: u32,
    stamp: u64,
}

impl Extent {
    pub(crate) fn units(self) -> usize {
        self.len.div_ceil(UNIT)
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// The newest extent of each kind and number: the live ones, in a file whose pages were never freed.
pub(crate) fn live_extents(file: &[u8]) -> Vec<Extent> {
    let mut newest: BTreeMap<(u8, u32), Extent> = BTreeMap::new();
    for start in (SUPERBLOCKS..file.len()).step_by(UNIT) {
        if &file[start..start + 4] != b"PXTN" {
            continue;
        }
        let extent = Extent {
            start,
            len: 32 + u32_at(file, start + 20) as usize,
            kind: file[start + 24],
            codec: file[start + 25],
            number: u32_at(file, start + 4),
            stamp: u64_at(file, start + 8),
        };
        let slot = newest.entry((extent.kind, extent.number)).or_insert(extent);
        if extent.stamp > slot.stamp {
            *slot = extent;
        }
    }
    newest.into_values().collect()
}

/// What kind of block a byte of the data file is in.
pub(crate) fn kind_of(file: &[u8], extents: &[Extent], at: usize) -> String {
    if at < SUPERBLOCKS {
        return "superblock".into();
    }
    let Some(extent) = extents.iter().find(|e| (e.start..e.start + e.len).contains(&at)) else {
        return "dead bytes".into();
    };
    let codec = ["", "", " lz4", " zstd"]
        .get(usize::from(extent.codec))
        .unwrap_or(&" ?");
    match extent.kind {
        1 if extent.codec != 0 => format!("page{codec}"),
        1 => match file[extent.start + 28 + 16] {
            1 if u32_at(file, extent.start + 28 + 4) == 0 => "catalog".into(),
            1 => "leaf".into(),
            2 => "inner".into(),
            _ => "overflow".into(),
        },
        2 => "map chunk".into(),
        _ => "map root".into(),
    }
}

/// A database whose last checkpoint holds everything.
pub(crate) fn build(codec: &str) -> (MemoryVfs, [Contents; 1]) {
    let vfs = MemoryVfs::default();
    let db = options(&vfs).compression(codec, 1).unwrap().open(PATH).unwrap();
    let rows = db.create_table("rows").unwrap();
    let long = db.create_table("long").unwrap();
    for n in 0..40u32 {
        db.write(|tx| {
            (0..3u32).try_for_each(|k| {
                let noise: Vec<u8> = (0..60).map(|i| (n * 77 + k * 31 + i * i) as u8).collect();
                tx.put(rows, format!("row-{n:04}-{k}").as_bytes(), &noise)
            })
        })
        .unwrap();
        if n == 20 {
            db.checkpoint().unwrap();
        }
    }
    for n in 0..2u8 {
        let value: Vec<u8> = (0..6000u32).map(|i| (i * i / 7) as u8 ^ n).collect();
        db.write(|tx| tx.put(long, &[n], &value)).unwrap();
    }
    let all = contents(&db).unwrap();
    let used = db.storage_info().used_pages;
    db.close().unwrap();
    let extents = live_extents(&read_file(&vfs, Path::new(PATH)));
    let pages = extents.iter().filter(|e| e.kind == 1).count() as u64;
    assert_eq!(pages, used, "no page was ever freed");
    (vfs, [all])
}

/// A database as a crash leaves it: a checkpoint, then commits with every kind of frame in several log segments.
pub(crate) struct Crashed {
    pub(crate) vfs: MemoryVfs,
    /// What it held after each commit behind the checkpoint.
    pub(crate) states: Vec<Contents>,
    /// The segment and the offset of the last frame.
    pub(crate) last_frame: (PathBuf, usize),
}

pub(crate) fn build_log() -> Crashed {
    let vfs = MemoryVfs::default();
    let db = options(&vfs).open(PATH).unwrap();
    let rows = db.create_table("rows").unwrap();
    db.write(|tx| (0..30u32).try_for_each(|n| tx.put(rows, &n.to_be_bytes(), &[n as u8; 100])))
        .unwrap();
    db.write(|tx| tx.put(rows, b"long", &[1; 5000])).unwrap();
    db.checkpoint().unwrap();
    let mut states = vec![contents(&db).unwrap()];
    for n in 0..60u32 {
        db.write(|tx| tx.put(rows, &n.to_be_bytes(), &[n as u8 ^ 0x55; 150]))
            .unwrap();
        states.push(contents(&db).unwrap());
    }
    db.write(|tx| tx.put(rows, b"long", &[2; 5000])).unwrap();
    states.push(contents(&db).unwrap());
    db.create_table("second").unwrap();
    states.push(contents(&db).unwrap());
    db.write(|tx| tx.delete(rows, b"long").map(drop)).unwrap();
    states.push(contents(&db).unwrap());
    db.write(|tx| (100..103u32).try_for_each(|n| tx.put(rows, &n.to_be_bytes(), b"last")))
        .unwrap();
    states.push(contents(&db).unwrap());
    let crashed = vfs.fork();
    drop(db);
    let last_frame = wal_files(&crashed)
        .into_iter()
        .filter_map(|path| {
            let bytes = read_file(&crashed, &path);
            let commit = |at: usize| u64_at(&bytes, at + 12);
            let frame = (4096..bytes.len() - 4096)
                .filter(|&at| u32_at(&bytes, at) == 0x377F_0682)
                .max_by_key(|&at| commit(at))?;
            Some((commit(frame), (path, frame)))
        })
        .max_by_key(|(commit, _)| *commit)
        .unwrap()
        .1;
    Crashed {
        vfs: crashed,
        states,
        last_frame,
    }
}

/// Counts of one kind of block.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    tried: u64,
    detected: u64,
    harmless: u64,
    lost_end: u64,
}

#[derive(Debug, Default)]
struct Counts(Mutex<BTreeMap<String, Count>>);

impl Counts {
    fn add(&self, kind: &str, outcome: Outcome) {
        let mut counts = self.0.lock().unwrap();
        let count = counts.entry(kind.to_owned()).or_default();
        count.tried += 1;
        match outcome {
            Outcome::Detected => count.detected += 1,
            Outcome::Harmless => count.harmless += 1,
            Outcome::LostEnd => count.lost_end += 1,
        }
    }

    fn finish(self, what: &str) -> BTreeMap<String, Count> {
        let counts = self.0.into_inner().unwrap();
        for (kind, count) in &counts {
            println!("{what}: {kind}: {count:?}");
        }
        counts
    }
}

/// Runs `work` on the numbers below `count`, on a few threads.
fn in_parallel(count: usize, work: impl Fn(usize) + Sync) {
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from).min(4) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if at >= count {
                        return;
                    }
                    work(at);
                }
            });
        }
    });
}

fn step() -> usize {
    std::env::var("DAMAGE_STEP")
        .ok()
        .and_then(|step| step.parse().ok())
        .unwrap_or(13)
}

/// A step so many times wider, unless all is to be tried.
fn wide(times: usize) -> usize {
    if step() == 1 { 1 } else { step() * times }
}

/// Tries damages of one file; each is an offset and the bytes to put there, with the kind to count it under.
fn try_all(
    base: &MemoryVfs,
    path: &Path,
    damages: &[(usize, Vec<u8>, String)],
    states: &[Contents],
    last_frame: Option<&(PathBuf, usize)>,
    counts: &Counts,
) {
    in_parallel(damages.len(), |index| {
        let (offset, bytes, kind) = &damages[index];
        let vfs = base.fork();
        write_file(&vfs, path, bytes, *offset);
        let context = format!("{kind}: {} bytes at {offset} of {}", bytes.len(), path.display());
        // What lies behind a damage proves that it was durable, unless nothing lies behind it.
        let may_lose_end =
            last_frame.is_some_and(|(file, frame)| file == path && offset + bytes.len() > *frame);
        counts.add(kind, examine(&vfs, states, may_lose_end, &context));
    });
}

/// Each bit of every `step`-th byte of `range`.
fn flips(
    file: &[u8],
    range: std::ops::Range<usize>,
    step: usize,
    kind: &str,
    into: &mut Vec<(usize, Vec<u8>, String)>,
) {
    for offset in range.step_by(step) {
        for bit in 0..8 {
            into.push((offset, vec![file[offset] ^ 1 << bit], kind.to_owned()));
        }
    }
}

#[test]
fn every_flipped_bit_of_a_live_extent_is_detected() {
    let mut kinds = 0;
    for codec in ["NONE", "LZ4", "ZSTD"] {
        let (base, whole) = build(codec);
        let path = Path::new(PATH);
        let file = read_file(&base, path);
        let extents = live_extents(&file);
        let mut damages = Vec::new();
        for extent in &extents {
            let kind = kind_of(&file, &extents, extent.start);
            let (start, end) = (extent.start, extent.start + extent.len);
            // All of the header and the CRC, and each bit of some bytes between.
            let all = if step() == 1 { 1 } else { 4 };
            flips(&file, start..start + 28, all, &kind, &mut damages);
            flips(
                &file,
                start + 28..end - 4,
                if codec == "NONE" { wide(3) } else { step() },
                &kind,
                &mut damages,
            );
            flips(&file, end - 4..end, all, &kind, &mut damages);
        }
        let live = damages.len();
        flips(&file, 0..SUPERBLOCKS, wide(5), "superblock", &mut damages);
        flips(&file, 0..128, step().min(3), "superblock", &mut damages);
        flips(&file, 4096..4096 + 128, step().min(3), "superblock", &mut damages);
        let counts = Counts::default();
        try_all(&base, path, &damages, &whole, None, &counts);
        let counts = counts.finish(&format!("flips, {codec}"));
        let detected: u64 = counts
            .iter()
            .filter(|(kind, _)| *kind != "superblock")
            .map(|(_, count)| count.detected)
            .sum();
        assert_eq!(
            detected, live as u64,
            "each flip in a live extent is detected: {counts:#?}"
        );
        kinds += counts.len();
    }
    assert!(kinds >= 21, "all kinds of blocks were met");
}

#[test]
fn every_flipped_bit_of_the_log_is_detected_or_a_torn_end() {
    let Crashed {
        vfs: base,
        states,
        last_frame,
    } = build_log();
    let counts = Counts::default();
    for path in wal_files(&base) {
        let file = read_file(&base, &path);
        // The frames: a segment's first and last block are headers, and a block with frames may end in a guard.
        let last = file.len() - 4096;
        let is_guard = |at: usize| at % 4096 >= 4096 - 32;
        let used = (4096..last)
            .rfind(|&at| file[at] != 0 && !is_guard(at))
            .map_or(0, |at| at + 1);
        let mut damages = Vec::new();
        for header in [0, last] {
            flips(&file, header..header + 80, 2, "segment header", &mut damages);
            flips(
                &file,
                header + 508..header + 512,
                1,
                "segment header",
                &mut damages,
            );
        }
        flips(&file, file.len() - 32..file.len(), 3, "guard", &mut damages);
        flips(&file, 4096..used.max(4096), step(), "frames", &mut damages);
        flips(
            &file,
            used.saturating_sub(200).max(4096)..used.max(4096),
            1,
            "end of a segment",
            &mut damages,
        );
        flips(
            &file,
            used..(used + 100).min(file.len()),
            7,
            "behind the end",
            &mut damages,
        );
        try_all(&base, &path, &damages, &states, Some(&last_frame), &counts);
    }
    let counts = counts.finish("flips, log");
    let headers = counts["segment header"];
    assert_eq!(headers.tried, headers.harmless, "one copy of a header is enough");
    let guards = counts["guard"];
    assert_eq!(
        guards.tried, guards.harmless,
        "a guard is a witness, and nothing else"
    );
    assert!(counts["frames"].detected > 500 && counts["end of a segment"].lost_end > 0);
}

#[test]
fn zeroed_blocks_are_detected() {
    let (base, whole) = build("NONE");
    let path = Path::new(PATH);
    let file = read_file(&base, path);
    let extents = live_extents(&file);
    let counts = Counts::default();
    let mut damages = Vec::new();
    for start in (0..file.len()).step_by(UNIT) {
        let kind = kind_of(&file, &extents, start);
        // An extent's last unit may hold nothing but padding that is zero anyway.
        if file[start..start + UNIT].iter().any(|&byte| byte != 0) {
            damages.push((start, vec![0; UNIT], kind));
        }
    }
    for extent in &extents {
        let kind = kind_of(&file, &extents, extent.start);
        damages.push((extent.start, vec![0; extent.units() * UNIT], kind));
    }
    try_all(&base, path, &damages, &whole, None, &counts);
    for (kind, count) in counts.finish("zeroed, data file") {
        if kind != "superblock" && kind != "dead bytes" {
            assert_eq!(count.detected, count.tried, "{kind}");
        }
    }

    let Crashed {
        vfs: base,
        states,
        last_frame,
    } = build_log();
    let counts = Counts::default();
    for path in wal_files(&base) {
        let file = read_file(&base, &path);
        let damages: Vec<_> = (0..file.len())
            .step_by(UNIT)
            .filter(|&start| file[start..start + UNIT].iter().any(|&byte| byte != 0))
            .map(|start| (start, vec![0; UNIT], "log block".to_owned()))
            .chain([(0, vec![0; file.len()], "whole segment".to_owned())])
            .collect();
        try_all(&base, &path, &damages, &states, Some(&last_frame), &counts);
    }
    let counts = counts.finish("zeroed, log");
    assert!(counts["log block"].detected > 10);
}

#[test]
fn misdirected_and_lost_writes_are_detected() {
    let (base, whole) = build("NONE");
    let path = Path::new(PATH);
    let file = read_file(&base, path);
    let extents = live_extents(&file);
    let counts = Counts::default();
    let mut damages = Vec::new();
    for from in &extents {
        for to in extents.iter().filter(|to| to.start != from.start) {
            let bytes = file[from.start..from.start + from.units() * UNIT].to_vec();
            damages.push((to.start, bytes, "misdirected write".to_owned()));
        }
        // The pieces of an extent in each other's place.
        for (a, b) in (0..from.units()).zip(1..from.units()) {
            let bytes = file[from.start + a * UNIT..][..UNIT].to_vec();
            if bytes != file[from.start + b * UNIT..][..UNIT] {
                damages.push((from.start + b * UNIT, bytes, "misdirected sector".to_owned()));
            }
        }
    }
    try_all(&base, path, &damages, &whole, None, &counts);

    // An older state of each page where its newest should be: the last write of the page was lost.
    let older = {
        let db = options(&base).open(PATH).unwrap();
        for name in db.table_names() {
            let table = db.table(&name).unwrap();
            let keys: Vec<_> = contents(&db).unwrap()[&name].keys().cloned().collect();
            for key in keys {
                db.write(|tx| tx.put(table, &key, b"overwritten")).unwrap();
            }
        }
        db.close().unwrap();
        file
    };
    let file = read_file(&base, path);
    let db = options(&base.fork()).open(PATH).unwrap();
    let whole = [contents(&db).unwrap()];
    drop(db);
    let (before, now) = (live_extents(&older), live_extents(&file));
    let mut damages = Vec::new();
    for old in &before {
        let Some(new) = now.iter().find(|e| (e.kind, e.number) == (old.kind, old.number)) else {
            continue;
        };
        if new.stamp == old.stamp {
            continue;
        }
        let mut bytes = older[old.start..old.start + old.units() * UNIT].to_vec();
        bytes.resize(bytes.len().max(new.units() * UNIT), 0);
        bytes.truncate((file.len() - new.start).min(bytes.len()));
        damages.push((new.start, bytes, "lost write".to_owned()));
    }
    // And the newest superblock lost: the one before it, which was there before, in both places.
    for (from, to) in [(0, 4096), (4096, 0)] {
        damages.push((to, file[from..from + 4096].to_vec(), "lost superblock".to_owned()));
    }
    try_all(&base, path, &damages, &whole, None, &counts);
    let counts = counts.finish("misdirected and lost");
    for kind in ["misdirected write", "misdirected sector", "lost write"] {
        let count = counts[kind];
        assert_eq!(count.detected, count.tried, "{kind}");
        assert!(count.tried > 5, "{kind}");
    }

    let Crashed {
        vfs: base,
        states,
        last_frame,
    } = build_log();
    let counts = Counts::default();
    let files = wal_files(&base);
    for from in &files {
        let bytes = read_file(&base, from);
        for to in files.iter().filter(|to| *to != from) {
            let damage = [(0, bytes.clone(), "segment over another".to_owned())];
            try_all(&base, to, &damage, &states, Some(&last_frame), &counts);
        }
    }
    let count = counts.finish("misdirected, log")["segment over another"];
    assert!(count.detected > 3, "{count:?}");
}
