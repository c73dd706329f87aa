//! How the fake behaves. What is not said is well-behaved, and fast.
//!
//! It is read, later over earlier, from `fake.json` beside the program, from the file given with `-m` if that is a
//! JSON object, and from the variable `FAKE_LLAMA` of the environment.

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::perplexity::Perplexity;
use crate::process;

/// How the fake behaves.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// Which llama.cpp it looks like.
    pub version: Version,
    /// Time that loading takes, ms.
    pub load_ms: f64,
    /// Speed of prompt processing, tok/s, exact in the times that it reports.
    pub prompt_rate: f64,
    /// Speed of token generation, tok/s, likewise.
    pub generation_rate: f64,
    /// Spread of the times that it reports, as a share: each differs from the exact one by up to so much, otherwise in
    /// every life of the server.
    pub jitter: f64,
    /// Devices that it says it has, as in `Vulkan0`.
    pub devices: Vec<String>,

    /// Ends by itself instead of listening.
    pub refuse: Option<Refusal>,
    /// Does nothing any more from here on.
    pub hang: Option<Stage>,
    /// Dies here.
    pub die: Option<Death>,
    /// Does not care for SIGTERM.
    pub ignore_sigterm: bool,
    /// Leaves a process behind.
    pub leave: Option<Child>,

    /// Says that it used a configuration file.
    pub config_file: bool,
    /// Puts everything into host memory, whatever device is asked for.
    pub cpu_fallback: bool,
    /// Context that it has, whatever is asked for.
    pub context: Option<u32>,
    /// Slots that it has, whatever is asked for.
    pub slots: Option<u32>,
    /// Its name, whatever is asked for.
    pub alias: Option<String>,
    /// The model that it says it has loaded.
    pub model_path: Option<String>,
    /// Type of its KV cache, whatever is asked for.
    pub cache_type: Option<String>,
    /// What it calls its build.
    pub build_info: Option<String>,

    /// The first request of which the answer is wrong in the ways below; 1: all.
    pub from_run: u32,
    /// Status of the answer, with its message, in place of a stream.
    pub status: Option<(u16, String)>,
    /// Something in place of a stream.
    pub body: Option<Body>,
    /// An event in the middle is no JSON.
    pub invalid_event: bool,
    /// An event in the middle is an error with this message.
    pub error_event: Option<String>,
    /// The stream ends in the middle, without an error.
    pub cut: bool,
    /// Tokens of the prompt that come from a cache, at least.
    pub cached: u32,
    /// Its cache is of no use for the next request, as where attention has a sliding window.
    pub forgets: bool,
    /// Added to the number of cached tokens in the timings.
    pub cache_n_off: i64,
    /// It stops after so many tokens, as if the model had ended the text.
    pub stop_after: Option<u32>,
    /// It says that it cut the context.
    pub truncated: bool,
    /// Added to the number of generated tokens in the timings.
    pub predicted_n_off: i64,
    /// Tokens that the last event claims to have been generated.
    pub claimed: Option<u32>,
    /// Added to the number of processed prompt tokens in the timings.
    pub prompt_n_off: i64,
    /// Added to the number of prompt tokens that it says it was given.
    pub evaluated_off: i64,
    /// Tokens that it says were drafted.
    pub drafted: u32,
    /// What the reported times are multiplied with.
    pub time_factor: f64,
    /// From this token on, from 1, it generates others: those that come second in what it says of probabilities.
    pub parts_at: Option<u32>,
    /// From this token on it generates one and the same, which comes nowhere.
    pub stuck_at: Option<u32>,
    /// These two happen on a device alone, and not on the processor.
    pub wrong_on_device: bool,
    /// At this token, from 1, the second is nearly as likely as the first; elsewhere it is far behind.
    pub unsure_at: Option<u32>,
    /// It says nothing of probabilities, whoever asks.
    pub no_probabilities: bool,
    /// How it behaves when it is called llama-perplexity.
    pub perplexity: Perplexity,
    /// Tokens for each event of the stream.
    pub tokens_per_event: u32,
    /// Most bytes of one write; 0: a whole event.
    pub chop: usize,
    /// The head of the answer comes a byte at a time, so many ms apart.
    pub drip_ms: u64,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            version: Version::B11434,
            load_ms: 2.0,
            prompt_rate: 20_000.0,
            generation_rate: 4_000.0,
            jitter: 0.0,
            devices: Vec::new(),
            refuse: None,
            hang: None,
            die: None,
            ignore_sigterm: false,
            leave: None,
            config_file: false,
            cpu_fallback: false,
            context: None,
            slots: None,
            alias: None,
            model_path: None,
            cache_type: None,
            build_info: None,
            from_run: 1,
            status: None,
            body: None,
            invalid_event: false,
            error_event: None,
            cut: false,
            cached: 0,
            forgets: false,
            cache_n_off: 0,
            stop_after: None,
            truncated: false,
            predicted_n_off: 0,
            claimed: None,
            prompt_n_off: 0,
            evaluated_off: 0,
            drafted: 0,
            time_factor: 1.0,
            parts_at: None,
            stuck_at: None,
            wrong_on_device: false,
            unsure_at: None,
            no_probabilities: false,
            perplexity: Perplexity::default(),
            tokens_per_event: 1,
            chop: 0,
            drip_ms: 0,
        }
    }
}

