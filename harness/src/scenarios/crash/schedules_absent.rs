//! What stands in the place of schedules in a build without them.

use super::replay::ScheduleReplay;
use super::search::{Asked, Keep};
use super::watch::{Progress, Watch};
use crate::error::{HarnessError, Result};

/// For listings.
pub(super) const LACKS: Option<&str> =
    Some("controlled schedules of --deep are not in this build: build with --features schedules");

/// How to get them.
const HOW: &str = "this build is without them; build with `cargo run -p harness --features schedules`, which compiles the \
                   engine once more";

/// None, and why.
pub(crate) struct Found {
    pub not_run: &'static str,
}

/// Says that there are none, where they were asked for.
#[expect(clippy::unnecessary_wraps, reason = "with schedules it can fail")]
pub(super) fn run(asked: &Asked, watch: Watch<'_>, _: &mut Keep<'_>) -> Result<Option<Found>> {
    Ok(asked.deep.map(|_| {
        (watch.tell)(Progress::LeftOut(&format!("schedules are left out: {HOW}")));
        Found { not_run: HOW }
    }))
}

/// Refuses.
///
/// # Errors
/// Always.
pub(super) fn again(_: &ScheduleReplay) -> Result<fn() -> Result<String, String>> {
    Err(HarnessError::Usage(format!(
        "the file is a schedule of threads: {HOW}"
    )))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::scenarios::crash::{describe, search};

    #[test]
    fn a_deep_run_says_that_there_were_none_and_how_to_get_them() {
        let mut asked = Asked {
            deep: Some(Duration::from_secs(1)),
            seed: 1,
            threads: 2,
        };
        let found = search::Found {
            schedules: run(&asked, Watch::NONE, &mut |_| Ok(())).unwrap(),
            ..search::Found::default()
        };
        let test = describe::test("x", &asked, &found, &[], Duration::ZERO);
        assert_eq!(test.failure_count(), 0);
        let schedules = test.schedules.unwrap();
        assert!(
            schedules.headline().contains("--features schedules"),
            "{schedules:?}"
        );
        asked.deep = None;
        assert!(run(&asked, Watch::NONE, &mut |_| Ok(())).unwrap().is_none());
    }
}
