//! One line of the log of a server.

use llamark_record::journal::Buffer;

use super::{Device, KvCache, LoadMode, LogEvent, Setting, buffer_kind, mebibytes};

/// A line, in its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// `I`, `W`, `E`, ... ; absent in the older format.
    pub(super) level: Option<char>,
    /// Everything after the level.
    pub(super) message: &'a str,
    /// What stands before the first `: `, without the tag of the part of the program: `llama_context`.
    pub(super) component: &'a str,
    /// What stands after it.
    pub(super) text: &'a str,
}

/// Takes a line apart: `0.00.170.240 I llama_context: n_ctx = 1024`, or without the time and the level.
pub(super) fn parse_line(line: &str) -> Line<'_> {
    let (level, message) = match prefix(line) {
        Some((level, message)) => (Some(level), message),
        None => (None, line),
    };
    let (head, text) = message.split_once(": ").unwrap_or(("", message));
    // `srv    load_model`: the part of the program, and the function.
    let component = head.split_whitespace().next_back().unwrap_or_default();
    Line { level, message, component, text: text.trim() }
}

/// Time since the start as minutes, seconds, ms and us, then the level.
fn prefix(line: &str) -> Option<(char, &str)> {
    let (time, rest) = line.split_once(' ')?;
    let mut parts = 0;
    for part in time.split('.') {
        if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        parts += 1;
    }
    let (level, message) = rest.split_at_checked(1)?;
    let level = level.chars().next().filter(char::is_ascii_uppercase)?;
    (parts == 4).then_some((level, message.strip_prefix(' ')?))
}

