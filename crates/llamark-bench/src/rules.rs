//! The rules of a valid run.

use llamark_record::journal::{BrokenRule, Measurement, Rule};

use crate::completion::Ending;

/// How much later than ours the server's clock may see a stretch of time end: the two read the same clock, but the
/// server rounds, and our reading of it is a little after the fact.
const TOLERANCE_US: u64 = 2_000;

/// What a request asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// Tokens before the prompt, which are to come from the cache.
    pub(crate) depth: u32,
    /// Tokens of the prompt, which are to be evaluated.
    pub(crate) prompt: u32,
    /// Tokens to generate.
    pub(crate) tokens: u32,
}

/// Why a cache may not hold what it should.
const CANNOT_BE_CUT: &str = "attention over a sliding window and recurrent state cannot be cut back to a depth: measure \
                             such a model without `depth`";

/// The rules that an answer breaks, given what was asked for.
pub(crate) fn broken(asked: &Asked, measured: &Measurement, ending: &Ending) -> Vec<BrokenRule> {
    let mut broken = Vec::new();
    let mut breaks = |rule, detail| broken.push(BrokenRule { rule, detail });
    let sent = asked.depth.saturating_add(asked.prompt);
    let evaluated = ending.tokens_evaluated.unwrap_or(measured.prompt_tokens);
    // Before `cache_n`, a prompt of which less was processed than it has tokens came from a cache in part.
    let cached = measured.cached_tokens.unwrap_or_else(|| evaluated.saturating_sub(measured.prompt_tokens));
    let processed = measured.prompt_tokens.saturating_add(cached);
    if asked.depth == 0 && cached > 0 {
        breaks(Rule::ColdCache, format!("{cached} of {evaluated} prompt tokens came from a cache"));
    }
    if asked.depth > 0 && (cached, measured.prompt_tokens) != (asked.depth, asked.prompt) {
        let mut detail = format!(
            "{cached} tokens came from the cache and {} were evaluated; a depth of {} and a prompt of {} were asked for",
            measured.prompt_tokens, asked.depth, asked.prompt
        );
        if cached < asked.depth {
            detail.push_str(&format!(" ({CANNOT_BE_CUT})"));
        }
        breaks(Rule::Depth, detail);
    }
    if evaluated != sent {
        breaks(
            Rule::WholePrompt,
            format!("{sent} prompt tokens were sent, the server says it has {evaluated}"),
        );
    } else if processed != sent {
        breaks(Rule::WholePrompt, format!("{sent} prompt tokens were sent, {processed} were processed"));
    }
    let asked = asked.tokens;
    let generated = measured.generated_tokens;
    let streamed = measured.arrivals.last().map_or(0, |(tokens, _)| *tokens);
    let stop_type = ending.stop_type.as_deref().unwrap_or("unknown");
    if generated != asked {
        let detail = format!("{generated} of {asked} tokens were generated; `{stop_type}` ended the run");
        breaks(Rule::ExactLength, detail);
    } else if stop_type != "limit" {
        breaks(Rule::ExactLength, format!("`{stop_type}` ended the run, not the limit of {asked} tokens"));
    } else if streamed != generated || ending.tokens_predicted.is_some_and(|tokens| tokens != generated) {
        let detail = format!("the timings count {generated} generated tokens, the stream counts {streamed}");
        breaks(Rule::ExactLength, detail);
    }
    if ending.truncated != Some(false) {
        let detail = match ending.truncated {
            Some(_) => "the server cut the context".to_owned(),
            None => "the server does not say whether it cut the context".to_owned(),
        };
        breaks(Rule::NotTruncated, detail);
    }
    for detail in implausible(measured) {
        breaks(Rule::PlausibleTimes, detail);
    }
    if ending.drafted > 0 {
        breaks(Rule::NoSpeculation, format!("{} tokens were drafted", ending.drafted));
    } else if let Some(types) = ending.speculation.as_deref().filter(|types| *types != "none") {
        breaks(Rule::NoSpeculation, format!("the server speculates: `{types}`"));
    }
    broken
}

/// What does not make sense in the times. What the server timed lies within what we timed, so its times can never be
/// the longer ones; and something that was done took some time.
fn implausible(measured: &Measurement) -> Vec<String> {
    let mut found = Vec::new();
    if measured.prompt_tokens > 0 && measured.prompt_us == 0 {
        found.push(format!("{} prompt tokens took no time", measured.prompt_tokens));
    }
    if measured.generated_tokens > 1 && measured.generation_us == 0 {
        found.push(format!("{} tokens took no time", measured.generated_tokens));
    }
    let total_us = measured.total_ns / 1_000;
    let first_us = measured.first_token_ns / 1_000;
    let server_us = measured.prompt_us.saturating_add(measured.generation_us);
    if measured.prompt_us > first_us.saturating_add(TOLERANCE_US) {
        found.push(format!(
            "the server says that the prompt took {}, but the first token was here after {}",
            milliseconds(measured.prompt_us),
            milliseconds(first_us)
        ));
    } else if server_us > total_us.saturating_add(TOLERANCE_US) {
        found.push(format!(
            "the server says that the run took {}, but all of it was here after {}",
            milliseconds(server_us),
            milliseconds(total_us)
        ));
    }
    found
}

