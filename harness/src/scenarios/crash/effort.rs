//! How many of all power losses are tried: there are too many for all of them.

/// Files of so many bytes are explored as far as [`Effort`] says, larger ones less.
const USUAL_BYTES: u64 = 512 << 10;

/// How hard to try.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Points of a run at which power is lost, at most, evenly spread.
    pub points: usize,
    /// Survival choices at each point, at least.
    pub choices: usize,
    /// Most choices of each family that grows with the number of pending changes.
    pub spread: usize,
    /// Points, evenly spread, at which recoveries are crashed as well: those of so many images, and of a kill.
    pub deeper_points: usize,
    pub deeper_images: usize,
    /// Points of a recovery at which it is crashed, at most, evenly spread.
    pub recovery_points: usize,
    /// How deep: 1 crashes the run, 2 its recovery, 3 the recovery from that.
    pub depth: usize,
    /// Of so many images of a crashed recovery, one has its recovery crashed as well, and so on.
    pub deepest_every: u64,
    /// Choices at each point of a recovery.
    pub choices_deeper: usize,
    /// Threads that check images.
    pub threads: usize,
    /// Stop at the first failure.
    pub first_only: bool,
    /// Asked before anything that takes long: whether to end with what was found until then.
    pub is_over: fn() -> bool,
}

impl Effort {
    /// What a test run can afford.
    pub(crate) const QUICK: Self = Self {
        points: 70,
        choices: 12,
        spread: 4,
        deeper_points: 5,
        deeper_images: 4,
        recovery_points: 40,
        depth: 3,
        deepest_every: 40,
        choices_deeper: 4,
        threads: 2,
        first_only: false,
        is_over: || false,
    };

    /// What takes half an hour.
    pub(crate) const DEEP: Self = Self {
        points: usize::MAX,
        choices: 32,
        spread: 16,
        deeper_points: 60,
        deeper_images: usize::MAX,
        recovery_points: usize::MAX,
        choices_deeper: 6,
        ..Self::QUICK
    };

    /// The effort for files of so many bytes: what takes longer is tried less often.
    pub(crate) fn for_size(mut self, bytes: u64) -> Self {
        let part = (bytes / USUAL_BYTES).clamp(1, 16) as usize;
        self.points = (self.points / part).max(self.points.min(6));
        self.choices = self.choices.div_ceil(part.min(4));
        self.spread = self.spread.div_ceil(part.min(4));
        self.deeper_points = self.deeper_points.div_ceil(part);
        self.deeper_images = self.deeper_images.div_ceil(part);
        self.recovery_points = self.recovery_points.div_ceil(part);
        self
    }
}
