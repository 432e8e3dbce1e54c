//! The oracle's judgement of a finished run, as a record.

use reports::record::Verification;
use workloads::driver::Target;
use workloads::oracle::{History, State, ThreadLog, Violations, judge_run, verify};
use workloads::stream::Plan;

use crate::scenarios::findings::FindingKind;

/// Findings kept in a record; the rest is counted.
const FINDINGS_MAX: usize = 20;

/// Compares the database with what the workers did to it. Also returns the bytes of live keys and values, where every
/// row is equally long. `structure` is the outcome of the engine's own check, if it has one.
pub(crate) fn judge(
    target: &dyn Target,
    plan: &Plan,
    logs: Vec<ThreadLog>,
    structure: Option<bool>,
) -> (Verification, Option<u64>) {
    let history = History::merge(plan, logs);
    let (found, state) = match verify(target, plan, &State::loaded(plan), &history) {
        Ok(found) => found,
        Err(error) => {
            let mut what = vec![FindingKind::NotRead.with(error)];
            tell(
                plan,
                &judge_run(plan, &State::loaded(plan), &history, false),
                &mut what,
            );
            return (Verification::Failed { what }, None);
        }
    };
    let live_bytes = row_bytes(plan).map(|each| each * state.rows());
    if found.is_clean() {
        let reads = Some(found.values_checked);
        let verified = Verification::Verified {
            transactions: found.transactions,
            rows: found.rows,
            reads,
            structure,
        };
        return (verified, live_bytes);
    }
    let mut what = Vec::new();
    tell(plan, &found.violations, &mut what);
    (Verification::Failed { what }, live_bytes)
}

/// Adds how many violations of each kind there are, and the first ones.
fn tell(plan: &Plan, violations: &Violations, what: &mut Vec<String>) {
    if violations.is_empty() {
        return;
    }
    let counts = violations.counts().map(|(kind, count)| format!("{count} {kind}"));
    what.push(counts.collect::<Vec<_>>().join(", "));
    what.extend(
        violations
            .examples()
            .iter()
            .take(FINDINGS_MAX)
            .map(|violation| violation.words(plan)),
    );
}

/// Bytes of key and value of every row, when the plan has one table and one length.
fn row_bytes(plan: &Plan) -> Option<u64> {
    let [table] = plan.spec().tables.as_slice() else {
        return None;
    };
    let size = table.value.size;
    (size.min == size.max).then(|| table.key.size as u64 + size.max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drivers::factory;
    use workloads::driver::OpenOptions;
    use workloads::spec::builtin;

    #[test]
    fn an_empty_database_is_not_what_was_loaded() {
        let mut spec = builtin("ycsb-c").unwrap();
        spec.tables[0].rows = 10;
        let plan = Plan::new(spec);
        let target = factory("memory")
            .unwrap()
            .open(&OpenOptions::create("unused", plan.table_names()))
            .unwrap();
        let (verification, live_bytes) = judge(target.as_ref(), &plan, Vec::new(), None);
        let Verification::Failed { what } = verification else {
            panic!("ten rows are missing: {verification:?}")
        };
        assert!(what[0].contains("10 missing-row"), "{what:?}");
        let first = &what[1];
        assert!(
            first.starts_with("missing-row: table usertable, key `user"),
            "{first}"
        );
        assert!(first.contains(" (row 0): holds no row, expected "), "{first}");
        assert_eq!(live_bytes, Some(0));
    }
}
