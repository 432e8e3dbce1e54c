//! Opening: names and locks, the data file, recovery, the catalog. What a start can find is the table in
//! [`crate::recovery`].
//!
//! A database is a file and a directory beside it, tied together by ID and time line. An opening takes the name apart
//! first: links are followed and the path is made absolute, so that one database has one log whatever names lead to it,
//! and a later change of directory does not matter. Then it locks both, the file and the log's directory: of a file that
//! was replaced under a running process the log is still that process's.
//!
//! | data file | log | opening |
//! |---|---|---|
//! | none, or blank | none, or one that begins at 0 and has no frame | creates: a creation may have been cut off |
//! | none, or blank | any other | refuses: the data file is lost |
//! | there | none | refuses, unless its creation was cut off before there was a log |
//! | there | of another database or time line | refuses |
//! | there | of its own | recovers, begins a new time line, and binds the data file to it |
//!
//! What is refused is not changed. An opening for reading only redoes the log in memory and writes nothing at all; it
//! shares the locks with others of its kind.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::ids::{CommitId, LogPosition, PageNumber, TableId};
use crate::injected::{self, Bug};
use crate::options::Options;
use crate::page::builder::{NodeBuilder, NodeHeader};
use crate::pool::Pool;
use crate::recovery::{self, RecoveryReport};
use crate::store::{CreateOptions, DataFile};
use crate::txn::catalog::{Dropped, Entry};
use crate::txn::{Start, Table, TransactionManager};
use crate::vfs::{self, OpenMode, Vfs, VfsFile};
use crate::wal::{self, Wal, WalOptions};

#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) manager: TransactionManager,
    /// The database file: absolute, without links.
    pub(crate) path: PathBuf,
    /// They hold the locks.
    pub(crate) locks: Vec<Arc<dyn VfsFile>>,
    pub(crate) recovery: RecoveryReport,
    pub(crate) checkpoint: FirstCheckpoint,
}

/// Whether an opening ends with a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FirstCheckpoint {
    /// Nothing has changed.
    None,
    /// Commits were redone: it need not succeed, since the log has them.
    Wanted,
    /// The catalog is new and in no log.
    Needed,
}

/// The log's directory.
pub(crate) fn wal_dir(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push("-wal");
    PathBuf::from(name)
}

pub(crate) fn open(path: &Path, options: &Options) -> Result<Opened> {
    if options.read_only {
        open_to_read(path, options)
    } else {
        open_to_write(path, options).map_err(Error::or_not_writable)
    }
}

fn open_to_write(path: &Path, options: &Options) -> Result<Opened> {
    let vfs = &options.vfs;
    let path = &vfs.resolve(path).map_err(|e| Error::io("open", path, e))?;
    let dir = wal_dir(path);
    if !vfs.exists(path).map_err(|e| Error::io("look for", path, e))? {
        check_nothing_is_lost(&**vfs, path, "there is no database file")?;
    }
    let mode = OpenMode {
        create: true,
        ..OpenMode::default()
    };
    let file = vfs.open(path, mode).map_err(|e| Error::io("open", path, e))?;
    let mut locks = vec![Arc::clone(&file)];
    if !file.try_lock().map_err(|e| Error::io("lock", path, e))? {
        return Err(locked(path));
    }
    // Somebody may have put another file there between the two.
    let id = file.identity().map_err(|e| Error::io("look at", path, e))?;
    vfs::check_identity(&**vfs, path, id)?;
    locks.extend(lock_log(&**vfs, &dir, |dir| dir.try_lock())?);
    let is_new = DataFile::is_blank(&*file, path)?;
    let store = if is_new {
        check_nothing_is_lost(&**vfs, path, "the database file is empty")?;
        crate::reach::mark_if(
            file.len().is_ok_and(|len| len > 0),
            crate::reach::Mechanism::CreationCutShort,
        );
        if vfs.exists(&dir).map_err(|e| Error::io("look for", &dir, e))? {
            // Durable before the new database exists, or a power failure could bring the old log back beside it.
            wal::remove_segments(&**vfs, &dir)?;
        }
        let create = CreateOptions {
            page_size: options.page_size as u32,
            codec: options.codec,
            level: options.codec_level,
            wal_segment_size: options.wal_segment_size,
        };
        DataFile::create(Arc::clone(vfs), path, Arc::clone(&file), &create)?
    } else {
        let store = DataFile::open(Arc::clone(vfs), path, Arc::clone(&file))?;
        check_log_is_there(&**vfs, &store, &dir)?;
        store.settle()?;
        store.set_codec(options.codec, options.codec_level)?;
        store
    };
    let redone = redo(store, options, &dir)?;
    if locks.len() == 1 {
        vfs.create_dir(&dir)
            .map_err(|e| Error::io("create directory", &dir, e))?;
        locks.extend(lock_log(&**vfs, &dir, |dir| dir.try_lock())?);
    }
    // The names of the data file and of the log's directory, whoever made them: a process that died may not have come
    // to this. Before anything is in the log: a log without its data file looks like a loss.
    if let Some(parent) = path.parent() {
        vfs.sync_dir(parent)
            .map_err(|e| Error::io("sync the directory of", path, e))?;
    }
    let poison = Arc::clone(redone.pool.store().poison());
    let wal = Wal::start_sharing(Arc::clone(vfs), redone.wal_options.clone(), redone.end, poison)?;
    wal.keep_spare();
    let store = redone.pool.store();
    store.keep_room();
    match redone.checkpoint {
        FirstCheckpoint::None => {
            store.begin_time_line(wal.time_line(), wal.end())?;
            wal.checkpoint(wal.end())?;
        }
        // It binds the two together.
        FirstCheckpoint::Wanted | FirstCheckpoint::Needed => store.follow(wal.time_line()),
    }
    redone.finish(wal, path, locks, options)
}

