//! One start from spawn to stop, step by step, each with a limit in time, each ready to be interrupted.

use std::future::Future;
use std::time::Duration;

use llamark_process::{Interrupt, Server};
use llamark_record::canary::Canary;
use llamark_record::journal::{BrokenRule, Event, Failure, Proof, StartReady};
use serde_json::Value;

use crate::client::{Client, ClientError};
use crate::completion::ids_digest;
use crate::error::RecordError;
use crate::failure::{self, Gone};
use crate::flags::LaunchRequest;
use crate::mapped;
use crate::prompt::{self, Prompt};
use crate::proof;
use crate::ready::{self, Loaded};
use crate::run;
use crate::server;
use crate::start::{Progress, Recorder, Start};
use crate::telemetry::Watch;
use crate::warm;

/// How long a server that hung up may take to be gone: whether it died decides what the failure is.
const DEATH: Duration = Duration::from_millis(500);

/// Why a start ends before all of its runs are done.
#[derive(Debug)]
pub(crate) enum Halt {
    /// Somebody asked to stop.
    Interrupted,
    /// A program is gone.
    Died(Gone),
    /// A phase took longer than it may.
    TimedOut {
        /// The phase.
        phase: String,
        /// Its limit.
        limit: Duration,
        /// How far it got; may be empty.
        seen: String,
    },
    /// A program said something that it should not.
    Protocol(String),
    /// Something else made it fail.
    Failed(Box<Failure>),
    /// The numbers would not mean what the plan says.
    Invalid(String),
    /// The journal could not take an event.
    Record(RecordError),
}

impl From<RecordError> for Halt {
    fn from(error: RecordError) -> Self {
        Self::Record(error)
    }
}

/// What every step needs.
pub(crate) struct Session<'a> {
    pub(crate) start: &'a Start<'a>,
    pub(crate) request: &'a LaunchRequest<'a>,
    pub(crate) server: &'a Server,
    pub(crate) interrupt: &'a Interrupt,
    pub(crate) observer: &'a dyn Fn(Progress),
    pub(crate) watch: &'a Watch,
}

