//! How fast a core makes synthetic weights, in processor time, against copying as many bytes:
//! `cargo run -p llamark-gguf --example speed -- /dev/shm/speed.gguf 8`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement for people, which ends when something is wrong"
)]

use std::ops::ControlFlow;

use camino::Utf8PathBuf;
use llamark_gguf::Synthetic;
use llamark_record::plan::{
    SyntheticModel, SyntheticPreset, SyntheticQuant, SyntheticShape, SyntheticTokenizer,
};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let path = Utf8PathBuf::from(arguments.next().unwrap());
    let threads: usize = arguments.next().map_or(4, |threads| threads.parse().unwrap());
    for quant in SyntheticQuant::ALL {
        let shape = SyntheticShape { layers: 1, vocabulary: 4096, ..SyntheticPreset::Llama3_8b.shape() };
        let tokenizer = SyntheticTokenizer::BuiltIn;
        let model = SyntheticModel { like: None, shape, quant, tokenizer, seed: 1 };
        let made = Synthetic::new(&model, None).unwrap();
        let megabytes = made.bytes() as f64 / 1e6;
        // Processor time: what else this machine does must not matter.
        let begun = processor_seconds();
        made.write(&path, threads, &mut |_| ControlFlow::Continue(())).unwrap();
        let (making, writing) = since(begun);
        let begun = processor_seconds();
        let bytes = fs_err::read(&path).unwrap();
        fs_err::write(&path, &bytes).unwrap();
        let (user, system) = since(begun);
        println!(
            "{:>7} {megabytes:>5.0} MB: made at {:>5.0} MB/s, made and written at {:>5.0} by each core; copied at {:.0}",
            quant.name(),
            megabytes / making,
            megabytes / (making + writing),
            megabytes / (user + system),
        );
    }
    fs_err::remove_file(&path).unwrap();
}

/// Processor time of this process so far, of its own and of the system for it, s.
fn processor_seconds() -> (f64, f64) {
    let stat = fs_err::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    // Fields 14 and 15 of proc(5), in hundredths of a second.
    let seconds = |field: usize| fields[field].parse::<f64>().unwrap() / 100.0;
    (seconds(11), seconds(12))
}

fn since((user, system): (f64, f64)) -> (f64, f64) {
    let now = processor_seconds();
    (now.0 - user, now.1 - system)
}
