//! Salvage: every row of a damaged database that can still be read, into a new database.
//!
//! 1. Find all intact page images in the data file and all intact frames of the log that belong to it, with or without
//!    superblocks, page map and segment order ([`pages`]); without a data file, in the log alone.
//! 2. A page's state is the image that a recovery would take, or else its newest intact one, with the newer frames of the log
//!    redone on it ([`log`] knows what is missing there).
//! 3. Read the catalog, then every table from its root; fill what the tree has lost with leaves that nobody points to
//!    ([`tree`]). Tables whose name is lost become `lost_<number>`.
//! 4. Write the rows into a new database. The damaged one is only read.
//!
//! Nothing that fails its CRC is ever used. What cannot be known is said: ranges of keys that may have held rows, rows
//! whose long value is lost, pages of which only an older state is left.

mod log;
mod pages;
mod tree;

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use crate::database::Database;
use crate::error::{Error, Result};
use crate::ids::{PageNumber, TableId};
use crate::opening::{self, wal_dir};
use crate::options::Options;
use crate::txn::catalog::Entry;
use crate::txn::{Durability, Table, TxOptions};
use crate::vfs::{MemoryVfs, OpenMode, Vfs, VfsFile};
use crate::wal;
use pages::Pages;
use tree::{Found, read_table};

/// Bytes of rows written in one transaction.
const BATCH_BYTES: usize = 1 << 20;

/// A range of keys that may have held rows: from the first key to below the second, or without end.
pub type LostRange = (Vec<u8>, Option<Vec<u8>>);

/// What [`salvage`] found of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SalvagedTable {
    /// Its name; `lost_<number>` where that is lost.
    pub name: String,
    /// Rows written to the new database.
    pub rows: u64,
    /// Tree pages that were read.
    pub pages: u64,
    /// Keys that may be missing.
    pub lost_ranges: Vec<LostRange>,
    /// Keys of rows whose long value is lost; they are not in the new database.
    pub lost_values: Vec<Vec<u8>>,
    /// Pages of which only an older state is left: their rows may be older than they should be.
    pub older_pages: Vec<PageNumber>,
    /// Pages that were found although nothing points to them.
    pub orphans: u64,
}

impl SalvagedTable {
    /// Whether everything came back.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.lost_ranges.is_empty() && self.lost_values.is_empty() && self.older_pages.is_empty()
    }
}

/// What [`salvage`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SalvageReport {
    /// The tables of the new database.
    pub tables: Vec<SalvagedTable>,
    /// Damaged extents in the data file; old states of pages count too.
    pub damaged_extents: u64,
    /// Frames of the log that were used where they are newer than the data file.
    pub log_frames: u64,
    /// What is wrong with the database as a whole.
    pub problems: Vec<String>,
}

impl SalvageReport {
    /// Whether everything came back, and that is certain.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.problems.is_empty() && self.tables.iter().all(SalvagedTable::is_whole)
    }

    /// Rows of all tables.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }
}

/// Recovers every readable row of the database at `from` into a new database at `to`. `options` are the new database's;
/// its page size is that of the damaged one. Both are in the file system of `options`.
///
/// # Errors
/// [`Error::InvalidOption`] when there is something at `to`, [`Error::Locked`] when the damaged database is open, I/O
/// errors. Damage is no error: it is in the report.
pub fn salvage(from: impl AsRef<Path>, to: impl AsRef<Path>, options: Options) -> Result<SalvageReport> {
    let vfs = Arc::clone(&options.vfs);
    let resolve = |path: &Path| vfs.resolve(path).map_err(|e| Error::io("open", path, e));
    let (from, to) = (&*resolve(from.as_ref())?, &*resolve(to.as_ref())?);
    for path in [to.to_path_buf(), wal_dir(to)] {
        if vfs.exists(&path).map_err(|e| Error::io("look for", &path, e))? {
            return Err(Error::InvalidOption {
                name: "new database",
                value: path.display().to_string(),
                expected: "a path where there is nothing yet".into(),
            });
        }
    }
    let (file, _log_lock) = open_damaged(&*vfs, from)?;
    let pages = Pages::survey(&*vfs, from, &wal_dir(from), file)?;
    let database = options.page_size(pages.page_size).open(to)?;
    let mut report = SalvageReport {
        damaged_extents: pages.survey.damaged_extents,
        log_frames: pages.log.frame_count,
        problems: pages.problems.clone(),
        ..SalvageReport::default()
    };
    for (name, id, root) in tables(&pages, &mut report)? {
        let table = database.create_table(&name)?;
        let mut writer = Writer {
            database: &database,
            table,
            rows: Vec::new(),
            bytes: 0,
        };
        let found = read_table(&pages, id, root, &mut |key, value| writer.put(key, value))?;
        writer.flush()?;
        report.tables.push(described(name, found));
    }
    crate::reach::mark_if(
        report.tables.len() > 1,
        crate::reach::Mechanism::SalvagedSeveralTables,
    );
    crate::reach::mark_if(report.log_frames > 0, crate::reach::Mechanism::SalvagedFromLog);
    database.close()?;
    Ok(report)
}