impl Session<'_> {
    /// Waits for `future`, but no longer than the phase may take, than the server lives, or than somebody asks
    /// to stop. `seen` says how far the phase got when it took too long.
    pub(crate) async fn guard<T>(
        &self,
        phase: &str,
        limit: Duration,
        seen: impl Fn() -> String,
        future: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, Halt> {
        let answer = tokio::select! {
            biased;
            answer = future => answer,
            () = self.interrupt.wait() => return Err(Halt::Interrupted),
            _ = self.server.exited() => return Err(Halt::Died(Gone::server(phase))),
            () = tokio::time::sleep(limit) => {
                return Err(Halt::TimedOut { phase: phase.to_owned(), limit, seen: seen() });
            }
        };
        match answer {
            Ok(value) => Ok(value),
            Err(error) => {
                let gone = error.is_disconnected()
                    && tokio::time::timeout(DEATH, self.server.exited()).await.is_ok();
                Err(if gone {
                    Halt::Died(Gone::server(phase))
                } else {
                    Halt::Protocol(format!("{phase}: {error}"))
                })
            }
        }
    }

    pub(crate) fn request_limit(&self) -> Duration {
        Duration::from_millis(self.start.plan.timeouts.request_ms)
    }

    /// Everything between spawn and stop. `Ok(None)`: as planned; `Ok(Some(reason))`: measured, but some run broke
    /// a rule.
    pub(crate) async fn measure(&self, recorder: &mut dyn Recorder) -> Result<Option<String>, Halt> {
        let loaded = ready::wait(self).await?;
        (self.observer)(Progress::Ready {
            load: loaded.ready_at.saturating_duration_since(self.server.spawned_at()),
        });
        self.watch.ready(loaded.ready_at);
        let client = loaded.client.clone();
        let prompt = self.prove(&client, loaded, recorder).await?;

        let case = self.start.case;
        let mut broken_runs: Vec<String> = Vec::new();
        warm::warm_up(self, &client, &prompt, recorder).await?;
        for index in 1..=case.runs {
            let record = run::run(self, &client, &prompt, index, false, recorder).await?;
            broken_runs.extend(record.broken.first().map(|first| format!("run {index} {}", says(first))));
        }
        if let Some(canary) = &self.start.plan.canary {
            let answer = self.canary(&client, canary).await?;
            recorder.record(Event::Canary(Canary { id: self.start.id.clone(), answer }))?;
        }
        let broken = u32::try_from(broken_runs.len()).unwrap_or(u32::MAX);
        Ok(broken_runs.into_iter().next().map(|first| match broken {
            1 => first,
            _ => format!("{broken} of {} runs: {first}", case.runs),
        }))
    }

    /// Reads the settings back, counts the prompt, records that the server is ready, and refuses to measure
    /// anything but what the plan says. Gives what the runs send.
    async fn prove(
        &self,
        client: &Client,
        loaded: Loaded,
        recorder: &mut dyn Recorder,
    ) -> Result<Prompt, Halt> {
        let limit = self.request_limit();
        let nothing = String::new;
        let props = self.guard("the reading of /props", limit, nothing, client.get("/props")).await?;
        let prompt = prompt::tokenize(self, client, limit).await?;
        let prompt_tokens = prompt.tokens();

        let mut proofs = proof::prove(self.request, &props, &loaded.log);
        for proof in &mut proofs {
            proof.asked = server::hide(self.start, &proof.asked);
            proof.observed = proof.observed.as_deref().map(|observed| server::hide(self.start, observed));
        }
        let mapped = mapped::mapped(self.start, self.server.pid());
        let wrong = mapped::not_as_built(self.start, &mapped).or_else(|| disagreements(&proofs));
        let ready = StartReady {
            id: self.start.id.clone(),
            load: loaded.stages,
            proofs,
            buffers: loaded.log.buffers.clone(),
            build_info: props.get("build_info").and_then(Value::as_str).unwrap_or_default().to_owned(),
            prompt_tokens,
            prompt_ids: ids_digest(prompt.own()),
            depth_ids: (prompt.depth() > 0).then(|| ids_digest(prompt.before())),
            mapped,
        };
        recorder.record(Event::StartReady(ready))?;
        if let Some(reason) = wrong {
            return Err(Halt::Invalid(reason));
        }
        let case = self.start.case;
        if prompt_tokens == 0 {
            return Err(unsupported(
                format!("prompt `{}` has no tokens", case.prompt),
                "give the prompt some text",
            ));
        }
        let needed = prompt_tokens.saturating_add(case.depth).saturating_add(case.max_tokens);
        if needed > case.context {
            let depth = if case.depth > 0 { format!("a depth of {}, ", case.depth) } else { String::new() };
            let detail = format!(
                "{depth}a prompt of {prompt_tokens} tokens and {} to generate do not fit into a context of {}",
                case.max_tokens, case.context
            );
            return Err(unsupported(detail, "raise `context`, or take a shorter prompt"));
        }
        Ok(prompt)
    }
}

pub(crate) fn says(broken: &BrokenRule) -> String {
    let rule = serde_json::to_value(broken.rule).ok();
    let rule = rule.as_ref().and_then(Value::as_str).unwrap_or("?");
    format!("breaks the rule `{rule}`: {}", broken.detail)
}

fn unsupported(detail: String, hint: &str) -> Halt {
    Halt::Failed(Box::new(failure::unsupported(detail, hint)))
}

/// The proofs that say the server is not what the plan asks for, as a sentence.
pub(crate) fn disagreements(proofs: &[Proof]) -> Option<String> {
    let wrong: Vec<String> = proofs
        .iter()
        .filter(|proof| proof.agrees == Some(false))
        .map(|proof| {
            let observed = proof.observed.as_deref().unwrap_or("nothing");
            format!("`{}` is {observed} ({}), the plan asks for {}", proof.setting, proof.source, proof.asked)
        })
        .collect();
    (!wrong.is_empty()).then(|| wrong.join("; "))
}

#[cfg(test)]
mod tests {
    use llamark_record::journal::Rule;

    use super::*;

    #[test]
    fn what_disagrees_is_named_as_a_pair() {
        let proof = |setting: &str, observed: Option<&str>, agrees| Proof {
            setting: setting.to_owned(),
            asked: "4096".to_owned(),
            observed: observed.map(str::to_owned),
            source: "/props".to_owned(),
            agrees,
        };
        assert_eq!(disagreements(&[proof("a", Some("4096"), Some(true)), proof("b", None, None)]), None);
        insta::assert_snapshot!(
            disagreements(&[proof("context", Some("2048"), Some(false))]).unwrap(),
            @"`context` is 2048 (/props), the plan asks for 4096"
        );
    }

    #[test]
    fn a_broken_rule_as_a_sentence() {
        let broken = BrokenRule { rule: Rule::ColdCache, detail: "9 of 10".to_owned() };
        assert_eq!(says(&broken), "breaks the rule `cold_cache`: 9 of 10");
    }
}
