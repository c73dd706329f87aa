//! See `llamark_fuzz::help`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| llamark_fuzz::help(data));
