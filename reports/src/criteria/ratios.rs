//! Speed targets, and how a measured ratio is judged by them.

use crate::record::{Direction, Outcome, RatioRow, RunRecord, Verdict};
use serde::Deserialize;
use std::sync::OnceLock;

/// One speed target.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RatioTarget {
    /// Identifier of the ratio.
    pub id: String,
    /// What is measured.
    pub what: String,
    /// What it is compared with.
    pub against: String,
    /// What the ratio is a ratio of.
    pub unit: String,
    /// First target.
    pub target: f64,
    /// Stretch target.
    pub stretch: f64,
    /// Which way is better.
    #[serde(default)]
    pub direction: Direction,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileForm {
    section: String,
    ratio: Vec<RatioTarget>,
}

fn file() -> &'static FileForm {
    static FILE: OnceLock<FileForm> = OnceLock::new();
    FILE.get_or_init(|| {
        toml::from_str(include_str!("../../criteria/ratios.toml"))
            .expect("the targets are compiled in and tested")
    })
}

/// All speed targets, in the order of the table.
#[must_use]
pub fn ratio_targets() -> &'static [RatioTarget] {
    &file().ratio
}

/// The speed target of one ratio.
#[must_use]
pub fn ratio_target(id: &str) -> Option<&'static RatioTarget> {
    ratio_targets().iter().find(|target| target.id == id)
}

impl RatioTarget {
    /// A row of the record with this target and no value yet.
    #[must_use]
    pub fn row(&self) -> RatioRow {
        RatioRow {
            id: self.id.clone(),
            what: self.what.clone(),
            against: self.against.clone(),
            unit: self.unit.clone(),
            target: Some(self.target),
            stretch: Some(self.stretch),
            direction: self.direction,
            ..RatioRow::default()
        }
    }
}

impl Direction {
    /// Whether a value is as good as a bound or better.
    #[must_use]
    pub fn meets(self, value: f64, bound: f64) -> bool {
        match self {
            Self::HigherIsBetter => value >= bound,
            Self::LowerIsBetter => value <= bound,
        }
    }

    /// The sign before a target in tables.
    #[must_use]
    pub fn sign(self) -> &'static str {
        match self {
            Self::HigherIsBetter => "≥",
            Self::LowerIsBetter => "≤",
        }
    }
}

impl RatioRow {
    /// The row judged by its own target; a row without a (finite) value or without a target is not measured.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let (Some(value), Some(target)) = (self.value.filter(|value| value.is_finite()), self.target) else {
            return Outcome::NotMeasured;
        };
        if self.direction.meets(value, target) {
            Outcome::Pass
        } else {
            Outcome::Fail
        }
    }

    /// The value in words: three digits, or as many as show on which side of the target and the stretch it is.
    #[must_use]
    pub fn value_text(&self) -> String {
        let Some(value) = self.value.filter(|value| value.is_finite()) else {
            return units::MISSING.to_owned();
        };
        let same_side = |text: &str| {
            let shown: f64 = units::parse_number(text).unwrap_or(value);
            [self.target, self.stretch]
                .into_iter()
                .flatten()
                .all(|bound| self.direction.meets(shown, bound) == self.direction.meets(value, bound))
        };
        let rounded = units::number(value);
        if same_side(&rounded) {
            return rounded;
        }
        (3..=9)
            .map(|decimals| format!("{value:.decimals$}"))
            .find(|text| same_side(text))
            .unwrap_or_else(|| value.to_string())
    }

    /// Whether the stretch target is met; `None` without a value or a stretch target.
    #[must_use]
    pub fn stretch_met(&self) -> Option<bool> {
        let value = self.value.filter(|value| value.is_finite())?;
        Some(self.direction.meets(value, self.stretch?))
    }
}

/// Verdicts on all built-in targets, then on rows of the record that have targets of their own.
pub(super) fn judge(record: &RunRecord) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for target in ratio_targets() {
        let row = record.ratios.iter().find(|row| row.id == target.id).map_or_else(
            || target.row(),
            // The built-in target counts, whatever an old record carries.
            |row| RatioRow {
                target: Some(target.target),
                stretch: Some(target.stretch),
                direction: target.direction,
                ..row.clone()
            },
        );
        verdicts.push(verdict(&row));
    }
    for row in &record.ratios {
        if ratio_target(&row.id).is_none() {
            verdicts.push(verdict(row));
        }
    }
    verdicts
}

fn verdict(row: &RatioRow) -> Verdict {
    let outcome = row.outcome();
    let sign = row.direction.sign();
    let bound = |bound: Option<f64>| units::or_missing(bound, |bound| format!("{sign} {bound}"));
    let detail = match (&row.note, outcome) {
        (Some(note), _) => note.clone(),
        (None, Outcome::NotMeasured) => "This run does not measure it.".to_owned(),
        (None, _) if row.samples.len() > 1 => format!("median of {} interleaved pairs", row.samples.len()),
        (None, _) => String::new(),
    };
    Verdict {
        id: format!("speed.{}", row.id),
        title: format!("{} / {}", row.what, row.against),
        section: file().section.clone(),
        target: format!("{} (stretch {})", bound(row.target), bound(row.stretch)),
        outcome,
        value: row
            .value
            .filter(|value| value.is_finite())
            .map(|_| row.value_text()),
        stretch_met: row.stretch_met(),
        detail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_have_unique_ids_and_a_stretch_beyond_the_target() {
        let targets = ratio_targets();
        assert_eq!(targets.len(), 15);
        for (index, target) in targets.iter().enumerate() {
            assert!(
                targets[..index].iter().all(|other| other.id != target.id),
                "{}",
                target.id
            );
            assert!(
                target.direction.meets(target.stretch, target.target),
                "{}",
                target.id
            );
        }
    }

    #[test]
    fn rounding_never_shows_a_missed_target_as_met() {
        let mut row = ratio_target("one-row-no-sync").expect("a built-in target").row();
        for (value, expected) in [
            (0.39962, "0.3996"),
            (0.3996, "0.3996"),
            (0.4, "0.400"),
            (0.6999999, "0.6999999"),
            (0.5, "0.500"),
        ] {
            row.value = Some(value);
            assert_eq!(row.value_text(), expected);
        }
        row.value = None;
        assert_eq!(row.value_text(), units::MISSING);
    }

    #[test]
    fn a_row_is_judged_in_its_own_direction() {
        let mut row = ratio_target("wal-bytes").expect("a built-in target").row();
        assert_eq!((row.outcome(), row.stretch_met()), (Outcome::NotMeasured, None));
        row.value = Some(1.5);
        assert_eq!((row.outcome(), row.stretch_met()), (Outcome::Pass, Some(false)));
        row.value = Some(1.7);
        assert_eq!(row.outcome(), Outcome::Fail);
        row.value = Some(f64::NAN);
        assert_eq!(row.outcome(), Outcome::NotMeasured);
        let mut row = ratio_target("durable-64").expect("a built-in target").row();
        row.value = Some(41.0);
        assert_eq!((row.outcome(), row.stretch_met()), (Outcome::Pass, Some(true)));
        row.value = Some(19.9);
        assert_eq!(row.outcome(), Outcome::Fail);
    }
}
