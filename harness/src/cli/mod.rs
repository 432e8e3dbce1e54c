//! The command line: what was asked, checked, and who answers.

pub(crate) mod args;
mod check;
mod child;
mod inform;
mod report;
pub(crate) mod run;
mod salvage;
pub(crate) mod suggest;
pub(crate) mod units;
pub(crate) mod workload;

use args::{Cli, Command};

use crate::error::{Exit, Result};
use crate::scenarios::crash;

/// Does what the command line asks.
///
/// # Errors
/// What stopped it.
pub(crate) fn dispatch(cli: &Cli) -> Result<Exit> {
    match &cli.command {
        None => run::run(&cli.run),
        Some(Command::List) => {
            print!("{}", inform::list()?);
            Ok(Exit::Good)
        }
        Some(Command::Explain { workload }) => {
            println!("{}", inform::explain(workload)?.trim_end());
            Ok(Exit::Good)
        }
        Some(Command::Child { job }) => child::work(job).map(|()| Exit::Good),
        Some(Command::Report { runs, out }) => report::report(runs, out.as_deref()),
        Some(Command::Salvage { database, new }) => salvage::salvage(database, new),
        Some(Command::Replay { file }) => crash::replay(file),
        Some(Command::Verify { database }) => check::verify(database),
        Some(Command::Inspect { database }) => check::inspect(database),
    }
}
