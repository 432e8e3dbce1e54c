//! See `workloads::fuzzing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| workloads::fuzzing::workload_spec(input));
