use super::super::choices;
use super::*;

const CREATE: OpenMode = OpenMode {
    create: true,
    read_only: false,
    direct: false,
    dsync: false,
};

fn new() -> SimulatedVfs {
    SimulatedVfs::from_image(&Image::with_dirs(["/d"]), 1)
}

fn path(name: &str) -> PathBuf {
    Path::new("/d").join(name)
}

fn open(vfs: &SimulatedVfs, name: &str) -> Arc<dyn VfsFile> {
    vfs.open(&path(name), CREATE).unwrap()
}

/// A file whose name and first `len` bytes, all `1`, are durable.
fn durable_file(vfs: &SimulatedVfs, name: &str, len: usize) -> Arc<dyn VfsFile> {
    let file = open(vfs, name);
    file.write_at(&vec![1; len], 0).unwrap();
    file.sync_data().unwrap();
    vfs.sync_dir(Path::new("/d")).unwrap();
    file
}

fn content(image: &Image, name: &str) -> Option<Vec<u8>> {
    image.files.get(&path(name)).map(|bytes| bytes.to_vec())
}

/// What every choice can leave of a file.
fn outcomes(vfs: &SimulatedVfs, name: &str) -> BTreeSet<Option<Vec<u8>>> {
    let choices = choices(vfs.pending(), 400, 50, 3);
    choices
        .into_iter()
        .map(|choice| content(&vfs.crash(choice), name))
        .collect()
}

#[test]
fn keeps_the_contract() {
    let vfs = SimulatedVfs::new(1);
    super::super::super::contract::check(&vfs, Path::new("/db"));
}

#[test]
fn what_is_synced_survives_every_choice() {
    let vfs = new();
    let file = durable_file(&vfs, "a", 2000);
    assert_eq!(vfs.pending(), 0);
    assert_eq!(outcomes(&vfs, "a"), [Some(vec![1; 2000])].into());
    file.write_at(&[2; 100], 0).unwrap();
    assert_eq!(vfs.pending(), 1);
    assert_eq!(content(&vfs.crash(Survival::None), "a").unwrap()[0], 1);
    assert_eq!(content(&vfs.crash(Survival::All), "a").unwrap()[0], 2);
    file.sync_all().unwrap();
    assert!(outcomes(&vfs, "a").iter().all(|o| o.as_ref().unwrap()[0] == 2));
}

#[test]
fn sectors_are_atomic_and_hold_the_content_of_some_moment() {
    let vfs = new();
    let file = durable_file(&vfs, "a", 1024);
    // Twice over the second sector, in halves, and once over both.
    file.write_at(&[2; 1024], 0).unwrap();
    file.write_at(&[3; 256], 512).unwrap();
    let halves = |a: u8, b: u8| [vec![a; 256], vec![b; 256]].concat();
    let mut expected = BTreeSet::new();
    for first in [1, 2] {
        for second in [halves(1, 1), halves(2, 2), halves(3, 2)] {
            expected.insert(Some([halves(first, first), second].concat()));
        }
    }
    assert_eq!(outcomes(&vfs, "a"), expected);
}

#[test]
fn lengths_survive_or_not_and_gained_bytes_are_zeros_or_garbage() {
    let vfs = new();
    let file = durable_file(&vfs, "a", 512);
    file.write_at(&[2; 512], 512).unwrap();
    let found = outcomes(&vfs, "a");
    let lens: BTreeSet<usize> = found.iter().map(|o| o.as_ref().unwrap().len()).collect();
    assert_eq!(lens, [512, 1024].into());
    let tails: BTreeSet<u8> = found
        .iter()
        .filter_map(|o| o.as_ref().unwrap().get(512).copied())
        .collect();
    assert!(tails.is_superset(&[0, 2].into()) && tails.len() > 2, "{tails:?}");
    assert!(found.iter().all(|o| o.as_ref().unwrap()[..512] == [1; 512]));

    // Cut and grown again: what was cut is never there again, unless the cut never was.
    file.sync_data().unwrap();
    file.set_len(100).unwrap();
    file.set_len(1024).unwrap();
    let found = outcomes(&vfs, "a");
    for outcome in found.iter().map(|o| o.as_ref().unwrap()) {
        assert!([100, 1024].contains(&outcome.len()));
        assert!(outcome[..100].iter().all(|&b| b == 1));
    }
    assert!(found.contains(&Some([vec![1; 100], vec![0; 924]].concat())));
}

