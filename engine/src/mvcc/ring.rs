//! Memory for row versions: pieces that are filled in commit order and given back whole.
//!
//! An address is the number of a word since the beginning of time. Addresses rise with commit IDs, and everything below
//! the *tail* is gone: so giving versions back is moving the tail, and a link to something that is gone needs no repair,
//! since its address says so. The piece that an address lies in is found through a table, because the piece freed last is
//! filled next: a load that needs little memory keeps using the same, which is in the processor's caches.
//!
//! Readers take no lock. What is read at an address counts if the tail has not passed the address by then
//! ([`Ring::is_live`]): pieces are filled again only after the tail has passed them.
//!
//! There are as many pieces as the budget has room for, so it holds at every moment. Of the pieces that are not in use
//! a few keep their memory; that of the others goes back to the operating system.

use std::collections::VecDeque;
use std::ops::Range;

use crossbeam_utils::CachePadded;

use crate::arena::Arena;
use crate::ids::CommitId;
use crate::page::words::Words;
use crate::sync::Mutex;
use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use crate::sync::atomic::{AtomicU32, AtomicU64, fence};
use crate::work::{Kind, done};

/// Words since the beginning of time.
pub(super) type Address = u64;

/// No address: everything there is gone.
pub(super) const NOWHERE: Address = 0;

/// Least number of pieces.
const PIECES_MIN: usize = 4;
/// As many pieces as this make a budget, unless they would be larger than the largest.
const PIECES: usize = 64;
/// Largest piece, in bytes.
const PIECE_BYTES_MAX: usize = 256 << 10;
/// Pieces that keep their memory although they are not in use.
const SPARE: usize = 4;

/// The word of a version that its commit is in; never 0.
pub(super) const COMMIT: usize = 0;
/// What is there instead where the rest of a piece was too short for the next version.
const END_OF_PIECE: u64 = 0;

/// What is in a piece, and goes with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Dropped {
    /// The newest commit that has versions there.
    pub(super) newest: CommitId,
    pub(super) versions: usize,
}

#[derive(Debug)]
struct Writer {
    /// The next address.
    head: Address,
    /// Pieces from the tail's to the head's.
    filled: VecDeque<Dropped>,
    /// Pieces that are not in use and have memory; the last is used next.
    spare: Vec<u32>,
    /// Pieces that have no memory.
    empty: Vec<u32>,
    /// Versions that the tail has not passed.
    versions: usize,
    /// The newest commit, and where its versions begin.
    commit: CommitId,
    commit_start: Address,
}

#[derive(Debug)]
pub(super) struct Ring {
    arena: Arena,
    /// Binary logarithm of the words of a piece.
    shift: u32,
    /// Which piece the addresses of a piece's length are in: that of number n is at n modulo the number of pieces.
    places: Box<[AtomicU32]>,
    tail: CachePadded<AtomicU64>,
    writer: Mutex<Writer>,
}

impl Ring {
    /// Room for `budget` bytes, but at least a few pieces that hold `longest` bytes each.
    pub(super) fn new(budget: usize, longest: usize) -> Self {
        let piece = (budget / PIECES)
            .min(PIECE_BYTES_MAX)
            .max(longest.max(PIECE_BYTES_MAX / 64))
            .next_power_of_two();
        let pieces = (budget / piece).clamp(PIECES_MIN, u32::MAX as usize);
        let words = piece / 8;
        let start = words as Address;
        Self {
            arena: Arena::of_small_pages(pieces, words),
            shift: words.trailing_zeros(),
            places: (0..pieces).map(|_| AtomicU32::new(0)).collect(),
            tail: CachePadded::new(AtomicU64::new(start)),
            writer: Mutex::new(Writer {
                head: start,
                filled: VecDeque::new(),
                spare: Vec::new(),
                empty: (0..pieces as u32).rev().collect(),
                versions: 0,
                commit: CommitId(0),
                commit_start: start,
            }),
        }
    }

    fn piece_bytes(&self) -> usize {
        8 << self.shift
    }

    fn number(&self, address: Address) -> u64 {
        address >> self.shift
    }

    fn place(&self, address: Address) -> &AtomicU32 {
        &self.places[self.number(address) as usize % self.places.len()]
    }

