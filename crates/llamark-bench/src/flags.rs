//! The one place that knows llama.cpp's flags, llama-server's here, llama-bench's in `bench` and
//! llama-perplexity's in `perplexity`: llamark's settings in, the command line of this very binary out.
//!
//! The rule: a flag that the binary does not have is never written, and a setting that it cannot be given is refused.
//! Whatever has a default that differs between versions of llama.cpp, or that would move numbers unseen, is written
//! out:
//!
//! | what | why |
//! | --- | --- |
//! | `--fit off` | may lower the context and the layers by itself |
//! | `--cache-ram 0`, `--ctx-checkpoints 0` | save and restore prompts around requests |
//! | `--parallel`, `--no-kv-unified` | the default was 1 slot, then 4 with a shared cache; a context is that of all slots together |
//! | `--no-context-shift` | the default was on, then off |
//! | `--no-warmup` | it loads one or all experts, and touches one kernel shape, depending on the version; the warm-up runs of a case have the measured shape. So `load` means the same everywhere: until the server answers |
//! | `--no-direct-io` | was the default for a while, and goes before mmap |
//! | `--offline`, `--no-ui` | nothing from the network |
//! | `--verbosity` | devices and buffers are printed at `trace` only, where that level exists |

use std::collections::BTreeMap;
use std::fmt::Display;

use camino::Utf8Path;
use llamark_record::plan::{CacheType, GpuLayers, NO_DEVICE, ServerSettings};

use crate::probe::ServerHelp;

mod bench;
mod perplexity;

pub use bench::{BenchTest, translate_bench};
pub use perplexity::{PerplexityTest, translate_perplexity};

/// What a server is to be started with.
#[derive(Clone, Copy, Debug)]
pub struct LaunchRequest<'a> {
    /// Settings, in llamark's words.
    pub settings: &'a ServerSettings,
    /// Whether the backend is compiled for the processor.
    pub is_cpu_build: bool,
    /// Whether the processor alone is to compute.
    pub is_on_processor: bool,
    /// Device as llama.cpp names it, or `none`.
    pub device: &'a str,
    /// Variables that the author sets for the server.
    pub backend_environment: &'a BTreeMap<String, String>,
    /// The model: its first shard.
    pub model: &'a Utf8Path,
    /// Context of each slot, in tokens.
    pub context: u32,
    /// Slots: requests that are answered at once.
    pub slots: u32,
    /// What the server shall call the model.
    pub alias: &'a str,
    /// Folder for the server's home and caches.
    pub scratch: &'a Utf8Path,
}

impl LaunchRequest<'_> {
    /// Context of all slots together, which is what llama.cpp is told and divides by the slots. Of several it is a multiple
    /// of what llama.cpp rounds each up to, in whichever order a version rounds and divides.
    pub fn total_context(&self) -> u64 {
        let one = u64::from(self.context);
        if self.slots > 1 { one.next_multiple_of(CONTEXT_STEP) * u64::from(self.slots) } else { one }
    }
}

/// Arguments and environment of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// Arguments, without the program.
    pub args: Vec<String>,
    /// The whole environment.
    pub environment: BTreeMap<String, String>,
}

/// A setting that this binary cannot be given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this llama.cpp cannot be given `{setting}: {asked}`: {reason}")]
pub struct Unsupported {
    /// The setting, in llamark's words.
    pub setting: String,
    /// What was asked.
    pub asked: String,
    /// Why it cannot be.
    pub reason: String,
    /// What the user can do.
    pub hint: String,
}

impl Unsupported {
    /// What the user can do.
    pub fn hint(&self) -> String {
        self.hint.clone()
    }

    fn new(setting: &str, asked: &dyn Display, reason: impl Into<String>, hint: &str) -> Self {
        Self {
            setting: setting.to_owned(),
            asked: asked.to_string(),
            reason: reason.into(),
            hint: hint.to_owned(),
        }
    }
}

