//! llama-bench: the rows that it prints, and what a journal has of a start that it measured.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::journal::{Buffer, Proof, StartId};
use crate::metric;

/// Most samples of one row. Nobody repeats a test so often; it bounds what a hostile file can cost.
const MOST_SAMPLES: usize = 1_000_000;
/// How far the averages of a row may lie from what its samples give: llama-bench prints six digits.
const PRECISION: f64 = 1e-4;

/// llama-bench ran through: what it says of itself, and what its log shows. Instead of
/// [`crate::journal::StartReady`], and before the runs.
///
/// Weaker than a server's: there is no `/props` to ask. Buffers, flash attention, types of the cache and the way of loading
/// are in its log, as a server has them; threads and batches are what it says that it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BenchReport {
    /// Which start.
    pub id: StartId,
    /// The commands, in the order in which they were run: the prompt, then the generation. Folders as in
    /// [`crate::journal::StartOpened`].
    pub commands: Vec<Vec<String>>,
    /// What was asked, what was seen, and where.
    pub proofs: Vec<Proof>,
    /// Buffers by device, as the log of the first command states them.
    pub buffers: Vec<Buffer>,
    /// What llama-bench calls its build.
    pub build_info: String,
    /// Tokens of the prompt that it was asked for. They are random.
    pub prompt_tokens: u32,
}

/// One repetition of what a case is, by llama-bench's clock: a sample of each of its two tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BenchRun {
    /// The prompt; absent if there is no such sample.
    pub prompt: Option<Timed>,
    /// The generation, at the depth after the prompt; absent if a single token is generated, which is not a step.
    pub generation: Option<Timed>,
}

/// So many tokens took so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timed {
    /// Tokens of the prompt that were evaluated, or steps of generation.
    pub tokens: u32,
    /// Tokens of context before them.
    pub depth: u32,
    /// How long they took, ns.
    pub ns: u64,
}

impl Timed {
    /// tok/s.
    pub fn rate(&self) -> Option<f64> {
        metric::timed_rate(self.tokens, self.ns)
    }
}

/// What a row says about what was measured, besides its settings.
const SUBJECT: [&str; 9] = [
    "build_commit",
    "build_number",
    "cpu_info",
    "gpu_info",
    "backends",
    "model_filename",
    "model_type",
    "model_size",
    "model_n_params",
];
/// What a row says of the test and its result.
const RESULT: [&str; 11] = [
    "test",
    "n_prompt",
    "n_gen",
    "n_depth",
    "test_time",
    "avg_ns",
    "stddev_ns",
    "avg_ts",
    "stddev_ts",
    "samples_ns",
    "samples_ts",
];

/// What versions before 2025 and forks of them have instead of `backends`: whether each was compiled in.
const COMPILED_IN: [(&str, &str); 9] = [
    ("cuda", "CUDA"),
    ("hipblas", "ROCm"),
    ("opencl", "OpenCL"),
    ("vulkan", "Vulkan"),
    ("kompute", "Kompute"),
    ("metal", "Metal"),
    ("sycl", "SYCL"),
    ("gpu_blas", ""),
    ("blas", "BLAS"),
];

/// One test of llama-bench, as a row of `-o json` or `-o jsonl` of any version has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Commit of llama.cpp, as it was compiled in.
    pub commit: String,
    /// Build number of llama.cpp.
    pub build_number: u32,
    /// The processor.
    pub cpu: String,
    /// The GPUs; empty if there is none.
    pub gpu: String,
    /// The backends that were compiled in, as in `CUDA` or `CPU`.
    pub backends: String,
    /// Path of the model.
    pub model: String,
    /// What llama.cpp calls the model: coarse, as in `llama 8B Q8_0`.
    pub model_type: String,
    /// Bytes of the weights.
    pub model_bytes: u64,
    /// Parameters.
    pub parameters: u64,
    /// Every setting, by llama-bench's name, as text.
    pub settings: BTreeMap<String, String>,
    /// Tokens of the prompt; 0: only generation.
    pub prompt: u32,
    /// Tokens generated; 0: only a prompt.
    pub generated: u32,
    /// Tokens of context before the measured part.
    pub depth: u32,
    /// How long each repetition took, ns.
    pub samples_ns: Vec<u64>,
}

/// What is wrong with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowFault {
    /// Something that every row has is not there.
    Missing,
    /// Something is not what it can be.
    Malformed,
    /// Two things in it contradict each other.
    Contradiction,
}

/// A fault of a row, with a sentence and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowProblem {
    /// Of which kind.
    pub fault: RowFault,
    /// What is wrong.
    pub message: String,
    /// What the user can do; empty when nothing is known.
    pub help: &'static str,
}

impl Row {
    /// The row of a JSON object.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(object: &Map<String, Value>) -> Result<Self, Vec<RowProblem>> {
        let mut reading = Reading { object, problems: Vec::new() };
        match reading.row() {
            Some(row) if reading.problems.is_empty() => Ok(row),
            _ => Err(reading.problems),
        }
    }
}

struct Reading<'a> {
    object: &'a Map<String, Value>,
    problems: Vec<RowProblem>,
}