/// Which llama.cpp it looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Version {
    /// Build 11434, of late 2026.
    B11434,
    /// A build of August 2025: no `cache_n`, flash attention without a value, no prefix on log lines.
    Y2025,
}

impl Version {
    /// What it prints for `--help`.
    pub fn help(self) -> &'static str {
        match self {
            Self::B11434 => include_str!("help-b11434.txt"),
            Self::Y2025 => include_str!("help-2025.txt"),
        }
    }

    /// What it prints for `--version`.
    pub fn text(self) -> &'static str {
        match self {
            Self::B11434 => {
                "version: 0.6.0-dev (build 11434, commit pkg)\nbuilt with GNU 12.2.0 for Linux x86_64\n"
            }
            Self::Y2025 => {
                "version: 6180 (4227c9b)\nbuilt with cc (Debian 12.2.0-14) 12.2.0 for x86_64-linux-gnu\n"
            }
        }
    }

    /// What it calls its build in `/props`.
    pub fn build_info(self) -> &'static str {
        match self {
            Self::B11434 => "b11434-pkg",
            Self::Y2025 => "b6180-4227c9b",
        }
    }
}

/// It ends by itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// What it writes, as it is.
    pub lines: Vec<String>,
    /// Its exit code.
    pub code: u8,
}

/// A point of its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Before it writes or listens.
    Start,
    /// It listens, and loads the model.
    Load,
    /// Asked for its settings.
    Props,
    /// Asked for tokens, before the first.
    FirstToken,
    /// Half of the tokens are out.
    MidStream,
    /// Told to stop.
    Stop,
}

/// It dies.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Death {
    /// When.
    pub at: Stage,
    /// Of what signal.
    pub signal: i32,
}

/// What is sent in place of a stream, with status 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// Bytes that are no HTTP at all.
    Garbage,
    /// A page.
    Html,
    /// An event that does not end, of some 40 MB.
    HugeEvent,
    /// To `/props`: a JSON value of some 40 MB.
    HugeProps,
}

/// A process that it leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Child {
    /// In its process group, deaf to SIGTERM.
    Group,
    /// In a session of its own, deaf to SIGTERM.
    Session,
}

impl Behaviour {
    /// Reads it from its three places.
    ///
    /// # Errors
    /// When one of them is a JSON object that describes no behaviour.
    pub fn load(program: &str, model: Option<&str>) -> Result<Self, Box<dyn std::error::Error>> {
        let mut merged = Map::new();
        let beside = Path::new(program).with_file_name("fake.json");
        let texts = [
            head(&beside),
            model.and_then(|model| head(Path::new(model))).filter(|text| text.starts_with('{')),
            std::env::var("FAKE_LLAMA").ok(),
        ];
        for text in texts.into_iter().flatten() {
            let object: Map<String, Value> = serde_json::from_str(&text)?;
            merged.extend(object);
        }
        Ok(serde_json::from_value(Value::Object(merged))?)
    }

    /// Comes to a point of its life, where it may have to hang or die.
    pub(crate) fn reach(&self, stage: Stage) {
        if let Some(death) = self.die.filter(|death| death.at == stage) {
            process::die(death.signal);
        }
        if self.hang == Some(stage) {
            loop {
                std::thread::sleep(Duration::from_secs(3600));
            }
        }
    }
}

/// The head of a file, when it is text. A real model is no behaviour, and may be huge.
fn head(path: &Path) -> Option<String> {
    const MOST: u64 = 1 << 20;
    let mut text = String::new();
    fs_err::File::open(path).ok()?.take(MOST).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_behaviour_survives_its_json_form_and_typos_are_refused() {
        let behaviour: Behaviour = serde_json::from_str(
            r#"{"hang":"mid_stream","die":{"at":"load","signal":6},"status":[500,"x"]}"#,
        )
        .unwrap();
        assert_eq!(behaviour.hang, Some(Stage::MidStream));
        let again: Behaviour = serde_json::from_str(&serde_json::to_string(&behaviour).unwrap()).unwrap();
        assert_eq!(again.status, Some((500, "x".to_owned())));
        assert!(serde_json::from_str::<Behaviour>(r#"{"hangs":"load"}"#).is_err());
    }
}