type File = Arc<dyn VfsFile>;

/// The damaged database's file, and its log's directory, locked. A file that is gone is read as an empty one if there is a
/// log.
fn open_damaged(vfs: &dyn Vfs, from: &Path) -> Result<(File, Option<File>)> {
    let dir = wal_dir(from);
    let log_lock = opening::lock_log(vfs, &dir, opening::lock_shared)?;
    let mode = OpenMode {
        read_only: true,
        ..OpenMode::default()
    };
    let file = match vfs.open(from, mode) {
        Err(error) if error.kind() == ErrorKind::NotFound && wal::has_segments(vfs, &dir)? => {
            let mode = OpenMode {
                create: true,
                ..OpenMode::default()
            };
            MemoryVfs::default().open(Path::new("/gone"), mode)
        }
        opened => opened,
    };
    let file = file.map_err(|e| Error::io("open", from, e))?;
    if !opening::lock_shared(&*file).map_err(|e| Error::io("lock", from, e))? {
        return Err(Error::Locked {
            path: from.to_path_buf(),
        });
    }
    Ok((file, log_lock))
}

/// The tables to read: what the catalog names, and what is left of others if the catalog is not whole.
fn tables(pages: &Pages, report: &mut SalvageReport) -> Result<Vec<(String, TableId, Option<PageNumber>)>> {
    let mut tables = Vec::new();
    let mut dropped = Vec::new();
    let mut malformed = 0;
    let found = read_table(
        pages,
        TableId::CATALOG,
        Some(PageNumber::CATALOG),
        &mut |key, value| {
            match Entry::decode(key, value) {
                Some(Entry::Table { name, id, root }) => tables.push((name, id, Some(root))),
                Some(Entry::Dropped { id, .. }) => dropped.push(id),
                Some(Entry::NextTable(_) | Entry::Retired(_)) => {}
                None => malformed += 1,
            }
            Ok(())
        },
    )?;
    let catalog = described("catalog".into(), found);
    let is_whole = catalog.is_whole() && malformed == 0;
    if !is_whole {
        report
            .problems
            .push("the catalog is damaged: tables may be missing, or have lost their names".into());
    }
    // Beside a whole catalog, other tables' pages are what dropped tables left behind.
    for id in pages.tables() {
        let is_known = tables.iter().any(|(_, known, _)| *known == id) || dropped.contains(&id);
        if !is_whole && !is_known && id != TableId::CATALOG {
            tables.push((format!("lost_{id}"), id, pages.root_of(id)));
        }
    }
    Ok(tables)
}

fn described(name: String, found: Found) -> SalvagedTable {
    crate::reach::mark_if(found.orphans > 0, crate::reach::Mechanism::SalvagedOrphan);
    crate::reach::mark_if(!found.open.is_empty(), crate::reach::Mechanism::SalvageLostRange);
    SalvagedTable {
        name,
        rows: found.rows,
        pages: found.pages,
        lost_ranges: found
            .open
            .into_iter()
            .map(|range| (range.low, range.high))
            .collect(),
        lost_values: found.lost_values,
        older_pages: found.older,
        orphans: found.orphans,
    }
}

/// Writes rows in batches.
struct Writer<'d> {
    database: &'d Database,
    table: Table,
    rows: Vec<(Vec<u8>, Vec<u8>)>,
    bytes: usize,
}

impl Writer<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.rows.push((key.to_vec(), value.to_vec()));
        self.bytes += key.len() + value.len();
        if self.bytes >= BATCH_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let mut transaction = self
            .database
            .begin_with(TxOptions::new().durability(Durability::NoSync))?;
        for (key, value) in self.rows.drain(..) {
            transaction.put(self.table, &key, &value)?;
        }
        self.bytes = 0;
        transaction.commit().map(drop)
    }
}
