//! See `engine::fuzzing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| engine::fuzzing::wal_segment(input));
