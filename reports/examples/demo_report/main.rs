//! Writes reports of made-up runs, to see what reports look like: `cargo run -p reports --example demo_report [DIR]`.

mod crash_test;
mod synthetic;

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let directory = PathBuf::from(
        std::env::args()
            .nth(1)
            .unwrap_or_else(|| "target/demo-report".to_owned()),
    );
    match write(&directory) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo_report: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(directory: &std::path::Path) -> Result<(), reports::ReportError> {
    let first = synthetic::record(7);
    let mut second = synthetic::record(8);
    second.run_id = "demo-2".to_owned();
    let ratios = synthetic::ratios(7);
    let (crash, lost) = (crash_test::record(7), crash_test::failed(7));
    for (name, record) in [
        ("oltp", &first),
        ("ratios", &ratios),
        ("crash", &crash),
        ("crash-lost", &lost),
    ] {
        println!("{}", reports::text_table(record));
        let files = reports::write_report(directory.join(name), record)?;
        println!("{}\n", files.html.display());
    }
    let files = reports::write_comparison(directory.join("comparison"), &[first, second])?;
    println!("{}", files.html.display());
    Ok(())
}