impl Reading<'_> {
    fn row(&mut self) -> Option<Row> {
        let row = Row {
            commit: self.text("build_commit")?,
            build_number: self.number("build_number")?,
            cpu: self.text("cpu_info")?,
            gpu: self.text("gpu_info")?,
            backends: self.backends()?,
            model: self.text("model_filename")?,
            model_type: self.text("model_type")?,
            model_bytes: self.number("model_size")?,
            parameters: self.number("model_n_params")?,
            settings: self.settings(),
            prompt: self.number("n_prompt")?,
            generated: self.number("n_gen")?,
            // Versions before the middle of 2025 know no depth.
            depth: if self.object.contains_key("n_depth") { self.number("n_depth")? } else { 0 },
            samples_ns: self.samples()?,
        };
        if row.prompt == 0 && row.generated == 0 {
            self.problem(RowFault::Malformed, "the test has neither a prompt nor a generation", "");
            return None;
        }
        self.check(&row);
        Some(row)
    }

    fn problem(&mut self, fault: RowFault, message: impl Into<String>, help: &'static str) {
        self.problems.push(RowProblem { fault, message: message.into(), help });
    }

    fn field(&mut self, name: &str) -> Option<&Value> {
        let found = self.object.get(name);
        if found.is_none() {
            let message = format!("the row has no `{name}`");
            self.problem(RowFault::Missing, message, "rows of llama-bench have it");
        }
        found
    }

    fn text(&mut self, name: &str) -> Option<String> {
        match self.field(name)? {
            Value::String(text) => Some(text.clone()),
            _ => {
                self.problem(RowFault::Malformed, format!("`{name}` is no text"), "");
                None
            }
        }
    }

    /// The backends by name, also of rows that say of each whether it was compiled in. None of them: the processor.
    fn backends(&mut self) -> Option<String> {
        let has = |name: &str| self.object.get(name).and_then(Value::as_bool);
        if self.object.contains_key("backends") || has("cuda").is_none() {
            return self.text("backends");
        }
        let compiled_in =
            COMPILED_IN.iter().filter(|(flag, name)| !name.is_empty() && has(flag) == Some(true));
        let names: Vec<&str> = compiled_in.map(|(_, name)| *name).collect();
        Some(if names.is_empty() { "CPU".to_owned() } else { names.join(",") })
    }

    fn number<N: TryFrom<u64>>(&mut self, name: &str) -> Option<N> {
        let number = self.field(name)?.as_u64().and_then(|number| N::try_from(number).ok());
        if number.is_none() {
            let message = format!("`{name}` is no number that it can be");
            self.problem(RowFault::Malformed, message, "a count is expected");
        }
        number
    }

    fn samples(&mut self) -> Option<Vec<u64>> {
        let Some(Value::Array(values)) = self.object.get("samples_ns") else {
            let help = "tables, CSV and SQL have averages only: run llama-bench with `-o jsonl`";
            self.problem(
                RowFault::Missing,
                "the row has no `samples_ns`, the times of its repetitions",
                help,
            );
            return None;
        };
        let samples: Option<Vec<u64>> =
            values.iter().map(|value| value.as_u64().filter(|nanoseconds| *nanoseconds > 0)).collect();
        let samples = samples.filter(|samples| (1..=MOST_SAMPLES).contains(&samples.len()));
        if samples.is_none() {
            self.problem(RowFault::Malformed, "`samples_ns` is no list of times in nanoseconds", "");
        }
        samples
    }

    /// Everything else that the row says.
    fn settings(&self) -> BTreeMap<String, String> {
        let is_compiled_in = |name: &str| COMPILED_IN.iter().any(|(flag, _)| *flag == name);
        let is_setting =
            |name: &str| !SUBJECT.contains(&name) && !RESULT.contains(&name) && !is_compiled_in(name);
        let settings = self.object.iter().filter(|(name, _)| is_setting(name));
        settings.map(|(name, value)| (name.clone(), plain(value))).collect()
    }

    /// The averages must be those of the samples: who changes a sample by hand forgets them.
    fn check(&mut self, row: &Row) {
        #[expect(clippy::cast_precision_loss, reason = "nanoseconds of a test are far below 2^53")]
        let seconds: Vec<f64> = row.samples_ns.iter().map(|nanoseconds| *nanoseconds as f64 / 1e9).collect();
        let tokens = f64::from(row.prompt) + f64::from(row.generated);
        let rates: Vec<f64> = seconds.iter().map(|seconds| tokens / seconds).collect();
        let given = |name: &str| self.object.get(name).and_then(Value::as_f64);
        let given_rates = self.object.get("samples_ts").and_then(Value::as_array);
        let mut wrong = Vec::new();
        for (name, values, unit) in [("avg_ns", &seconds, 1e9), ("avg_ts", &rates, 1.0)] {
            #[expect(clippy::cast_precision_loss, reason = "samples are far fewer than 2^53")]
            let mean = values.iter().sum::<f64>() / values.len().max(1) as f64 * unit;
            wrong.extend(given(name).filter(|given| !is_near(*given, mean)).map(|given| (name, given, mean)));
        }
        let is_other = given_rates.is_some_and(|given| {
            let pairs = || given.iter().zip(&rates);
            given.len() != rates.len()
                || pairs().any(|(given, rate)| !given.as_f64().is_some_and(|given| is_near(given, *rate)))
        });
        for (name, given, mean) in wrong {
            let message = format!("`{name}` is {given}, and its samples give {mean}");
            self.problem(RowFault::Contradiction, message, "was the file edited?");
        }
        if is_other {
            let message = "`samples_ts` are not the rates of `samples_ns`";
            self.problem(RowFault::Contradiction, message, "was the file edited?");
        }
    }
}

fn is_near(given: f64, computed: f64) -> bool {
    (given - computed).abs() <= PRECISION * computed.abs()
}

/// A value as text, without the quotes of a string.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
