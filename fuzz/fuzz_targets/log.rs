//! See `llamark_fuzz::log`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| llamark_fuzz::log(data));
