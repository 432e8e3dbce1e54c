//! The place of each engine among the colours of series: the same in all plots and tables of a page, and for the engines that are
//! often seen on all pages. Others take a place by their name, or the next one that is free on the page.

use crate::record::{RunRecord, Varied};
use std::collections::BTreeMap;

/// Colours that there are for series.
pub(crate) const COLOURS: usize = 8;

/// Names with a place of their own.
const KNOWN: [&str; 3] = ["palimpsest", "memory", "sqlite"];

/// A place for each of several names; cases of one engine have that of the engine.
pub(crate) fn places(cases: &[&str]) -> Vec<usize> {
    let mut names: Vec<&str> = cases.iter().map(|case| Varied::engine(case)).collect();
    names.sort_unstable();
    names.dedup();
    let by_name: BTreeMap<&str, usize> = names.iter().copied().zip(of_different(&names)).collect();
    let place = |case: &&str| by_name.get(Varied::engine(case)).copied().unwrap_or_default();
    cases.iter().map(place).collect()
}

/// A place for each of several different names.
fn of_different(names: &[&str]) -> Vec<usize> {
    let known = |name: &str| KNOWN.iter().position(|known| *known == name);
    let mut taken: Vec<usize> = names.iter().filter_map(|name| known(name)).collect();
    let mut unknown: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| known(name).is_none())
        .collect();
    // In the order of names, so that the order of measuring does not matter.
    unknown.sort_unstable();
    let mut places = Vec::new();
    for name in unknown {
        let first = KNOWN.len() + hash(name) % (COLOURS - KNOWN.len());
        let mut wanted = (0..COLOURS).map(|step| (first + step) % COLOURS);
        let place = wanted.find(|place| !taken.contains(place)).unwrap_or(first);
        taken.push(place);
        places.push((name, place));
    }
    let place = |name: &&str| {
        let other = || {
            places
                .iter()
                .find(|(of, _)| of == name)
                .map_or(0, |(_, place)| *place)
        };
        known(name).unwrap_or_else(other)
    };
    names.iter().map(place).collect()
}

/// The places of all engines of several runs, by name.
pub(crate) fn of_all(records: &[RunRecord]) -> BTreeMap<&str, usize> {
    let mut names: Vec<&str> = records.iter().flat_map(RunRecord::engines).collect();
    names.sort_unstable();
    names.dedup();
    let places = places(&names);
    names.into_iter().zip(places).collect()
}

/// FNV-1a: the same on all machines and in all versions.
fn hash(name: &str) -> usize {
    let step = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    name.bytes().fold(0x811c_9dc5, step) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_of_one_engine_have_its_colour() {
        let places = places(&[
            "a, threads 1",
            "palimpsest, threads 1",
            "a, threads 2",
            "palimpsest",
        ]);
        assert_eq!((places[0], places[1]), (places[2], places[3]));
        assert_ne!(places[0], places[1]);
    }

    #[test]
    fn a_place_follows_the_name_and_not_the_order() {
        assert_eq!(places(&["palimpsest", "memory"]), [0, 1]);
        assert_eq!(places(&["memory", "palimpsest"]), [1, 0]);
        let some = places(&["sqlite", "one", "other"]);
        assert_eq!(places(&["other", "one", "sqlite"]), [some[2], some[1], some[0]]);
        assert_eq!(places(&["one"]), places(&["palimpsest", "one"])[1..]);
    }

    #[test]
    fn engines_of_a_page_differ_in_colour_as_long_as_there_are_colours() {
        let names: Vec<String> = (0..COLOURS).map(|at| format!("engine-{at}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut places = places(&names);
        places.sort_unstable();
        assert_eq!(places, (0..COLOURS).collect::<Vec<_>>());
        let turned: Vec<&str> = names.iter().rev().copied().collect();
        let mut places_turned = super::places(&turned);
        places_turned.reverse();
        assert_eq!(places_turned, super::places(&names), "the order does not matter");
        let many: Vec<String> = (0..40).map(|at| format!("engine-{at}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(super::places(&many).iter().all(|place| *place < COLOURS));
    }
}