fn milliseconds(microseconds: u64) -> String {
    format!("{}.{:03} ms", microseconds / 1_000, microseconds % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> (Measurement, Ending) {
        let measurement = Measurement {
            prompt_tokens: 10,
            cached_tokens: Some(0),
            prompt_us: 100_000,
            generated_tokens: 4,
            generation_us: 30_000,
            first_token_ns: 101_000_000,
            total_ns: 132_000_000,
            arrivals: vec![(1, 101_000_000), (2, 111_000_000), (4, 131_000_000)],
            output_ids: None,
        };
        let ending = Ending {
            tokens_evaluated: Some(10),
            stop_type: Some("limit".to_owned()),
            truncated: Some(false),
            drafted: 0,
            speculation: Some("none".to_owned()),
            tokens_predicted: Some(4),
        };
        (measurement, ending)
    }

    fn verdict(change: impl FnOnce(&mut Measurement, &mut Ending)) -> String {
        verdict_at(0, change)
    }

    fn verdict_at(depth: u32, change: impl FnOnce(&mut Measurement, &mut Ending)) -> String {
        let (mut measurement, mut ending) = good();
        change(&mut measurement, &mut ending);
        let broken = broken(&Asked { depth, prompt: 10, tokens: 4 }, &measurement, &ending);
        broken
            .iter()
            .map(|broken| format!("{:?}: {}", broken.rule, broken.detail))
            .collect::<Vec<_>>()
            .join("; ")
    }

    #[test]
    fn a_good_run_breaks_nothing() {
        assert_eq!(verdict(|_, _| ()), "");
        assert_eq!(verdict(|measured, _| measured.cached_tokens = None), "", "an old version");
        assert_eq!(verdict(|_, ending| ending.speculation = None), "", "an old version");
        assert_eq!(verdict(|measured, _| measured.prompt_us = 102_500), "", "within tolerance");
    }

    #[test]
    fn cache_and_prompt() {
        insta::assert_snapshot!(verdict(|m, _| { m.cached_tokens = Some(9); m.prompt_tokens = 1; }), @"ColdCache: 9 of 10 prompt tokens came from a cache");
        insta::assert_snapshot!(verdict(|m, _| { m.cached_tokens = None; m.prompt_tokens = 1; }), @"ColdCache: 9 of 10 prompt tokens came from a cache");
        insta::assert_snapshot!(verdict(|m, _| m.prompt_tokens = 7), @"WholePrompt: 10 prompt tokens were sent, 7 were processed");
        insta::assert_snapshot!(verdict(|m, e| { e.tokens_evaluated = Some(11); m.prompt_tokens = 11; }), @"WholePrompt: 10 prompt tokens were sent, the server says it has 11");
    }

    #[test]
    fn the_depth_and_nothing_else_comes_from_the_cache() {
        let at = |cached: Option<u32>, evaluated: u32, prompt: u32| {
            verdict_at(32, |m, e| {
                m.cached_tokens = cached;
                m.prompt_tokens = prompt;
                e.tokens_evaluated = Some(evaluated);
            })
        };
        assert_eq!(at(Some(32), 42, 10), "");
        assert_eq!(at(None, 42, 10), "", "an old version says it by what it evaluated");
        insta::assert_snapshot!(at(Some(0), 42, 42), @"Depth: 0 tokens came from the cache and 42 were evaluated; a depth of 32 and a prompt of 10 were asked for (attention over a sliding window and recurrent state cannot be cut back to a depth: measure such a model without `depth`)");
        insta::assert_snapshot!(at(Some(41), 42, 1), @"Depth: 41 tokens came from the cache and 1 were evaluated; a depth of 32 and a prompt of 10 were asked for");
        insta::assert_snapshot!(at(None, 42, 42), @"Depth: 0 tokens came from the cache and 42 were evaluated; a depth of 32 and a prompt of 10 were asked for (attention over a sliding window and recurrent state cannot be cut back to a depth: measure such a model without `depth`)");
        insta::assert_snapshot!(at(Some(32), 43, 10), @"WholePrompt: 42 prompt tokens were sent, the server says it has 43");
    }

    #[test]
    fn length_and_context() {
        insta::assert_snapshot!(verdict(|m, e| { m.generated_tokens = 2; e.stop_type = Some("eos".to_owned()); }), @"ExactLength: 2 of 4 tokens were generated; `eos` ended the run");
        insta::assert_snapshot!(verdict(|_, e| e.stop_type = Some("word".to_owned())), @"ExactLength: `word` ended the run, not the limit of 4 tokens");
        insta::assert_snapshot!(verdict(|m, _| m.arrivals.truncate(2)), @"ExactLength: the timings count 4 generated tokens, the stream counts 2");
        insta::assert_snapshot!(verdict(|_, e| e.truncated = Some(true)), @"NotTruncated: the server cut the context");
        insta::assert_snapshot!(verdict(|_, e| e.truncated = None), @"NotTruncated: the server does not say whether it cut the context");
    }

    #[test]
    fn times_and_speculation() {
        insta::assert_snapshot!(verdict(|m, _| m.prompt_us = 0), @"PlausibleTimes: 10 prompt tokens took no time");
        insta::assert_snapshot!(verdict(|m, _| m.generation_us = 0), @"PlausibleTimes: 4 tokens took no time");
        insta::assert_snapshot!(verdict(|m, _| m.prompt_us = 104_000), @"PlausibleTimes: the server says that the prompt took 104.000 ms, but the first token was here after 101.000 ms");
        insta::assert_snapshot!(verdict(|m, _| m.generation_us = 35_000), @"PlausibleTimes: the server says that the run took 135.000 ms, but all of it was here after 132.000 ms");
        insta::assert_snapshot!(verdict(|_, e| e.drafted = 3), @"NoSpeculation: 3 tokens were drafted");
        insta::assert_snapshot!(verdict(|_, e| e.speculation = Some("ngram_simple".to_owned())), @"NoSpeculation: the server speculates: `ngram_simple`");
    }
}
