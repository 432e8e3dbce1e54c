//! The mounted file system through the kernel: which calls of a process make what durable.
//!
//! Where nothing can be mounted these tests say so and check that the reason is told well.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::OFlags;

use super::disk::Disk;
use super::fuse::Mounted;
use super::mount::unavailable;
use super::power::Power;

/// A mount that is left when it is dropped.
struct Place {
    directory: tempfile::TempDir,
    power: Arc<Power>,
    cuts: Arc<AtomicU64>,
    session: Option<fuser::BackgroundSession>,
}

impl Place {
    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    fn pending(&self) -> usize {
        self.power.disk(Disk::pending)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.power.turn_off();
        if let Some(session) = self.session.take() {
            let left = session.umount_and_join();
            if !std::thread::panicking() {
                left.unwrap();
            }
        }
    }
}

/// An empty file system, mounted; `None`, with the reason on standard error, where that is not possible.
fn mounted() -> Option<Place> {
    if let Some(why) = unavailable(Path::new("/dev/fuse")) {
        eprintln!("skipped: {why}");
        assert!(why.contains("needs /dev/fuse"), "{why}");
        return None;
    }
    let empty = tempfile::tempdir().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let power = Arc::new(Power::new(Disk::import(empty.path()).unwrap()));
    let cuts = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&cuts);
    let on_cut = move |_: &Disk| {
        counted.fetch_add(1, Ordering::SeqCst);
    };
    match Mounted::mount(Arc::clone(&power), directory.path(), on_cut) {
        Ok(session) => Some(Place {
            directory,
            power,
            cuts,
            session: Some(session),
        }),
        Err(error) => {
            eprintln!("skipped: mounting is not permitted here: {error}");
            assert!(!rustix::process::geteuid().is_root(), "root may mount: {error}");
            None
        }
    }
}

#[test]
fn only_a_sync_makes_a_write_durable() {
    let Some(place) = mounted() else { return };
    let path = place.path("f");
    let file = File::create(&path).unwrap();
    assert_eq!(place.pending(), 1, "its name");
    file.write_all_at(&[1; 5000], 0).unwrap();
    assert!(place.pending() > 1);
    file.sync_data().unwrap();
    assert_eq!(place.pending(), 1, "its name");
    File::open(place.directory.path()).unwrap().sync_all().unwrap();
    assert_eq!(place.pending(), 0);
    file.write_all_at(&[2; 100], 200).unwrap();
    assert_eq!(place.pending(), 1, "at once, and not when the kernel likes");
    drop(file);
    assert_eq!(place.pending(), 1, "closing makes nothing durable");
    File::open(&path).unwrap().sync_all().unwrap();
    assert_eq!(place.pending(), 0, "through any descriptor");
    let bytes = fs::read(&path).unwrap();
    assert_eq!((bytes.len(), bytes[199], bytes[200]), (5000, 1, 2));
}

#[test]
fn writes_through_dsync_and_sync_descriptors_are_durable_when_they_return() {
    let Some(place) = mounted() else { return };
    for (name, flags) in [
        ("dsync", OFlags::DSYNC),
        ("sync", OFlags::SYNC),
        ("direct", OFlags::DSYNC | OFlags::DIRECT),
    ] {
        #[repr(C, align(4096))]
        struct Block([u8; 4096]);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .custom_flags(flags.bits() as i32)
            .open(place.path(name))
            .unwrap();
        let names = place.pending();
        file.write_all_at(&Box::new(Block([7; 4096])).0, 4096).unwrap();
        assert_eq!(place.pending(), names, "{name}");
        assert_eq!(fs::read(place.path(name)).unwrap()[4096..], [7; 4096]);
    }
}

#[test]
fn names_are_durable_after_a_sync_of_their_directory() {
    let Some(place) = mounted() else { return };
    let sync = |name: &str| File::open(place.path(name)).unwrap().sync_all().unwrap();
    fs::create_dir(place.path("d")).unwrap();
    sync("d");
    assert_eq!(
        place.pending(),
        1,
        "the directory's own name is its parent's business"
    );
    sync("");
    assert_eq!(place.pending(), 0);
    fs::write(place.path("d/a"), b"a").unwrap();
    sync("d/a");
    fs::rename(place.path("d/a"), place.path("d/b")).unwrap();
    assert_eq!(place.pending(), 2, "made and renamed");
    sync("d");
    assert_eq!(place.pending(), 0);
    fs::remove_file(place.path("d/b")).unwrap();
    assert_eq!(place.pending(), 1);
    sync("d");
    let names = || fs::read_dir(place.path("d")).unwrap().count();
    assert_eq!((place.pending(), names()), (0, 0));
    assert_eq!(fs::read_dir(place.path("")).unwrap().count(), 1);
}

#[test]
fn lengths_are_changed_and_synced_like_bytes() {
    let Some(place) = mounted() else { return };
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(place.path("f"))
        .unwrap();
    file.set_len(10_000).unwrap();
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, 20_000).unwrap();
    assert_eq!(file.metadata().unwrap().len(), 20_000);
    assert_eq!(place.pending(), 3, "the name and two lengths");
    file.sync_all().unwrap();
    assert_eq!(place.pending(), 1);
    file.set_len(0).unwrap();
    assert_eq!((place.pending(), file.metadata().unwrap().len()), (2, 0));
    assert!(File::create_new(place.path("f")).is_err(), "it exists");
    assert!(fs::remove_dir(place.path("f")).is_err());
}

#[test]
fn after_the_cut_a_process_stands_still_until_the_power_is_off() {
    let Some(place) = mounted() else { return };
    let file = File::create(place.path("f")).unwrap();
    place.power.cut_after(1);
    file.write_all_at(b"before", 0).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| file.write_all_at(b"after", 0));
        while place.cuts.load(Ordering::SeqCst) == 0 {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        assert!(!waiting.is_finished());
        assert_eq!(place.pending(), 2, "the name and the first write");
        place.power.turn_off();
        assert!(waiting.join().unwrap().is_err());
    });
    assert!(file.sync_all().is_err());
    assert_eq!(place.pending(), 2);
}
