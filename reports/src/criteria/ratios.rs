//! Speed targets, and how a measured ratio is judged by them.

use crate::record::{Direction, Outcome, RatioRow, RunRecord, Verdict};
use crate::statistics::{Estimate, Spread};
use serde::Deserialize;
use std::sync::OnceLock;
use units::or_missing;

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
    /// Rows from which on it is defined, where that is not the scale of the whole file.
    #[serde(default)]
    pub rows: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileForm {
    section: String,
    rows: u64,
    value_size_bytes: u64,
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
            target_rows: Some(self.rows.unwrap_or(file().rows)),
            target_value_size_bytes: Some(file().value_size_bytes),
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
    /// The row judged by its own target: a row without a (finite) value or without a target is not measured, one of another scale
    /// than the target's is not judged, and one whose samples lie on both sides of it is inconclusive.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let (Some(value), Some(target)) = (self.value.filter(|value| value.is_finite()), self.target) else {
            return Outcome::NotMeasured;
        };
        if self.scale_needed().is_some() {
            Outcome::NotJudged
        } else if !self.is_clear_of(target) {
            Outcome::Inconclusive
        } else if self.direction.meets(value, target) {
            Outcome::Pass
        } else {
            Outcome::Fail
        }
    }

    /// The scale for which the target is defined, in words, where the row was measured at another one.
    #[must_use]
    pub fn scale_needed(&self) -> Option<String> {
        let rows = self
            .rows
            .zip(self.target_rows)
            .is_some_and(|(rows, least)| rows < least);
        let sizes = self.value_size_bytes.zip(self.target_value_size_bytes);
        let size = sizes.is_some_and(|(size, wanted)| size != wanted);
        (rows || size).then(|| {
            let of = self.target_value_size_bytes.filter(|_| size);
            let of = of.map_or_else(String::new, |size| {
                format!(" with values of {}", units::bytes(size))
            });
            format!("{} rows{of}", or_missing(self.target_rows, units::count))
        })
    }

    /// The samples' interval, or their range where they are few; `None` for one sample.
    #[must_use]
    pub fn spread(&self) -> Option<Spread> {
        Estimate::from_samples(self.samples.iter().copied())?.spread()
    }

    /// Whether samples lie on one side of a bound. Of bytes one count is exact; of what takes time one sample says nothing.
    fn is_clear_of(&self, bound: f64) -> bool {
        match self.spread().map(Spread::ends) {
            Some((low, high)) => self.direction.meets(low, bound) == self.direction.meets(high, bound),
            None => self.samples.is_empty() || self.unit == "bytes",
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

    /// Whether the stretch target is met for sure; `None` without a value or a stretch target, and at another scale than theirs.
    #[must_use]
    pub fn stretch_met(&self) -> Option<bool> {
        let value = self.value.filter(|value| value.is_finite())?;
        let stretch = self.stretch.filter(|_| self.scale_needed().is_none())?;
        Some(self.direction.meets(value, stretch) && self.is_clear_of(stretch))
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
                target_rows: target.row().target_rows,
                target_value_size_bytes: target.row().target_value_size_bytes,
                rows: row.rows.or_else(|| asked(record, "rows")),
                value_size_bytes: row.value_size_bytes.or_else(|| asked(record, "value-size")),
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
    let note = row.note.clone();
    let spread = || {
        row.spread().map_or_else(
            || "one sample has no spread".to_owned(),
            |spread| {
                let (low, high) = spread.ends();
                let (low, high) = (units::number(low), units::number(high));
                format!(
                    "the {} of the pairs, {low} to {high}, holds the target",
                    spread.name()
                )
            },
        )
    };
    let detail = match outcome {
        Outcome::NotJudged => format!("needs {}", or_missing(row.scale_needed(), |scale| scale)),
        Outcome::Inconclusive => spread(),
        Outcome::NotMeasured => note.unwrap_or_else(|| "This run does not measure it.".to_owned()),
        _ => note.unwrap_or_else(|| match row.samples.len() {
            0 | 1 => String::new(),
            pairs => format!("median of {pairs} interleaved pairs"),
        }),
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
        cause: None,
    }
}

/// A size that was asked for, in records whose rows do not tell it.
fn asked(record: &RunRecord, setting: &str) -> Option<u64> {
    let text = record.workload.overrides.get(setting)?;
    if setting == "rows" {
        units::parse_count(text).ok()
    } else {
        units::parse_size(text).ok()
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
    fn samples_on_both_sides_of_the_target_are_inconclusive() {
        let row = |samples: &[f64]| RatioRow {
            value: crate::statistics::median(samples),
            samples: samples.to_vec(),
            ..ratio_target("one-row-no-sync").expect("a built-in target").row()
        };
        // The target is 0.4, the stretch 0.7.
        for (samples, outcome, stretch) in [
            (&[0.5, 0.6, 0.55][..], Outcome::Pass, false),
            (&[0.39, 0.6, 0.55], Outcome::Inconclusive, false),
            (&[0.1, 0.2, 0.41], Outcome::Inconclusive, false),
            (&[0.1, 0.2, 0.3], Outcome::Fail, false),
            (&[0.5, 0.75, 0.8], Outcome::Pass, false),
            (&[0.71, 0.75, 0.8], Outcome::Pass, true),
            // Of six and more the interval of the median counts, and not one that is far off.
            (
                &[0.1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5],
                Outcome::Pass,
                false,
            ),
            // One slice of time says nothing.
            (&[0.5], Outcome::Inconclusive, false),
        ] {
            let row = row(samples);
            assert_eq!(
                (row.outcome(), row.stretch_met()),
                (outcome, Some(stretch)),
                "{samples:?}"
            );
        }
        let mut bytes = ratio_target("wal-bytes").expect("a built-in target").row();
        (bytes.value, bytes.samples) = (Some(1.5), vec![1.5]);
        assert_eq!(bytes.outcome(), Outcome::Pass, "a count of bytes has no spread");
    }

    #[test]
    fn a_target_is_judged_only_at_its_scale() {
        let mut record = RunRecord::new("r", "now");
        record.ratios.push(RatioRow {
            value: Some(2.0),
            ..ratio_target("point-get-1").expect("a built-in target").row()
        });
        let judged = |record: &RunRecord| {
            let verdicts = judge(record);
            let verdict = verdicts.into_iter().find(|of| of.id == "speed.point-get-1");
            let verdict = verdict.expect("there is one");
            (verdict.outcome, verdict.value, verdict.detail)
        };
        assert_eq!(judged(&record).0, Outcome::Pass);
        record.ratios[0].rows = Some(999_999);
        let (outcome, value, detail) = judged(&record);
        assert_eq!(outcome, Outcome::NotJudged);
        assert_eq!(
            (value.as_deref(), &*detail),
            (Some("2.00"), "needs 1,000,000 rows")
        );
        for (rows, size, outcome) in [
            (1_000_000, 100, Outcome::Pass),
            (10_000_000, 100, Outcome::Pass),
            (1_000_000, 1_000, Outcome::NotJudged),
        ] {
            record.ratios[0].rows = Some(rows);
            record.ratios[0].value_size_bytes = Some(size);
            assert_eq!(judged(&record).0, outcome, "{rows} {size}");
        }
        // An older record tells it only among its settings.
        (record.ratios[0].rows, record.ratios[0].value_size_bytes) = (None, None);
        record.workload.overrides.insert("rows".into(), "10k".into());
        assert_eq!(judged(&record).0, Outcome::NotJudged);
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
