//! Long values: chains of overflow pages.
//!
//! A chain is written once and never changed; each of its pages carries the commit ID that wrote it, and so does the
//! reference in the leaf. A reader that finds another commit ID on a page knows that the chain was freed and its
//! page used again, and starts again at the leaf.

use super::{Changer, Stop, Tree};
use crate::error::Result;
use crate::ids::PageNumber;
use crate::page::builder::overflow_page;
use crate::page::layout::{HEADER, KIND_OVERFLOW};
use crate::page::node::OverflowRef;

impl Tree<'_> {
    /// Appends a chain's value to `out`.
    pub(super) fn append_overflow(&self, reference: OverflowRef, out: &mut Vec<u8>) -> Result<(), Stop> {
        let start = out.len();
        out.reserve(reference.len as usize);
        self.walk_overflow(reference, |part| out.extend_from_slice(part), |_| ())?;
        debug_assert_eq!(out.len() - start, reference.len as usize);
        Ok(())
    }

    /// Visits the parts and the page numbers of a chain.
    pub(super) fn walk_overflow(
        &self,
        reference: OverflowRef,
        mut part: impl FnMut(&[u8]),
        mut visit: impl FnMut(PageNumber),
    ) -> Result<(), Stop> {
        let mut buffer = Vec::new();
        let mut left = reference.len as usize;
        let mut page = reference.first;
        while left > 0 {
            let Some(link) = self.pool.get(page)? else {
                return Err(Stop::Restart);
            };
            let node = link.node();
            let len = node.overflow_len();
            let fits = node.kind() == KIND_OVERFLOW
                && node.commit_id() == reference.commit
                && node.table() == self.table
                && (1..=left).contains(&len);
            let next = node.first_child();
            buffer.clear();
            if !fits || !node.words.append_to(HEADER, len, &mut buffer) || !link.is_valid() {
                return Err(Stop::Restart);
            }
            part(&buffer);
            visit(page);
            left -= len;
            page = next;
        }
        Ok(())
    }
}

impl<'a> Changer<'a, '_> {
    /// Writes a long value into new pages and returns where it is.
    pub(super) fn write_overflow(&mut self, tree: Tree<'a>, value: &[u8]) -> Result<OverflowRef> {
        let room = self.pool.page_size() - HEADER;
        let mut next = PageNumber::NONE;
        // From the last part to the first, so that each page knows its successor when it is written.
        for part in value.chunks(room).rev() {
            self.reserve(1)?;
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

    /// Frees the pages of a chain.
    pub(super) fn free_overflow(&mut self, tree: Tree<'a>, reference: OverflowRef) -> Result<()> {
        let mut pages = Vec::new();
        let walked = super::until_stable(|| {
            pages.clear();
            tree.walk_overflow(reference, |_| (), |page| pages.push(page))
        })?;
        if walked.is_none() {
            return Err(tree.unstable());
        }
        for page in pages {
            self.free_page(page)?;
        }
        Ok(())
    }

    /// Appends a chain's value to `out`, for the before-image.
    pub(super) fn read_overflow(
        &self,
        tree: Tree<'a>,
        reference: OverflowRef,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let start = out.len();
        super::until_stable(|| {
            out.truncate(start);
            tree.append_overflow(reference, out)
        })?
        .ok_or_else(|| tree.unstable())
    }
}
