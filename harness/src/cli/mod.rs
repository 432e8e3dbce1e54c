//! The command line: what was asked, checked, and who answers.

pub(crate) mod args;
mod check;
mod conform;
mod list;
mod report;
mod run;
mod salvage;

use args::{Cli, Command};

use crate::error::{Exit, Result};
use crate::scenarios::{self, crash};

/// Does what the command line asks.
///
/// # Errors
/// What stopped it.
pub(crate) fn dispatch(cli: &Cli) -> Result<Exit> {
    match &cli.command {
        None => run::run(&cli.run),
        Some(Command::List) => {
            crate::console::tell(list::list()?.trim_end());
            Ok(Exit::Good)
        }
        Some(Command::Explain { workload }) => {
            crate::console::tell(scenarios::explain(workload)?.trim_end());
            Ok(Exit::Good)
        }
        Some(Command::Child { job }) => scenarios::work(job).map(|()| Exit::Good),
        Some(Command::Report { runs, out }) => report::report(runs, out.as_deref()),
        Some(Command::Conform(request)) => conform::conform(request),
        Some(Command::Salvage { database, new }) => salvage::salvage(database, new),
        Some(Command::Replay { file }) => crash::replay(file),
        Some(Command::Verify { database }) => check::verify(database),
        Some(Command::Inspect { database }) => check::inspect(database),
    }
}