fn open_to_read(path: &Path, options: &Options) -> Result<Opened> {
    let vfs = &options.vfs;
    let path = &vfs.resolve(path).map_err(|e| Error::io("open", path, e))?;
    let dir = wal_dir(path);
    if !vfs.exists(path).map_err(|e| Error::io("look for", path, e))? {
        check_nothing_is_lost(&**vfs, path, "there is no database file")?;
    }
    let mode = OpenMode {
        read_only: true,
        ..OpenMode::default()
    };
    let file = vfs.open(path, mode).map_err(|e| Error::io("open", path, e))?;
    let mut locks = vec![Arc::clone(&file)];
    if !lock_shared(&*file).map_err(|e| Error::io("lock", path, e))? {
        return Err(locked(path));
    }
    locks.extend(lock_log(&**vfs, &dir, lock_shared)?);
    if DataFile::is_blank(&*file, path)? {
        check_nothing_is_lost(&**vfs, path, "the database file is empty")?;
    }
    let store = DataFile::open(Arc::clone(vfs), path, Arc::clone(&file))?.read_only();
    check_log_is_there(&**vfs, &store, &dir)?;
    let redone = redo(store, options, &dir)?;
    let wal = Wal::read_only(Arc::clone(vfs), &redone.wal_options, redone.end, file);
    redone.finish(wal, path, locks, options)
}

fn locked(path: &Path) -> Error {
    Error::Locked {
        path: path.to_path_buf(),
    }
}

/// The shared lock, where there is one: files that cannot be written need none.
pub(crate) fn lock_shared(file: &dyn VfsFile) -> std::io::Result<bool> {
    match file.try_lock_shared() {
        Err(error) if error.kind() == std::io::ErrorKind::Unsupported => Ok(true),
        answer => answer,
    }
}

/// Locks the log's directory, if it exists and directories have locks.
pub(crate) fn lock_log(
    vfs: &dyn Vfs,
    dir: &Path,
    lock: fn(&dyn VfsFile) -> std::io::Result<bool>,
) -> Result<Option<Arc<dyn VfsFile>>> {
    let opened = match vfs.open_dir(dir) {
        Ok(opened) => opened,
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::Unsupported
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(Error::io("open", dir, error)),
    };
    match lock(&*opened) {
        Ok(true) => Ok(Some(opened)),
        Ok(false) => Err(locked(dir)),
        Err(error) if error.kind() == std::io::ErrorKind::Unsupported => Ok(None),
        Err(error) => Err(Error::io("lock", dir, error)),
    }
}

/// That the log beside a data file with nothing in it has nothing in it either. Otherwise the data file was lost or
/// emptied, and the log may be the last copy of what was in it.
fn check_nothing_is_lost(vfs: &dyn Vfs, path: &Path, what: &str) -> Result<()> {
    let dir = wal_dir(path);
    let Some(found) = wal::find_contents(vfs, &dir)?.filter(|_| !injected::makes(Bug::EmptyDataFileIsNew))
    else {
        return Ok(());
    };
    let what = format!(
        "{what}, but its log has something in it ({}): put the database file back, or get out what the log has with \
         `salvage`; for a new database of this name, move {} away first",
        found.display(),
        dir.display()
    );
    Err(Error::mismatch(path, what))
}

/// That a database that had a log has one. In a log that has lost segments, recovery finds what is missing.
fn check_log_is_there(vfs: &dyn Vfs, store: &DataFile, dir: &Path) -> Result<()> {
    if store.is_as_created() || wal::has_segments(vfs, dir)? {
        return Ok(());
    }
    Err(wal::missing(dir))
}

