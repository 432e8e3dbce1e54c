//! What stands in the place of schedules in a build without them.

use std::path::Path;

use reports::record::{CrashFailure, Schedules};

use super::replay::ScheduleReplay;
use crate::child::progress::Display;
use crate::error::{Exit, HarnessError, Result};

/// How to get them.
const HOW: &str = "this build is without them; build with `cargo run -p harness --features schedules`, which compiles the \
                   engine once more";

/// What is asked for.
pub(super) struct Asked<'a> {
    pub deep: Option<std::time::Duration>,
    #[expect(dead_code, reason = "only builds with schedules have a use for it")]
    pub seed: u64,
    #[expect(dead_code, reason = "only builds with schedules have a use for it")]
    pub threads: u32,
    #[expect(dead_code, reason = "only builds with schedules have a use for it")]
    pub out: &'a Path,
}

/// Says that there are none, where they were asked for.
#[expect(clippy::unnecessary_wraps, reason = "with schedules it can fail")]
pub(super) fn run(asked: &Asked<'_>, _: &mut Display) -> Result<(Option<Schedules>, Vec<CrashFailure>)> {
    let schedules = asked.deep.map(|_| {
        crate::console::note(format_args!("crash: schedules are left out: {HOW}"));
        Schedules {
            not_run: Some(HOW.into()),
            ..Schedules::default()
        }
    });
    Ok((schedules, Vec::new()))
}

/// Refuses.
///
/// # Errors
/// Always.
pub(super) fn replay(_: &ScheduleReplay) -> Result<Exit> {
    Err(HarnessError::Usage(format!(
        "the file is a schedule of threads: {HOW}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deep_run_says_that_there_were_none_and_how_to_get_them() {
        let mut asked = Asked {
            deep: Some(std::time::Duration::from_secs(1)),
            seed: 1,
            threads: 2,
            out: Path::new("."),
        };
        let (schedules, failures) = run(&asked, &mut Display::new()).unwrap();
        let schedules = schedules.unwrap();
        assert!(
            schedules.headline().contains("--features schedules"),
            "{schedules:?}"
        );
        assert_eq!((schedules.schedules, failures.len()), (0, 0));
        asked.deep = None;
        assert_eq!(run(&asked, &mut Display::new()).unwrap().0, None);
    }
}
