//! See `llamark_fuzz::llama_bench`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| llamark_fuzz::llama_bench(data));
