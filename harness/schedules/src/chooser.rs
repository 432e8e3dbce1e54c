//! Who goes on: a scheduler whose choices all come from one seed.
//!
//! Two ways of choosing, each drawn for every other seed:
//! - *at random*: at each point any thread that can go on, but with a probability that is drawn too the one that is
//!   running goes on. Without that a thread hardly ever gets far while another stands still.
//! - *by priorities* (probabilistic concurrency testing, Burckhardt and others, ASPLOS 2010): the thread of highest
//!   priority goes on, at a few points that are drawn it gets the lowest, and who yields gets the lowest too. Orderings that
//!   take few changes of threads are found with a probability that does not depend on how long the schedule is.
//!
//! `shuttle` brings schedulers of both kinds along. They carry what they drew from one execution into the next, so that a
//! single failing one could not be had again by a number of its own.

use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use shuttle::scheduler::{Schedule, Scheduler, Task, TaskId};

/// Scheduling points of a schedule, about: changes of priority are drawn among so many.
const POINTS: std::ops::RangeInclusive<u32> = 9..=15;

/// How threads are chosen.
#[derive(Clone, Debug)]
pub(crate) enum Policy {
    /// The running one, but for one in so many points.
    Random { leave_one_in: u32 },
    /// By priority, with changes at these points.
    Priorities { changes: Vec<u64> },
}

impl Policy {
    pub(crate) fn drawn(seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0x5C4E_D01E);
        if random.random() {
            Self::Random {
                leave_one_in: [1, 2, 8, 32, 128][random.random_range(0..5)],
            }
        } else {
            let span = 1u64 << random.random_range(POINTS);
            let changes = random.random_range(1..12);
            Self::Priorities {
                changes: (0..changes).map(|_| random.random_range(0..span)).collect(),
            }
        }
    }
}

/// Says which seed comes next, until there are no more.
pub(crate) type Draw = Box<dyn FnMut() -> Option<u64>>;

/// Chooses for one execution after the other.
pub(crate) struct Chooser {
    draw: Draw,
    random: ChaCha8Rng,
    policy: Policy,
    /// The lower the sooner; by task.
    priorities: Vec<i64>,
    lowest: i64,
    point: u64,
}

impl Chooser {
    pub(crate) fn new(draw: Draw) -> Self {
        Self {
            draw,
            random: ChaCha8Rng::seed_from_u64(0),
            policy: Policy::drawn(0),
            priorities: Vec::new(),
            lowest: 0,
            point: 0,
        }
    }

    fn priority(&mut self, task: usize) -> i64 {
        while self.priorities.len() <= task {
            let drawn = self.random.random_range(0..1 << 32);
            self.priorities.push(drawn);
        }
        self.priorities[task]
    }

    fn put_last(&mut self, task: usize) {
        self.priority(task);
        self.lowest += 1;
        self.priorities[task] = self.lowest;
    }
}

impl Scheduler for Chooser {
    fn new_execution(&mut self) -> Option<Schedule> {
        let seed = (self.draw)()?;
        self.random = ChaCha8Rng::seed_from_u64(seed);
        self.policy = Policy::drawn(seed);
        self.priorities.clear();
        self.lowest = 1 << 40;
        self.point = 0;
        Some(Schedule::new(seed))
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        is_yielding: bool,
    ) -> Option<TaskId> {
        if let [only] = runnable {
            return Some(only.id());
        }
        self.point += 1;
        if let Policy::Random { leave_one_in } = self.policy {
            if let Some(current) = current
                && !is_yielding
                && !self.random.random_ratio(1, leave_one_in)
                && runnable.iter().any(|task| task.id() == current)
            {
                return Some(current);
            }
            return Some(runnable[self.random.random_range(0..runnable.len())].id());
        }
        let Policy::Priorities { changes } = &self.policy else {
            return None;
        };
        let is_change = changes.contains(&self.point);
        if let Some(current) = current
            && (is_change || is_yielding)
        {
            self.put_last(current.into());
        }
        let mut best = None;
        for task in runnable {
            let priority = self.priority(task.id().into());
            if best.is_none_or(|(least, _)| priority < least) {
                best = Some((priority, task.id()));
            }
        }
        best.map(|(_, task)| task)
    }

    fn next_u64(&mut self) -> u64 {
        self.random.next_u64()
    }
}
