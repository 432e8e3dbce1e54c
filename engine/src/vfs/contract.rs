//! The file contract as one test that every implementation runs.

use std::io;
use std::path::Path;

use super::{OpenMode, Vfs, read_exact_at};

/// Checks `vfs` inside the directory `root`, which may exist.
pub(super) fn check(vfs: &dyn Vfs, root: &Path) {
    let create = OpenMode {
        create: true,
        ..OpenMode::default()
    };
    let dir = root.join("one/two");
    assert_eq!(vfs.list(&dir).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert!(!vfs.exists(&dir).unwrap());
    vfs.create_dir(&dir).unwrap();
    vfs.create_dir(&dir).unwrap();
    assert!(vfs.exists(&dir).unwrap());
    assert!(vfs.list(&dir).unwrap().is_empty());

    let path = dir.join("b");
    let missing = vfs.open(&path, OpenMode::default()).unwrap_err();
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    let file = vfs.open(&path, create).unwrap();
    assert!(file.is_empty().unwrap());
    file.write_at(b"hello", 10).unwrap();
    assert_eq!(file.len().unwrap(), 15);
    let mut buf = [0xFF; 20];
    assert_eq!(file.read_at(&mut buf, 0).unwrap(), 15, "short read at the end");
    assert_eq!(&buf[..15], b"\0\0\0\0\0\0\0\0\0\0hello");
    assert_eq!(file.read_at(&mut buf, 15).unwrap(), 0);
    assert_eq!(file.read_at(&mut buf, 1 << 40).unwrap(), 0);
    let eof = read_exact_at(&*file, &mut buf, 0).unwrap_err();
    assert_eq!(eof.kind(), io::ErrorKind::UnexpectedEof);
    read_exact_at(&*file, &mut buf[..5], 10).unwrap();
    assert_eq!(&buf[..5], b"hello");
    file.set_len(12).unwrap();
    file.set_len(14).unwrap();
    read_exact_at(&*file, &mut buf[..4], 10).unwrap();
    assert_eq!(&buf[..4], b"he\0\0", "cut bytes come back as zeros");
    file.sync_data().unwrap();
    file.sync_all().unwrap();

    // Opening again keeps the bytes; a second handle is locked out until the first is gone.
    let second = vfs.open(&path, create).unwrap();
    assert_eq!(second.len().unwrap(), 14);
    assert!(file.try_lock().unwrap());
    assert!(file.try_lock().unwrap(), "holding it already is success");
    assert!(!second.try_lock().unwrap());
    assert!(!second.try_lock_shared().unwrap());
    drop(file);
    assert!(second.try_lock().unwrap());

    // Locks can be shared; who wants one alone has to wait for all of them. Directories have locks as well.
    assert!(second.try_lock_shared().unwrap(), "no longer alone");
    let third = vfs.open(&path, create).unwrap();
    assert!(third.try_lock_shared().unwrap());
    assert!(!second.try_lock().unwrap());
    drop(third);
    assert!(second.try_lock().unwrap());
    let (here, again) = (vfs.open_dir(&dir).unwrap(), vfs.open_dir(&dir).unwrap());
    assert!(here.try_lock().unwrap());
    assert!(!again.try_lock().unwrap() && !again.try_lock_shared().unwrap());
    drop(here);
    assert!(again.try_lock_shared().unwrap());
    assert_eq!(again.identity().unwrap(), vfs.identity(&dir).unwrap());
    let missing = vfs.open_dir(&dir.join("none")).unwrap_err();
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);

    // Names: listed sorted, without directories; rename replaces; removed files live on for their openers.
    vfs.create_dir(&dir.join("sub")).unwrap();
    let other = vfs.open(&dir.join("a"), create).unwrap();
    other.write_at(b"other", 0).unwrap();
    let (id_of_a, id_of_b) = (other.identity().unwrap(), second.identity().unwrap());
    assert_ne!(id_of_a, id_of_b);
    assert_eq!(vfs.identity(&dir.join("a")).unwrap(), id_of_a);
    assert_eq!(
        vfs.resolve(&dir.join("a")).unwrap().file_name(),
        Some("a".as_ref())
    );
    assert_eq!(vfs.list(&dir).unwrap(), [dir.join("a"), dir.join("b")]);
    vfs.rename(&dir.join("a"), &path).unwrap();
    vfs.sync_dir(&dir).unwrap();
    assert_eq!(vfs.list(&dir).unwrap(), std::slice::from_ref(&path));
    assert_eq!(second.len().unwrap(), 14, "the replaced file is still open");
    assert_eq!(vfs.identity(&path).unwrap(), id_of_a, "the name leads elsewhere");
    assert_eq!(second.identity().unwrap(), id_of_b, "and the handle does not");
    let renamed = vfs.open(&path, OpenMode::default()).unwrap();
    assert_eq!(renamed.len().unwrap(), 5);
    let no_source = vfs.rename(&dir.join("a"), &path).unwrap_err();
    assert_eq!(no_source.kind(), io::ErrorKind::NotFound);
    vfs.remove(&path).unwrap();
    assert_eq!(vfs.remove(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert!(!vfs.exists(&path).unwrap());
    assert_eq!(vfs.identity(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
    read_exact_at(&*renamed, &mut buf[..5], 0).unwrap();
    assert_eq!(&buf[..5], b"other");
    assert!(vfs.open(&dir, create).is_err(), "a directory is not a file");

    let before = vfs.monotonic();
    assert!(vfs.monotonic() >= before);
    assert!(vfs.wall_clock() > std::time::UNIX_EPOCH);
}
