//! See `llamark_fuzz::archive_entries`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| llamark_fuzz::archive_entries(data));
