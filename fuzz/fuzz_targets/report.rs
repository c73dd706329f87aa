//! See `llamark_fuzz::report`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| llamark_fuzz::report(data));
