//! The order of measurements: repetitions of different engines interleave, so that a slow hour of the machine, a warm
//! device or a filling disk hits all of them alike. Each round of repetitions begins with another engine, so that
//! none is always first.

/// For every repetition (from 1) in order, which engine (its index) runs.
pub(crate) fn interleaved(engines: usize, repetitions: u32) -> Vec<(u32, usize)> {
    (1..=repetitions)
        .flat_map(|repetition| {
            let first = (repetition - 1) as usize;
            (0..engines).map(move |step| (repetition, (first + step) % engines))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_round_has_every_engine_and_another_one_first() {
        assert_eq!(
            interleaved(2, 3),
            [(1, 0), (1, 1), (2, 1), (2, 0), (3, 0), (3, 1)]
        );
        assert_eq!(interleaved(1, 2), [(1, 0), (2, 0)]);
        assert!(interleaved(0, 3).is_empty());
    }
}