/// A database with its log redone.
struct Redone {
    pool: Pool,
    wal_options: WalOptions,
    last: CommitId,
    end: LogPosition,
    report: RecoveryReport,
    checkpoint: FirstCheckpoint,
}

fn redo(store: DataFile, options: &Options, dir: &Path) -> Result<Redone> {
    let superblock = store.superblock();
    let mut wal_options = WalOptions::new(dir);
    wal_options.segment_size = superblock.wal_segment_size;
    wal_options.sync = options.wal_sync;
    // One for the next commits, and what stays for a full disk.
    wal_options.prepare_ahead = 1 + wal::KEPT_SPARES;
    wal_options.page_size = store.page_size();
    wal_options.database_id = superblock.database_id;
    wal_options.time_line = Some(superblock.time_line);
    wal_options.needed_from = Some(superblock.redo);
    wal_options.read_only = store.is_read_only();
    let page_size = store.page_size();
    let pool = Pool::new(Arc::new(store), page_size, options.cache_size);
    let redone = recovery::recover(
        &*options.vfs,
        &pool,
        &wal_options,
        options.redo_threads,
        recovery::BATCH_BYTES,
    )?;
    let mut checkpoint = if redone.report.commits > 0 {
        FirstCheckpoint::Wanted
    } else {
        FirstCheckpoint::None
    };
    if redone.last == CommitId(0) && !pool.store().is_allocated(PageNumber::CATALOG) {
        create_catalog(&pool)?;
        checkpoint = FirstCheckpoint::Needed;
    }
    Ok(Redone {
        pool,
        wal_options,
        last: redone.last,
        end: redone.end,
        report: redone.report,
        checkpoint,
    })
}

impl Redone {
    fn finish(
        self,
        wal: Wal,
        path: &Path,
        locks: Vec<Arc<dyn VfsFile>>,
        options: &Options,
    ) -> Result<Opened> {
        let manager = TransactionManager::new(Start {
            vfs: Arc::clone(&options.vfs),
            pool: self.pool,
            wal,
            last: self.last,
            busy_timeout: options.busy_timeout,
            max_transaction_size: options.max_transaction_size,
            version_budget: options.version_budget,
            keep_versions: options.keep_versions,
            has_background: options.background,
        });
        load_catalog(&manager, self.last)?;
        Ok(Opened {
            manager,
            path: path.to_path_buf(),
            locks,
            recovery: self.report,
            checkpoint: self.checkpoint,
        })
    }
}

/// The empty catalog; not logged, because a checkpoint follows before the first commit.
fn create_catalog(pool: &Pool) -> Result<()> {
    let page = pool.store().allocate_page()?;
    assert_eq!(
        page,
        PageNumber::CATALOG,
        "the catalog's root is the first page of a database"
    );
    let frame = pool.reader().take_frame()?;
    let mut latched = pool.create(page, frame);
    latched.node_mut().replace(&empty_catalog(pool.page_size()));
    Ok(())
}

/// The catalog's root as every database begins with it.
pub(crate) fn empty_catalog(page_size: usize) -> Vec<u8> {
    let header = NodeHeader {
        page: PageNumber::CATALOG,
        table: TableId::CATALOG,
        commit: CommitId(0),
        level: 0,
        low: Vec::new(),
        high: None,
        first_child: PageNumber::NONE,
    };
    NodeBuilder::new(page_size, &header).finish()
}

fn load_catalog(manager: &TransactionManager, last: CommitId) -> Result<()> {
    let catalog = Table {
        id: TableId::CATALOG,
        root: PageNumber::CATALOG,
        database: manager.database,
        slot: 0,
    };
    let snapshot = manager.snapshot();
    let mut applier = manager.pause();
    let mut rows = snapshot.scan(catalog, ..)?;
    while let Some((key, value)) = rows.next_row()? {
        match Entry::decode(key, value) {
            Some(Entry::Table { name, id, root }) => {
                manager.adopt_table(&name, id, root, last);
            }
            Some(Entry::Dropped { id, root }) => {
                applier.dropped.push_back(Dropped {
                    table: id,
                    root,
                    commit: last,
                    slot: None,
                    is_put_aside: false,
                });
            }
            Some(Entry::NextTable(next)) => applier.next_table = next,
            // Found again when they are freed.
            Some(Entry::Retired(_)) => {}
            None => {
                let what = format!("the catalog has a malformed row with key {}", key.escape_ascii());
                return Err(manager.pool.store().damage(PageNumber::CATALOG, what));
            }
        }
    }
    Ok(())
}
