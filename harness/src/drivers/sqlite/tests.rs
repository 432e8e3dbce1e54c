use super::*;
use workloads::driver::{Direction, RowBuffer, TableRef, TxOptions};

const T: TableRef = TableRef(0);

fn read_write(durability: Durability) -> TxOptions {
    TxOptions::read_write(Isolation::Serializable, durability)
}

#[test]
fn rows_survive_closing_and_both_directions_see_them() {
    let directory = tempfile::tempdir().unwrap();
    let factory = SqliteFactory::new();
    let target = factory
        .open(&OpenOptions::create(directory.path(), ["t", "a \"table\""]))
        .unwrap();
    let mut session = target.session().unwrap();
    session.begin(&read_write(Durability::Sync)).unwrap();
    for (key, value) in [(&b"a"[..], &b"1"[..]), (b"b", b""), (b"c", b"3"), (b"", b"empty")] {
        session.put(T, key, value).unwrap();
        session.put(TableRef(1), key, b"other").unwrap();
    }
    assert_eq!(session.commit().unwrap().commit_id, None);
    session.begin(&read_write(Durability::NoSync)).unwrap();
    assert!(session.delete(T, b"a").unwrap() && !session.delete(T, b"x").unwrap());
    session.put(T, b"c", b"changed").unwrap();
    session.commit().unwrap();
    target.sync().unwrap();
    target.checkpoint().unwrap();
    assert_eq!(target.stats().commits, Some(2));
    drop(session);
    drop(target);

    let target = factory
        .open(&OpenOptions::existing(directory.path(), ["t", "a \"table\""]))
        .unwrap();
    target.verify().unwrap();
    let mut session = target.session().unwrap();
    session
        .begin(&TxOptions {
            read_only: true,
            ..read_write(Durability::Sync)
        })
        .unwrap();
    let keys = |session: &mut dyn Session, start: &[u8], limit, direction| {
        let mut rows = RowBuffer::new();
        let count = session.scan(T, start, limit, direction, &mut rows).unwrap();
        assert_eq!(count, rows.len());
        rows.iter()
            .map(|(key, _)| String::from_utf8_lossy(key).into_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(keys(session.as_mut(), b"", 9, Direction::Forward), ["", "b", "c"]);
    assert_eq!(keys(session.as_mut(), b"b", 1, Direction::Forward), ["b"]);
    assert_eq!(keys(session.as_mut(), b"", 2, Direction::Reverse), ["c", "b"]);
    assert_eq!(keys(session.as_mut(), b"bb", 9, Direction::Reverse), ["b", ""]);
    let mut out = b"dirt".to_vec();
    assert!(session.get(T, b"b", &mut out).unwrap() && out.is_empty());
    assert!(session.get_for_update(T, b"c", &mut out).unwrap());
    assert_eq!(out, b"changed");
    assert!(!session.get(T, b"a", &mut out).unwrap());
    assert!(session.put(T, b"z", b"").is_err(), "read-only");
    session.rollback();
    assert!(target.stats().file_bytes.is_some_and(|bytes| bytes > 0));
    assert!(target.stats().page_count.is_some_and(|pages| pages > 2));
}

#[test]
fn one_writer_at_a_time_and_readers_keep_their_snapshot() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = OpenOptions::create(directory.path(), ["t"]);
    options.busy_timeout = Duration::from_millis(1);
    let target = SqliteFactory::new().open(&options).unwrap();
    let (mut one, mut two) = (target.session().unwrap(), target.session().unwrap());
    one.begin(&read_write(Durability::Sync)).unwrap();
    one.put(T, b"k", b"one").unwrap();
    let error = two.begin(&read_write(Durability::Sync)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
    two.rollback();
    let mut out = Vec::new();
    let read_only = TxOptions::read_only(Isolation::Serializable, Durability::Sync);
    two.begin(&read_only).unwrap();
    assert!(!two.get(T, b"k", &mut out).unwrap(), "not committed");
    one.commit().unwrap();
    assert!(!two.get(T, b"k", &mut out).unwrap(), "the snapshot stays");
    two.commit().unwrap();
    two.begin(&read_write(Durability::Sync)).unwrap();
    assert!(two.get_for_update(T, b"k", &mut out).unwrap());
    two.put(T, b"k", b"two").unwrap();
    two.rollback();
    one.begin(&read_only).unwrap();
    assert!(one.get(T, b"k", &mut out).unwrap());
    assert_eq!(out, b"one", "rolled back");
}

#[test]
fn durability_is_what_sqlite_is_set_to() {
    // 0 is OFF, 1 is NORMAL, 2 is FULL.
    let directory = tempfile::tempdir().unwrap();
    for (factory, durability, expected) in [
        (SqliteFactory::new(), Durability::Sync, 2),
        (SqliteFactory::new(), Durability::NoSync, 1),
        (SqliteFactory::unsynced(), Durability::Sync, 0),
    ] {
        let place = directory.path().join(expected.to_string());
        let target = factory.make(&OpenOptions::create(place, ["t"])).unwrap();
        let mut session = SqliteSession::new(&target).unwrap();
        session.begin(&read_write(durability)).unwrap();
        let found: i64 = session
            .connection()
            .pragma_query_value(None, "synchronous", |row| row.get(0))
            .unwrap();
        assert_eq!(found, expected);
        session.rollback();
        session.begin(&read_write(Durability::Sync)).unwrap();
    }
}

#[test]
fn what_it_cannot_do_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let factory = SqliteFactory::new();
    let refused = |options: &OpenOptions| factory.open(options).err().unwrap();
    assert!(
        refused(&OpenOptions::existing(directory.path(), ["t"]))
            .to_string()
            .contains("there is no database")
    );
    let mut options = OpenOptions::create(directory.path(), ["t"]);
    options.compression = Some("LZ4".into());
    assert_eq!(refused(&options).kind(), ErrorKind::Unsupported);
    options.compression = None;
    options.engine_settings = vec![("colour".into(), "blue".into())];
    assert_eq!(refused(&options).kind(), ErrorKind::Unsupported);
    options.engine_settings.clear();
    let target = factory.open(&options).unwrap();
    assert!(refused(&options).to_string().contains("exists already"));
    let missing = refused(&OpenOptions::existing(directory.path(), ["t", "u"]));
    assert!(missing.to_string().contains("no such table: u"), "{missing}");
    let mut session = target.session().unwrap();
    for options in [
        TxOptions::read_write(Isolation::Serializable, Durability::InMemory),
        TxOptions::read_write(Isolation::ReadCommitted, Durability::Sync),
    ] {
        let error = session.begin(&options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
    assert!(session.put(T, b"a", b"").is_err(), "no transaction is open");
    assert!(session.commit().is_err());
}

#[test]
fn damage_is_found_by_verify() {
    let directory = tempfile::tempdir().unwrap();
    let factory = SqliteFactory::new();
    let target = factory
        .open(&OpenOptions::create(directory.path(), ["t"]))
        .unwrap();
    let mut session = target.session().unwrap();
    session.begin(&read_write(Durability::Sync)).unwrap();
    for key in 0..2000_u32 {
        session.put(T, &key.to_be_bytes(), &[7; 50]).unwrap();
    }
    session.commit().unwrap();
    drop(session);
    drop(target);
    let path = directory.path().join(FILE_NAME);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 64].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    let target = factory
        .open(&OpenOptions::existing(directory.path(), ["t"]))
        .unwrap();
    assert_eq!(target.verify().unwrap_err().kind(), ErrorKind::Fatal);
}
