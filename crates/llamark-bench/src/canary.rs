//! The canary: after its runs, a server continues a short text greedily; so does the processor alone, once for a model.
//!
//! Whatever goes wrong with it is a canary that is missing, with the reason: never a failed start.

use std::time::Duration;

use llamark_process::Interrupt;
use llamark_record::canary::{CanaryAnswer, CanaryOutcome};
use llamark_record::plan::{
    CacheType, Case, GpuLayers, NO_DEVICE, Plan, PlannedBackend, PlannedCanary, PromptContent,
    ServerSettings, Settings, Tool,
};
use serde_json::Value;

use crate::client::Client;
use crate::completion::{self, ids_digest};
use crate::failure;
use crate::flags::CONTEXT_STEP;
use crate::program;
use crate::prompt;
use crate::proof;
use crate::protocol::{self, Halt, Session};
use crate::ready;
use crate::server;
use crate::start::Start;
use crate::telemetry::Watch;

/// Tokens whose probabilities are asked for: enough to reach down to what rounding cannot make of the likeliest one.
const LISTED: u32 = 10;
/// Most characters of a text that are kept.
const MOST_TEXT: usize = 4_000;

/// What the processor alone is measured with: made up from the plan, for a case that is in no plan.
#[derive(Clone, Debug)]
pub struct ReferenceParts {
    /// The case; its id is that of no case.
    pub case: Case,
    /// The backend whose build is run, on the processor.
    pub backend: PlannedBackend,
    /// Its settings.
    pub settings: ServerSettings,
    /// The text.
    pub prompt: PromptContent,
}

/// What the reference of a model is made with by the build of a backend: on the processor alone, with nothing quantized but
/// the weights, without flash attention.
pub fn reference_parts(
    plan: &Plan,
    canary: &PlannedCanary,
    model: &str,
    backend: &PlannedBackend,
) -> ReferenceParts {
    // A server gives a slot no more context than the model was trained for, and the cases of the model got theirs.
    let most = plan.cases.iter().filter(|case| case.model == model).map(|case| case.context).max();
    let bytes = u64::try_from(canary.text.len()).unwrap_or(u64::MAX);
    let needed = bytes.saturating_add(u64::from(canary.tokens)).next_multiple_of(CONTEXT_STEP);
    let context = u32::try_from(needed).unwrap_or(u32::MAX).min(most.unwrap_or(u32::MAX));
    let own = backend.server.decided();
    let (threads, threads_batch) = own.map_or((1, 1), |settings| (settings.threads, settings.threads_batch));
    let settings = ServerSettings {
        gpu_layers: GpuLayers::Count(0),
        flash_attn: false,
        cache_type_k: CacheType::F16,
        cache_type_v: CacheType::F16,
        mmap: true,
        mlock: false,
        threads,
        threads_batch,
        batch: 512,
        ubatch: 512,
    };
    ReferenceParts {
        case: Case {
            id: format!("canary/{model}"),
            model: model.to_owned(),
            backend: backend.name.clone(),
            prompt: "canary".to_owned(),
            max_tokens: canary.tokens,
            depth: 0,
            concurrency: 1,
            context,
            warmup: 0,
            runs: 1,
            starts: 1,
        },
        backend: PlannedBackend {
            device: NO_DEVICE.to_owned(),
            tool: Tool::LlamaServer,
            server: Settings::Decided(settings.clone()),
            ..backend.clone()
        },
        settings,
        prompt: PromptContent::Text { text: canary.text.clone(), sha256: canary.sha256.clone() },
    }
}

/// The backend whose build makes the reference: the first for the processor, else the first.
pub fn reference_backend<'a>(
    mut backends: impl Iterator<Item = &'a PlannedBackend> + Clone,
) -> Option<&'a PlannedBackend> {
    let for_processor = backends.clone().find(|backend| backend.is_cpu());
    for_processor.or_else(|| backends.next())
}