impl Line<'_> {
    /// What the line says.
    pub(super) fn events(&self, events: &mut Vec<LogEvent>) {
        // An error is an error, whoever speaks.
        if self.level == Some('E') || self.level.is_none() && self.message.starts_with("error") {
            events.push(LogEvent::Error(self.message.to_owned()));
            return;
        }
        if let Some(path) = self.message.strip_prefix("using config file: ") {
            events.push(LogEvent::ConfigFileUsed(path.to_owned()));
            return;
        }
        if self.message.contains("warning: failed to mlock") {
            events.push(LogEvent::MlockFailed);
            return;
        }
        // These repeat what is in the model: its name may be anything.
        if !matches!(self.component, "llama_model_loader" | "print_info" | "load") {
            events.extend(self.event());
        }
        if let Some((threads, batch)) = self.threads() {
            events.push(LogEvent::Setting(Setting::Threads, threads));
            events.push(LogEvent::Setting(Setting::ThreadsBatch, batch));
        }
    }

    fn event(&self) -> Option<LogEvent> {
        self.address()
            .or_else(|| self.weights())
            .or_else(|| self.device())
            .or_else(|| self.buffer())
            .or_else(|| self.kv_cache())
            .or_else(|| self.flash_attention())
            .or_else(|| self.setting())
    }

    /// `listening on http://127.0.0.1:46195`, or `server is listening on http://... - starting the main loop`.
    fn address(&self) -> Option<LogEvent> {
        let rest = self.text.strip_prefix("server is ").unwrap_or(self.text).strip_prefix("listening on ")?;
        let url = rest.split_whitespace().next()?;
        Some(LogEvent::Listening(url.to_owned()))
    }

    fn weights(&self) -> Option<LogEvent> {
        if self.component == "llama_context" && self.text == "constructing llama_context" {
            return Some(LogEvent::WeightsLoaded);
        }
        if let Some(rest) = self.text.strip_prefix("offloaded ") {
            let (layers, of) = rest.split_whitespace().next()?.split_once('/')?;
            return Some(LogEvent::Offloaded(layers.parse().ok()?, of.parse().ok()?));
        }
        // `(load_mode = mmap+mlock)`; before: `(mmap = true)`, for a while `(mmap = true, direct_io = false)`.
        let inside = self.text.strip_prefix("loading model tensors, this can take a while... (")?;
        let mut fields = inside.trim_end_matches(')').split(", ").filter_map(|field| field.split_once(" = "));
        fields
            .find_map(|(name, value)| match name {
                "load_mode" => {
                    let has = |word| value.split('+').any(|part| part == word);
                    Some(LoadMode { mmap: has("mmap"), mlock: Some(has("mlock")) })
                }
                "mmap" => Some(LoadMode { mmap: value == "true", mlock: None }),
                _ => None,
            })
            .map(LogEvent::LoadMode)
    }

    /// `using device Vulkan0 (llvmpipe (LLVM 15.0.6, 256 bits)) (0000:00:02.0) - 2048 MiB free`; the second pair of
    /// parentheses is newer.
    fn device(&self) -> Option<LogEvent> {
        let (name, rest) = self.text.strip_prefix("using device ")?.split_once(" (")?;
        let rest = rest.rsplit_once(" - ").map_or(rest, |(head, _)| head).trim_end();
        let inside = rest.strip_suffix(')').unwrap_or(rest);
        let is_id = |text: &str| {
            text == "unknown id"
                || text.contains(':') && text.bytes().all(|b| b.is_ascii_hexdigit() || b":.".contains(&b))
        };
        let description = match inside.rsplit_once(") (") {
            Some((description, id)) if is_id(id) => description,
            _ => inside,
        };
        Some(LogEvent::UsingDevice(Device { name: name.to_owned(), description: description.to_owned() }))
    }

    /// `CPU_Mapped model buffer size =    92.10 MiB`.
    fn buffer(&self) -> Option<LogEvent> {
        let (head, size) = self.text.split_once(" buffer size = ")?;
        let (device, kind) = head.trim().rsplit_once(' ')?;
        let holds = buffer_kind(kind)?;
        let bytes = mebibytes(size.trim().strip_suffix("MiB")?.trim())?;
        let device = device.split_whitespace().next()?.to_owned();
        Some(LogEvent::Buffer(Buffer { device, holds, bytes }))
    }

    /// `size =   22.50 MiB (  1024 cells,  30 layers,  1/1 seqs), K (f16):   11.25 MiB, V (f16):   11.25 MiB`.
    fn kv_cache(&self) -> Option<LogEvent> {
        let rest = self.text.strip_prefix("size = ")?;
        let (size, rest) = rest.split_once("MiB (")?;
        let (cells, rest) = rest.split_once(" cells")?;
        let type_after = |mark: &str| Some(rest.split_once(mark)?.1.split_once(')')?.0.to_owned());
        Some(LogEvent::KvCache(KvCache {
            type_k: type_after(", K (")?,
            type_v: type_after(", V (")?,
            cells: cells.trim().parse().ok()?,
            bytes: mebibytes(size.trim())?,
        }))
    }

    /// `flash_attn = enabled`, before that `= 1`; where it is `auto`, a later line has the answer.
    fn flash_attention(&self) -> Option<LogEvent> {
        if let Some((name, value)) = self.text.split_once('=') {
            let on = match value.trim() {
                "enabled" | "1" => true,
                "disabled" | "0" => false,
                _ => return None,
            };
            return (name.trim() == "flash_attn").then_some(LogEvent::FlashAttention(on));
        }
        let rest = self.text.strip_prefix("Flash Attention ")?;
        let on = match rest.split_whitespace().next_back()? {
            "enabled" => true,
            "disabled" => false,
            _ => return None,
        };
        Some(LogEvent::FlashAttention(on))
    }

    /// `n_ctx = 1024` and the like.
    fn setting(&self) -> Option<LogEvent> {
        let (name, value) = self.text.split_once('=').filter(|_| self.component.starts_with("llama_"))?;
        let setting = match name.trim() {
            "n_ctx" => Setting::Context,
            "n_ctx_seq" | "n_ctx_per_seq" => Setting::ContextPerSlot,
            "n_batch" => Setting::Batch,
            "n_ubatch" => Setting::Ubatch,
            "n_seq_max" => Setting::Slots,
            _ => return None,
        };
        Some(LogEvent::Setting(setting, value.trim().parse().ok()?))
    }

    /// Threads for generation and for prompts: `system_info: n_threads = 2 (n_threads_batch = 2) / 2 | ...`.
    fn threads(&self) -> Option<(u64, u64)> {
        let mark = "system_info: n_threads = ";
        let rest = self.message.strip_prefix(mark).or_else(|| self.text.strip_prefix(mark))?;
        let number = |text: &str| text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok();
        let threads = number(rest)?;
        // Said only where it is another setting; otherwise both are one.
        let batch = rest.split_once("(n_threads_batch = ").and_then(|(_, rest)| number(rest));
        Some((threads, batch.unwrap_or(threads)))
    }
}
