//! llama-bench's flags: the same settings as a server's, for one test of it.
//!
//! What a server is told and llama-bench decides by itself: its context is as large as the test needs, it has one slot, and
//! threads are of one number. Its log has devices and buffers with `--verbose`, which it writes while it prepares and not
//! while it measures.

use llamark_record::plan::GpuLayers;

use super::{
    EVERY_LAYER, Launch, LaunchRequest, Line, OTHER_BUILD, Unsupported, environment, load_mode_name,
};
use crate::probe::ServerHelp;

/// One test of llama-bench: a prompt or a generation at a depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BenchTest {
    /// Tokens of the prompt; 0: only generation.
    pub prompt: u32,
    /// Steps of generation; 0: only a prompt.
    pub generated: u32,
    /// Tokens of context before them.
    pub depth: u32,
    /// Samples.
    pub repetitions: u32,
    /// Whether it shall warm up before them.
    pub warm_up: bool,
}

/// The command line and the environment that give llama-bench these settings and this test.
///
/// # Errors
/// When this binary cannot be given one of them.
pub fn translate_bench(
    help: &ServerHelp,
    request: &LaunchRequest<'_>,
    test: &BenchTest,
) -> Result<Launch, Unsupported> {
    let args = arguments(help, request, test)?;
    Ok(Launch { args, environment: environment(request, |name| std::env::var(name).ok())? })
}

fn arguments(
    help: &ServerHelp,
    request: &LaunchRequest<'_>,
    test: &BenchTest,
) -> Result<Vec<String>, Unsupported> {
    let settings = request.settings;
    let mut line = Line { help, args: Vec::new() };
    line.must("--model", "model", &request.model)?;
    line.must("--n-prompt", "prompt", &test.prompt)?;
    line.must("--n-gen", "max_tokens", &test.generated)?;
    if test.depth > 0 {
        line.must("--n-depth", "depth", &test.depth)?;
    }
    line.must("--repetitions", "runs", &test.repetitions)?;
    line.must("--output", "output", &"jsonl")?;
    line.must("--batch-size", "batch", &settings.batch)?;
    line.must("--ubatch-size", "ubatch", &settings.ubatch)?;
    line.must("--threads", "threads", &settings.threads)?;
    if settings.threads_batch != settings.threads {
        let reason = "llama-bench has one number of threads for both";
        let hint = "give `threads` and `threads_batch` the same value";
        return Err(Unsupported::new("threads_batch", &settings.threads_batch, reason, hint));
    }
    if request.slots > 1 {
        let reason = "llama-bench has no concurrent streams";
        return Err(Unsupported::new("concurrency", &request.slots, reason, "measure it with llama-server"));
    }
    let layers = match settings.gpu_layers {
        _ if request.is_on_processor => "0".to_owned(),
        GpuLayers::All => EVERY_LAYER.to_owned(),
        GpuLayers::Count(count) => count.to_string(),
    };
    line.must("--n-gpu-layers", "gpu_layers", &layers)?;
    device(&mut line, request)?;
    flash_attn(&mut line, settings.flash_attn)?;
    line.must("--cache-type-k", "cache_type_k", &settings.cache_type_k.name())?;
    line.must("--cache-type-v", "cache_type_v", &settings.cache_type_v.name())?;
    load_mode(&mut line, request)?;
    if !test.warm_up {
        let Some(flag) = help.first(&["--no-warmup"]) else {
            let reason = "its llama-bench always warms up";
            return Err(Unsupported::new("warmup", &0, reason, "write a `warmup` of 1 or more"));
        };
        line.args.push(flag.to_owned());
    }
    line.pin(&["--offline"], None);
    line.pin(&["--verbose"], None);
    Ok(line.args)
}

/// Versions of before the middle of 2025 cannot be told: then the build and the layers decide.
fn device(line: &mut Line<'_>, request: &LaunchRequest<'_>) -> Result<(), Unsupported> {
    if line.help.argument("--device").is_some() {
        line.push("--device", &request.device);
        return Ok(());
    }
    if request.is_on_processor || request.device.ends_with('0') {
        return Ok(());
    }
    let reason = "its llama-bench has no `--device`";
    Err(Unsupported::new("device", &request.device, reason, OTHER_BUILD))
}

