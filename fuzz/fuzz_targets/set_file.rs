//! See `llamark_fuzz::set_file`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| llamark_fuzz::set_file(data));