/// llama.cpp rounds a context up to a multiple of this.
pub(crate) const CONTEXT_STEP: u64 = 256;
/// More layers than any model has: all of them, for versions without the word.
const EVERY_LAYER: &str = "999";
/// What to do when a binary lacks a flag.
const OTHER_BUILD: &str = "leave the setting out, or use a llama.cpp that has it";

/// Programs that a server may run by itself: none that is needed. A fixed value, so that nothing of the user is in it.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Variables of the caller that say which devices and drivers there are. Everything else of the caller's environment
/// stays outside: `GGML_*` and the like are set in the experiment, where a reader can see them.
const DEVICE_VARIABLES: [&str; 10] = [
    "CUDA_DEVICE_ORDER",
    "CUDA_VISIBLE_DEVICES",
    "GGML_VK_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "HSA_OVERRIDE_GFX_VERSION",
    "ROCR_VISIBLE_DEVICES",
    "VK_DRIVER_FILES",
    "VK_ICD_FILENAMES",
    "VK_LOADER_DRIVERS_SELECT",
    "XDG_RUNTIME_DIR",
];

/// Variables that the author cannot set: they would let the user's configuration in.
const RESERVED_VARIABLES: [&str; 4] = ["HOME", "XDG_CACHE_HOME", "XDG_CONFIG_DIRS", "XDG_CONFIG_HOME"];

/// How the names of variables begin that are flags by another name.
const SETTING_VARIABLES: [&str; 4] = ["LLAMA_ARG_", "LLAMA_API_KEY", "LLAMA_LOG_", "LLAMA_OFFLINE"];

/// The command line and the environment that give a server these settings.
///
/// # Errors
/// When this binary cannot be given one of them.
pub fn translate(help: &ServerHelp, request: &LaunchRequest<'_>) -> Result<Launch, Unsupported> {
    translate_with(help, request, |name| std::env::var(name).ok())
}

/// As [`translate`], with the caller's environment as a function.
fn translate_with(
    help: &ServerHelp,
    request: &LaunchRequest<'_>,
    caller: impl Fn(&str) -> Option<String>,
) -> Result<Launch, Unsupported> {
    Ok(Launch { args: arguments(help, request)?, environment: environment(request, caller)? })
}

/// The command line as it grows.
struct Line<'a> {
    help: &'a ServerHelp,
    args: Vec<String>,
}

impl Line<'_> {
    fn push(&mut self, flag: &str, value: &dyn Display) {
        self.args.extend([flag.to_owned(), value.to_string()]);
    }

    /// A setting that has one flag in every version that has it at all.
    fn must(&mut self, flag: &str, setting: &str, value: &dyn Display) -> Result<(), Unsupported> {
        if self.help.argument(flag).is_none() {
            let reason = format!("it has no `{flag}`");
            return Err(Unsupported::new(setting, value, reason, OTHER_BUILD));
        }
        self.push(flag, value);
        Ok(())
    }

    /// What is pinned where it can vary: a binary without the flag has nothing to pin.
    fn pin(&mut self, flags: &[&str], value: Option<&str>) {
        if let Some(flag) = self.help.first(flags) {
            self.args.push(flag.to_owned());
            self.args.extend(value.map(str::to_owned));
        }
    }
}

fn arguments(help: &ServerHelp, request: &LaunchRequest<'_>) -> Result<Vec<String>, Unsupported> {
    let mut line = Line { help, args: Vec::new() };
    line.must("--model", "model", &request.model)?;
    line.must("--host", "host", &"127.0.0.1")?;
    line.must("--port", "port", &"0")?;
    line.pin(&["--alias"], Some(request.alias));
    line.must("--ctx-size", "context", &request.total_context())?;
    slots(&mut line, request.slots)?;
    model_settings(&mut line, request)?;
    line.pin(&["--fit"], Some("off"));
    line.pin(&["--cache-ram"], Some("0"));
    line.pin(&["--ctx-checkpoints", "--swa-checkpoints"], Some("0"));
    line.pin(&["--no-context-shift"], None);
    line.pin(&["--no-warmup"], None);
    line.pin(&["--no-ui", "--no-webui"], None);
    line.pin(&["--offline"], None);
    if let Some(level) = help.trace_verbosity {
        line.pin(&["--verbosity", "--log-verbosity"], Some(&level.to_string()));
    }
    Ok(line.args)
}

