//! Scripts that begin with the large database ([`super::super::prepared`]): a tree of four levels, a page map of two
//! chunks, and ten times more pages than memory.

use super::super::prepared::GROUPS;
use super::super::script::{Company, GROUP, KeyNumber, LONG_KEYS};
use super::{Goal, Scenario, Settings, Step, Steps, scenario};

/// The rows of a group.
fn group(group: KeyNumber) -> impl Iterator<Item = KeyNumber> {
    (0..GROUP).map(move |row| LONG_KEYS + group * GROUP + row)
}

fn large(name: &str, title: &str, settings: Settings, steps: Steps, reaches: &'static [Goal]) -> Scenario {
    let mut scenario = scenario(name, title, settings, Steps::default(), steps, reaches);
    scenario.script.is_large = true;
    scenario
}

/// The scenarios.
pub(super) fn scenarios() -> Vec<Scenario> {
    let new = Steps::default;
    let settings = || Settings {
        segment_bytes: 64 << 10,
        redo_threads: 2,
        ..Settings::default()
    };
    vec![
        large(
            "large-changes",
            "commits over many pages of a large database, and its inner pages split and merge",
            settings(),
            new()
                .each(0..3, |s, at| {
                    let scattered = (0..30).map(|i| LONG_KEYS + (at + i * 3) * 6 * GROUP + 3);
                    s.put(false, 0, scattered, 100, 2)
                })
                .each(0..11, |s, at| {
                    let from = GROUPS + at * 2;
                    s.put(at % 4 == 3, 0, (from..from + 2).flat_map(group), 130, 1)
                })
                .then(Step::Checkpoint)
                .each(0..4, |s, at| {
                    s.delete(at % 2 == 1, 0, (at * 16..at * 16 + 16).flat_map(group))
                })
                .then(Step::Collect)
                .put(true, 0, [LONG_KEYS + 5], 50, 7)
                .then(Step::Checkpoint),
            &[Goal::Levels(3), Goal::DirtyEvictions, Goal::FreePages],
        ),
        large(
            "large-beside",
            "more changed pages than memory holds, beside checkpoints and readers that push them out",
            Settings {
                company: Some(Company {
                    checkpoints: 3,
                    readers: 1,
                    held: 2,
                    collects: false,
                    one_in: 4,
                }),
                ..settings()
            },
            new().each(0..5, |s, at| {
                s.put(
                    at % 2 == 0,
                    0,
                    (0..24).flat_map(|i| group(at * 30 + i * 11).take(2)),
                    140,
                    at + 2,
                )
            }),
            &[Goal::DirtyEvictions],
        ),
        large(
            "large-background",
            "changes all over a large database, while the background makes page maps durable between checkpoints",
            Settings {
                background: Some(1_000_000),
                ..settings()
            },
            new().each(0..24, |s, at| {
                s.put(
                    at % 4 == 3,
                    0,
                    (0..24).flat_map(|i| group(at * 7 + i * 13).take(1)),
                    140,
                    at + 2,
                )
            }),
            &[Goal::DirtyEvictions],
        ),
        large(
            "large-drop",
            "a large table is dropped: its pages are freed in several commits, and the file shrinks",
            settings(),
            new()
                .then(Step::DropTable(0))
                .each(0..4, |s, _| s.then(Step::Collect))
                .then(Step::Checkpoint)
                .then(Step::Compact)
                .table(1)
                .each(0..4, |s, at| {
                    s.put(true, 1, 0..20, 80 + at, at + 1).then(Step::Checkpoint)
                }),
            &[Goal::Shrunk],
        ),
    ]
}
