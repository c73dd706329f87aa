//! See `llamark_fuzz::answer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| llamark_fuzz::answer(data));
