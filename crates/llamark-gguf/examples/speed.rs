//! How fast synthetic weights are made, by one thread and by several, against copying as many bytes:
//! `cargo run -p llamark-gguf --example speed -- /dev/shm/speed.gguf 8`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement for people, which ends when something is wrong"
)]

use std::ops::ControlFlow;
use std::time::Instant;

use camino::Utf8PathBuf;
use llamark_gguf::Synthetic;
use llamark_record::plan::{
    SyntheticModel, SyntheticPreset, SyntheticQuant, SyntheticShape, SyntheticTokenizer,
};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let path = Utf8PathBuf::from(arguments.next().unwrap());
    let most: usize = arguments.next().map_or(4, |threads| threads.parse().unwrap());
    for quant in SyntheticQuant::ALL {
        let shape = SyntheticShape { layers: 1, vocabulary: 4096, ..SyntheticPreset::Llama3_8b.shape() };
        let tokenizer = SyntheticTokenizer::BuiltIn;
        let model = SyntheticModel { like: None, shape, quant, tokenizer, seed: 1 };
        let made = Synthetic::new(&model, None).unwrap();
        let megabytes = made.bytes() as f64 / 1e6;
        let mut rates = Vec::new();
        for threads in [1, most] {
            let begun = Instant::now();
            made.write(&path, threads, &mut |_| ControlFlow::Continue(())).unwrap();
            rates.push(megabytes / begun.elapsed().as_secs_f64());
        }
        let begun = Instant::now();
        let bytes = fs_err::read(&path).unwrap();
        fs_err::write(&path, &bytes).unwrap();
        let copying = megabytes / begun.elapsed().as_secs_f64();
        println!(
            "{:>7} {megabytes:>6.0} MB: {:>6.0} MB/s by one thread, {:>6.0} by {most}; copied at {copying:.0}, {:.2} of that",
            quant.name(),
            rates[0],
            rates[1],
            rates[1] / copying
        );
    }
    fs_err::remove_file(&path).unwrap();
}
