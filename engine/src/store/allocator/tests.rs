//! Where extents go, and when what they leave is free.

use super::*;

const FIRST: u64 = 16;

fn range(start: u64, len: u64) -> UnitRange {
    UnitRange { start, len }
}

fn reserve(allocator: &mut ExtentAllocator, lens: &[u64]) -> (Vec<u64>, u64) {
    let mut starts = Vec::new();
    let missing = allocator.reserve(lens, &mut starts);
    (starts, missing)
}

#[test]
fn as_many_of_one_length_find_room_at_the_front_as_anywhere() {
    // Many holes a little too short, which are passed over, and two behind them that fit.
    let mut live = vec![];
    let mut at = FIRST;
    for hole in std::iter::repeat_n(8, 17).chain([10, 9]) {
        live.push(range(at, 1));
        at += 1 + hole;
    }
    live.push(range(at, 1));
    let mut allocator = ExtentAllocator::new(FIRST, at + 1, live).unwrap();
    for count in [1, 2, 3] {
        let starts = allocator.reserve_front(9, count);
        assert_eq!(starts.len(), count.min(2));
        starts
            .into_iter()
            .for_each(|start| allocator.cancel(range(start, 9)));
    }
    assert_eq!(allocator.counts().reserved, 0);
}

#[test]
fn best_fit_takes_the_smallest_hole_that_fits_and_batches_stay_together() {
    let live = vec![range(20, 2), range(30, 2), range(36, 4)];
    let mut allocator = ExtentAllocator::new(FIRST, 100, live).unwrap();
    assert_eq!(reserve(&mut allocator, &[3]), (vec![16], 0));
    assert_eq!(reserve(&mut allocator, &[4]), (vec![32], 0), "exactly 4");
    assert_eq!(reserve(&mut allocator, &[3, 5]), (vec![22, 25], 0), "exactly 8");
    assert_eq!(reserve(&mut allocator, &[10, 10]), (vec![40, 50], 0));
    assert_eq!(
        reserve(&mut allocator, &[30, 20]),
        (vec![60], 20),
        "20 units are missing"
    );
    allocator.extend(12);
    assert_eq!(reserve(&mut allocator, &[20]), (vec![90], 0), "over the old end");
}

#[test]
fn a_batch_that_fits_nowhere_whole_fills_the_largest_hole_first() {
    let live = vec![range(22, 1), range(33, 1)];
    let mut allocator = ExtentAllocator::new(FIRST, 40, live).unwrap();
    assert_eq!(reserve(&mut allocator, &[4, 4, 4]), (vec![23, 27, 16], 0));
}

#[test]
fn pending_extents_are_reused_only_after_the_checkpoint_that_follows() {
    let mut allocator = ExtentAllocator::new(FIRST, FIRST + 4, vec![range(FIRST, 4)]).unwrap();
    allocator.retire(range(FIRST, 4));
    assert_eq!(reserve(&mut allocator, &[4]).1, 4, "pending is not free");
    allocator.seal();
    assert_eq!(reserve(&mut allocator, &[4]).1, 4);
    allocator.unseal();
    assert_eq!(
        reserve(&mut allocator, &[4]).1,
        4,
        "a failed checkpoint frees nothing"
    );
    allocator.seal();
    allocator.release_sealed();
    assert_eq!(reserve(&mut allocator, &[4]), (vec![FIRST], 0));
}

#[test]
fn what_is_retired_during_a_checkpoint_waits_for_the_next() {
    let mut allocator = ExtentAllocator::new(FIRST, FIRST + 4, vec![range(FIRST, 4)]).unwrap();
    allocator.seal();
    allocator.retire(range(FIRST, 4));
    allocator.release_sealed();
    assert_eq!(allocator.counts().pending, 4);
    assert_eq!(reserve(&mut allocator, &[1]).1, 1);
    allocator.seal();
    allocator.release_sealed();
    assert_eq!(reserve(&mut allocator, &[1]).1, 0);
}

