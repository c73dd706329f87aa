//! What llama-server writes while it starts, line for line as far as anybody reads it.

use std::io::Write as _;
use std::time::Instant;

use crate::arguments::Arguments;
use crate::behaviour::{Behaviour, Version};

/// Writes lines to standard error.
#[derive(Debug)]
pub(crate) struct Log {
    version: Version,
    verbosity: u32,
    began: Instant,
    /// Without the prefix of this version, as llama-bench writes.
    is_plain: bool,
}

/// Megabytes of the weights, and what a device or the host holds of them.
const WEIGHTS: f64 = 92.10;

impl Log {
    pub(crate) fn new(version: Version, verbosity: u32) -> Self {
        Self { version, verbosity, began: Instant::now(), is_plain: false }
    }

    /// That of llama-bench: all of it, or nothing.
    pub(crate) fn plain(version: Version, verbose: bool) -> Self {
        let verbosity = if verbose { 4 } else { 0 };
        Self { is_plain: true, ..Self::new(version, verbosity) }
    }

    /// A line as it is.
    pub(crate) fn raw(&self, line: &str) {
        writeln!(std::io::stderr(), "{line}").ok();
    }

    /// A line with the prefix of this version.
    pub(crate) fn line(&self, level: char, text: &str) {
        match self.version {
            _ if self.is_plain => {
                if self.verbosity > 0 {
                    self.raw(text);
                }
            }
            Version::Y2025 => self.raw(text),
            Version::B11434 => {
                let micros = self.began.elapsed().as_micros();
                let (minutes, seconds) = (micros / 60_000_000, micros / 1_000_000 % 60);
                let (milli, micro) = (micros / 1_000 % 1_000, micros % 1_000);
                self.raw(&format!("{minutes}.{seconds:02}.{milli:03}.{micro:03} {level} {text}"));
            }
        }
    }

    /// A line that the newer version writes only when asked for.
    fn detail(&self, text: &str) {
        if (self.version == Version::Y2025 && !self.is_plain) || self.verbosity >= 4 {
            self.line('I', text);
        }
    }

    /// Before anything is loaded.
    pub(crate) fn greeting(&self, arguments: &Arguments) {
        let (threads, batch) = (arguments.threads(), arguments.threads_batch());
        match self.version {
            Version::B11434 => {
                self.line('I', "srv  llama_server: initializing ...");
                self.line('I', "cmn  common_param: common_params_print_info: build 11434 (pkg) with GNU 12.2.0 for Linux x86_64");
                self.detail("cmn  common_param: device_info:");
                self.detail("cmn  common_param:   - CPU     : Fake Processor (24105 MiB, 24105 MiB free)");
                self.detail(&format!("cmn  common_param: system_info: n_threads = {threads} (n_threads_batch = {batch}) / 2 | CPU : SSE3 = 1 | AVX2 = 1 | REPACK = 1 | "));
                self.line('I', "srv          init: using 5 threads for HTTP server");
            }
            Version::Y2025 => {
                self.line(
                    'I',
                    "build: 6180 (4227c9b) with cc (Debian 12.2.0-14) 12.2.0 for x86_64-linux-gnu",
                );
                self.line(
                    'I',
                    &format!(
                        "system info: n_threads = {threads}, n_threads_batch = {batch}, total_threads = 2"
                    ),
                );
                self.line('I', &format!("system_info: n_threads = {threads} (n_threads_batch = {batch}) / 2 | CPU : SSE3 = 1 | AVX2 = 1 | REPACK = 1 | "));
            }
        }
    }

