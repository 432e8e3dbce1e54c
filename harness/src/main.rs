//! Palimpsest's harness: runs workloads against storage engines, measures and verifies them, and reports.
//!
//! A run goes through four rooms: `cli` decides what was asked; `runner` starts one child process for each engine and
//! repetition and drives the engine through the traits of the `workloads` crate; `measure` is what a child measures
//! with; `adapters` are the engines. `scenarios` are the runs that are more than a mix of transactions. What comes out is a
//! record, which the `reports` crate judges and draws.

mod child;
mod cli;
mod drivers;
mod error;
mod probe;
mod request;
mod scenarios;

use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = cli::args::Cli::of_process();
    match cli::dispatch(&cli) {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("error: {error}");
            error.exit().into()
        }
    }
}
