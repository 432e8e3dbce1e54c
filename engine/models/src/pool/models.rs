//! Models of the page latch: `engine/src/pool/frame.rs`.
//!
//! Its accesses count as no more than acquiring and releasing ones, except where a model says so: the seqlock needs no
//! other.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::frame::{FRAME_HEADER_WORDS, Frame, Latched, Optimistic};
use crate::check::{Explored, Sometimes, explore};
use crate::page::words::{Word, private_page};
use crate::sync::Sequential::{FenceAfter, FenceBefore, Unfenced};
use crate::sync::thread::{spawn, yield_now};

/// Words of a page here.
const WORDS: usize = 2;

/// A frame that threads share.
#[derive(Clone)]
struct Shared(Arc<[Word]>);

impl Shared {
    fn new() -> Self {
        Self(private_page((FRAME_HEADER_WORDS + WORDS) * 8).into())
    }

    fn frame(&self) -> Frame<'_> {
        Frame::new(&self.0, 0)
    }

    /// Latches the frame, whatever it takes.
    fn latch(&self) -> Latched<'_> {
        loop {
            if let Some(latched) = self.frame().try_optimistic().and_then(|seen| seen.latch()) {
                return latched;
            }
            yield_now();
        }
    }

    /// Changes both words to `value`, one after the other.
    fn change(&self, value: u64) {
        let mut latched = self.latch();
        let node = latched.node_mut();
        node.set_word(0, value);
        node.set_word(1, value);
    }

    /// Both words in one order or the other, if that counts.
    fn read(&self, first: usize) -> Option<(u64, u64)> {
        let seen = self.frame().try_optimistic()?;
        let one = seen.node().word(first);
        let other = seen.node().word(1 - first);
        seen.is_valid().then_some((one, other))
    }
}

/// One thread changes a page of two words `changes` times, `readers` others read it in different orders, one of them `reads`
/// times, and none accepts a half of a change, nor goes back to what was before what it has read.
fn mixture(changes: u64, readers: usize, reads: usize, bound: Option<usize>) -> Explored {
    let (old, new, refused) = (Sometimes::default(), Sometimes::default(), Sometimes::default());
    let marks = (old.clone(), new.clone(), refused.clone());
    let explored = explore(bound, Unfenced, move || {
        let shared = Shared::new();
        let writer = spawn(0, {
            let shared = shared.clone();
            move || (1..=changes).for_each(|value| shared.change(value))
        });
        let marks = marks.clone();
        let read = move |shared: Shared, first: usize| {
            let result = shared.read(first);
            marks.0.mark_if(result == Some((0, 0)));
            marks.1.mark_if(result == Some((1, 1)));
            marks.2.mark_if(result.is_none());
            if let Some((one, other)) = result {
                assert_eq!(one, other, "half of a change was accepted");
            }
            result
        };
        let others: Vec<_> = (1..readers)
            .map(|reader| {
                let (shared, read) = (shared.clone(), read.clone());
                spawn(reader, move || read(shared, reader % 2))
            })
            .collect();
        let seen: Vec<_> = (0..reads)
            .filter_map(|turn| read(shared.clone(), turn % 2))
            .collect();
        assert!(seen.is_sorted(), "a change was there and is gone");
        writer.join().expect("a thread that ends");
        for other in others {
            other.join().expect("a thread that ends");
        }
        assert_eq!(shared.read(0), Some((changes, changes)), "the end");
    });
    old.expect("a reader accepted what was before");
    new.expect("a reader accepted the change");
    refused.expect("a reader was refused");
    explored
}

/// Two changes against one reader.
#[must_use]
pub fn two_changes_and_a_reader() -> Explored {
    mixture(2, 1, 1, Some(3))
}

/// One change against a reader.
#[must_use]
pub fn a_change_and_a_reader() -> Explored {
    mixture(1, 1, 1, None)
}

/// One change against a reader that comes again.
#[must_use]
pub fn a_change_and_two_reads() -> Explored {
    mixture(1, 1, 2, Some(4))
}

/// One change against two readers.
#[must_use]
pub fn a_change_and_two_readers() -> Explored {
    mixture(1, 2, 1, Some(2))
}

/// Who latches a page and changes nothing leaves readers valid; who changes it does not.
#[must_use]
pub fn a_latch_without_a_change() -> Explored {
    explore(None, Unfenced, || {
        let shared = Shared::new();
        let seen = shared
            .frame()
            .try_optimistic()
            .expect("a frame that nobody has latched");
        let other = spawn(0, {
            let shared = shared.clone();
            move || {
                drop(shared.latch());
                drop(shared.latch());
            }
        });
        // While it is latched there may be no look at it, and when it is not, nothing has changed.
        let during = shared.frame().try_optimistic();
        let stays_valid = during.is_none_or(|during| {
            // Invalid only if it is latched just now, by somebody who may be going to change it.
            let latched = during.latch();
            let is_newer = latched
                .as_ref()
                .is_some_and(|latched| latched.node().word(0) != 0);
            !is_newer
        });
        assert!(stays_valid);
        other.join().expect("a thread that ends");
        assert!(seen.is_valid(), "nothing has changed");
        shared.change(1);
        assert!(
            !seen.is_valid() && seen.latch().is_none(),
            "something has changed"
        );
    })
}

