//! Example: how long an engine takes to open a database that is not there yet. It is built for the tests only.

use std::time::Instant;

use reports::record::{Figure, Workload};
use workloads::driver::OpenOptions;

use super::machine::new_record;
use super::{EMPTY, Run, Scenario};
use crate::drivers::factory;
use crate::error::{HarnessError, Result};
use crate::request::Request;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "opening",
    about: "how long an engine takes to make a database",
    text: "opening: makes a database --rounds times, and tells the least time.\n",
    accepts: &[("rounds", "how often it is made (10)")],
    prepare,
    ..EMPTY
};

fn prepare(request: &Request) -> Result<Run> {
    let factory = factory(request.one_engine(SCENARIO.name)?)?;
    let rounds = request.rounds.unwrap_or(10);
    let workload = Workload {
        name: SCENARIO.name.into(),
        title: SCENARIO.about.into(),
        overrides: request.settings(),
        ..Workload::default()
    };
    Ok(Box::new(move |directories| {
        let mut record = new_record(directories, workload);
        let mut least = f64::INFINITY;
        for round in 0..rounds {
            let directory = directories.data.join(round.to_string());
            std::fs::create_dir(&directory).map_err(|error| HarnessError::io("make", &directory, &error))?;
            let begun = Instant::now();
            let options = OpenOptions::create(&directory, vec!["rows".to_owned()]);
            let target = factory.open(&options);
            target.map_err(|error| HarnessError::Run(error.to_string()))?;
            least = least.min(begun.elapsed().as_secs_f64() * 1e3);
        }
        record.figures.push(Figure {
            id: "opening.least".into(),
            title: "Making a database, at best".into(),
            subject: factory.name().into(),
            value: Some(least),
            unit: "ms".into(),
        });
        Ok(record)
    }))
}