/// What decides how a model computes: llama-server and llama-perplexity take it alike.
fn model_settings(line: &mut Line<'_>, request: &LaunchRequest<'_>) -> Result<(), Unsupported> {
    let settings = request.settings;
    line.must("--threads", "threads", &settings.threads)?;
    line.must("--threads-batch", "threads_batch", &settings.threads_batch)?;
    line.must("--batch-size", "batch", &settings.batch)?;
    line.must("--ubatch-size", "ubatch", &settings.ubatch)?;
    device(line, request)?;
    gpu_layers(line, request)?;
    flash_attn(line, settings.flash_attn)?;
    cache_type(line, "--cache-type-k", "cache_type_k", settings.cache_type_k)?;
    cache_type(line, "--cache-type-v", "cache_type_v", settings.cache_type_v)?;
    load_mode(line, settings)
}

fn device(line: &mut Line<'_>, request: &LaunchRequest<'_>) -> Result<(), Unsupported> {
    if request.is_cpu_build && request.device != NO_DEVICE {
        let reason = "a build for the processor has no device";
        return Err(Unsupported::new("device", &request.device, reason, "set `device: none`"));
    }
    if request.is_cpu_build && line.help.argument("--device").is_none() {
        // Nothing that it could run on but the processor.
        return Ok(());
    }
    line.must("--device", "device", &request.device)
}

fn gpu_layers(line: &mut Line<'_>, request: &LaunchRequest<'_>) -> Result<(), Unsupported> {
    let words = line.help.argument("--n-gpu-layers").map(|argument| argument.accepted.as_slice());
    let value = match request.settings.gpu_layers {
        GpuLayers::Count(count) if request.is_on_processor && count > 0 => {
            let reason = "no layer can be on a device when `device` is `none`";
            return Err(Unsupported::new(
                "gpu_layers",
                &count,
                reason,
                "leave `gpu_layers` out, or name a device",
            ));
        }
        GpuLayers::All | GpuLayers::Count(_) if request.is_on_processor => {
            // To be plain: `--device none` is what keeps every device out. This alone would not: a server still
            // sends large batches of the prompt to a GPU.
            line.pin(&["--n-gpu-layers"], Some("0"));
            return Ok(());
        }
        GpuLayers::All if words.is_some_and(|words| words.iter().any(|word| word == "all")) => {
            "all".to_owned()
        }
        GpuLayers::All if words.is_none() => "all".to_owned(),
        GpuLayers::All => EVERY_LAYER.to_owned(),
        GpuLayers::Count(count) => count.to_string(),
    };
    line.must("--n-gpu-layers", "gpu_layers", &value)
}

/// One slot is what every version does when it is told so, or has no such flag. Several have a cache each: shared, it would
/// let one stream take the room of another.
fn slots(line: &mut Line<'_>, slots: u32) -> Result<(), Unsupported> {
    if slots == 1 {
        line.pin(&["--parallel"], Some("1"));
        return Ok(());
    }
    line.must("--parallel", "concurrency", &slots)?;
    // Where there is no such flag, that is how it is.
    line.pin(&["--no-kv-unified"], None);
    Ok(())
}

fn flash_attn(line: &mut Line<'_>, on: bool) -> Result<(), Unsupported> {
    let Some(argument) = line.help.argument("--flash-attn") else {
        if on {
            return Err(Unsupported::new("flash_attn", &on, "it has no `--flash-attn`", OTHER_BUILD));
        }
        return Ok(());
    };
    let word = if on { "on" } else { "off" };
    if !argument.value.is_empty() {
        line.push("--flash-attn", &word);
    } else if on {
        // Where it takes no value, it is off unless given.
        line.args.push("--flash-attn".to_owned());
    }
    Ok(())
}