/// Runs the server on the processor alone and asks it for the canary: the command, and the answer. `None`: somebody asked to
/// stop. When this returns, no process of it is left.
pub async fn canary_reference(
    start: &Start<'_>,
    canary: &PlannedCanary,
    interrupt: &Interrupt,
) -> Option<(Vec<String>, CanaryOutcome)> {
    let missing = |argv: Vec<String>, reason: String| Some((argv, CanaryOutcome::Missing { reason }));
    if interrupt.is_set() {
        return None;
    }
    if let Some(reason) = too_large(start) {
        return missing(Vec::new(), reason);
    }
    let alias = server::alias(&start.id);
    let request = server::request(start, &alias);
    let launch = match server::prepare(start, &request) {
        Ok(launch) => launch,
        Err(unsupported) => return missing(Vec::new(), unsupported.to_string()),
    };
    let memory_kills = failure::memory_kills();
    let server = match server::spawn(start, &launch) {
        Ok(server) => server,
        Err(failure) => return missing(launch.argv, failure.detail),
    };
    let watch = Watch::off();
    let session =
        Session { watch: &watch, start, request: &request, server: &server, interrupt, observer: &|_| () };
    let answer = session.reference(canary).await;
    let exit = program::stop(server, Duration::from_millis(start.plan.timeouts.stop_ms), interrupt).await;
    match answer {
        Ok(answer) => Some((launch.argv, CanaryOutcome::Answer(answer))),
        Err(Halt::Interrupted) => None,
        Err(halt @ Halt::Died(_)) => {
            missing(launch.argv, program::failure(start, halt, exit.as_ref(), memory_kills).detail)
        }
        Err(halt) => missing(launch.argv, reason(halt)),
    }
}

/// Why the model does not fit into the memory of the machine: it would be read from the disk for every token.
fn too_large(start: &Start<'_>) -> Option<String> {
    let memory: u64 = start.environment.value("memory.total_bytes")?.parse().ok()?;
    let sizes = start.shards.iter().filter_map(|shard| Some(fs_err::metadata(shard).ok()?.len()));
    let bytes: u64 = sizes.sum();
    (bytes > memory).then(|| {
        format!("the model has {bytes} bytes, and the memory of the machine {memory}: the processor alone cannot hold it")
    })
}

impl Session<'_> {
    /// What the server makes of the canary, after its runs.
    ///
    /// # Errors
    /// Only when somebody asked to stop.
    pub(crate) async fn canary(
        &self,
        client: &Client,
        canary: &PlannedCanary,
    ) -> Result<CanaryOutcome, Halt> {
        match self.ask(client, canary, 0).await {
            Ok(answer) => Ok(CanaryOutcome::Answer(answer)),
            Err(Halt::Interrupted) => Err(Halt::Interrupted),
            Err(halt) => Ok(CanaryOutcome::Missing { reason: reason(halt) }),
        }
    }

    /// From spawned to the answer, of a server that is the reference.
    async fn reference(&self, canary: &PlannedCanary) -> Result<CanaryAnswer, Halt> {
        let loaded = ready::wait(self).await?;
        let client = loaded.client.clone();
        let props = client.get("/props");
        let props = self.guard("the reading of /props", self.request_limit(), String::new, props).await?;
        let proofs = proof::prove(self.request, &props, &loaded.log);
        if let Some(wrong) = protocol::disagreements(&proofs) {
            return Err(Halt::Invalid(server::hide(self.start, &wrong)));
        }
        self.ask(&client, canary, LISTED).await
    }

    async fn ask(&self, client: &Client, canary: &PlannedCanary, listed: u32) -> Result<CanaryAnswer, Halt> {
        const PHASE: &str = "the canary";
        let limit = self.request_limit();
        let ids = prompt::ids(self, client, limit, &canary.text).await?;
        let needed = u64::try_from(ids.len()).unwrap_or(u64::MAX).saturating_add(canary.tokens.into());
        let context = self.start.case.context;
        if needed > context.into() {
            return Err(Halt::Invalid(format!("{needed} tokens do not fit into a context of {context}")));
        }
        let body = completion::canary(&ids, canary.tokens, listed);
        let answer = client.post(completion::PATH, body);
        let answer = self.guard(PHASE, limit, String::new, answer).await?;
        read(&answer, &ids, canary.tokens, listed)
            .map_err(|detail| Halt::Protocol(format!("{PHASE}: {detail}")))
    }
}

/// Why there is no answer.
fn reason(halt: Halt) -> String {
    match halt {
        Halt::Interrupted => "it was interrupted".to_owned(),
        Halt::Died(gone) => gone.to_string(),
        Halt::TimedOut { phase, limit, .. } => format!("{phase} took longer than {} ms", limit.as_millis()),
        Halt::Protocol(reason) | Halt::Invalid(reason) => reason,
        Halt::Failed(failure) => failure.detail,
        Halt::Record(error) => error.to_string(),
    }
}

