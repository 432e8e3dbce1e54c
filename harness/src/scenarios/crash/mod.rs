//! Crash tests of our own engine on a simulated disk: nothing acknowledged may ever be lost.

mod check;
mod explore;
mod play;
mod quiet;
mod script;
mod scripts;
mod state;

#[cfg(test)]
mod tests {
    use super::explore::{Effort, explore};
    use super::play::record;
    use super::scripts::scenarios;

    #[test]
    fn scripted_scenarios_lose_nothing() {
        let mut images = 0;
        for scenario in scenarios() {
            let begun = std::time::Instant::now();
            let recording =
                record(&scenario.script, 1).unwrap_or_else(|e| panic!("{}: {e}", scenario.script.name));
            let reached = recording.ledger.reached;
            let tally = explore(&recording, &scenario.script.settings, &Effort::QUICK, 1);
            println!(
                "{:14} ops {:5} choices {:6} images {:6} recoveries {:6} {:6.2?} {:6.0}/s record {:?} {reached:?}",
                scenario.script.name,
                recording.trace.operations.len(),
                tally.choices,
                tally.images,
                tally.recoveries,
                tally.duration,
                tally.recoveries as f64 / tally.duration.as_secs_f64(),
                begun.elapsed() - tally.duration,
            );
            for goal in scenario.reaches {
                if !goal.is_met(&reached, 1) {
                    println!("  not reached: {goal:?}");
                }
            }
            for failure in &tally.failures {
                println!("  {failure:?}");
            }
            images += tally.images;
        }
        println!("{images} images");
    }
    #[test]
    fn dbg() {
        let scenario = &scenarios()[0];
        let r = record(&scenario.script, 1).unwrap();
        for (i, op) in r.trace.operations.iter().enumerate().take(34) {
            println!("{i} {} {:?}", r.ledger.phase(i + 1), super::explore::describe(op));
        }
        println!("{:?}", r.ledger.promises);
    }
}