#[test]
fn names_need_a_sync_of_their_directory() {
    let vfs = new();
    let file = open(&vfs, "a");
    file.write_at(b"x", 0).unwrap();
    file.sync_all().unwrap();
    assert_eq!(outcomes(&vfs, "a"), [None, Some(b"x".to_vec())].into());
    vfs.sync_dir(Path::new("/d")).unwrap();
    assert_eq!(outcomes(&vfs, "a"), [Some(b"x".to_vec())].into());

    durable_file(&vfs, "b", 1);
    vfs.rename(&path("a"), &path("b")).unwrap();
    let after = |choice| {
        let image = vfs.crash(choice);
        (content(&image, "a"), content(&image, "b"))
    };
    assert_eq!(after(Survival::None), (Some(b"x".to_vec()), Some(vec![1])));
    assert_eq!(after(Survival::All), (None, Some(b"x".to_vec())));
    vfs.remove(&path("b")).unwrap();
    assert_eq!(
        after(Survival::AllBut(0)),
        after(Survival::None),
        "a removal of a name does not survive without the rename to it"
    );
    drop(open(&vfs, "c"));
    assert_eq!(after(Survival::Only(2)), after(Survival::None));
    assert!(content(&vfs.crash(Survival::Only(2)), "c").is_some());
    vfs.sync_dir(Path::new("/d")).unwrap();
    assert_eq!(after(Survival::None), (None, None));

    // A file that was renamed twice has one name, whatever survives.
    vfs.rename(&path("c"), &path("c2")).unwrap();
    vfs.rename(&path("c2"), &path("c3")).unwrap();
    for choice in choices(vfs.pending(), 60, 9, 1) {
        let files = vfs.crash(choice).files;
        let named = ["c", "c2", "c3"]
            .iter()
            .filter(|name| files.contains_key(&path(name)));
        assert_eq!(named.count(), 1, "{choice:?}");
    }
    vfs.remove(&path("c3")).unwrap();
    vfs.sync_dir(Path::new("/d")).unwrap();

    // A directory is a name in its parent, and without it nothing in it is found.
    vfs.create_dir(Path::new("/d/e")).unwrap();
    drop(open(&vfs, "e/f"));
    vfs.sync_dir(Path::new("/d/e")).unwrap();
    assert!(vfs.crash(Survival::None).files.is_empty());
    vfs.sync_dir(Path::new("/d")).unwrap();
    assert_eq!(vfs.crash(Survival::None).files.len(), 1);
}

#[test]
fn dsync_makes_just_that_write_durable() {
    let vfs = new();
    let file = durable_file(&vfs, "a", 2048);
    let mode = OpenMode {
        dsync: true,
        ..OpenMode::default()
    };
    let direct = vfs.open(&path("a"), mode).unwrap();
    file.write_at(&[2; 512], 0).unwrap();
    direct.write_at(&[3; 512], 512).unwrap();
    let left = content(&vfs.crash(Survival::None), "a").unwrap();
    assert_eq!((left[0], left[512]), (1, 3));
    // Over the same sector: the older write goes along.
    file.write_at(&[4; 512], 1024).unwrap();
    direct.write_at(&[5; 100], 1024).unwrap();
    let left = content(&vfs.crash(Survival::None), "a").unwrap();
    assert_eq!((left[0], left[1024], left[1200]), (1, 5, 4));
}

