//! llama-bench: what the program is when it is called so. It prints its log and one row, at the speeds of the behaviour.

use std::io::Write as _;
use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::arguments::Arguments;
use crate::behaviour::{Behaviour, Stage, Version};
use crate::log::Log;

/// Whether a program of that name is llama-bench.
pub(crate) fn is_bench(program: &str) -> bool {
    std::path::Path::new(program).file_name().is_some_and(|name| name == "llama-bench")
}

/// Its life.
pub(crate) fn run(behaviour: &Behaviour, given: &[String]) -> Result<u8, Box<dyn std::error::Error>> {
    let help = match behaviour.version {
        Version::B11434 => include_str!("help-bench-b11434.txt"),
        Version::Y2025 => include_str!("help-bench-2025.txt"),
    };
    if given.iter().any(|arg| arg == "--help" || arg == "-h") {
        std::io::stdout().write_all(help.as_bytes())?;
        return Ok(0);
    }
    // A server's help does not indent.
    let lines: Vec<&str> = help.lines().map(|line| line.strip_prefix("  ").unwrap_or(line)).collect();
    let arguments = match Arguments::parse(given, &lines.join("\n")) {
        Ok(arguments) => arguments,
        Err(message) => {
            writeln!(std::io::stderr(), "{message}")?;
            return Ok(1);
        }
    };
    behaviour.reach(Stage::Start);
    let log = Log::plain(behaviour.version, arguments.get("-v").is_some());
    if let Some(refusal) = &behaviour.refuse {
        for line in &refusal.lines {
            log.raw(line);
        }
        return Ok(refusal.code);
    }
    behaviour.reach(Stage::Load);
    log.load(behaviour, &arguments, || {
        std::thread::sleep(Duration::from_secs_f64(behaviour.load_ms.max(0.0) / 1e3));
    });
    behaviour.reach(Stage::MidStream);
    let row = row(behaviour, &arguments);
    let row = if behaviour.cut { row.get(..row.len() / 2).unwrap_or_default() } else { &row };
    writeln!(std::io::stdout(), "{row}")?;
    Ok(0)
}

fn row(behaviour: &Behaviour, arguments: &Arguments) -> String {
    let number = |name: &str| arguments.number(name).unwrap_or(0);
    let (prompt, generated) = (number("-p"), number("-n"));
    let (tokens, rate) = match prompt {
        0 => (generated, behaviour.generation_rate),
        _ => (prompt, behaviour.prompt_rate),
    };
    let mut samples_ns = Vec::new();
    for _ in 0..number("-r") {
        let seconds = f64::from(tokens) / rate;
        std::thread::sleep(Duration::from_secs_f64(seconds));
        let luck = 1.0 + behaviour.jitter * luck();
        #[expect(clippy::cast_sign_loss, reason = "a time is above zero")]
        #[expect(clippy::cast_possible_truncation, reason = "a test does not take centuries")]
        samples_ns.push((seconds * luck * 1e9).round() as u64);
    }
    #[expect(clippy::cast_precision_loss, reason = "a test does not take centuries")]
    let rates: Vec<f64> = samples_ns.iter().map(|ns| f64::from(tokens) * 1e9 / *ns as f64).collect();
    let row = json!({
        "build_commit": "pkg", "build_number": 11434, "cpu_info": "Fake Processor", "gpu_info": "",
        "backends": "CPU", "model_filename": arguments.model(), "model_type": "llama 256M Q4_1",
        "model_size": 96_576_768, "model_n_params": 134_515_008,
        "n_batch": arguments.batch(), "n_ubatch": arguments.ubatch(), "n_threads": arguments.threads(),
        "type_k": arguments.cache_type_k(), "type_v": arguments.cache_type_v(),
        "n_prompt": i64::from(prompt) + if prompt > 0 { behaviour.prompt_n_off } else { 0 },
        "n_gen": generated, "n_depth": number("-d"),
        "test_time": "2026-11-23T02:52:31Z", "samples_ns": samples_ns,
        "samples_ts": if behaviour.prompt_n_off == 0 { rates } else { Vec::new() },
    });
    let mut row = row;
    if behaviour.prompt_n_off != 0
        && let Some(row) = row.as_object_mut()
    {
        row.remove("samples_ts");
    }
    let row = row.to_string();
    // As the real one begins it.
    let rest = row.replacen("\"build_commit\":\"pkg\",", "", 1);
    format!("{{\"build_commit\": \"pkg\", {}", rest.trim_start_matches('{'))
}

/// From -1 to 1, by the clock.
fn luck() -> f64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    f64::from(now.subsec_nanos() / 7 % 2001) / 1000.0 - 1.0
}
