//! Numbers that tell contents apart without comparing them: the sum of a hash for each sector that is not all zeros, so
//! that a change of a few sectors is a change of a few terms.

use std::hash::Hasher as _;
use std::path::Path;
use std::sync::Arc;

use super::{SECTOR, mix};

/// The bytes of a sector, those behind the end of the file as zeros.
pub(super) type Sector = [u8; SECTOR as usize];

fn hasher(seed: u64) -> foldhash::fast::FoldHasher<'static> {
    foldhash::fast::FoldHasher::with_seed(seed, foldhash::SharedSeed::global_fixed())
}

/// The term of one sector.
pub(super) fn of_sector(number: u64, bytes: &Sector) -> u64 {
    if bytes.iter().all(|&byte| byte == 0) {
        return 0;
    }
    let mut hasher = hasher(mix(number));
    hasher.write(bytes);
    hasher.finish()
}

/// A file of a length with that sum of terms.
pub(super) fn of_file(path: &Path, len: u64, sum: u64) -> u64 {
    let mut hasher = hasher(1);
    hasher.write(path.as_os_str().as_encoded_bytes());
    hasher.write_u64(len);
    hasher.write_u64(sum);
    hasher.finish()
}

/// A directory.
pub(super) fn of_dir(path: &Path) -> u64 {
    let mut hasher = hasher(2);
    hasher.write(path.as_os_str().as_encoded_bytes());
    hasher.finish()
}

/// A sector of a file.
pub(super) fn sector_of(bytes: &[u8], number: u64) -> Sector {
    let mut sector = [0; SECTOR as usize];
    let start = bytes.len().min((number * SECTOR) as usize);
    let end = bytes.len().min(start + SECTOR as usize);
    sector[..end - start].copy_from_slice(&bytes[start..end]);
    sector
}

/// The terms of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Terms {
    each: Arc<Vec<u64>>,
    sum: u64,
}

impl Terms {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let sectors = (bytes.len() as u64).div_ceil(SECTOR);
        let each: Vec<u64> = (0..sectors)
            .map(|number| of_sector(number, &sector_of(bytes, number)))
            .collect();
        Self {
            sum: each.iter().fold(0, |sum, term| sum.wrapping_add(*term)),
            each: Arc::new(each),
        }
    }

    pub(super) fn sum(&self) -> u64 {
        self.sum
    }

    /// The term of a sector; 0 behind the end.
    pub(super) fn term(&self, number: u64) -> u64 {
        self.each.get(number as usize).copied().unwrap_or(0)
    }

    /// The sum of the terms from a sector on.
    pub(super) fn sum_from(&self, number: u64) -> u64 {
        let from = self.each.len().min(number as usize);
        self.each[from..]
            .iter()
            .fold(0, |sum, term| sum.wrapping_add(*term))
    }

    /// Sectors of the file have changed, and perhaps its length.
    pub(super) fn refresh(&mut self, bytes: &[u8], changed: impl IntoIterator<Item = u64>) {
        let each = Arc::make_mut(&mut self.each);
        let sectors = (bytes.len() as u64).div_ceil(SECTOR) as usize;
        for term in each.drain(sectors.min(each.len())..) {
            self.sum = self.sum.wrapping_sub(term);
        }
        each.resize(sectors, 0);
        for number in changed {
            if let Some(term) = each.get_mut(number as usize) {
                let now = of_sector(number, &sector_of(bytes, number));
                self.sum = self.sum.wrapping_sub(*term).wrapping_add(now);
                *term = now;
            }
        }
    }
}