    /// Words from an address to the end of its piece. What they hold counts only if the address is live afterwards.
    #[inline]
    fn words(&self, address: Address) -> Words<'_> {
        let piece = self.place(address).load(Relaxed) as usize;
        let offset = address as usize & ((1 << self.shift) - 1);
        Words::new(&self.arena.frame(piece)[offset..])
    }

    /// What is at an address; `None` if that is gone.
    #[inline]
    pub(super) fn at(&self, address: Address) -> Option<Words<'_>> {
        (address >= self.tail.load(Acquire)).then(|| self.words(address))
    }

    /// Whether what was read at an address before this call is what was put there.
    #[inline]
    pub(super) fn is_live(&self, address: Address) -> bool {
        fence(Acquire);
        // Acquired, so that what is looked at next is not older than the tail.
        self.tail.load(Acquire) <= address
    }

    /// Puts a version of so many words there, which `fill` writes before anybody is told the address. Only the applier.
    /// Before the oldest piece is used again although nothing has let it go, `forgotten` is told what goes with it.
    pub(super) fn append(
        &self,
        words: usize,
        commit: CommitId,
        mut forgotten: impl FnMut(Dropped),
        fill: impl FnOnce(Words<'_>, Address),
    ) -> Address {
        let writer = &mut *self.writer.lock();
        let piece_words = 1 << self.shift;
        debug_assert!(words <= piece_words, "a version fits in a piece");
        let offset = writer.head as usize & (piece_words - 1);
        let is_new = writer.filled.is_empty();
        if offset + words > piece_words {
            if !is_new {
                self.words(writer.head).set_word(COMMIT, END_OF_PIECE);
            }
            writer.head = self.next_piece(writer.head);
        }
        if is_new {
            // Nothing lies between them.
            self.tail.store(writer.head, SeqCst);
        }
        if is_new || writer.head as usize & (piece_words - 1) == 0 {
            self.begin_piece(writer, &mut forgotten);
        }
        let address = writer.head;
        if writer.commit != commit {
            (writer.commit, writer.commit_start) = (commit, address);
        }
        // Whoever reads what is written here finds that the tail has passed what was here before.
        fence(Release);
        fill(self.words(address), address);
        writer.head += words as Address;
        writer.versions += 1;
        if let Some(filled) = writer.filled.back_mut() {
            debug_assert!(filled.newest <= commit, "versions come in commit order");
            filled.newest = commit;
            filled.versions += 1;
        }
        address
    }

    fn begin_piece(&self, writer: &mut Writer, forgotten: &mut impl FnMut(Dropped)) {
        let piece = loop {
            if let Some(piece) = writer.spare.pop().or_else(|| writer.empty.pop()) {
                break piece;
            }
            // Before anything can find out that it is gone.
            forgotten(writer.filled.front().copied().unwrap_or_default());
            self.pass_oldest(writer);
        };
        self.place(writer.head).store(piece, Release);
        writer.filled.push_back(Dropped::default());
    }

    /// Moves the tail over the oldest piece.
    fn pass_oldest(&self, writer: &mut Writer) -> Dropped {
        let dropped = writer.filled.pop_front().unwrap_or_default();
        let oldest = self.tail.load(Relaxed);
        let piece = self.place(oldest).load(Relaxed);
        let next = match writer.filled.is_empty() {
            true => writer.head,
            false => self.next_piece(oldest),
        };
        self.tail.store(next, SeqCst);
        if writer.spare.len() < SPARE {
            writer.spare.push(piece);
        } else {
            self.arena.give_back(piece as usize);
            writer.empty.push(piece);
        }
        writer.versions -= dropped.versions;
        dropped
    }

    /// Moves the tail over the oldest piece if all commits in it are at most `horizon`. Nobody needs what is there, or it has
    /// been copied. Only the applier.
    pub(super) fn pass_one(&self, horizon: CommitId) -> Option<Dropped> {
        let writer = &mut *self.writer.lock();
        writer.filled.front().filter(|oldest| oldest.newest <= horizon)?;
        Some(self.pass_oldest(writer))
    }

    /// Where the versions of the oldest piece are, if all commits in it are at most `horizon`: what [`Ring::pass_one`]
    /// would drop. Only the applier.
    pub(super) fn oldest(&self, horizon: CommitId) -> Option<Range<Address>> {
        let writer = self.writer.lock();
        writer.filled.front().filter(|oldest| oldest.newest <= horizon)?;
        let start = self.tail.load(Relaxed);
        let end = match writer.filled.len() {
            1 => writer.head,
            _ => self.next_piece(start),
        };
        Some(start..end)
    }

    /// Where the versions of a commit are, if it is the newest of all. Only the applier.
    pub(super) fn of_newest(&self, commit: CommitId) -> Range<Address> {
        let writer = self.writer.lock();
        match writer.commit == commit {
            true => writer.commit_start.max(self.tail.load(Relaxed))..writer.head,
            false => NOWHERE..NOWHERE,
        }
    }

    /// Visits the versions in a range of addresses, with the words of each, of which `len` says how many they are. Only the
    /// applier.
    pub(super) fn for_each(
        &self,
        range: Range<Address>,
        len: impl Fn(Words<'_>) -> usize,
        mut visit: impl FnMut(Words<'_>),
    ) {
        let mut address = range.start;
        while address < range.end {
            let words = self.words(address);
            if words.word(COMMIT) == END_OF_PIECE {
                address = self.next_piece(address);
            } else {
                done(Kind::VersionLinks, 1);
                visit(words);
                address += len(words) as Address;
            }
        }
    }

    fn next_piece(&self, address: Address) -> Address {
        (self.number(address) + 1) << self.shift
    }

    /// Bytes of the pieces in use.
    pub(super) fn bytes(&self) -> usize {
        self.writer.lock().filled.len() * self.piece_bytes()
    }

    /// Bytes of the pieces that have memory.
    #[cfg(test)]
    pub(super) fn resident_bytes(&self) -> usize {
        let writer = self.writer.lock();
        (writer.filled.len() + writer.spare.len()) * self.piece_bytes()
    }

    /// Versions that the tail has not passed.
    pub(super) fn versions(&self) -> usize {
        self.writer.lock().versions
    }

    /// Most bytes that there is room for.
    pub(super) fn capacity(&self) -> usize {
        self.places.len() * self.piece_bytes()
    }
}
