//! Draws the report of a run again from its record: `cargo run -p reports --example redraw RUN [DIR]`.

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).map(PathBuf::from);
    let Some(run) = arguments.next() else {
        eprintln!("usage: redraw RUN [DIR]");
        return ExitCode::from(2);
    };
    let directory = arguments.next().unwrap_or_else(|| run.clone());
    match redraw(&run, &directory) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("redraw: {error}");
            ExitCode::FAILURE
        }
    }
}

fn redraw(run: &std::path::Path, directory: &std::path::Path) -> Result<(), reports::ReportError> {
    let record = reports::RunRecord::load(run)?;
    println!("{}", reports::text_table(&record));
    println!("{}", reports::write_report(directory, &record)?.html.display());
    Ok(())
}
