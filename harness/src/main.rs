//! Palimpsest's harness: runs workloads against storage engines, measures and verifies them, and reports.
//!
//! `cli` turns arguments into a [`request::Request`]; `scenarios` has a table of everything that can be run, and a folder for
//! each. They use `child` (processes, progress, directories), `drivers` (the engines under test) and `probe` (what a run
//! measures with), which know no scenario. What comes out is a record, which the `reports` crate judges and draws.

mod child;
mod cli;
mod console;
mod drivers;
mod engine_options;
mod error;
mod probe;
mod request;
mod scenarios;
mod values;

use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = cli::args::Cli::of_process();
    match cli::dispatch(&cli) {
        Ok(error::Exit::Good) if console::has_failed() => error::Exit::Failed.into(),
        Ok(exit) => exit.into(),
        Err(error) => {
            crate::console::note(format_args!("error: {error}"));
            error.exit().into()
        }
    }
}
