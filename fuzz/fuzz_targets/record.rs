//! See `reports::fuzzing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| reports::fuzzing::record(input));
