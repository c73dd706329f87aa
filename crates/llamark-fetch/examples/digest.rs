//! How fast a file is hashed, against `openssl dgst -sha256`: `cargo run --example digest FILE [ROUNDS]`.
//!
//! Both read the file from the page cache, in turns; the best of each counts, since noise only ever adds.

use std::io::Write as _;
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use llamark_fetch::digest_file;
use llamark_process::{Command, Interrupt, RunOptions, base_environment, run};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let path = Utf8PathBuf::from(args.next().ok_or("which file?")?).canonicalize_utf8()?;
    let rounds: u32 = args.next().map_or(Ok(5), |text| text.parse())?;
    let bytes = path.metadata()?.len();
    let interrupt = Interrupt::new();
    let openssl =
        Command::new("openssl", "/").envs(base_environment()).args(["dgst", "-sha256", "-r", path.as_str()]);

    let (mut ours, mut theirs) = (Duration::MAX, Duration::MAX);
    for _ in 0..rounds {
        let begun = Instant::now();
        let digest = digest_file(&path, &interrupt, &mut |_| ())?;
        ours = ours.min(begun.elapsed());
        let begun = Instant::now();
        let output = run(&openssl, RunOptions::new(&interrupt))?;
        theirs = theirs.min(begun.elapsed());
        if !output.stdout.starts_with(digest.as_str()) {
            return Err(format!("digests differ: {digest} and {}", output.stdout).into());
        }
    }
    let rate = |took: Duration| bytes as f64 / took.as_secs_f64() / 1e9;
    let (ours, theirs) = (rate(ours), rate(theirs));
    writeln!(
        std::io::stdout(),
        "llamark {ours:.2} GB/s, openssl {theirs:.2} GB/s, ratio {:.2}",
        ours / theirs
    )?;
    Ok(())
}
