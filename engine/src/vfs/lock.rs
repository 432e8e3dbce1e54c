//! Advisory locks of files that are not the operating system's: one holder alone, or any number that share.

/// What a handle holds of a lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Held {
    #[default]
    Nothing,
    Shared,
    Exclusive,
}

/// Who holds the lock of a file.
#[derive(Debug, Default)]
pub(super) struct Lock {
    is_exclusive: bool,
    shared: usize,
}

impl Lock {
    /// Takes the lock as `wanted` for a handle that holds `held` of it; `false`, and nothing is changed, if others are in
    /// the way.
    pub(super) fn take(&mut self, held: &mut Held, wanted: Held) -> bool {
        let own_shared = usize::from(*held == Held::Shared);
        let others = self.shared > own_shared || self.is_exclusive && *held != Held::Exclusive;
        let is_free = match wanted {
            Held::Exclusive => !others,
            Held::Shared => !self.is_exclusive || *held == Held::Exclusive,
            Held::Nothing => true,
        };
        if is_free {
            self.release(held);
            match wanted {
                Held::Exclusive => self.is_exclusive = true,
                Held::Shared => self.shared += 1,
                Held::Nothing => {}
            }
            *held = wanted;
        }
        is_free
    }

    /// Gives back what the handle holds.
    pub(super) fn release(&mut self, held: &mut Held) {
        match std::mem::take(held) {
            Held::Exclusive => self.is_exclusive = false,
            Held::Shared => self.shared -= 1,
            Held::Nothing => {}
        }
    }
}
