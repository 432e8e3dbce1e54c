//! The cases of a run: each engine with each combination of the values that options were given.
//!
//! Options of all engines (`--threads 1,2,4`) make a case of every value with every engine; a setting of one engine
//! (`--set palimpsest.page-size=4KiB,16KiB`) only of that one's.

use reports::record::Varied;
use workloads::spec::{Overrides, Spec};

use super::specification::changed;
use crate::drivers::factory;
use crate::engine_options::EngineOptions;
use crate::error::{HarnessError, Result};
use crate::request::Request;
use crate::scenarios::levels::refusals;
use crate::values::Values;

/// More would take days, and nobody could read what comes out.
const CASES_MAX: usize = 500;

/// One engine with one value of each option.
#[derive(Clone, Debug)]
pub(super) struct Case {
    /// The engine, by name.
    pub engine: String,
    /// The specification, with this case's values.
    pub spec: Spec,
    /// How its database is opened.
    pub options: EngineOptions,
    /// The options that have several values in the run, with this case's.
    pub varied: Vec<Varied>,
}

impl Case {
    /// The engine and what is varied, in words.
    pub(super) fn words(&self) -> String {
        Varied::words(&self.engine, &self.varied)
    }
}

/// A choice of values for the options of all engines.
#[derive(Clone, Debug, Default)]
struct Point {
    overrides: Overrides,
    varied: Vec<Varied>,
}

/// All cases of a specification, in the order in which they run: a point after the other, each with all engines.
///
/// # Errors
/// Usage: a specification that makes no sense with one of the values, a setting that an engine does not have, too many cases.
pub(super) fn cases(request: &Request, base: &Spec) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    let has_checkpoints = request.checkpoint_every.is_some_and(|every| !every.is_zero());
    let mut refused: Vec<String> = Vec::new();
    for point in points(request) {
        let spec = changed(base, &point.overrides)?;
        for engine in &request.engine {
            for refusal in refusals(factory(engine)?.as_ref(), &spec, has_checkpoints) {
                if !refused.contains(&refusal) {
                    refused.push(refusal);
                }
            }
            let common = EngineOptions::of_all(
                engine,
                spec.cache_size_bytes,
                request.compression.as_deref(),
                request.busy_timeout,
            )?;
            for (options, own) in of_engine(request, engine, common)? {
                options.check(engine)?;
                cases.push(Case {
                    engine: engine.clone(),
                    spec: spec.clone(),
                    options,
                    varied: [point.varied.as_slice(), &own].concat(),
                });
            }
        }
        if cases.len() > CASES_MAX {
            return Err(HarnessError::Usage(format!(
                "{} with several values make more than {CASES_MAX} cases; give fewer values",
                request.lists().join(", ")
            )));
        }
    }
    if !refused.is_empty() {
        return Err(HarnessError::Usage(format!(
            "nothing was run: {}; `harness list` says what each engine has",
            refused.join("; ")
        )));
    }
    Ok(cases)
}

/// Every combination of the values that are for all engines.
fn points(request: &Request) -> Vec<Point> {
    let start = vec![Point {
        overrides: request.overrides(),
        varied: Vec::new(),
    }];
    let size = units::exact_size;
    let points = times(
        start,
        "threads",
        &request.threads,
        |at, value| at.threads = Some(value),
        |v| v.to_string(),
    );
    let points = times(
        points,
        "rows",
        &request.rows,
        |at, value| at.rows = Some(value),
        |v| v.to_string(),
    );
    let points = times(
        points,
        "value-size",
        &request.value_size,
        |at, value| at.value_size = Some(value),
        size,
    );
    let points = times(
        points,
        "cache-size",
        &request.cache_size,
        |at, value| at.cache_size_bytes = Some(value),
        size,
    );
    times(
        points,
        "rate",
        &request.rate,
        |at, value| at.rate = Some(Some(value)),
        |v| v.to_string(),
    )
}

