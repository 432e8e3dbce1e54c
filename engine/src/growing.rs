//! An array that grows and never moves: elements are reached by index without a lock, and stay where they are.
//!
//! The elements come in chunks of 64, 64, 128, 256, ..., each made when an element of it is first asked for.

use std::sync::OnceLock;

/// Elements of the first chunk.
pub(crate) const FIRST_CHUNK: usize = 64;

#[derive(Debug)]
pub(crate) struct GrowingArray<T, const CHUNKS: usize> {
    chunks: [OnceLock<Box<[T]>>; CHUNKS],
}

/// The chunk of an element, and its place in it.
fn locate(index: usize) -> (usize, usize) {
    match (index / FIRST_CHUNK).checked_ilog2() {
        None => (0, index),
        Some(log) => (log as usize + 1, index - (FIRST_CHUNK << log)),
    }
}

fn chunk_len(chunk: usize) -> usize {
    FIRST_CHUNK << chunk.saturating_sub(1)
}

impl<T, const CHUNKS: usize> Default for GrowingArray<T, CHUNKS> {
    fn default() -> Self {
        Self {
            chunks: [const { OnceLock::new() }; CHUNKS],
        }
    }
}

impl<T: Default, const CHUNKS: usize> GrowingArray<T, CHUNKS> {
    /// The element, made if need be; `None` past the last chunk.
    #[inline]
    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        let (chunk, offset) = locate(index);
        let elements = self.chunks.get(chunk)?.get_or_init(|| {
            std::iter::repeat_with(T::default)
                .take(chunk_len(chunk))
                .collect()
        });
        elements.get(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    #[test]
    fn indices_map_to_disjoint_places() {
        let mut expected = (0, 0);
        for index in 0..5000 {
            let (chunk, offset) = locate(index);
            assert_eq!((chunk, offset), expected);
            expected.1 += 1;
            if expected.1 == chunk_len(chunk) {
                expected = (chunk + 1, 0);
            }
        }
    }

    #[test]
    fn elements_are_kept_up_to_the_last_chunk() {
        let array = GrowingArray::<AtomicUsize, 3>::default();
        for index in 0..256 {
            array.get(index).unwrap().store(index, Relaxed);
        }
        assert!((0..256).all(|index| array.get(index).unwrap().load(Relaxed) == index));
        assert!(array.get(256).is_none());
    }
}
