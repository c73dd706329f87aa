//! See `llamark_fuzz::journal_events`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| llamark_fuzz::journal_events(data));