/// Reads the answer to a request without a stream.
///
/// # Errors
/// What it lacks.
fn read(answer: &Value, prompt: &[i32], tokens: u32, listed: u32) -> Result<CanaryAnswer, String> {
    let ids = answer.get("tokens").and_then(Value::as_array).ok_or("the answer has no `tokens`")?;
    let ids: Option<Vec<i32>> = ids.iter().map(id).collect();
    let ids = ids.ok_or("the answer has tokens that are no ids")?;
    let asked = usize::try_from(tokens).unwrap_or(usize::MAX);
    if ids.len() != asked {
        return Err(format!("the server gave {} of {asked} tokens", ids.len()));
    }
    let text = answer.get("content").and_then(Value::as_str).unwrap_or_default();
    let likeliest = if listed == 0 { Vec::new() } else { likeliest(answer, asked, listed) };
    Ok(CanaryAnswer {
        prompt_ids: ids_digest(prompt),
        tokens: ids,
        text: text.chars().take(MOST_TEXT).collect(),
        likeliest,
    })
}

/// The probabilities of each token; nothing where they are not there for every one.
///
/// `completion_probabilities` has an entry for each token in every version since early 2025; the name of the list in it says
/// whether these are logarithms, which they are unless asked for otherwise.
fn likeliest(answer: &Value, tokens: usize, listed: u32) -> Vec<Vec<(i32, i64)>> {
    let all = answer.get("completion_probabilities").and_then(Value::as_array);
    let Some(all) = all.filter(|all| all.len() == tokens) else { return Vec::new() };
    let most = usize::try_from(listed).unwrap_or(usize::MAX);
    let of = |one: &Value| -> Vec<(i32, i64)> {
        let list = one.get("top_logprobs").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let pair = |entry: &Value| Some((entry.get("id").and_then(id)?, millionths(entry.get("logprob")?)?));
        // One that is no number makes the others nothing to go by.
        list.iter().take(most).map(pair).collect::<Option<_>>().unwrap_or_default()
    };
    let likeliest: Vec<Vec<(i32, i64)>> = all.iter().map(of).collect();
    if likeliest.iter().all(Vec::is_empty) { Vec::new() } else { likeliest }
}

fn id(value: &Value) -> Option<i32> {
    value.as_i64().and_then(|id| i32::try_from(id).ok())
}

/// A logarithm in whole millionths. A probability of 0 has the lowest number that there is.
fn millionths(value: &Value) -> Option<i64> {
    const LEAST: f64 = -1e9;
    let value = value.as_f64().filter(|value| value.is_finite())?;
    #[expect(clippy::cast_possible_truncation, reason = "in -1e15..=1e15, and whole")]
    Some((value.clamp(LEAST, -LEAST) * 1e6).round() as i64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(ids: &[(i32, f64)]) -> Value {
        let list: Vec<Value> =
            ids.iter().map(|(id, value)| json!({"id": id, "token": "x", "logprob": value})).collect();
        json!({"id": ids[0].0, "token": "x", "logprob": ids[0].1, "top_logprobs": list})
    }

    #[test]
    fn an_answer_with_probabilities() {
        let answer = json!({
            "content": " Madrid.", "tokens": [11, 12],
            "completion_probabilities": [entry(&[(11, -0.25), (7, -1.5)]), entry(&[(12, -3.402_823_466e38), (8, -2.0)])],
        });
        let read = read(&answer, &[1, 2], 2, 10).unwrap();
        assert_eq!((read.tokens.as_slice(), read.text.as_str()), (&[11, 12][..], " Madrid."));
        assert_eq!(read.prompt_ids, ids_digest(&[1, 2]));
        let lowest = -1_000_000_000_000_000;
        assert_eq!(
            read.likeliest,
            [vec![(11, -250_000), (7, -1_500_000)], vec![(12, lowest), (8, -2_000_000)]]
        );
    }

    #[test]
    fn what_a_server_does_not_say_is_not_made_up() {
        let silent = json!({"content": "", "tokens": [11, 12]});
        assert!(read(&silent, &[1], 2, 10).unwrap().likeliest.is_empty());
        // Those of an entry are nothing to go by when one of them is no number; of the others they are.
        let broken = json!({"tokens": [11, 12], "completion_probabilities": [
            {"top_logprobs": [{"id": 11, "logprob": null}]}, entry(&[(12, -0.5)]),
        ]});
        assert_eq!(read(&broken, &[1], 2, 10).unwrap().likeliest, [vec![], vec![(12, -500_000)]]);
        let short = json!({"tokens": [11, 12], "completion_probabilities": [entry(&[(11, -0.5)])]});
        assert!(read(&short, &[1], 2, 10).unwrap().likeliest.is_empty());
    }

    #[test]
    fn what_is_no_answer() {
        for (answer, expected) in [
            (json!({}), "the answer has no `tokens`"),
            (json!({"tokens": ["x"]}), "the answer has tokens that are no ids"),
            (json!({"tokens": [1]}), "the server gave 1 of 2 tokens"),
        ] {
            assert_eq!(read(&answer, &[1], 2, 10).unwrap_err(), expected);
        }
    }
}
