//! The extent allocator against a model that knows the state of every unit.

use proptest::prelude::*;

use crate::store::allocator::{ExtentAllocator, UnitCounts, UnitRange};

const FIRST: u64 = 16;

fn range(start: u64, len: u64) -> UnitRange {
    UnitRange { start, len }
}

/// What a unit is, in the model.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Unit {
    Free,
    Reserved,
    Live,
    Pending,
    Sealed,
}

#[derive(Clone, Debug)]
enum Step {
    Reserve(Vec<u64>),
    ReserveBelow(u64, Vec<u64>),
    Ceiling(Option<u64>),
    Keep(usize),
    Cancel(usize),
    Retire(usize),
    Seal,
    Release,
    Unseal,
    Extend(u64),
    Cut(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop::collection::vec(1_u64..20, 1..6).prop_map(Step::Reserve),
        2 => (FIRST..120, prop::collection::vec(1_u64..20, 1..6)).prop_map(|(end, lens)| Step::ReserveBelow(end, lens)),
        1 => prop::option::of(FIRST..120).prop_map(Step::Ceiling),
        4 => any::<usize>().prop_map(Step::Keep),
        1 => any::<usize>().prop_map(Step::Cancel),
        3 => any::<usize>().prop_map(Step::Retire),
        1 => Just(Step::Seal),
        2 => Just(Step::Release),
        1 => Just(Step::Unseal),
        1 => (1_u64..60).prop_map(Step::Extend),
        1 => (0_u64..10).prop_map(Step::Cut),
    ]
}

fn paint(model: &mut [Unit], range: UnitRange, from: Unit, to: Unit) {
    for unit in &mut model[range.start as usize..range.end() as usize] {
        assert_eq!(*unit, from, "{range:?}");
        *unit = to;
    }
}

fn pick(ranges: &mut Vec<UnitRange>, index: usize) -> Option<UnitRange> {
    (!ranges.is_empty()).then(|| ranges.swap_remove(index % ranges.len()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn agrees_with_a_model_of_every_unit(steps in prop::collection::vec(step(), 1..120)) {
        let mut allocator = ExtentAllocator::new(FIRST, 100, vec![]).unwrap();
        let mut model = vec![Unit::Free; 100];
        let (mut reserved, mut live) = (Vec::new(), Vec::new());
        let mut sealed = false;
        for step in steps {
            match step {
                Step::Reserve(lens) => {
                    let mut starts = Vec::new();
                    let missing = allocator.reserve(&lens, &mut starts);
                    for (&start, &len) in starts.iter().zip(&lens) {
                        paint(&mut model, range(start, len), Unit::Free, Unit::Reserved);
                        reserved.push(range(start, len));
                    }
                    prop_assert_eq!(missing, lens[starts.len()..].iter().sum::<u64>());
                    if let Some(&next) = lens.get(starts.len()) {
                        let longest = model[FIRST as usize..].split(|&unit| unit != Unit::Free).map(<[Unit]>::len).max();
                        prop_assert!(longest.unwrap_or(0) < next as usize, "refused though there was room");
                    }
                }
                Step::ReserveBelow(end, lens) => {
                    let mut starts = Vec::new();
                    prop_assert_eq!(allocator.reserve_below(end, &lens, &mut starts), starts.len());
                    for (&start, &len) in starts.iter().zip(&lens) {
                        prop_assert!(start + len <= end);
                        paint(&mut model, range(start, len), Unit::Free, Unit::Reserved);
                        reserved.push(range(start, len));
                    }
                    if let (true, Some(&next)) = (starts.is_empty(), lens.first()) {
                        let below = &model[FIRST as usize..model.len().min(end as usize)];
                        let longest = below.split(|&unit| unit != Unit::Free).map(<[Unit]>::len).max();
                        prop_assert!(longest.unwrap_or(0) < next as usize, "refused though there was room");
                    }
                }
                Step::Ceiling(ceiling) => allocator.set_ceiling(ceiling),
                Step::Keep(index) => if let Some(range) = pick(&mut reserved, index) {
                    allocator.keep(range);
                    paint(&mut model, range, Unit::Reserved, Unit::Live);
                    live.push(range);
                },
                Step::Cancel(index) => if let Some(range) = pick(&mut reserved, index) {
                    allocator.cancel(range);
                    paint(&mut model, range, Unit::Reserved, Unit::Free);
                },
                Step::Retire(index) => if let Some(range) = pick(&mut live, index) {
                    allocator.retire(range);
                    paint(&mut model, range, Unit::Live, Unit::Pending);
                },
                Step::Seal => if !sealed {
                    allocator.seal();
                    sealed = true;
                    for unit in model.iter_mut().filter(|unit| **unit == Unit::Pending) {
                        *unit = Unit::Sealed;
                    }
                },
                Step::Release => {
                    allocator.release_sealed();
                    sealed = false;
                    for unit in model.iter_mut().filter(|unit| **unit == Unit::Sealed) {
                        *unit = Unit::Free;
                    }
                }
                Step::Unseal => {
                    allocator.unseal();
                    sealed = false;
                    for unit in model.iter_mut().filter(|unit| **unit == Unit::Sealed) {
                        *unit = Unit::Pending;
                    }
                }
                Step::Extend(units) => {
                    allocator.extend(units);
                    model.resize(model.len() + units as usize, Unit::Free);
                }
                Step::Cut(keep) => if let Some(end) = allocator.cut_tail(keep) {
                    prop_assert!(model[end as usize..].iter().all(|&unit| unit == Unit::Free));
                    model.truncate(end as usize);
                },
            }
            let count = |wanted: &[Unit]| {
                model[FIRST as usize..].iter().filter(|unit| wanted.contains(unit)).count() as u64
            };
            let expected = UnitCounts {
                live: count(&[Unit::Live]),
                reserved: count(&[Unit::Reserved]),
                pending: count(&[Unit::Pending, Unit::Sealed]),
                free: count(&[Unit::Free]),
            };
            prop_assert_eq!(allocator.counts(), expected);
            prop_assert_eq!(allocator.end(), model.len() as u64);
            prop_assert_eq!(allocator.check(&live), Ok(()));
        }
    }
}
