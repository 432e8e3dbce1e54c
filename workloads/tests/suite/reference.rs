//! The reference of the spec format agrees with the reader.

use std::collections::BTreeSet;

use workloads::keys::{Distribution, KeyForm, KeyOrder};
use workloads::spec::{Action, Spec};

const REFERENCE: &str = include_str!("../../../docs/workload-specs.md");

/// The TOML blocks of the reference.
fn blocks() -> Vec<&'static str> {
    REFERENCE
        .split("```toml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect()
}

#[test]
fn every_example_of_the_reference_parses() {
    let blocks = blocks();
    assert!(blocks.len() >= 2, "a small and a complete example");
    for block in blocks {
        Spec::parse("example", "docs/workload-specs.md", block)
            .unwrap_or_else(|error| panic!("{error}\n{block}"));
    }
}

#[test]
fn the_reference_explains_every_field_and_name_and_the_examples_use_every_field() {
    // What the writer of complete specs spells out is what there is.
    let example = blocks().last().copied().unwrap();
    let complete = Spec::parse("example", "docs", example).unwrap().to_toml();
    let words = |text: &str| -> BTreeSet<String> {
        let fields = text
            .split(['\n', '{', ','])
            .filter_map(|part| part.split_once('='));
        let headers = text.lines().filter(|line| line.starts_with('['));
        let headers = headers.flat_map(|line| line.trim_matches(['[', ']']).split('.'));
        fields
            .map(|(name, _)| name.trim())
            .chain(headers)
            .map(str::to_owned)
            .filter(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
            .collect()
    };
    let fields = words(&complete);
    assert!(fields.len() > 35, "{fields:?}");
    for field in &fields {
        assert!(
            words(example).contains(field),
            "the complete example does not use `{field}`"
        );
        assert!(
            REFERENCE.contains(&format!("`{field}`")),
            "the reference does not explain `{field}`"
        );
    }
    let names = Action::ALL
        .map(Action::name)
        .into_iter()
        .chain(Distribution::ALL.map(Distribution::name))
        .chain(KeyForm::ALL.map(KeyForm::name))
        .chain(KeyOrder::ALL.map(KeyOrder::name))
        .chain(workloads::driver::Isolation::ALL.map(|level| level.name()))
        .chain(workloads::driver::Durability::ALL.map(|level| level.name()));
    for name in names {
        assert!(
            REFERENCE.contains(&format!("`{name}`")),
            "the reference does not explain `{name}`"
        );
    }
}
