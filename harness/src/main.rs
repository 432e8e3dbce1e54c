//! The program `harness`: the library with the engines that it brings along.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: harness::CountingAllocator = harness::CountingAllocator;

fn main() -> ExitCode {
    harness::Harness::new().main()
}
