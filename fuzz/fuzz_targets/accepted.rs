//! See `llamark_fuzz::accepted`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| llamark_fuzz::accepted(data));