    /// Loading: the lines about weights, `weights` itself, the lines about the context.
    pub(crate) fn load(&self, behaviour: &Behaviour, arguments: &Arguments, weights: impl FnOnce()) {
        let model = arguments.model();
        let new = self.version == Version::B11434;
        let device = arguments.device().filter(|_| !behaviour.cpu_fallback);
        self.line('I', &format!("srv    load_model: loading model '{model}'"));
        if let Some(device) = device {
            let id = if new { " (0000:c1:00.0)" } else { "" };
            self.detail(&format!(
                "llama_model_load_from_file_impl: using device {device} (fake device){id} - 2048 MiB free"
            ));
        }
        self.detail(&format!("llama_model_loader: loaded meta data with 33 key-value pairs and 272 tensors from {model} (version GGUF V3 (latest))"));
        self.detail("print_info: file type   = Q4_1");
        self.detail("print_info: file size   = 92.10 MiB (5.74 BPW) ");
        let mode = if new {
            format!(" (load_mode = {})", arguments.load_mode())
        } else {
            format!(" (mmap = {})", arguments.load_mode() == "mmap")
        };
        self.detail(&format!("load_tensors: loading model tensors, this can take a while...{mode}"));
        // Printed whenever a device was asked for: no proof of anything.
        if arguments.device().is_some() {
            self.detail("load_tensors: offloading 30 repeating layers to GPU");
            self.detail("load_tensors: offloading output layer to GPU");
            self.detail("load_tensors: offloaded 31/31 layers to GPU");
        }
        let host = if arguments.load_mode() == "mmap" { "CPU_Mapped" } else { "CPU" };
        match device {
            Some(device) => {
                self.buffer("load_tensors", device, "model", WEIGHTS);
                self.buffer("load_tensors", host, "model", 28.69);
            }
            None => self.buffer("load_tensors", host, "model", WEIGHTS),
        }
        weights();
        let context = behaviour.context.unwrap_or(arguments.context());
        let slots = behaviour.slots.unwrap_or(arguments.slots());
        self.detail("llama_context: constructing llama_context");
        self.detail(&format!("llama_context: n_seq_max             = {slots}"));
        self.detail(&format!("llama_context: n_ctx                 = {context}"));
        self.detail(&format!("llama_context: n_batch               = {}", arguments.batch()));
        self.detail(&format!("llama_context: n_ubatch              = {}", arguments.ubatch()));
        if new {
            self.detail(&format!("llama_context: flash_attn            = {}", arguments.flash_attn()));
        } else {
            let on = u32::from(arguments.flash_attn() == "enabled");
            self.detail(&format!("llama_context: flash_attn    = {on}"));
        }
        let place = device.unwrap_or("CPU");
        self.buffer("llama_context", "CPU", "output", 0.19);
        let kv = 45.0 * f64::from(context) / 2048.0;
        let name = if new { "llama_kv_cache" } else { "llama_kv_cache_unified" };
        self.buffer(name, place, "KV", kv);
        let type_k = behaviour.cache_type.as_deref().unwrap_or(arguments.cache_type_k());
        let type_v = behaviour.cache_type.as_deref().unwrap_or(arguments.cache_type_v());
        self.detail(&format!(
            "{name}: size = {kv:7.2} MiB ({context:6} cells,  30 layers, {slots:2}/{slots} seqs), K ({type_k}): {:7.2} MiB, V ({type_v}): {:7.2} MiB",
            kv / 2.0,
            kv / 2.0
        ));
        let name = if new { "sched_reserve" } else { "llama_context" };
        self.buffer(name, place, "compute", 16.64);
        if device.is_some() {
            self.buffer(name, "CPU", "compute", 5.0);
        }
        self.detail(&format!(
            "{name}: graph: nodes = 939, splits = {}, input objects = 4, input tensors = 9",
            if device.is_some() { 2 } else { 1 }
        ));
        if new {
            self.line('I', "cmn  common_init_: warming up the model with an empty run - please wait ... (--no-warmup to disable)");
            self.line('I', &format!("srv    load_model: initializing, n_slots = {slots}, n_ctx_slot = {}, kv_unified = 'false'", behaviour.context.unwrap_or(arguments.slot_context())));
            self.line('I', "srv  llama_server: model loaded");
        } else {
            self.line('I', "common_init_from_params: warming up the model with an empty run - please wait ... (--no-warmup to disable)");
            self.line('I', &format!("srv          init: initializing slots, n_slots = {slots}"));
            self.line('I', "main: model loaded");
        }
    }

    fn buffer(&self, component: &str, place: &str, holds: &str, mebibytes: f64) {
        self.detail(&format!("{component}: {place:>12} {holds} buffer size = {mebibytes:8.2} MiB"));
    }

    /// It answers.
    pub(crate) fn listening(&self, port: u16) {
        match self.version {
            Version::B11434 => {
                self.line('I', &format!("srv  llama_server: listening on http://127.0.0.1:{port}"));
            }
            Version::Y2025 => {
                self.line(
                    'I',
                    &format!("main: server is listening on http://127.0.0.1:{port} - starting the main loop"),
                );
            }
        }
        self.line('I', "srv  update_slots: all slots are idle");
    }
}
