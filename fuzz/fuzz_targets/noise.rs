//! See `llamark_fuzz::noise`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| llamark_fuzz::noise(data));