/// `on`, `off` or `auto`; before, a number.
fn flash_attn(line: &mut Line<'_>, on: bool) -> Result<(), Unsupported> {
    let words =
        line.help.argument("--flash-attn").is_some_and(|flag| flag.accepted.iter().any(|word| word == "on"));
    let value = match (words, on) {
        (true, true) => "on",
        (true, false) => "off",
        (false, true) => "1",
        (false, false) => "0",
    };
    line.must("--flash-attn", "flash_attn", &value)
}

fn load_mode(line: &mut Line<'_>, request: &LaunchRequest<'_>) -> Result<(), Unsupported> {
    let (mmap, mlock) = (request.settings.mmap, request.settings.mlock);
    if line.help.argument("--load-mode").is_some() {
        return line.must("--load-mode", "mmap", &load_mode_name(mmap, mlock));
    }
    if mlock {
        let reason = "its llama-bench has no `--load-mode`";
        return Err(Unsupported::new("mlock", &mlock, reason, OTHER_BUILD));
    }
    line.must("--mmap", "mmap", &u8::from(mmap))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use camino::Utf8Path;
    use llamark_record::plan::{CacheType, ServerSettings};

    use super::*;
    use crate::probe::parse_bench_help;

    const B11434: &str = include_str!("../../../llamark-fake-server/src/help-bench-b11434.txt");
    const Y2025: &str = include_str!("../../../llamark-fake-server/src/help-bench-2025.txt");

    fn settings() -> ServerSettings {
        ServerSettings {
            gpu_layers: GpuLayers::All,
            flash_attn: false,
            cache_type_k: CacheType::F16,
            cache_type_v: CacheType::Q8_0,
            mmap: true,
            mlock: false,
            threads: 4,
            threads_batch: 4,
            batch: 2048,
            ubatch: 512,
        }
    }

    fn line(help: &str, settings: &ServerSettings, device: &str, test: &BenchTest) -> Result<String, String> {
        let request = LaunchRequest {
            settings,
            is_cpu_build: false,
            is_on_processor: device == "none",
            device,
            backend_environment: &BTreeMap::new(),
            model: Utf8Path::new("m.gguf"),
            context: 1024,
            slots: 1,
            alias: "",
            scratch: Utf8Path::new("/s"),
        };
        let launch = translate_bench(&parse_bench_help(help), &request, test);
        launch.map(|launch| launch.args.join(" ")).map_err(|error| error.to_string())
    }

    const TEST: BenchTest = BenchTest { prompt: 512, generated: 0, depth: 64, repetitions: 3, warm_up: true };

    #[test]
    fn every_setting_is_said() {
        insta::assert_snapshot!(
            line(B11434, &settings(), "Vulkan1", &TEST).unwrap(),
            @"--model m.gguf --n-prompt 512 --n-gen 0 --n-depth 64 --repetitions 3 --output jsonl --batch-size 2048 --ubatch-size 512 --threads 4 --n-gpu-layers 999 --device Vulkan1 --flash-attn off --cache-type-k f16 --cache-type-v q8_0 --load-mode mmap --offline --verbose"
        );
        insta::assert_snapshot!(
            line(Y2025, &settings(), "Vulkan0", &TEST).unwrap(),
            @"--model m.gguf --n-prompt 512 --n-gen 0 --n-depth 64 --repetitions 3 --output jsonl --batch-size 2048 --ubatch-size 512 --threads 4 --n-gpu-layers 999 --flash-attn 0 --cache-type-k f16 --cache-type-v q8_0 --mmap 1 --verbose"
        );
    }

    #[test]
    fn what_it_cannot_be_given_is_refused() {
        let of = |change: fn(&mut ServerSettings), help, device| {
            let mut settings = settings();
            change(&mut settings);
            line(help, &settings, device, &TEST).unwrap_err()
        };
        assert!(of(|s| s.threads_batch = 8, B11434, "none").contains("one number of threads"));
        assert!(of(|s| s.mlock = true, Y2025, "none").contains("--load-mode"));
        assert!(of(|_| {}, Y2025, "Vulkan1").contains("--device"));
        let cold = BenchTest { warm_up: false, ..TEST };
        assert!(line(B11434, &settings(), "none", &cold).unwrap().contains(" --no-warmup "));
        let older = Y2025.replace("--no-warmup", "--some-warmup");
        assert!(line(&older, &settings(), "none", &cold).unwrap_err().contains("always warms up"));
    }
}
