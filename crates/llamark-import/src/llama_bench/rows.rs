//! The rows of a llama-bench file: JSON (`-o json`) or JSON Lines (`-o jsonl`), of any version. A row is one test.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Map, Value};

use crate::problem::{Code, Problem};
use crate::source::Source;

/// Most samples of one row. Nobody repeats a test so often; it bounds what a hostile file can cost.
const MOST_SAMPLES: usize = 1_000_000;
/// How far the averages of a row may lie from what its samples give: llama-bench prints six digits.
const PRECISION: f64 = 1e-4;

/// What a row says of what was measured, beside its settings.
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
const RESULT: [&str; 10] = [
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

/// One test of llama-bench.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    /// Where it stands.
    pub(crate) span: Range<usize>,
    /// Commit of llama.cpp, as it was compiled in.
    pub(crate) commit: String,
    /// Build number of llama.cpp.
    pub(crate) build_number: u32,
    /// The processor.
    pub(crate) cpu: String,
    /// The GPUs; empty where there is none.
    pub(crate) gpu: String,
    /// The backends that were compiled in, as in `CUDA` or `CPU`.
    pub(crate) backends: String,
    /// Path of the model.
    pub(crate) model: String,
    /// What llama.cpp calls the model: coarse, as in `llama 8B Q8_0`.
    pub(crate) model_type: String,
    /// Bytes of the weights.
    pub(crate) model_bytes: u64,
    /// Parameters.
    pub(crate) parameters: u64,
    /// Every setting, by llama-bench's name, as text.
    pub(crate) settings: BTreeMap<String, String>,
    /// Tokens of the prompt; 0: only generation.
    pub(crate) prompt: u32,
    /// Tokens generated; 0: only a prompt.
    pub(crate) generated: u32,
    /// Tokens of context before the measured part.
    pub(crate) depth: u32,
    /// How long each repetition took, ns.
    pub(crate) samples_ns: Vec<u64>,
}

/// Every row of a file, or what is wrong with them.
pub(crate) fn rows(source: &Source) -> (Vec<Row>, Vec<Problem>) {
    let (objects, mut problems) = objects(source);
    let mut rows = Vec::new();
    for (span, object) in objects {
        let mut reading = Reading { span, object: &object, problems: &mut problems };
        let before = reading.problems.len();
        let row = reading.row();
        rows.extend(row.filter(|_| problems.len() == before));
    }
    if rows.is_empty() && problems.is_empty() {
        let message = "the file has no row of llama-bench";
        problems.push(Problem::new(Code::Missing, source.end(), message).help("run it with `-o jsonl`"));
    }
    (rows, problems)
}

/// An object of the file, and where it stands.
type Object = (Range<usize>, Map<String, Value>);

/// The objects of a file, each with its place. JSON Lines and an array differ in what stands between them only.
fn objects(source: &Source) -> (Vec<Object>, Vec<Problem>) {
    let (mut objects, mut problems) = (Vec::new(), Vec::new());
    let text = source.text();
    let mut at = 0;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let skipped = rest.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, ',' | '[' | ']'));
        at += rest.len() - skipped.len();
        if skipped.is_empty() {
            return (objects, problems);
        }
        let mut values = serde_json::Deserializer::from_str(skipped).into_iter::<Value>();
        match values.next() {
            Some(Ok(Value::Object(object))) => {
                objects.push((at..at + values.byte_offset(), object));
                at += values.byte_offset();
            }
            Some(Err(error)) => {
                let span = source.line_span(source.line(at));
                let message = format!("this is no row of llama-bench: {}", reason(&error));
                let help = "a file of `llama-bench -o jsonl` or `-o json` is expected; is this one cut off?";
                problems.push(Problem::new(Code::Malformed, span, message).help(help));
                return (objects, problems);
            }
            _ => {
                let span = source.line_span(source.line(at));
                let message = "a row of llama-bench is an object";
                let help = "a file of `llama-bench -o jsonl` or `-o json` is expected";
                problems.push(Problem::new(Code::Malformed, span, message).help(help));
                return (objects, problems);
            }
        }
    }
}

/// The message of a JSON error without its place, which is that in the rest of the file.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}

struct Reading<'a> {
    span: Range<usize>,
    object: &'a Map<String, Value>,
    problems: &'a mut Vec<Problem>,
}

impl Reading<'_> {
    fn row(&mut self) -> Option<Row> {
        let row = Row {
            span: self.span.clone(),
            commit: self.text("build_commit")?,
            build_number: self.number("build_number")?,
            cpu: self.text("cpu_info")?,
            gpu: self.text("gpu_info")?,
            backends: self.text("backends")?,
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
            self.problem(Code::Malformed, "the test has neither a prompt nor a generation", "");
            return None;
        }
        self.check(&row);
        Some(row)
    }
}

impl Reading<'_> {
    fn problem(&mut self, code: Code, message: impl Into<String>, help: &str) {
        self.problems.push(Problem::new(code, self.span.clone(), message).help(help));
    }

    fn field(&mut self, name: &str) -> Option<&Value> {
        let found = self.object.get(name);
        if found.is_none() {
            self.problem(Code::Missing, format!("the row has no `{name}`"), "rows of llama-bench have it");
        }
        found
    }

    fn text(&mut self, name: &str) -> Option<String> {
        match self.field(name)? {
            Value::String(text) => Some(text.clone()),
            _ => {
                self.problem(Code::Malformed, format!("`{name}` is no text"), "");
                None
            }
        }
    }

    fn number<N: TryFrom<u64>>(&mut self, name: &str) -> Option<N> {
        let number = self.field(name)?.as_u64().and_then(|number| N::try_from(number).ok());
        if number.is_none() {
            self.problem(
                Code::Malformed,
                format!("`{name}` is no number that it can be"),
                "a count is expected",
            );
        }
        number
    }

    fn samples(&mut self) -> Option<Vec<u64>> {
        let Some(Value::Array(values)) = self.object.get("samples_ns") else {
            let help = "tables, CSV and SQL have averages only: run llama-bench with `-o jsonl`";
            self.problem(Code::Missing, "the row has no `samples_ns`, the times of its repetitions", help);
            return None;
        };
        let samples: Option<Vec<u64>> =
            values.iter().map(|value| value.as_u64().filter(|nanoseconds| *nanoseconds > 0)).collect();
        let samples = samples.filter(|samples| (1..=MOST_SAMPLES).contains(&samples.len()));
        if samples.is_none() {
            self.problem(Code::Malformed, "`samples_ns` is no list of times in nanoseconds", "");
        }
        samples
    }

    /// Everything else that the row says.
    fn settings(&self) -> BTreeMap<String, String> {
        let is_setting = |name: &str| !SUBJECT.contains(&name) && !RESULT.contains(&name);
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
            self.problem(Code::Contradiction, message, "was the file edited?");
        }
        if is_other {
            self.problem(
                Code::Contradiction,
                "`samples_ts` are not the rates of `samples_ns`",
                "was the file edited?",
            );
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
