//! Palimpsest's harness: runs workloads against storage engines, measures and verifies them, and reports.
//!
//! As a library it has one purpose: an author's own binary, with an engine that this crate does not know.
//!
//! ```no_run
//! use harness::driver::TargetFactory;
//!
//! fn start(my_engine: impl TargetFactory + 'static) -> std::process::ExitCode {
//!     harness::Harness::new().engine(my_engine).main()
//! }
//! ```
//!
//! [`driver`] has the traits that an engine implements, [`conformance`] the rules that they come with; `docs/adding.md` has a
//! whole crate to begin with. What is public here, these two modules included, is what such a crate needs; the rest may change.
//!
//! Inside, `cli` turns arguments into a `request::Request`; `scenarios` has a table of everything that can be run, and a folder for
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
use std::sync::Arc;

pub use workloads::{conformance, driver};

use driver::TargetFactory;

pub use probe::CountingAllocator;

/// The program: what `harness` does, with the engines of this crate and those that are added.
///
/// Runs that measure, kill or recover do so in processes of their own, which are this program started again. So
/// [`main`](Self::main) belongs at the very beginning of `main`, with the same engines each time.
#[derive(Default)]
#[must_use = "nothing is done before `main` is called"]
pub struct Harness {
    engines: Vec<Arc<dyn TargetFactory>>,
}

impl Harness {
    /// With the engines that this crate has.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an engine, which `--engine`, `list` and `conform` then know by [`TargetFactory::name`].
    pub fn engine(mut self, factory: impl TargetFactory + 'static) -> Self {
        self.engines.push(Arc::new(factory));
        self
    }

    /// Does what the arguments of this process ask for, and tells how it went: 0 good, 1 failed, 2 bad usage (also an engine
    /// whose name is taken, or is none), 3 a verification failed, 130 ended by Ctrl-C, 143 by SIGTERM.
    pub fn main(self) -> ExitCode {
        let done =
            drivers::register(self.engines).and_then(|()| cli::dispatch(&cli::args::Cli::of_process()));
        match done {
            Ok(error::Exit::Good) if console::has_failed() => error::Exit::Failed.into(),
            Ok(exit) => exit.into(),
            Err(error) => {
                console::note(format_args!("error: {error}"));
                error.exit().into()
            }
        }
    }
}

impl std::fmt::Debug for Harness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.engines.iter().map(|engine| engine.name()).collect();
        f.debug_struct("Harness").field("engines", &names).finish()
    }
}
