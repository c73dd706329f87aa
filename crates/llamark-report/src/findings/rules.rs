//! Every rule with its code. A code keeps its meaning for ever; one that is no longer found is never given again.

use super::Severity::{self, Error, Note, Warning};

/// A rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// `LM` and three digits; the first is the group.
    pub code: &'static str,
    /// Lower-case words with hyphens.
    pub name: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What is said of several subjects at once, as in `5 models: TITLE`.
    pub title: &'static str,
    /// More findings than this are folded into one line.
    pub alone: usize,
}

/// Lines that one code may take up on the first screen.
const ALONE: usize = 2;
/// The same of a rule that has at most two findings for each backend, each with numbers of its own.
const ALONE_OF_BACKENDS: usize = 8;

const fn rule(code: &'static str, name: &'static str, severity: Severity, title: &'static str) -> Rule {
    Rule { code, name, severity, title, alone: ALONE }
}

const fn of_backends(rule: Rule) -> Rule {
    Rule { alone: ALONE_OF_BACKENDS, ..rule }
}

pub(super) const BEYOND_BANDWIDTH: Rule =
    rule("LM101", "beyond-bandwidth", Error, "TG is more than the memory bandwidth allows");
pub(super) const FAR_BELOW_BANDWIDTH: Rule = rule(
    "LM102",
    "far-below-bandwidth",
    Warning,
    "TG is far below what the memory bandwidth allows, unlike other models on the backend",
);
pub(super) const CONTRADICTED_CLAIM: Rule =
    rule("LM111", "contradicted-claim", Error, "the header of the file contradicts the experiment");
pub(super) const CONTRADICTED_NAME: Rule =
    rule("LM112", "contradicted-name", Error, "the name contradicts the stated parameters");
pub(super) const IMPLAUSIBLE_QUANT: Rule =
    rule("LM113", "implausible-quant", Error, "size and parameters do not give the bits of the quantization");
pub(super) const UNIT_OF_SIZES: Rule =
    rule("LM114", "unit-of-sizes", Warning, "sizes are not in the unit that they state");
pub(super) const WRONG_TOKENS: Rule =
    rule("LM121", "wrong-tokens", Error, "the tokens differ from those of the processor alone");
pub(super) const TOKENS_NOT_CHECKED: Rule =
    rule("LM122", "tokens-not-checked", Note, "it is unknown whether the tokens are right");
pub(super) const WORSE_PERPLEXITY: Rule =
    rule("LM123", "worse-perplexity", Error, "a text is predicted worse than rounding explains");
pub(super) const NO_PERPLEXITY: Rule =
    rule("LM124", "no-perplexity", Note, "it is unknown how well a text is predicted");
pub(super) const FIRST_RUN_SLOW: Rule = rule(
    "LM201",
    "first-run-slow",
    Note,
    "the first runs are not in the steady state; the steady value is given",
);
pub(super) const FIRST_RUNS_SLOW: Rule =
    of_backends(rule("LM202", "first-runs-slow", Warning, "first runs are slower than chance allows"));
pub(super) const FALLING: Rule = rule("LM203", "falling", Note, "each run is slower than the one before");
pub(super) const FALLING_TOGETHER: Rule =
    of_backends(rule("LM204", "falling-together", Warning, "more cases fall run by run than chance allows"));
pub(super) const NOT_STEADY: Rule =
    rule("LM205", "not-steady", Warning, "starts were measured before their runs were steady");
pub(super) const SHORT_RUNS: Rule =
    rule("LM206", "short-runs", Warning, "runs are shorter than the experiment asks for");
pub(super) const TOO_FEW_RUNS: Rule = rule("LM301", "too-few-runs", Warning, "too few runs for an interval");
pub(super) const ONE_START: Rule =
    rule("LM302", "one-start", Note, "the intervals are over runs of one start");
pub(super) const BELOW_RESOLUTION: Rule =
    rule("LM303", "below-resolution", Note, "the runs differ by less than the document's rounding hides");
pub(super) const LOAD_IN_STEPS: Rule = rule("LM304", "load-in-steps", Warning, "load times come in steps");
pub(super) const WIDE_INTERVAL: Rule =
    rule("LM305", "wide-interval", Note, "a rate is known to ±10 % at best");
pub(super) const MIXED_CACHE: Rule =
    rule("LM306", "mixed-cache", Warning, "starts loaded from different states of the page cache");
pub(super) const CACHE_NOT_AS_ASKED: Rule = rule(
    "LM307",
    "cache-not-as-asked",
    Warning,
    "the page cache could not be put in the state that the experiment asks for",
);
pub(super) const NOT_NARROW: Rule =
    rule("LM308", "not-narrow", Warning, "the starts ended before the interval was as narrow as asked");
pub(super) const UNEVEN_MACHINE: Rule = of_backends(rule(
    "LM309",
    "uneven-machine",
    Warning,
    "the processor itself was not equally fast around all starts",
));
pub(super) const CONFOUNDED: Rule =
    rule("LM401", "confounded", Warning, "rows of one model differ in more than the backend");
pub(super) const PROMPT_VARIES: Rule = rule(
    "LM402",
    "prompt-varies",
    Warning,
    "the runs of a case do not have the same number of prompt tokens",
);
pub(super) const PROMPT_LENGTHS: Rule =
    rule("LM403", "prompt-lengths", Note, "the prompt has a different length for each tokenizer");
pub(super) const UNSTATED: Rule = rule("LM404", "unstated", Warning, "the numbers come from a document");
pub(super) const BEST_BACKEND: Rule =
    rule("LM501", "best-backend", Note, "the fastest backend is named, or a tie");
pub(super) const BEST_BY_SIZE: Rule =
    of_backends(rule("LM502", "best-by-size", Note, "which backend is faster changes with the model"));
pub(crate) const NO_RESULT: Rule = rule("LM601", "no-result", Warning, "cases have no valid result");
pub(super) const RUNS_NOT_COUNTED: Rule =
    rule("LM602", "runs-not-counted", Warning, "not every planned run counts");
pub(super) const NOT_PLANNED: Rule =
    of_backends(rule("LM603", "not-planned", Note, "models have no case on a backend"));

/// Every rule, by code.
pub const RULES: [Rule; 34] = [
    BEYOND_BANDWIDTH,
    FAR_BELOW_BANDWIDTH,
    CONTRADICTED_CLAIM,
    CONTRADICTED_NAME,
    IMPLAUSIBLE_QUANT,
    UNIT_OF_SIZES,
    WRONG_TOKENS,
    TOKENS_NOT_CHECKED,
    WORSE_PERPLEXITY,
    NO_PERPLEXITY,
    FIRST_RUN_SLOW,
    FIRST_RUNS_SLOW,
    FALLING,
    FALLING_TOGETHER,
    NOT_STEADY,
    SHORT_RUNS,
    TOO_FEW_RUNS,
    ONE_START,
    BELOW_RESOLUTION,
    LOAD_IN_STEPS,
    WIDE_INTERVAL,
    MIXED_CACHE,
    CACHE_NOT_AS_ASKED,
    NOT_NARROW,
    UNEVEN_MACHINE,
    CONFOUNDED,
    PROMPT_VARIES,
    PROMPT_LENGTHS,
    UNSTATED,
    BEST_BACKEND,
    BEST_BY_SIZE,
    NO_RESULT,
    RUNS_NOT_COUNTED,
    NOT_PLANNED,
];
