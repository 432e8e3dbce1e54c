//! Opening: the lock, the data file, recovery, the catalog. What a start can find is the table in [`crate::recovery`].

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::ids::{CommitId, LogPosition, PageNumber, TableId};
use crate::options::Options;
use crate::page::builder::{NodeBuilder, NodeHeader};
use crate::pool::Pool;
use crate::recovery::{self, RecoveryReport};
use crate::store::{CreateOptions, DataFile};
use crate::txn::catalog::{Dropped, Entry};
use crate::txn::{Start, Table, TransactionManager};
use crate::vfs::{OpenMode, Vfs, VfsFile};
use crate::wal::{Wal, WalOptions};

#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) manager: TransactionManager,
    pub(crate) file: Arc<dyn VfsFile>,
    pub(crate) recovery: RecoveryReport,
    /// The database is new or was recovered.
    pub(crate) needs_checkpoint: bool,
}

/// The log's directory.
pub(crate) fn wal_dir(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push("-wal");
    PathBuf::from(name)
}

pub(crate) fn open(path: &Path, options: &Options) -> Result<Opened> {
    let vfs = &options.vfs;
    let mode = OpenMode {
        create: true,
        ..OpenMode::default()
    };
    let file = vfs.open(path, mode).map_err(|e| Error::io("open", path, e))?;
    if !file.try_lock().map_err(|e| Error::io("lock", path, e))? {
        return Err(Error::Locked {
            path: path.to_path_buf(),
        });
    }
    let dir = wal_dir(path);
    let is_new = DataFile::is_blank(&*file, path)?;
    let store = if is_new {
        remove_leftover_log(&**vfs, &dir)?;
        let create = CreateOptions {
            page_size: options.page_size as u32,
            codec: options.codec,
            level: options.codec_level,
            wal_segment_size: options.wal_segment_size,
        };
        DataFile::create(Arc::clone(vfs), path, Arc::clone(&file), &create)?
    } else {
        let store = DataFile::open(Arc::clone(vfs), path, Arc::clone(&file))?;
        store.settle()?;
        store.set_codec(options.codec, options.codec_level)?;
        store
    };
    let page_size = store.page_size();
    let mut wal_options = WalOptions::new(dir);
    wal_options.segment_size = store.superblock().wal_segment_size;
    wal_options.sync = options.wal_sync;
    wal_options.page_size = page_size;
    let pool = Pool::new(Arc::new(store), page_size, options.cache_size);
    let (last, end, report) = if is_new {
        (CommitId(0), LogPosition(0), RecoveryReport::default())
    } else {
        let redone = recovery::recover(&**vfs, &pool, &wal_options, options.redo_threads)?;
        (redone.last, redone.end, redone.report)
    };
    let mut needs_checkpoint = report.commits > 0;
    if last == CommitId(0) && !pool.store().is_allocated(PageNumber::CATALOG) {
        crate::reach::mark_if(!is_new, crate::reach::Mechanism::CreationCutShort);
        create_catalog(&pool)?;
        needs_checkpoint = true;
    }
    let poison = Arc::clone(pool.store().poison());
    let wal = Wal::start_sharing(Arc::clone(vfs), wal_options, end, poison)?;
    let manager = TransactionManager::new(Start {
        vfs: Arc::clone(vfs),
        pool,
        wal,
        last,
        busy_timeout: options.busy_timeout,
        max_transaction_size: options.max_transaction_size,
        version_budget: options.version_budget,
        keep_versions: options.keep_versions,
    });
    // The names of the data file and of the log's directory, whoever made them: a process that died may not have come
    // to this.
    if let Some(parent) = path.parent() {
        vfs.sync_dir(parent)
            .map_err(|e| Error::io("sync the directory of", path, e))?;
    }
    load_catalog(&manager, last)?;
    Ok(Opened {
        manager,
        file,
        recovery: report,
        needs_checkpoint,
    })
}

/// A log beside a blank data file belongs to a database that was deleted.
fn remove_leftover_log(vfs: &dyn Vfs, dir: &Path) -> Result<()> {
    if !vfs.exists(dir).map_err(|e| Error::io("look for", dir, e))? {
        return Ok(());
    }
    for file in vfs.list(dir).map_err(|e| Error::io("list", dir, e))? {
        if file.extension().is_some_and(|e| e == "wal") {
            vfs.remove(&file).map_err(|e| Error::io("remove", &file, e))?;
        }
    }
    // Durable before the new database exists, or a power failure could bring the old log back beside it.
    vfs.sync_dir(dir).map_err(|e| Error::io("sync", dir, e))
}

/// The empty catalog; not logged, because a checkpoint follows before the first commit.
fn create_catalog(pool: &Pool) -> Result<()> {
    let page = pool.store().allocate_page()?;
    assert_eq!(
        page,
        PageNumber::CATALOG,
        "the catalog's root is the first page of a database"
    );
    let header = NodeHeader {
        page,
        table: TableId::CATALOG,
        commit: CommitId(0),
        level: 0,
        low: Vec::new(),
        high: None,
        first_child: PageNumber::NONE,
    };
    let frame = pool.reader().take_frame()?;
    let mut latched = pool.create(page, frame);
    latched
        .node_mut()
        .replace(&NodeBuilder::new(pool.page_size(), &header).finish());
    Ok(())
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
                applier.dropped.push(Dropped {
                    table: id,
                    root,
                    commit: last,
                    slot: None,
                });
            }
            Some(Entry::NextTable(next)) => applier.next_table = next,
            None => {
                let what = format!("the catalog has a malformed row with key {}", key.escape_ascii());
                return Err(manager.pool.store().damage(PageNumber::CATALOG, what));
            }
        }
    }
    Ok(())
}