#[test]
fn overlaps_and_truncation_are_found_at_open() {
    let open = |end, live| ExtentAllocator::new(FIRST, end, live).map(drop);
    let (at, what) = open(100, vec![range(20, 4), range(23, 1)]).unwrap_err();
    assert!(at == 23 && what.contains("overlaps the extent"), "{what}");
    let (at, what) = open(100, vec![range(15, 2)]).unwrap_err();
    assert!(at == 15 && what.contains("superblocks"), "{what}");
    let (at, what) = open(100, vec![range(99, 2)]).unwrap_err();
    assert!(at == 99 && what.contains("truncated"), "{what}");
    assert!(open(100, vec![range(u64::MAX, 2)]).is_err());
    open(100, vec![range(99, 1)]).unwrap();
    open(FIRST, vec![]).unwrap();
}

#[test]
fn the_tail_is_cut_only_when_it_is_long() {
    let mut allocator = ExtentAllocator::new(FIRST, 100, vec![range(20, 10)]).unwrap();
    assert_eq!(allocator.cut_tail(35), None);
    assert_eq!(allocator.cut_tail(10), Some(40));
    assert_eq!(allocator.end(), 40);
    assert_eq!(allocator.cut_tail(10), None);
    allocator.check(&[range(20, 10)]).unwrap();
    assert_eq!(reserve(&mut allocator, &[10]), (vec![30], 0));
    assert_eq!(allocator.cut_tail(0), None, "the last unit is in use");
}

#[test]
fn check_finds_injected_bugs() {
    let live = vec![range(20, 10), range(40, 5)];
    let mut allocator = ExtentAllocator::new(FIRST, 100, live.clone()).unwrap();
    allocator.check(&live).unwrap();
    assert!(allocator.check(&[range(20, 10)]).is_err(), "a lost extent");
    assert!(
        allocator.check(&[range(20, 10), range(29, 5)]).is_err(),
        "an extent over another"
    );
    assert!(
        allocator.check(&[range(20, 10), range(50, 5)]).is_err(),
        "an extent on free units"
    );
    allocator.end = 99;
    assert!(allocator.check(&live).is_err(), "a wrong end");
    allocator.end = 100;
    allocator.counts.reserved = 1;
    let (_, what) = allocator.check(&live).unwrap_err();
    assert!(
        what.contains("0 units are in no state, 1 are being written"),
        "{what}"
    );
    allocator.counts.reserved = 0;
    allocator.counts.free -= 1;
    let (_, what) = allocator.check(&live).unwrap_err();
    assert!(what.contains("accounts differ"), "{what}");
}

#[test]
#[should_panic(expected = "free already")]
fn freeing_twice_is_caught() {
    let mut allocator = ExtentAllocator::new(FIRST, 100, vec![range(20, 10)]).unwrap();
    allocator.counts.reserved = 10;
    #[cfg(debug_assertions)]
    allocator.in_use.insert(50, 10);
    allocator.cancel(range(50, 10));
}

#[test]
fn only_what_no_frozen_map_can_refer_to_is_freed_at_once() {
    let mut allocator = ExtentAllocator::new(FIRST, FIRST + 100, Vec::new()).unwrap();
    let write = |allocator: &mut ExtentAllocator| {
        let (starts, _) = reserve(allocator, &[4]);
        allocator.keep(range(starts[0], 4));
        (range(starts[0], 4), allocator.epoch())
    };
    let (before, written_before) = write(&mut allocator);
    let (replaced, written) = write(&mut allocator);
    assert!(allocator.retire_of(replaced, written), "no freeze since");
    allocator.seal();
    let (beside, written_beside) = write(&mut allocator);
    let (while_freezing, written_then) = write(&mut allocator);
    assert!(
        !allocator.retire_of(while_freezing, written_then),
        "the copy may have it"
    );
    allocator.end_freeze();
    assert!(!allocator.retire_of(before, written_before));
    assert!(!allocator.retire_of(beside, written_beside));
    let (after, written_after) = write(&mut allocator);
    assert!(allocator.retire_of(after, written_after));
    assert_eq!(allocator.counts().pending, 12);
    allocator.release_sealed();
    allocator.seal();
    allocator.end_freeze();
    allocator.release_sealed();
    assert_eq!(allocator.counts().pending, 0);
    assert_eq!(allocator.check(&[]), Ok(()));
    allocator.epoch = u32::MAX;
    let (last, written_last) = write(&mut allocator);
    assert!(!allocator.retire_of(last, written_last));
}
