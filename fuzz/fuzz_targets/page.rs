//! See `llamark_fuzz::page`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| llamark_fuzz::page(data));
