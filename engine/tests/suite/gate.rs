//! A file system whose syncs wait: what is between applied and visible stays there as long as a test likes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::forward::forward;

use engine::vfs::{FileId, OpenMode, Vfs, VfsFile};
use engine::{CommitId, Database, Durability, Options, Result, Table, TxOptions, WalSync};

/// Something to be done once.
#[derive(Default)]
struct Once(Option<Box<dyn FnOnce() + Send>>);

impl std::fmt::Debug for Once {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Once")
    }
}

#[derive(Debug, Default)]
struct Gate {
    is_closed: bool,
    /// Only this file's syncs wait, if one is named.
    only: Option<PathBuf>,
    /// So many pass although it is closed.
    admitted: usize,
    arrived: usize,
    /// Syncs fail from now on.
    fails: bool,
    waiting: usize,
    /// How long each sync takes at least.
    delay: Duration,
    /// When somebody looks next whether a log file is still itself.
    at_look: Once,
}

/// Another file system with a gate before every sync. A clone is another handle to the same.
#[derive(Clone, Debug)]
pub(crate) struct GatedVfs {
    files: Arc<dyn Vfs>,
    gate: Arc<(Mutex<Gate>, Condvar)>,
}

#[derive(Debug)]
struct GatedFile {
    file: Arc<dyn VfsFile>,
    path: PathBuf,
    vfs: GatedVfs,
}

impl GatedVfs {
    pub(crate) fn new(files: impl Vfs + 'static) -> Self {
        Self {
            files: Arc::new(files),
            gate: Arc::default(),
        }
    }

    /// Small options on this file system, with a log that is synced by syncs.
    pub(crate) fn options(&self) -> Options {
        Options::new()
            .page_size(4096)
            .cache_size(0)
            .wal_segment_size(64 << 10)
            .background(false)
            .busy_timeout(Duration::from_secs(20))
            .wal_sync(WalSync::Fdatasync)
            .vfs(Arc::new(self.clone()))
    }

    /// From now on syncs wait.
    pub(crate) fn close(&self) {
        self.gate.0.lock().unwrap().is_closed = true;
    }

    /// From now on the syncs of one file wait.
    pub(crate) fn close_for(&self, path: &str) {
        let mut gate = self.gate.0.lock().unwrap();
        gate.is_closed = true;
        gate.only = Some(path.into());
        gate.arrived = 0;
    }

    /// Lets one of those that wait pass, and waits until `count` have come since the gate was closed for their file.
    pub(crate) fn admit_one_and_wait_for(&self, count: usize) {
        let mut gate = self.gate.0.lock().unwrap();
        gate.admitted += 1;
        self.gate.1.notify_all();
        while gate.arrived < count {
            gate = self.gate.1.wait(gate).unwrap();
        }
    }

    /// Lets syncs pass again.
    pub(crate) fn open(&self) {
        self.gate.0.lock().unwrap().is_closed = false;
        self.gate.1.notify_all();
    }

    /// Lets syncs pass again, and makes all of them fail.
    pub(crate) fn fail(&self) {
        self.gate.0.lock().unwrap().fails = true;
        self.open();
    }

    /// Makes each sync take this long.
    pub(crate) fn slow_down(&self, delay: Duration) {
        self.gate.0.lock().unwrap().delay = delay;
    }

    /// Has something done when somebody looks next whether a log file is still the one that it was.
    pub(crate) fn at_next_look(&self, act: impl FnOnce() + Send + 'static) {
        self.gate.0.lock().unwrap().at_look.0 = Some(Box::new(act));
    }

    /// Waits until a sync waits at the gate.
    pub(crate) fn wait_for_sync(&self) {
        let mut gate = self.gate.0.lock().unwrap();
        while gate.waiting == 0 {
            gate = self.gate.1.wait(gate).unwrap();
        }
    }

    fn pass(&self, path: &Path) -> io::Result<()> {
        let mut gate = self.gate.0.lock().unwrap();
        if gate.only.as_ref().is_some_and(|only| only != path) {
            return Ok(());
        }
        gate.waiting += 1;
        gate.arrived += 1;
        self.gate.1.notify_all();
        while gate.is_closed && gate.admitted == 0 {
            gate = self.gate.1.wait(gate).unwrap();
        }
        gate.admitted = gate.admitted.saturating_sub(1);
        gate.waiting -= 1;
        if gate.fails {
            return Err(io::Error::other("the gate lets nothing through"));
        }
        let delay = gate.delay;
        drop(gate);
        if !delay.is_zero() {
            std::thread::sleep(delay);
        }
        Ok(())
    }
}

impl Vfs for GatedVfs {
    forward!(files: remove, rename, exists, list, create_dir, sync_dir, wall_clock, monotonic, random);

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        Ok(Arc::new(GatedFile {
            file: self.files.open(path, mode)?,
            path: path.to_path_buf(),
            vfs: self.clone(),
        }))
    }

    fn identity(&self, path: &Path) -> io::Result<FileId> {
        if path.extension().is_some_and(|end| end == "wal") {
            let act = self.gate.0.lock().unwrap().at_look.0.take();
            if let Some(act) = act {
                act();
            }
        }
        self.files.identity(path)
    }
}

impl VfsFile for GatedFile {
    forward!(file: identity, read_at, write_at, len, set_len, try_lock);

    fn sync_data(&self) -> io::Result<()> {
        self.vfs.pass(&self.path)?;
        self.file.sync_data()
    }
    fn sync_all(&self) -> io::Result<()> {
        self.vfs.pass(&self.path)?;
        self.file.sync_all()
    }
}

/// A synchronised commit of `changes`: puts, and deletes where there is no value.
pub(crate) fn commit_sync(
    db: &Database,
    table: Table,
    changes: &[(&[u8], Option<&[u8]>)],
) -> Result<CommitId> {
    let mut tx = db.begin_with(TxOptions::new().durability(Durability::Sync))?;
    for (key, value) in changes {
        match value {
            Some(value) => tx.put(table, key, value)?,
            None => drop(tx.delete(table, key)?),
        }
    }
    tx.commit()
}

/// Opens the gate when dropped, so that a test that fails behind a closed gate ends.
pub(crate) struct OpenAtEnd<'g>(pub(crate) &'g GatedVfs);

impl Drop for OpenAtEnd<'_> {
    fn drop(&mut self) {
        self.0.open();
    }
}
