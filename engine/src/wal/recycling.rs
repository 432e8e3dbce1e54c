//! What becomes of log files that are needed no more: spares, as many and as large as the log needs ([`super::sizes`]); the
//! others are removed, but for one, which is cut.

use super::files::{Live, Spare};
use super::segment;
use super::segments::Segments;
use super::sizes::Need;
use crate::error::{Error, Result};
use crate::ids::LogPosition;
use crate::injected::{self, Bug};

/// However busy the log is, no more spares than this are kept.
const SPARES_MAX: usize = 16;

impl Segments {
    /// Forgets what was needed: from now on the log is as that of a database that was just opened. Spares that this needs no
    /// more are removed, but for one.
    pub(super) fn forget_need(&self) -> Result<()> {
        let _making = self.making.lock();
        self.reset_need();
        let answer = self.remove_spares();
        self.remove_abandoned();
        answer
    }

    pub(super) fn reset_need(&self) {
        self.state.lock().need = Need::default();
    }

    /// Makes spares of the segments that end at or before `position`, and removes those that are too many. All of them are gone
    /// through; the first error is told.
    pub(super) fn recycle_before(&self, position: LogPosition) -> Result<()> {
        let _making = self.making.lock();
        let need = {
            let mut state = self.state.lock();
            let need = state.need.bytes();
            state.need.at_checkpoint();
            need
        };
        let mut answer = Ok(());
        while let Some(live) = self.pop_live(position) {
            let file = Spare {
                sequence: self.state.lock().next_sequence,
                path: live.path,
                id: live.id,
                size: live.size,
            };
            let done = if self.wants_spare(file.size, need) {
                let renamed = self.rename_to_spare(&file.path, file.id, file.size, file.sequence);
                self.or_abandon(file, renamed).map(|spare| {
                    let mut state = self.state.lock();
                    state.next_sequence = spare.sequence + 1;
                    state.spares.push_back(spare);
                })
            } else {
                self.remove_or_abandon(file)
            };
            answer = answer.and(done);
        }
        answer = answer.and(self.remove_spares());
        self.remove_abandoned();
        answer
    }

    /// Bytes of spares that are kept: what is needed, and as much as is made before it is needed.
    fn kept(&self, need: u64, is_sparing: bool) -> u64 {
        let ahead = if is_sparing { 0 } else { self.prepare_ahead };
        need + ahead as u64 * self.sizes.new_segment(need)
    }

    fn wants_spare(&self, size: u64, need: u64) -> bool {
        let state = self.state.lock();
        let kept = self.kept(need, state.need.is_sparing());
        // A small one is better than none, on a full disk.
        let is_short = state.spares.len() < self.prepare_ahead && size <= self.sizes.new_segment(need);
        let fits = self.sizes.fits_need(size, need) && state.spare_bytes() + size <= kept;
        self.sizes.can_be_used(size)
            && (is_short || fits)
            && state.spares.len() < SPARES_MAX.max(self.prepare_ahead)
    }

    /// Removes spares that are more, or larger, than what is needed, but for one: the next opening needs it, and what is given
    /// back may be gone at once. If that is too large it is cut, which takes no room. The caller holds `making`.
    fn remove_spares(&self) -> Result<()> {
        let mut answer = Ok(());
        while let Some(spare) = self.pop_superfluous() {
            answer = answer.and(self.remove_or_cut(spare));
        }
        answer
    }

    fn remove_or_cut(&self, file: Spare) -> Result<()> {
        if self.spare_count() > 0 {
            return self.remove_or_abandon(file);
        }
        let cut = self.cut(&file);
        if cut.is_err() {
            return self.or_abandon(file, cut);
        }
        let size = self.sizes.smallest;
        let spare = Spare { size, ..file };
        self.state.lock().spares.push_back(spare);
        Ok(())
    }

    pub(super) fn remove_or_abandon(&self, file: Spare) -> Result<()> {
        let removed = self.remove(&file.path, file.id);
        self.or_abandon(file, removed).map(drop)
    }

    /// The answer; or, if the operating system has refused, remembers the file, which is of no use as it is: it is to be
    /// removed.
    fn or_abandon<T>(&self, file: Spare, answer: Result<T>) -> Result<T> {
        if matches!(&answer, Err(Error::Io { .. })) {
            self.state.lock().abandoned.push(file);
        }
        answer
    }

    /// Removes what could not be removed, cut or renamed before. What still cannot is left for the next time, and has been told.
    /// The caller holds `making`.
    fn remove_abandoned(&self) {
        let abandoned = std::mem::take(&mut self.state.lock().abandoned);
        for file in abandoned {
            match self.remove_or_abandon(file) {
                // One that is not there any more has been removed, or renamed, though the answer was that it had not.
                Ok(()) | Err(Error::Moved { .. }) => {}
                Err(error) => tracing::debug!(%error, "a log file that is needed no more stays for now"),
            }
        }
    }

    /// Makes a spare as short as a segment can be.
    fn cut(&self, spare: &Spare) -> Result<()> {
        let size = self.sizes.smallest;
        self.check_place(&spare.path, spare.id)?;
        segment::make_unused(&*self.vfs, &spare.path, size, self.database_id)?;
        let file = segment::open(&*self.vfs, &spare.path, false)?;
        file.set_len(size)
            .and_then(|()| file.sync_all())
            .map_err(|e| Error::io("cut", &spare.path, e))
    }

    fn pop_superfluous(&self) -> Option<Spare> {
        let mut state = self.state.lock();
        let need = state.need.bytes();
        let kept = self.kept(need, state.need.is_sparing());
        let usable: u64 = state
            .spares
            .iter()
            .map(|spare| self.sizes.usable(spare.size))
            .sum();
        let is_superfluous = |spare: &Spare| {
            let is_promised = state.promised > 0
                && usable < self.sizes.usable(spare.size) + state.promised + self.sizes.largest;
            let is_large = spare.size > self.sizes.new_segment(need);
            let is_misfit = !self.sizes.fits_need(spare.size, need);
            let is_extra =
                state.spares.len() > self.prepare_ahead && (is_misfit || state.spare_bytes() > kept);
            let is_last = state.spares.len() == 1 && spare.size == self.sizes.smallest;
            !is_promised && !is_last && (is_extra || is_misfit && is_large)
        };
        let index = state.spares.iter().rposition(is_superfluous)?;
        state.spares.remove(index)
    }

    fn pop_live(&self, position: LogPosition) -> Option<Live> {
        let mut state = self.state.lock();
        let is_mistaken = state.live.len() > 1 && injected::makes(Bug::RecycleTooFar);
        let too_far = if is_mistaken { self.sizes.largest } else { 0 };
        let oldest_is_past = state
            .live
            .front()
            .is_some_and(|live| live.end.0 <= position.0 + too_far);
        if oldest_is_past {
            state.live.pop_front()
        } else {
            None
        }
    }
}
