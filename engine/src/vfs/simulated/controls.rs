//! What fails, how much room there is, and what has been counted.

use super::{Fault, OperationKind, SimulatedVfs};

impl SimulatedVfs {
    /// Sets the operations that fail, and counts operations from 0 again.
    pub fn set_faults(&self, faults: impl IntoIterator<Item = Fault>) {
        let mut state = self.state.lock();
        state.faults = faults.into_iter().collect();
        state.faults_struck = 0;
        state.counts = [0; OperationKind::ALL.len()];
    }

    /// How many operations of a kind there were since the faults were set.
    #[must_use]
    pub fn count(&self, kind: OperationKind) -> u64 {
        self.state.lock().counts[kind as usize]
    }

    /// How many operations failed because of a fault.
    #[must_use]
    pub fn faults_struck(&self) -> u64 {
        self.state.lock().faults_struck
    }

    /// Runs `f` as if nothing failed and there was all the room in the world; its operations are not counted.
    pub fn without_faults<T>(&self, f: impl FnOnce() -> T) -> T {
        let mut state = self.state.lock();
        let faults = std::mem::take(&mut state.faults);
        let capacity_bytes = std::mem::replace(&mut state.capacity_bytes, u64::MAX);
        let counts = state.counts;
        drop(state);
        let result = f();
        let mut state = self.state.lock();
        (state.faults, state.counts, state.capacity_bytes) = (faults, counts, capacity_bytes);
        result
    }

    /// Limits the sum of all file lengths, in bytes; growing a file past it fails with `StorageFull`. `None` lifts it.
    /// Returns the limit of before.
    pub fn set_capacity(&self, capacity_bytes: Option<u64>) -> Option<u64> {
        let capacity = &mut self.state.lock().capacity_bytes;
        let before = std::mem::replace(capacity, capacity_bytes.unwrap_or(u64::MAX));
        (before < u64::MAX).then_some(before)
    }

    /// Sum of the lengths of all files, in bytes.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.state.lock().used_bytes()
    }
}
