//! What the log of a server says, read as it grows.
//!
//! Two formats: since 2026 a line is `M.SS.mmm.uuu L component: message` (L a letter for the level), before that it is
//! the message alone. What a model or a user wrote into the log (metadata, the example of a chat template) is not
//! taken for a statement of the server: lines of the loader and lines without the prefix, where others have it, are
//! passed over.

mod line;

use llamark_record::journal::{Buffer, BufferKind};

use line::parse_line;

/// Longest line that is read, bytes; what is beyond is passed over.
const MAX_LINE: usize = 8 << 10;
/// Most errors and buffers that are kept.
const MAX_KEPT: usize = 1_000;

/// Something that the log says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogEvent {
    /// Its first line is there.
    FirstLine,
    /// The server listens, at this URL.
    Listening(String),
    /// The weights are in memory: the context is about to be made.
    WeightsLoaded,
    /// A device is used.
    UsingDevice(Device),
    /// A buffer was allocated.
    Buffer(Buffer),
    /// A KV cache was made.
    KvCache(KvCache),
    /// Whether flash attention is used.
    FlashAttention(bool),
    /// A number that the server settled on.
    Setting(Setting, u64),
    /// How the weights are loaded.
    LoadMode(LoadMode),
    /// Memory could not be locked.
    MlockFailed,
    /// Layers said to be on a device, of how many. Printed from what was asked for: no proof of anything.
    Offloaded(u64, u64),
    /// A configuration file was read.
    ConfigFileUsed(String),
    /// A line of the level "error".
    Error(String),
}

/// A device that the server says it uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Name, as in `Vulkan0`.
    pub name: String,
    /// What the driver calls it.
    pub description: String,
}

/// A KV cache. Models with several kinds of attention have several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KvCache {
    /// Type of the keys.
    pub type_k: String,
    /// Type of the values.
    pub type_v: String,
    /// Positions.
    pub cells: u64,
    /// Bytes, as precise as the log states them.
    pub bytes: u64,
}

/// A number that the server settled on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Setting {
    /// Tokens of context, of all slots together.
    Context,
    /// Tokens of context of each slot.
    ContextPerSlot,
    /// Logical batch.
    Batch,
    /// Physical batch.
    Ubatch,
    /// Slots.
    Slots,
    /// Threads for token generation.
    Threads,
    /// Threads for prompt processing.
    ThreadsBatch,
}

/// How the weights are loaded, as far as the version says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadMode {
    /// Mapped into memory.
    pub mmap: bool,
    /// Locked in memory; absent in versions that do not say.
    pub mlock: Option<bool>,
}

/// All that the log said so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogSummary {
    /// Where the server listens.
    pub url: Option<String>,
    /// Devices, in the order of the log.
    pub devices: Vec<Device>,
    /// Buffers, in the order in which they were allocated.
    pub buffers: Vec<Buffer>,
    /// KV caches, in the order in which they were made.
    pub kv_caches: Vec<KvCache>,
    /// Whether flash attention is used; the last word on it.
    pub flash_attention: Option<bool>,
    /// Numbers that the server settled on.
    pub settings: std::collections::BTreeMap<Setting, u64>,
    /// How the weights are loaded.
    pub load_mode: Option<LoadMode>,
    /// Memory could not be locked.
    pub mlock_failed: bool,
    /// Layers said to be on a device, of how many.
    pub offloaded: Option<(u64, u64)>,
    /// Configuration files that were read.
    pub config_files: Vec<String>,
    /// Lines of the level "error", the first ones.
    pub errors: Vec<String>,
}

impl LogSummary {
    /// A number that the server settled on, where it said so.
    pub fn setting(&self, setting: Setting) -> Option<u64> {
        self.settings.get(&setting).copied()
    }

    fn take(&mut self, event: &LogEvent) {
        fn keep<T: Clone>(list: &mut Vec<T>, item: &T) {
            if list.len() < MAX_KEPT {
                list.push(item.clone());
            }
        }
        match event {
            LogEvent::FirstLine | LogEvent::WeightsLoaded => {}
            LogEvent::Listening(url) => self.url = Some(url.clone()),
            LogEvent::UsingDevice(device) => keep(&mut self.devices, device),
            LogEvent::Buffer(buffer) => keep(&mut self.buffers, buffer),
            LogEvent::KvCache(cache) => keep(&mut self.kv_caches, cache),
            LogEvent::FlashAttention(on) => self.flash_attention = Some(*on),
            LogEvent::Setting(setting, value) => {
                self.settings.insert(*setting, *value);
            }
            LogEvent::LoadMode(mode) => self.load_mode = Some(*mode),
            LogEvent::MlockFailed => self.mlock_failed = true,
            LogEvent::Offloaded(layers, of) => self.offloaded = Some((*layers, *of)),
            LogEvent::ConfigFileUsed(path) => keep(&mut self.config_files, path),
            LogEvent::Error(line) => keep(&mut self.errors, line),
        }
    }
}

/// Reads a log, however it is cut.
#[derive(Clone, Debug, Default)]
pub struct LogReader {
    line: Vec<u8>,
    began: bool,
    /// Some line had the prefix of the newer format.
    prefixed: bool,
    summary: LogSummary,
}

impl LogReader {
    /// A reader at the start of a log.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes, and gives what the lines that they complete say. Lines that are not UTF-8 are read as
    /// far as they are; of a line that is too long, the head is.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Vec<LogEvent> {
        let mut events = Vec::new();
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (head, rest) = bytes.split_at(end);
            bytes = rest.get(1..).unwrap_or_default();
            self.push(head);
            let line = std::mem::take(&mut self.line);
            self.take_line(String::from_utf8_lossy(&line).trim_end(), &mut events);
        }
        self.push(bytes);
        events
    }

    /// All that was said so far.
    pub fn summary(&self) -> LogSummary {
        self.summary.clone()
    }

    fn push(&mut self, bytes: &[u8]) {
        let room = MAX_LINE.saturating_sub(self.line.len());
        self.line.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    fn take_line(&mut self, text: &str, events: &mut Vec<LogEvent>) {
        let before = events.len();
        if !self.began && !text.is_empty() {
            self.began = true;
            events.push(LogEvent::FirstLine);
        }
        let line = parse_line(text);
        self.prefixed |= line.level.is_some();
        if line.level.is_some() || !self.prefixed {
            line.events(events);
        }
        for event in events.iter().skip(before) {
            self.summary.take(event);
        }
    }
}

/// `92.10` MiB in bytes. The log has two digits after the point: more are cut.
fn mebibytes(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = part.chars().chain("00".chars()).take(2).collect();
    let hundredths = whole.parse::<u64>().ok()?.checked_mul(100)?.checked_add(digits.parse().ok()?)?;
    Some(hundredths.checked_mul(1 << 20)? / 100)
}

/// What a buffer holds, by the word of the log.
fn buffer_kind(word: &str) -> Option<BufferKind> {
    match word {
        "model" => Some(BufferKind::Model),
        // Keys and values; recurrent state; the state of compressed attention.
        "KV" | "RS" | "state" => Some(BufferKind::Kv),
        "compute" => Some(BufferKind::Compute),
        "output" => Some(BufferKind::Output),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
