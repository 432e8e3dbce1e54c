//! Long values: chains of overflow pages.
//!
//! A chain is written once and never changed; each of its pages carries the commit ID that wrote it, and so does the
//! reference in the leaf. A reader that finds another commit ID on a page knows that the chain was freed and its
//! page used again, and starts again at the leaf. A chain that no row points to any more is freed link by link, when the
//! snapshots that may read it have ended.

use super::reservation::Budget;
use super::{Changer, Quarantine, Stop, Tree};
use crate::error::Result;
use crate::ids::PageNumber;
use crate::page::builder::overflow_page;
use crate::page::layout::{HEADER, KIND_OVERFLOW};
use crate::page::node::OverflowRef;
use crate::sync::thread;

/// How often a page of a chain is looked at that is moved out of the cache each time, or does not belong to it.
const LINK_ATTEMPTS: usize = 1000;

impl Tree<'_> {
    /// Appends a chain's value to `out`.
    pub(super) fn append_overflow(&self, reference: OverflowRef, out: &mut Vec<u8>) -> Result<(), Stop> {
        let start = out.len();
        out.reserve(reference.len as usize);
        let mut part = Vec::new();
        let mut left = reference;
        while left.len > 0 {
            left = self.read_link(left, &mut part)?;
            out.extend_from_slice(&part);
        }
        debug_assert_eq!(out.len() - start, reference.len as usize);
        Ok(())
    }

    /// The pages of a chain in a tree that nobody changes. One that is moved out of the cache while it is looked at is read
    /// again; [`Stop::Restart`] says that the chain is broken.
    pub(super) fn links_at_rest(
        &self,
        chain: OverflowRef,
        mut visit: impl FnMut(PageNumber),
    ) -> Result<(), Stop> {
        let mut buffer = Vec::new();
        let mut left = chain;
        while left.len > 0 {
            let mut attempts = 1;
            let rest = loop {
                match self.read_link(left, &mut buffer) {
                    Err(Stop::Restart) if attempts < LINK_ATTEMPTS => {
                        attempts += 1;
                        thread::yield_now();
                    }
                    answer => break answer?,
                }
            };
            visit(left.first);
            left = rest;
        }
        Ok(())
    }

    /// Brings the first pages of a chain into memory.
    pub(crate) fn read_ahead(&self, mut chain: OverflowRef, count: usize) {
        let mut part = Vec::new();
        for _ in 0..count {
            // Somebody else may have freed it by now.
            match self.read_link(chain, &mut part) {
                Ok(rest) if rest.len > 0 => chain = rest,
                _ => return,
            }
        }
    }

    /// Reads the first page of a chain into `part`; returns what is left of the chain behind it.
    fn read_link(&self, chain: OverflowRef, part: &mut Vec<u8>) -> Result<OverflowRef, Stop> {
        let Some(link) = self.pool.get(chain.first)? else {
            return Err(Stop::Restart);
        };
        let node = link.node();
        let len = node.overflow_len();
        let fits = node.kind() == KIND_OVERFLOW
            && node.commit_id() == chain.commit
            && node.table() == self.table
            && (1..=chain.len as usize).contains(&len);
        let rest = OverflowRef {
            len: chain.len.saturating_sub(len as u32),
            first: node.first_child(),
            commit: chain.commit,
        };
        part.clear();
        if !fits || !node.words.append_to(HEADER, len, part) || !link.is_valid() {
            return Err(Stop::Restart);
        }
        Ok(rest)
    }
}

impl<'a> Changer<'a, '_> {
    /// Writes a long value into new pages and returns where it is.
    pub(super) fn write_overflow(&mut self, tree: Tree<'a>, value: &[u8]) -> Result<OverflowRef> {
        crate::reach::mark(crate::reach::Mechanism::ChainWritten);
        let room = self.pool.page_size() - HEADER;
        let mut next = PageNumber::NONE;
        // From the last part to the first, so that each page knows its successor when it is written.
        for part in value.chunks(room).rev() {
            self.reserve_frames(1)?;
            let (page, mut latched) = self.create_page()?;
            let bytes = overflow_page(self.pool.page_size(), page, tree.table, self.commit, next, part);
            latched.node_mut().replace(&bytes);
            next = page;
        }
        Ok(OverflowRef {
            len: value.len() as u32,
            first: next,
            commit: self.commit,
        })
    }

    /// Frees pages from the front of a chain while there is budget; returns what is left of it. A link whose bytes are
    /// wrong ends the chain: what lies behind it is not known.
    ///
    /// # Errors
    /// A device that refuses to read the first link; then nothing was freed.
    pub(crate) fn free_overflow_part(
        &mut self,
        tree: Tree<'a>,
        mut chain: OverflowRef,
        budget: &mut Budget,
        quarantine: &mut Quarantine,
    ) -> Result<Option<OverflowRef>> {
        let whole = chain;
        let mut part = Vec::new();
        while chain.len > 0 {
            if !budget.take(self) {
                return Ok(Some(chain));
            }
            match self.page_of_dropped(tree, chain.first, quarantine) {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(None),
                // What was freed has to be taken off the row first.
                Err(_) if chain != whole => return Ok(Some(chain)),
                Err(error) => return Err(error),
            }
            let rest = match super::until_stable(|| tree.read_link(chain, &mut part)) {
                Ok(Some(rest)) => rest,
                Ok(None) => {
                    quarantine.put_aside(chain.first, tree.unstable());
                    return Ok(None);
                }
                Err(_) if chain != whole => return Ok(Some(chain)),
                Err(error) => return Err(error),
            };
            self.free_page(chain.first);
            chain = rest;
        }
        Ok(None)
    }
}
