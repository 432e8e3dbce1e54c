//! Which of the changes that were not durable at a power loss are on the medium after it.
//!
//! Changes are numbered from 0 in the order in which they were made, over all files and directories. Choices that say
//! a seed decide each change (and each sector) by a number that depends on nothing but seed, change and sector, so the
//! same choice at the same point gives the same image.

use super::mix;

/// A choice of survivors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Survival {
    /// Nothing: only what was durable.
    None,
    /// Everything: as after a kill of the process.
    All,
    /// The first so many changes.
    First(usize),
    /// All changes but this one.
    AllBut(usize),
    /// Only this change.
    Only(usize),
    /// Each change with even odds.
    Subset(u64),
    /// Each sector of each write, and each length, with even odds.
    Torn(u64),
    /// The first so many changes whole, the one after them by sectors with even odds, nothing later: a device that
    /// writes in order.
    TornAfter {
        /// Changes that survive whole.
        whole: usize,
        /// Decides the sectors.
        seed: u64,
    },
    /// As [`Survival::Torn`], and where a file gained its length, but not the bytes written there, are bytes that were
    /// on the disk before: anything.
    Garbage(u64),
}

impl Survival {
    /// Whether a change survives as a whole: a name, a length, or (unless torn) a write.
    pub(super) fn keeps(self, change: usize) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::First(count) => change < count,
            Self::AllBut(dropped) => change != dropped,
            Self::Only(kept) => change == kept,
            Self::TornAfter { whole, seed } => {
                change < whole || change == whole && coin(seed, change, u64::MAX)
            }
            Self::Subset(seed) | Self::Torn(seed) | Self::Garbage(seed) => coin(seed, change, u64::MAX),
        }
    }

    /// Whether one sector of a write survives.
    pub(super) fn keeps_sector(self, change: usize, sector: u64) -> bool {
        match self {
            Self::Torn(seed) | Self::Garbage(seed) => coin(seed, change, sector),
            Self::TornAfter { whole, seed } => {
                change < whole || change == whole && coin(seed, change, sector)
            }
            _ => self.keeps(change),
        }
    }

    /// What bytes hold that a file gained without their being written: eight of them, for a position in the file.
    pub(super) fn garbage(self, position: u64) -> Option<u64> {
        match self {
            Self::Garbage(seed) => Some(mix(seed ^ mix(position))),
            _ => None,
        }
    }
}

fn coin(seed: u64, change: usize, sector: u64) -> bool {
    mix(seed ^ mix(change as u64 ^ mix(sector))) & 1 == 1
}

/// Choices to try where `pending` changes are not durable: none, all, prefixes, each single change dropped, each alone,
/// subsets, torn ones. At least `at_least` of them, and of each family that grows with `pending` at most
/// `at_most`, evenly spread.
#[must_use]
pub fn choices(pending: usize, at_least: usize, at_most: usize, seed: u64) -> Vec<Survival> {
    let mut choices = vec![Survival::None, Survival::All];
    let spread = |count: usize| {
        let taken = count.min(at_most);
        (0..taken).map(move |i| i * count / taken)
    };
    if pending > 1 {
        choices.extend(spread(pending - 1).map(|i| Survival::First(i + 1)));
        choices.extend(spread(pending).map(Survival::AllBut));
    }
    choices.extend(spread(pending).map(|whole| Survival::TornAfter {
        whole,
        seed: mix(seed ^ whole as u64),
    }));
    if pending > 2 {
        choices.extend(spread(pending).map(Survival::Only));
    }
    let mut at = 0;
    while at < 6 || choices.len() < at_least {
        let seed = mix(seed ^ at);
        choices.push(match at % 3 {
            0 => Survival::Torn(seed),
            1 => Survival::Subset(seed),
            _ => Survival::Garbage(seed),
        });
        at += 1;
    }
    choices
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn choices_are_enough_distinct_and_bounded() {
        for pending in [0, 1, 2, 3, 7, 100] {
            let found = choices(pending, 16, 8, 1);
            assert!((16..=40).contains(&found.len()), "{pending}: {}", found.len());
            assert_eq!(found.iter().collect::<HashSet<_>>().len(), found.len());
            assert_eq!(found, choices(pending, 16, 8, 1));
            assert_ne!(found, choices(pending, 16, 8, 2));
        }
        let few = choices(3, 0, 8, 1);
        for change in 0..3 {
            assert!(few.contains(&Survival::AllBut(change)));
        }
    }

    #[test]
    fn coins_are_fair_and_follow_the_seed() {
        let heads = (0..10_000).filter(|&i| Survival::Subset(7).keeps(i)).count();
        assert!((4_700..5_300).contains(&heads), "{heads}");
        let torn = (0..10_000)
            .filter(|&i| Survival::Torn(7).keeps_sector(3, i))
            .count();
        assert!((4_700..5_300).contains(&torn), "{torn}");
    }
}
