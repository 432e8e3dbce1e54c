//! Tests of the data file as a whole.

mod allocator_model;
mod concurrent;
mod crash;
mod damage;
mod everyday;
mod faults;
mod format_document;
mod replaced;
mod room;
mod sweep;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::opening::read_head;
use super::superblock::Superblock;
use super::{CreateOptions, DataFile, PageImage};
use crate::compress::Codec;
use crate::error::Result;
use crate::ids::{CommitId, LogPosition, PageNumber};
use crate::vfs::{MemoryVfs, OpenMode, Vfs, VfsFile};

const PATH: &str = "/db/data";
const CREATE: OpenMode = OpenMode {
    create: true,
    read_only: false,
    direct: false,
    dsync: false,
};

/// What a file should hold: page to commit and image.
type Model = BTreeMap<PageNumber, (CommitId, Vec<u8>)>;

fn options(codec: Codec) -> CreateOptions {
    CreateOptions {
        page_size: 4096,
        codec,
        level: codec.default_level(),
        wal_segment_size: 65_536,
    }
}

fn open_file(vfs: &MemoryVfs) -> Arc<dyn VfsFile> {
    vfs.open(Path::new(PATH), CREATE).unwrap()
}

fn create_with(vfs: &MemoryVfs, codec: Codec) -> DataFile {
    let vfs_handle: Arc<dyn Vfs> = Arc::new(vfs.clone());
    DataFile::create(vfs_handle, Path::new(PATH), open_file(vfs), &options(codec)).unwrap()
}

fn reopen(vfs: &MemoryVfs) -> Result<DataFile> {
    DataFile::open(Arc::new(vfs.clone()), Path::new(PATH), open_file(vfs))
}

/// How many page images are good; the first damage, if there is any.
fn verified(file: &DataFile) -> Result<u64> {
    let mut first = None;
    let good = file.verify(&mut |error| {
        first.get_or_insert(error);
    })?;
    first.map_or(Ok(good), Err)
}

/// Slots of the superblock that opening could use, of 2.
fn usable_superblocks(file: &DataFile) -> u32 {
    let head = read_head(&*file.file).unwrap();
    let (_, both) = Superblock::choose(&file.path, &head).unwrap();
    1 + u32::from(both)
}

/// A file system whose data file holds these bytes.
fn vfs_of(bytes: &[u8]) -> MemoryVfs {
    let vfs = MemoryVfs::default();
    open_file(&vfs).write_at(bytes, 0).unwrap();
    vfs
}

fn bytes_of(vfs: &MemoryVfs) -> Vec<u8> {
    let file = open_file(vfs);
    let mut bytes = vec![0; file.len().unwrap() as usize];
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), bytes.len());
    bytes
}

/// A small generator of numbers that depend on nothing but the seed.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// The image of a page at a commit: of a length and compressibility that vary, and like no other.
fn image(page: PageNumber, commit: CommitId) -> Vec<u8> {
    let mut numbers = Numbers(u64::from(page.0) << 32 | commit.0);
    let len = 1 + numbers.below(4096) as usize;
    let noisy = numbers.below(len as u64 + 1) as usize;
    let mut bytes = vec![commit.0 as u8; len];
    bytes[..noisy].fill_with(|| numbers.next() as u8);
    bytes
}

fn write(file: &DataFile, commit: CommitId, pages: &[PageNumber], model: &mut Model) -> Result<()> {
    let images: Vec<Vec<u8>> = pages.iter().map(|&page| image(page, commit)).collect();
    let batch: Vec<PageImage<'_>> = pages
        .iter()
        .zip(&images)
        .map(|(&page, raw)| PageImage {
            page,
            commit,
            raw,
            has_ghosts: false,
        })
        .collect();
    file.write_pages(&batch)?;
    model.extend(pages.iter().zip(images).map(|(&page, raw)| (page, (commit, raw))));
    Ok(())
}

fn checkpoint(file: &DataFile, commit: CommitId) -> Result<()> {
    let position = LogPosition(commit.0 * 100);
    file.commit_checkpoint(file.freeze(commit), position, position)
}

/// The file's pages, up to the highest number in use.
fn contents(file: &DataFile) -> Result<Model> {
    let mut found = Model::new();
    let mut raw = Vec::new();
    for number in 1..=file.stats().page_count {
        if let Some(commit) = file.read_page(PageNumber(number), &mut raw)? {
            found.insert(PageNumber(number), (commit, raw.clone()));
        }
    }
    Ok(found)
}

fn assert_contents(file: &DataFile, model: &Model) {
    let found = contents(file).unwrap();
    assert!(
        found == *model,
        "found {:?}, expected {:?}",
        found
            .iter()
            .map(|(page, (commit, _))| (page.0, commit.0))
            .collect::<Vec<_>>(),
        model
            .iter()
            .map(|(page, (commit, _))| (page.0, commit.0))
            .collect::<Vec<_>>()
    );
}

fn pages(numbers: impl IntoIterator<Item = u32>) -> Vec<PageNumber> {
    numbers.into_iter().map(PageNumber).collect()
}

fn allocate(file: &DataFile, count: usize) -> Vec<PageNumber> {
    (0..count).map(|_| file.allocate_page().unwrap()).collect()
}
