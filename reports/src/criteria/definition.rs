//! Criteria as data: what the TOML files say, read and checked.

use super::expression::{ExpressionError, Path, Predicate};
use serde::Deserialize;
use std::sync::OnceLock;

const FILES: [(&str, &str); 3] = [
    (
        "criteria/concurrency.toml",
        include_str!("../../criteria/concurrency.toml"),
    ),
    (
        "criteria/storage.toml",
        include_str!("../../criteria/storage.toml"),
    ),
    (
        "criteria/reliability.toml",
        include_str!("../../criteria/reliability.toml"),
    ),
];

/// One success criterion.
#[derive(Debug, Clone)]
pub struct Criterion {
    /// Identifier.
    pub id: String,
    /// Title, as the plan has it.
    pub title: String,
    /// Heading it belongs under.
    pub section: String,
    /// The plan's section about it.
    pub plan: String,
    /// Target, as the plan has it.
    pub target: String,
    /// How it is measured, in words.
    pub measured_by: String,
    /// How it is measured: each of these may pass or fail it.
    pub measures: Vec<Measure>,
}

/// One way to measure a criterion.
#[derive(Debug, Clone)]
pub struct Measure {
    pub(crate) each: Path,
    pub(crate) selects: Vec<Predicate>,
    pub(crate) requires: Vec<Predicate>,
    pub(crate) evidence: Vec<Predicate>,
    pub(crate) show: Option<Show>,
}

/// The value that stands beside a verdict.
#[derive(Debug, Clone)]
pub struct Show {
    pub(crate) path: Path,
    pub(crate) unit: String,
    pub(crate) label: String,
}

/// Why a criteria file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CriteriaError {
    /// It is not TOML of the expected form.
    #[error("{file}: {source}")]
    Toml {
        /// The file.
        file: String,
        /// What is wrong, with line and column.
        source: Box<toml::de::Error>,
    },
    /// A predicate cannot be read.
    #[error("{file}: criterion `{criterion}`: {source}")]
    Predicate {
        /// The file.
        file: String,
        /// The criterion.
        criterion: String,
        /// What is wrong.
        source: ExpressionError,
    },
    /// Something else in a criterion is wrong.
    #[error("{file}: criterion `{criterion}`: {message}")]
    Criterion {
        /// The file.
        file: String,
        /// The criterion.
        criterion: String,
        /// What is wrong.
        message: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileForm {
    section: String,
    #[serde(default)]
    criterion: Vec<CriterionForm>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CriterionForm {
    id: String,
    title: String,
    plan: String,
    target: String,
    measured_by: String,
    measure: Vec<MeasureForm>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MeasureForm {
    each: String,
    #[serde(default, rename = "where")]
    selects: Vec<String>,
    require: Vec<String>,
    #[serde(default)]
    evidence: Vec<String>,
    #[serde(default)]
    show: Option<ShowForm>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShowForm {
    path: String,
    #[serde(default)]
    unit: String,
    #[serde(default)]
    label: String,
}

/// The criteria that ship with this crate, in the plan's order.
#[must_use]
pub fn builtin() -> &'static [Criterion] {
    static CRITERIA: OnceLock<Vec<Criterion>> = OnceLock::new();
    CRITERIA.get_or_init(|| {
        FILES
            .iter()
            .flat_map(|(file, text)| parse(file, text).expect("criteria files are compiled in and tested"))
            .collect()
    })
}

/// Reads criteria from TOML; `file` is only used in messages.
///
/// # Errors
/// [`CriteriaError`] naming the file and the criterion.
pub fn parse(file: &str, text: &str) -> Result<Vec<Criterion>, CriteriaError> {
    let form: FileForm = toml::from_str(text).map_err(|source| CriteriaError::Toml {
        file: file.to_owned(),
        source: Box::new(source),
    })?;
    let mut criteria: Vec<Criterion> = Vec::new();
    for criterion in form.criterion {
        let fault = |message: &str| CriteriaError::Criterion {
            file: file.to_owned(),
            criterion: criterion.id.clone(),
            message: message.to_owned(),
        };
        if criteria.iter().any(|other| other.id == criterion.id) {
            return Err(fault("a criterion of this id is already there"));
        }
        if criterion.measure.is_empty() {
            return Err(fault("it has no measure"));
        }
        let mut measures = Vec::new();
        for measure in &criterion.measure {
            if measure.require.is_empty() {
                return Err(fault("a measure without requirements could never fail"));
            }
            let predicates = |texts: &[String]| {
                let parsed: Result<Vec<Predicate>, ExpressionError> =
                    texts.iter().map(|text| text.parse()).collect();
                parsed.map_err(|source| CriteriaError::Predicate {
                    file: file.to_owned(),
                    criterion: criterion.id.clone(),
                    source,
                })
            };
            let path = |text: &str| Path::parse(text).map_err(|message| fault(&message));
            measures.push(Measure {
                each: path(&measure.each)?,
                selects: predicates(&measure.selects)?,
                requires: predicates(&measure.require)?,
                evidence: predicates(&measure.evidence)?,
                show: match &measure.show {
                    None => None,
                    Some(show) => Some(Show {
                        path: path(&show.path)?,
                        unit: show.unit.clone(),
                        label: show.label.clone(),
                    }),
                },
            });
        }
        criteria.push(Criterion {
            id: criterion.id,
            title: criterion.title,
            section: form.section.clone(),
            plan: criterion.plan,
            target: criterion.target,
            measured_by: criterion.measured_by,
            measures,
        });
    }
    Ok(criteria)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plans_seventeen_criteria_and_those_of_reliability_are_there() {
        let criteria = builtin();
        let count = |section: &str| criteria.iter().filter(|c| c.section == section).count();
        assert_eq!(count("Part 1: Concurrency"), 10);
        assert_eq!(count("Part 2: Storage"), 7);
        assert_eq!(count("Reliability"), 6);
        assert!(
            criteria
                .iter()
                .all(|c| !c.measured_by.is_empty() && !c.target.is_empty())
        );
    }

    #[test]
    fn faults_name_file_and_criterion() {
        let head = "section = 's'\n[[criterion]]\nid = 'c'\ntitle = 't'\nplan = 'p'\ntarget = 'x'\nmeasured_by = 'm'\n";
        let with = |measure: &str| format!("{head}[[criterion.measure]]\n{measure}");
        for (text, expected) in [
            (with("each = 'a'\nrequire = ['b']"), "expected a comparison"),
            (with("each = 'a'\nrequire = []"), "could never fail"),
            (with("each = '['\nrequire = ['b == 1']"), "not a field name"),
            (
                with("each = 'a'\nrequire = ['b == 1']\nshown = 'x'"),
                "unknown field `shown`",
            ),
            (format!("{head}measure = []"), "has no measure"),
            (head.to_owned(), "missing field `measure`"),
        ] {
            let error = parse("my.toml", &text).expect_err(&text).to_string();
            assert!(
                error.starts_with("my.toml: ") && error.contains(expected),
                "{error}"
            );
        }
    }
}
