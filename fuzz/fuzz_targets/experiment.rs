//! See `llamark_fuzz::experiment`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| llamark_fuzz::experiment(data));
