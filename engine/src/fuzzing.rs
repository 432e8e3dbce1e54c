//! What must hold for every byte string that the engine reads from a file, as one function for each format; and for every
//! stream of operations on a whole database ([`database`]).
//!
//! A fuzzer (`fuzz`) searches for inputs that break them; the test below replays the inputs that it kept. CRCs
//! would stop a fuzzer at the door, so a flag in the first byte of an input says whether lengths and CRCs are made right
//! before decoding. Inputs are short descriptions, not whole files: what is fixed or zero is filled in.
//!
//! The properties: nothing panics; what decodes encodes again to the same; what a check has accepted can be read, changed
//! and written by everything behind the check.

mod database;

pub use crate::page::fuzzing::page_delta;
pub use crate::store::fuzzing::{page_map, stored_page, superblock};
pub use crate::wal::fuzzing::{wal_frame, wal_segment};
pub use database::database_operations;

/// Takes fixed-size fields off the front of an input; zeros when it ends.
pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut field = [0; N];
        let taken = self.bytes(N);
        field[..taken.len()].copy_from_slice(taken);
        field
    }

    pub(crate) fn u8(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    pub(crate) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    /// Up to `len` bytes.
    pub(crate) fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use crate::{page, store, wal};

    struct Target {
        name: &'static str,
        run: fn(&[u8]),
        seeds: fn() -> Vec<Vec<u8>>,
    }

    const TARGETS: [Target; 7] = [
        Target {
            name: "database_operations",
            run: super::database_operations,
            seeds: super::database::seeds::operations,
        },
        Target {
            name: "wal_frame",
            run: super::wal_frame,
            seeds: wal::fuzzing::seeds::frames,
        },
        Target {
            name: "wal_segment",
            run: super::wal_segment,
            seeds: wal::fuzzing::seeds::segments,
        },
        Target {
            name: "stored_page",
            run: super::stored_page,
            seeds: store::fuzzing::seeds::pages,
        },
        Target {
            name: "superblock",
            run: super::superblock,
            seeds: store::fuzzing::seeds::superblocks,
        },
        Target {
            name: "page_map",
            run: super::page_map,
            seeds: store::fuzzing::seeds::maps,
        },
        Target {
            name: "page_delta",
            run: super::page_delta,
            seeds: page::fuzzing::seeds::deltas,
        },
    ];

    fn corpus(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../fuzz/corpus")
            .join(name)
    }

    #[test]
    fn inputs_from_real_files_pass() {
        for target in TARGETS {
            for (n, seed) in (target.seeds)().iter().enumerate() {
                let answer = std::panic::catch_unwind(|| (target.run)(seed));
                assert!(answer.is_ok(), "{} failed on seed {n}", target.name);
            }
        }
    }

    #[test]
    fn every_input_that_the_fuzzer_kept_passes() {
        for target in TARGETS {
            let mut inputs = 0;
            for entry in std::fs::read_dir(corpus(target.name)).unwrap() {
                let path = entry.unwrap().path();
                let input = std::fs::read(&path).unwrap();
                let answer = std::panic::catch_unwind(|| (target.run)(&input));
                assert!(answer.is_ok(), "{} failed on {}", target.name, path.display());
                inputs += 1;
            }
            assert!(inputs >= 5, "the corpus of {} has {inputs} inputs", target.name);
        }
    }
}