/// Every point with every value of one option; as they are where it has none or one.
fn times<T: Copy>(
    points: Vec<Point>,
    name: &str,
    values: &Option<Values<T>>,
    set: impl Fn(&mut Overrides, T),
    write: impl Fn(T) -> String,
) -> Vec<Point> {
    let Some(values) = values.as_ref().filter(|values| values.are_several()) else {
        return points;
    };
    let with = |point: &Point, value: T| {
        let mut point = point.clone();
        set(&mut point.overrides, value);
        point.varied.push(Varied::new(name, write(value)));
        point
    };
    points
        .iter()
        .flat_map(|point| values.iter().map(move |value| with(point, value)))
        .collect()
}

/// Every combination of the values that settings of this engine were given, from what is asked of all.
fn of_engine(
    request: &Request,
    engine: &str,
    common: EngineOptions,
) -> Result<Vec<(EngineOptions, Vec<Varied>)>> {
    let mut combinations = vec![(common, Vec::new())];
    for setting in request.set.iter().filter(|setting| setting.engine == engine) {
        let mut all = Vec::new();
        for (options, varied) in &combinations {
            for value in &setting.values {
                let (mut options, mut varied) = (options.clone(), varied.clone());
                options.set(engine, &setting.name, value)?;
                if setting.values.len() > 1 {
                    varied.push(Varied::new(setting.full_name(), value.clone()));
                }
                all.push((options, varied));
            }
        }
        combinations = all;
    }
    Ok(combinations)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine_options::Setting;
    use crate::values::list;

    fn request() -> Request {
        Request {
            workload: Some("oltp".into()),
            engine: vec!["palimpsest".into(), "memory".into()],
            threads: Some(
                list(|text| text.parse::<u16>().map_err(|error| error.to_string()))("1,2").unwrap(),
            ),
            rows: Some(Values::from(1000)),
            set: vec![
                Setting::parse("palimpsest.page-size=4KiB,16KiB").unwrap(),
                Setting::parse("palimpsest.wal-sync=fdatasync").unwrap(),
            ],
            ..Request::default()
        }
    }

    fn cases(request: &Request) -> Result<Vec<Case>> {
        super::cases(request, &workloads::spec::builtin("oltp").unwrap())
    }

    #[test]
    fn every_value_meets_every_other_and_only_the_engine_that_it_is_for() {
        let cases = cases(&request()).unwrap();
        let words: Vec<String> = cases.iter().map(Case::words).collect();
        assert_eq!(
            words,
            [
                "palimpsest, threads 1, page-size 4KiB",
                "palimpsest, threads 1, page-size 16KiB",
                "memory, threads 1",
                "palimpsest, threads 2, page-size 4KiB",
                "palimpsest, threads 2, page-size 16KiB",
                "memory, threads 2",
            ]
        );
        assert_eq!((cases[3].spec.threads, cases[3].spec.tables[0].rows), (2, 1000));
        let page_size = |case: &Case| case.options.settings[0].clone();
        assert_eq!(page_size(&cases[4]), ("page-size".into(), "16KiB".into()));
        assert!(cases[5].options.settings.is_empty());
    }

    #[test]
    fn without_lists_there_is_one_case_for_each_engine_and_nothing_is_varied() {
        let mut request = request();
        request.threads = Some(Values::from(3));
        request.set.clear();
        let cases = cases(&request).unwrap();
        assert_eq!(cases.len(), 2);
        assert!(
            cases
                .iter()
                .all(|case| case.varied.is_empty() && case.spec.threads == 3)
        );
    }

    #[test]
    fn one_value_that_makes_no_sense_is_refused_before_anything_runs() {
        let mut bad = request();
        bad.set[0].values.push("5000".into());
        let message = cases(&bad).unwrap_err().to_string();
        assert!(message.contains("power of two"), "{message}");
        let mut many = request();
        many.rows = Some(
            list(units::parse_count)(&(1..400).map(|n| format!("{n}0")).collect::<Vec<_>>().join(","))
                .unwrap(),
        );
        let message = cases(&many).unwrap_err().to_string();
        assert!(
            message.contains("--threads, --rows, --set palimpsest.page-size"),
            "{message}"
        );
    }
}
