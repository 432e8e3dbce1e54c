//! The sub-command `list`.

use std::fmt::Write as _;

use workloads::spec::{BUILTIN_NAMES, builtin};

use crate::drivers::{absent, factories};
use crate::engine_options::COMMON;
use crate::error::{HarnessError, Result};
use crate::scenarios;

/// Workloads and engines, one line each.
pub(crate) fn list() -> Result<String> {
    let mut text = String::from("Workloads (run with --workload NAME, read about with `explain NAME`):\n");
    for name in BUILTIN_NAMES {
        let spec = builtin(name).map_err(|error| HarnessError::Usage(error.to_string()))?;
        let _ = writeln!(text, "  {name:<18} {}", spec.title);
    }
    text.push_str("\nScenarios (run with --workload NAME):\n");
    for scenario in scenarios::named() {
        let lacks = scenario.lacks.map(not_built);
        let lacks = lacks.or(scenario.lacks_part.map(|lacks| format!(" ({lacks})")));
        let _ = writeln!(
            text,
            "  {:<18} {}{}",
            scenario.name,
            scenario.about,
            lacks.unwrap_or_default()
        );
    }
    text.push_str("\nEngines (choose with --engine NAME,NAME):\n");
    for factory in factories() {
        let capabilities = factory.capabilities();
        let _ = writeln!(
            text,
            "  {:<18} {} ({})",
            capabilities.name, capabilities.description, capabilities.version
        );
        let durabilities: Vec<_> = capabilities
            .durabilities
            .iter()
            .map(|level| level.name())
            .collect();
        let isolations: Vec<_> = capabilities.isolations.iter().map(|level| level.name()).collect();
        let _ = writeln!(
            text,
            "  {:<18} durability {}; isolation {}",
            "",
            durabilities.join(", "),
            isolations.join(", ")
        );
        for setting in factory.settings() {
            let name = format!("{}={}", setting.name, setting.values);
            let _ = writeln!(text, "  {:<18}   {name:<34} {}", "", setting.about);
        }
    }
    for engine in absent() {
        let lacks = not_built(engine.lacks);
        let _ = writeln!(text, "  {:<18} {}{lacks}", engine.name, engine.about);
    }
    text.push_str(
        "\nSettings of an engine are given with --set ENGINE.KEY=VALUE; every engine also takes:\n",
    );
    for (name, about) in COMMON {
        let _ = writeln!(text, "  {:<18}   {name:<34} {about}", "");
    }
    Ok(text)
}

fn not_built(lacks: &str) -> String {
    format!(" (not in this build: {lacks})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_build_lacks_is_listed_with_how_to_get_it() {
        let text = list().unwrap();
        for feature in [
            cfg!(not(feature = "sqlite")).then_some("--features sqlite"),
            cfg!(not(all(feature = "fuse", target_os = "linux"))).then_some("--features fuse"),
            cfg!(not(feature = "schedules")).then_some("--features schedules"),
        ]
        .into_iter()
        .flatten()
        {
            assert!(text.contains(feature), "{feature} is missing in\n{text}");
        }
        assert_eq!(
            text.contains("not in this build"),
            absent().next().is_some() || scenarios::named().iter().any(|of| of.lacks.is_some())
        );
    }

    #[test]
    fn the_list_has_every_workload_and_engine() {
        let text = list().unwrap();
        for name in scenarios::names().chain(["memory", "sqlite"]) {
            assert!(
                text.contains(&format!("  {name} ")),
                "{name} is missing in\n{text}"
            );
        }
    }
}