fn cache_type(line: &mut Line<'_>, flag: &str, setting: &str, asked: CacheType) -> Result<(), Unsupported> {
    match line.help.argument(flag) {
        None if asked == CacheType::F16 => Ok(()),
        Some(argument)
            if !argument.accepted.is_empty()
                && !argument.accepted.iter().any(|word| word == asked.name()) =>
        {
            let reason = format!("its `{flag}` takes {}", argument.accepted.join(", "));
            Err(Unsupported::new(setting, &asked.name(), reason, OTHER_BUILD))
        }
        _ => line.must(flag, setting, &asked.name()),
    }
}

/// The name of a way to load, as `--load-mode` has it.
fn load_mode_name(mmap: bool, mlock: bool) -> &'static str {
    match (mmap, mlock) {
        (true, true) => "mmap+mlock",
        (true, false) => "mmap",
        (false, true) => "mlock",
        (false, false) => "none",
    }
}

fn load_mode(line: &mut Line<'_>, settings: &ServerSettings) -> Result<(), Unsupported> {
    let (mmap, mlock) = (settings.mmap, settings.mlock);
    let help = line.help;
    if let Some(argument) = help.argument("--load-mode") {
        let mode = load_mode_name(mmap, mlock);
        if !argument.accepted.is_empty() && !argument.accepted.iter().any(|word| word == mode) {
            let reason = format!("its `--load-mode` takes {}", argument.accepted.join(", "));
            let (setting, asked) = if mlock { ("mlock", mlock) } else { ("mmap", mmap) };
            return Err(Unsupported::new(setting, &asked, reason, OTHER_BUILD));
        }
        line.push("--load-mode", &mode);
        return Ok(());
    }
    line.pin(&["--no-direct-io"], None);
    // Where there is no `--mmap`, mapping is the default.
    line.pin(if mmap { &["--mmap"] } else { &["--no-mmap"] }, None);
    if !mmap && help.argument("--no-mmap").is_none() {
        let reason = "it has neither `--load-mode` nor `--no-mmap`";
        return Err(Unsupported::new("mmap", &mmap, reason, OTHER_BUILD));
    }
    if mlock && help.argument("--mlock").is_none() {
        let reason = "it has neither `--load-mode` nor `--mlock`";
        return Err(Unsupported::new("mlock", &mlock, reason, OTHER_BUILD));
    }
    if mlock {
        line.args.push("--mlock".to_owned());
    }
    Ok(())
}

/// The whole environment: nothing of the user's but which devices there are, and what the author sets.
fn environment(
    request: &LaunchRequest<'_>,
    caller: impl Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, String>, Unsupported> {
    let folder = |name: &str| request.scratch.join(name).into_string();
    let mut environment: BTreeMap<String, String> =
        DEVICE_VARIABLES.iter().filter_map(|name| Some(((*name).to_owned(), caller(name)?))).collect();
    for (name, value) in [
        ("PATH", PATH.to_owned()),
        ("LANG", "C.UTF-8".to_owned()),
        // It would attach a debugger to a dying server.
        ("GGML_NO_BACKTRACE", "1".to_owned()),
        ("HOME", folder("home")),
        ("XDG_CACHE_HOME", folder("cache")),
        ("XDG_CONFIG_HOME", folder("config")),
        // Compiled shaders and kernels: kept apart from the user's, so that the warm-up runs make them.
        ("MESA_SHADER_CACHE_DIR", folder("cache/mesa")),
        ("CUDA_CACHE_PATH", folder("cache/cuda")),
    ] {
        environment.insert(name.to_owned(), value);
    }
    for (name, value) in request.backend_environment {
        let is_setting = SETTING_VARIABLES.iter().any(|head| name.starts_with(head));
        if is_setting || RESERVED_VARIABLES.contains(&name.as_str()) {
            let reason = if is_setting {
                "it would change a setting unseen"
            } else {
                "llamark sets it, so that nothing of the user's configuration reaches the server"
            };
            // The name alone: the value may be a key.
            return Err(Unsupported::new("environment", name, reason, "take it out of `env` of the backend"));
        }
        environment.insert(name.clone(), value.clone());
    }
    Ok(environment)
}

#[cfg(test)]
mod tests;
