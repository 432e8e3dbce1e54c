//! What must hold for any text that is given as a spec. A fuzzer (`fuzz`) searches for texts that break it; the
//! test below replays those that it kept.

use std::sync::Arc;

use crate::keys::Frontier;
use crate::spec::{Overrides, Spec};
use crate::stream::{OperationStream, Plan, StreamOptions};

/// A spec is refused with a place in the text, or it can be written out, read back, explained and run.
///
/// # Panics
/// If a property does not hold.
pub fn workload_spec(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let spec = match Spec::parse("input", "input.toml", &text) {
        Ok(spec) => spec,
        Err(error) => {
            assert!(error.to_string().starts_with("input.toml"), "{error}");
            return;
        }
    };
    let written = spec.to_toml();
    let again = Spec::parse("again", "again.toml", &written);
    assert_eq!(again.as_ref(), Ok(&spec), "written out:\n{written}");
    assert_eq!(
        again.map(|again| again.to_toml()),
        Ok(written),
        "the same text again"
    );
    assert_eq!(
        spec.clone().with_overrides(&Overrides::default()).as_ref(),
        Ok(&spec)
    );
    for transaction in &spec.transactions {
        assert!(spec.explain().contains(&transaction.name));
    }
    let _added_up = spec.load_bytes();
    let operations = spec
        .transactions
        .iter()
        .flat_map(|transaction| &transaction.operations);
    let is_small = spec.tables.iter().all(|table| table.rows <= 10_000)
        && spec.tables.len() + spec.transactions.len() < 50
        && operations
            .map(|operation| u64::from(operation.count))
            .sum::<u64>()
            < 1000;
    if is_small {
        let plan = Arc::new(Plan::new(spec));
        let threads = plan.spec().threads;
        let frontier = Arc::new(Frontier::new(plan.tables().len(), threads));
        let mut stream = OperationStream::new(Arc::clone(&plan), frontier, StreamOptions::fresh(threads - 1));
        for _ in 0..3 {
            assert!(!stream.next().operations().is_empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{BUILTIN_NAMES, builtin_text};
    use std::path::{Path, PathBuf};

    fn corpus() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/workload_spec")
    }

    #[test]
    fn the_built_in_specs_pass() {
        for name in BUILTIN_NAMES {
            workload_spec(builtin_text(name).unwrap().as_bytes());
        }
    }

    #[test]
    fn every_input_that_the_fuzzer_kept_passes() {
        let mut inputs = 0;
        for entry in std::fs::read_dir(corpus()).unwrap() {
            let path = entry.unwrap().path();
            let input = std::fs::read(&path).unwrap();
            let answer = std::panic::catch_unwind(|| workload_spec(&input));
            assert!(answer.is_ok(), "failed on {}", path.display());
            inputs += 1;
        }
        assert!(inputs >= 5, "the corpus has {inputs} inputs");
    }
}