#[test]
fn direct_transfers_must_be_aligned() {
    let vfs = new();
    let mode = OpenMode {
        direct: true,
        ..CREATE
    };
    let file = vfs.open(&path("a"), mode).unwrap();
    let error = file.write_at(&[0; 100], 0).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn failed_syncs_leave_what_each_file_system_leaves() {
    for how in FailedSync::ALL {
        let vfs = new();
        let file = durable_file(&vfs, "a", 512);
        vfs.set_faults([Fault {
            kind: OperationKind::Sync,
            nth: 0,
            lasting: false,
            effect: Effect::Sync(how),
        }]);
        file.write_at(&[2; 512], 0).unwrap();
        assert!(file.sync_data().is_err());
        let mut seen = [0];
        file.read_at(&mut seen, 0).unwrap();
        assert_eq!(
            seen[0],
            if how == FailedSync::Reverted { 1 } else { 2 },
            "{how:?}"
        );
        file.sync_data().unwrap();
        let left = outcomes(&vfs, "a");
        let expected: BTreeSet<_> = match how {
            FailedSync::KeptDirty => [2].into(),
            FailedSync::MarkedClean => [1, 2].into(),
            FailedSync::Reverted => [1].into(),
        };
        assert_eq!(
            left.iter()
                .map(|o| o.as_ref().unwrap()[0])
                .collect::<BTreeSet<_>>(),
            expected,
            "{how:?}"
        );
        // Written again, it goes to the disk again.
        file.write_at(&[3; 512], 0).unwrap();
        file.sync_data().unwrap();
        assert_eq!(outcomes(&vfs, "a").len(), 1, "{how:?}");
    }
}

#[test]
fn a_length_that_a_failed_sync_forgot_does_not_cut_what_is_synced_later() {
    let vfs = new();
    let file = durable_file(&vfs, "a", 512);
    vfs.set_faults([Fault {
        kind: OperationKind::Sync,
        nth: 0,
        lasting: false,
        effect: Effect::Sync(FailedSync::MarkedClean),
    }]);
    file.set_len(1024).unwrap();
    assert!(file.sync_data().is_err());
    file.write_at(&[2; 512], 2048).unwrap();
    file.sync_data().unwrap();
    for left in outcomes(&vfs, "a") {
        assert_eq!(left.unwrap().len(), 2560);
    }
}

#[test]
fn without_faults_nothing_fails_and_nothing_is_counted() {
    let vfs = new();
    let file = open(&vfs, "a");
    vfs.set_faults([Fault {
        kind: OperationKind::Write,
        nth: 1,
        lasting: false,
        effect: Effect::Error(io::ErrorKind::Other),
    }]);
    vfs.set_capacity(Some(1));
    file.write_at(b"x", 0).unwrap();
    vfs.without_faults(|| file.write_at(b"xyz", 0)).unwrap();
    assert_eq!(vfs.count(OperationKind::Write), 1);
    assert!(file.write_at(b"x", 0).is_err());
    assert!(file.write_at(b"x", 3).is_err(), "the disk is full again");
}

#[test]
fn the_nth_operation_fails_once_or_from_then_on() {
    for lasting in [false, true] {
        let vfs = new();
        let file = open(&vfs, "a");
        vfs.set_faults([Fault {
            kind: OperationKind::Write,
            nth: 1,
            lasting,
            effect: Effect::Error(io::ErrorKind::PermissionDenied),
        }]);
        let failed: Vec<bool> = (0..4).map(|_| file.write_at(b"x", 0).is_err()).collect();
        assert_eq!(failed, [false, true, lasting, lasting]);
        assert_eq!(vfs.faults_struck(), if lasting { 3 } else { 1 });
        assert_eq!(vfs.count(OperationKind::Write), 4);
    }
}

#[test]
fn short_transfers_do_the_first_half() {
    let vfs = new();
    let file = durable_file(&vfs, "a", 8);
    let short = |kind| Fault {
        kind,
        nth: 0,
        lasting: false,
        effect: Effect::Short,
    };
    vfs.set_faults([short(OperationKind::Read), short(OperationKind::Write)]);
    let error = file.write_at(&[2; 8], 0).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    let mut buf = [0; 8];
    assert_eq!(file.read_at(&mut buf, 0).unwrap(), 4);
    assert_eq!(file.read_at(&mut buf, 0).unwrap(), 8);
    assert_eq!(buf, [2, 2, 2, 2, 1, 1, 1, 1]);
}

#[test]
fn capacity_and_power_have_their_limits() {
    let vfs = new();
    let file = open(&vfs, "a");
    vfs.set_capacity(Some(100));
    file.write_at(&[1; 100], 0).unwrap();
    assert_eq!(
        file.write_at(&[1; 100], 1).unwrap_err().kind(),
        io::ErrorKind::StorageFull
    );
    assert_eq!(vfs.used_bytes(), 100);
    vfs.set_capacity(None);
    vfs.set_power(false);
    assert!(file.write_at(b"x", 0).is_err() && file.sync_data().is_err());
    assert!(vfs.open(&path("a"), CREATE).is_err());
    vfs.set_power(true);
    assert_eq!(file.len().unwrap(), 100);
    file.write_at(b"x", 0).unwrap();
}

#[test]
fn a_replayed_trace_gives_the_same_images_at_every_point() {
    let vfs = new();
    drop(durable_file(&vfs, "z", 700));
    vfs.record();
    let mut live = vec![vfs.crash(Survival::Subset(5))];
    let mut note = |vfs: &SimulatedVfs| live.push(vfs.crash(Survival::Subset(5)));
    let file = open(&vfs, "a");
    note(&vfs);
    for round in 0..4_u8 {
        file.write_at(&[round; 1500], u64::from(round) * 700).unwrap();
        note(&vfs);
        if round % 2 == 1 {
            file.sync_data().unwrap();
            note(&vfs);
        }
    }
    vfs.rename(&path("a"), &path("z")).unwrap();
    note(&vfs);
    let trace = vfs.take_trace();
    assert_eq!(trace.operations.len() + 1, live.len());
    let mut replay = trace.replay();
    for (point, expected) in live.iter().enumerate() {
        replay.step_to(point);
        assert_eq!(replay.point(), point);
        let image = replay.image(Survival::Subset(5));
        assert_eq!(&image, expected, "point {point}");
        assert_eq!(image.fingerprint(), expected.fingerprint());
    }
    assert!(replay.step().is_none());
    assert_ne!(
        replay.image(Survival::None).fingerprint(),
        replay.image(Survival::All).fingerprint()
    );
}

#[test]
fn a_fingerprint_is_told_without_the_image() {
    for seed in 0..40 {
        let vfs = new();
        let mut state = seed;
        let mut draw = |below: u64| {
            state = mix(state);
            state % below
        };
        let mut files = [durable_file(&vfs, "a", 1700), open(&vfs, "b")];
        for _ in 0..30 {
            let file = &files[draw(2) as usize];
            match draw(12) {
                0 => file.sync_data().unwrap(),
                1 | 2 => file.set_len(draw(4000)).unwrap(),
                3 => vfs.sync_dir(Path::new("/d")).unwrap(),
                4 => {
                    vfs.rename(&path("b"), &path("a")).ok();
                    files[1] = open(&vfs, "b");
                }
                _ => file
                    .write_at(&vec![draw(4) as u8; draw(1500) as usize], draw(3000))
                    .unwrap(),
            }
            let state = vfs.state.lock();
            for survival in choices(state.medium.pending(), 20, 6, seed) {
                let image = state.medium.image(survival);
                assert_eq!(
                    state.medium.fingerprint(survival),
                    image.fingerprint(),
                    "seed {seed}, {survival:?}"
                );
            }
        }
    }
}

#[test]
fn after_a_kill_unsynced_changes_are_seen_and_still_not_durable() {
    let vfs = new();
    vfs.record();
    let file = durable_file(&vfs, "a", 600);
    file.write_at(&[2; 600], 0).unwrap();
    drop(open(&vfs, "b"));
    let trace = vfs.take_trace();
    let mut replay = trace.replay();
    replay.step_to(trace.operations.len());
    let after = SimulatedVfs::after_kill(replay.medium(), replay.point(), 1);
    let mut seen = [0];
    let file = open(&after, "a");
    file.read_at(&mut seen, 0).unwrap();
    assert_eq!((seen[0], after.exists(&path("b")).unwrap()), (2, true));
    assert_eq!(content(&after.crash(Survival::None), "a").unwrap()[0], 1);
    file.sync_data().unwrap();
    drop(open(&after, "c"));
    let image = after.crash(Survival::None);
    assert_eq!(content(&image, "a").unwrap()[0], 2);
    assert!(content(&image, "b").is_none() && content(&image, "c").is_none());
    after.sync_dir(Path::new("/d")).unwrap();
    assert_eq!(after.crash(Survival::None).files.len(), 3);
}

#[test]
fn images_can_be_written_to_real_directories() {
    let vfs = new();
    drop(durable_file(&vfs, "a", 3));
    let dir = tempfile::tempdir().unwrap();
    vfs.crash(Survival::None).export(dir.path()).unwrap();
    assert_eq!(std::fs::read(dir.path().join("d/a")).unwrap(), [1, 1, 1]);
}