/// Each of some threads adds one, as often as it gets the latch in `attempts`, to a word that it has read before it took
/// the latch, or under it: taking it proves that nothing has changed since, and no change is lost.
fn counting(threads: u64, attempts: u64, bound: Option<usize>) -> Explored {
    let (all, none) = (Sometimes::default(), Sometimes::default());
    let marks = (all.clone(), none.clone());
    let explored = explore(bound, Unfenced, move || {
        let shared = Shared::new();
        let add = |shared: &Shared, is_read_first: bool| {
            let latched = shared.frame().try_optimistic().and_then(|seen| {
                let before = is_read_first.then(|| seen.node().word(0));
                Some((before, seen.latch()?))
            });
            let Some((before, mut latched)) = latched else {
                return false;
            };
            let before = before.unwrap_or_else(|| latched.node().word(0));
            latched.node_mut().set_word(0, before + 1);
            true
        };
        let add_often = move |shared: &Shared, first| {
            (0..attempts)
                .filter(|n| add(shared, (n + first) % 2 == 0))
                .count() as u64
        };
        let others: Vec<_> = (1..threads)
            .map(|number| {
                let shared = shared.clone();
                spawn(number as usize, move || add_often(&shared, number))
            })
            .collect();
        let mine = add_often(&shared, 0);
        let theirs = others
            .into_iter()
            .map(|other| other.join().expect("a thread that ends"));
        let added = mine + theirs.sum::<u64>();
        marks.0.mark_if(added == threads * attempts);
        marks.1.mark_if(added < threads * attempts);
        assert_eq!(shared.read(0), Some((added, 0)), "a change was lost");
    });
    all.expect("everybody got the latch");
    none.expect("somebody did not get the latch");
    explored
}

/// Two threads change one word.
#[must_use]
pub fn two_writers() -> Explored {
    counting(2, 1, None)
}

/// Two threads change one word twice.
#[must_use]
pub fn two_writers_again() -> Explored {
    counting(2, 2, Some(3))
}

/// Three threads change one word.
#[must_use]
pub fn three_writers() -> Explored {
    counting(3, 1, Some(2))
}

/// One thread at a time writes a frame to the data file.
#[must_use]
pub fn a_frame_is_written_by_one() -> Explored {
    let both = Sometimes::default();
    let mark = both.clone();
    let explored = explore(None, Unfenced, move || {
        let shared = Shared::new();
        let write = |shared: &Shared| {
            let frame = shared.frame();
            let is_mine = frame.begin_write();
            if is_mine {
                // Nothing but the reservation orders this.
                let before = shared.0[FRAME_HEADER_WORDS].load(Relaxed);
                shared.0[FRAME_HEADER_WORDS].store(before + 1, Relaxed);
                frame.end_write();
            }
            is_mine
        };
        let other = spawn(0, {
            let shared = shared.clone();
            move || write(&shared)
        });
        let mine = write(&shared);
        let written = u64::from(mine) + u64::from(other.join().expect("a thread that ends"));
        mark.mark_if(written == 2);
        assert!(written > 0 && !shared.frame().is_being_written());
        assert_eq!(shared.read(0), Some((written, 0)), "two wrote at once");
    });
    both.expect("one wrote after the other");
    explored
}

/// Whether two looks found the same version: `is_valid` says it only of the present one.
fn is_of_one_version(one: Optimistic<'_>, other: Optimistic<'_>) -> bool {
    format!("{one:?}") == format!("{other:?}")
}

/// Who moves a page out takes the latch and looks whether it is being written; who writes it says so and looks at the
/// version. One of the two sees the other, or the page was out already. This needs sequentially consistent accesses, so it
/// is explored with both ways of making them.
#[must_use]
pub fn moved_out_or_written() -> [Explored; 2] {
    [FenceBefore, FenceAfter].map(|sequential| {
        explore(None, sequential, || {
            let shared = Shared::new();
            let before = shared
                .frame()
                .try_optimistic()
                .expect("a frame that nobody has latched");
            let mover = spawn(0, {
                let shared = shared.clone();
                move || {
                    let Some(mut latched) = shared.frame().try_optimistic().and_then(|seen| seen.latch())
                    else {
                        return false;
                    };
                    let is_mine = !shared.frame().is_being_written();
                    if is_mine {
                        latched.node_mut().set_word(0, 1);
                    }
                    is_mine
                }
            });
            assert!(shared.frame().begin_write());
            let seen = shared.frame().try_optimistic();
            let is_moved = mover.join().expect("a thread that ends");
            // Seen as it was before the mover came, and moved out in spite of that: neither saw the other.
            let is_before = seen.is_some_and(|seen| is_of_one_version(seen, before));
            assert!(!(is_before && is_moved), "moved out while it is being written");
            shared.frame().end_write();
        })
    })
}
