//! How long a transaction may wait for locked rows.
//!
//! A transaction of its own waits for each row up to its `busy_timeout`. [`crate::Database::write`] runs a transaction
//! several times, and there the `busy_timeout` is for all waits of all attempts together, with the pauses between
//! attempts. An attempt gets half of what is left of it, so that two that wait for each other do not both use up their
//! time at once: one of them gives up its locks while the other still waits, and then has time to try again. When little
//! is left, one attempt gets it all.

use std::time::Duration;

/// Part of the time below which it is not divided any more.
const LAST_PART: u32 = 8;

/// What the lock waits of one transaction may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waits {
    /// The longest single wait.
    each: Duration,
    /// The longest that all of them may take together.
    left: Duration,
    waited: Duration,
}

impl Waits {
    pub(super) fn new(each: Duration) -> Self {
        Self {
            each,
            left: Duration::MAX,
            waited: Duration::ZERO,
        }
    }

    /// How long the next wait may take.
    pub(super) fn next(&self) -> Duration {
        self.each.min(self.left)
    }

    pub(super) fn spend(&mut self, waited: Duration) {
        self.left = self.left.saturating_sub(waited);
        self.waited += waited;
    }

    pub(super) fn limit(&mut self, left: Duration) {
        self.left = left;
    }

    pub(super) fn waited(&self) -> Duration {
        self.waited
    }
}

/// What the waits of all attempts of one piece of work may take together.
#[derive(Debug)]
pub(crate) struct Patience {
    all: Duration,
    left: Duration,
    waited: Duration,
}

impl Patience {
    pub(crate) fn new(all: Duration) -> Self {
        Self {
            all,
            left: all,
            waited: Duration::ZERO,
        }
    }

    /// What the next attempt may wait.
    pub(crate) fn for_attempt(&self) -> Duration {
        let half = self.left / 2;
        if self.left > self.all / LAST_PART && !half.is_zero() {
            half
        } else {
            self.left
        }
    }

    pub(crate) fn spend(&mut self, waited: Duration) {
        self.left = self.left.saturating_sub(waited);
        self.waited += waited;
    }

    /// What is left of it; zero when there is nothing to wait with any more.
    pub(crate) fn left(&self) -> Duration {
        self.left
    }

    /// How long the attempts have waited.
    pub(crate) fn waited(&self) -> Duration {
        self.waited
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_share_the_time_and_the_last_gets_the_rest() {
        let mut patience = Patience::new(Duration::from_millis(800));
        let mut attempts = Vec::new();
        while !patience.left().is_zero() {
            let wait = patience.for_attempt();
            attempts.push(wait.as_millis());
            patience.spend(wait);
        }
        assert_eq!(attempts, [400, 200, 100, 100]);
        assert_eq!(patience.waited(), Duration::from_millis(800));
        assert_eq!(Patience::new(Duration::ZERO).for_attempt(), Duration::ZERO);
    }

    #[test]
    fn waits_of_a_transaction_are_limited_each_and_together() {
        let mut waits = Waits::new(Duration::from_millis(10));
        assert_eq!(waits.next(), Duration::from_millis(10));
        waits.spend(Duration::from_millis(50));
        assert_eq!(waits.next(), Duration::from_millis(10));
        waits.limit(Duration::from_millis(15));
        waits.spend(Duration::from_millis(8));
        assert_eq!(waits.next(), Duration::from_millis(7));
        waits.spend(Duration::from_millis(9));
        assert_eq!(waits.next(), Duration::ZERO);
        assert_eq!(waits.waited(), Duration::from_millis(67));
    }
}
