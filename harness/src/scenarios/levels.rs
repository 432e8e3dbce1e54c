//! At which durability and isolation an engine runs a specification, and what is refused before anything runs.

use workloads::driver::{Capabilities, Durability, Isolation, TargetFactory};
use workloads::spec::Spec;

/// The levels at which one engine runs a specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Levels {
    /// Durability of commits.
    pub durability: Durability,
    /// Isolation of transactions.
    pub isolation: Isolation,
    /// What differs from the specification, in words.
    pub notes: Vec<String>,
}

/// The levels for an engine, or why it cannot run the specification.
///
/// An engine that keeps nothing is a bound, not a competitor: it runs at what it has, and the notes say so. Any other engine
/// runs at what was asked, or at a stronger isolation if it has no weaker one, or not at all.
pub(crate) fn levels(capabilities: &Capabilities, spec: &Spec) -> Result<Levels, String> {
    let mut notes = Vec::new();
    let mut durability = spec.durability;
    let mut isolation = spec.isolation;
    if !capabilities.persistent {
        durability = Durability::InMemory;
        if spec.durability != durability {
            notes.push(format!(
                "{} keeps nothing, whatever the durability: a bound, not a competitor",
                capabilities.name
            ));
        }
        if !capabilities.isolations.contains(&isolation) {
            isolation = capabilities.isolations.last().copied().unwrap_or(isolation);
            notes.push(format!(
                "{} has no {}; it runs at {isolation}, which is weaker: a bound, not a competitor",
                capabilities.name, spec.isolation
            ));
        }
    } else if let Some(stronger) = capabilities
        .isolation_at_least(isolation)
        .filter(|level| *level != isolation)
    {
        notes.push(format!(
            "{} has no {isolation}; it runs at {stronger}, which is stronger",
            capabilities.name
        ));
        isolation = stronger;
    }
    match capabilities.refusal(durability, isolation) {
        Some(refusal) => Err(refusal),
        None => Ok(Levels {
            durability,
            isolation,
            notes,
        }),
    }
}

/// What an engine cannot do of what a specification, and checkpoints at given times, ask; each with what it can. Empty if it can
/// be run. A bound is run at what it has ([`levels()`]). How a database is opened is checked apart
/// ([`EngineOptions`](crate::engine_options::EngineOptions)).
pub(crate) fn refusals(factory: &dyn TargetFactory, spec: &Spec, has_checkpoints: bool) -> Vec<String> {
    let capabilities = factory.capabilities();
    let name = &capabilities.name;
    let mut found: Vec<String> = levels(capabilities, spec).err().into_iter().collect();
    if !capabilities.persistent {
        return found;
    }
    if has_checkpoints && !capabilities.checkpoint {
        found.push(format!("{name} has no checkpoints that can be asked for"));
    }
    let values = spec.tables.iter().map(|table| table.value.size.max).max();
    if let Some((max, asked)) = capabilities.value_len_max.zip(values)
        && asked > max as u64
    {
        found.push(format!(
            "{name} has no values of {} (at most {})",
            units::bytes(asked),
            units::bytes(max as u64)
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drivers::factory;
    use workloads::spec::builtin;

    #[test]
    fn a_bound_runs_at_what_it_has_and_says_so() {
        let mut spec = builtin("oltp").unwrap();
        spec.durability = Durability::Sync;
        spec.isolation = Isolation::Snapshot;
        let memory = factory("memory").unwrap();
        let levels = levels(memory.capabilities(), &spec).unwrap();
        assert_eq!(
            (levels.durability, levels.isolation),
            (Durability::InMemory, Isolation::ReadCommitted)
        );
        assert_eq!(levels.notes.len(), 2, "{:?}", levels.notes);
    }

    #[test]
    fn what_an_engine_does_not_have_is_refused_with_what_it_has_and_a_bound_is_exempt() {
        let mut spec = builtin("oltp").unwrap();
        let refused =
            |engine: &str, spec: &Spec| refusals(factory(engine).unwrap().as_ref(), spec, true).join("; ");
        assert_eq!(refused("palimpsest", &spec), "");
        assert_eq!(refused("memory", &spec), "");
        spec.isolation = Isolation::Serializable;
        spec.tables[0].value.size.max = 2 << 30;
        let refusal = refused("palimpsest", &spec);
        assert!(
            refusal.contains("it supports read-committed, snapshot")
                && refusal.contains("2.00 GiB (at most 1.00 GiB)"),
            "{refusal}"
        );
        assert_eq!(refused("memory", &spec), "");
    }

    #[test]
    fn a_competitor_never_runs_at_less_than_was_asked() {
        let mut spec = builtin("oltp").unwrap();
        spec.durability = Durability::Sync;
        spec.isolation = Isolation::ReadCommitted;
        let mut capabilities = factory("memory").unwrap().capabilities().clone();
        capabilities.persistent = true;
        capabilities.durabilities = [Durability::NoSync].into();
        assert!(
            levels(&capabilities, &spec)
                .unwrap_err()
                .contains("durability sync")
        );
        capabilities.durabilities = [Durability::Sync].into();
        capabilities.isolations = [Isolation::Serializable].into();
        let stronger = levels(&capabilities, &spec).unwrap();
        assert_eq!(stronger.isolation, Isolation::Serializable);
        assert!(stronger.notes[0].contains("stronger"));
        capabilities.isolations = [Isolation::ReadUncommitted].into();
        assert!(
            levels(&capabilities, &spec).is_err(),
            "a weaker level is no substitute"
        );
    }
}
