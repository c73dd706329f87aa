//! The metrics: their names, units and directions, and the one definition of each rate.
//!
//! llama.cpp changed the meaning of `timings.predicted_per_second` between versions, so its rates are never
//! used: a rate is computed here, from the raw integers of a record.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::journal::{Gaps, Measurement, RunRecord, Stream};
use crate::llama_bench::Timed;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Prompt processing, tok/s.
    Pp,
    /// Token generation, tok/s.
    Tg,
    /// Token generation of each of several streams, tok/s: the median stream of a run.
    TgStream,
    /// Time from sending the request to the first generated token, ms; of several streams, that of the median one.
    Ttft,
    /// 95th percentile over the streams of a run, ms.
    TtftP95,
    /// 99th percentile over the streams of a run, ms.
    TtftP99,
    /// Time from one token to the next, ms: the median of a run.
    Itl,
    /// 95th percentile of a run, ms.
    ItlP95,
    /// 99th percentile of a run, ms.
    ItlP99,
    /// Process start to ready, ms.
    Load,
    /// Peak resident memory of the server, bytes.
    Rss,
    /// Peak memory in use on the GPUs of the backend, bytes.
    Vram,
    /// Peak memory of the host in use by the GPUs of the backend, bytes.
    Gtt,
    /// Energy of the backend's device for each token of the prompt, J/token.
    EnergyPrefill,
    /// Energy of the backend's device for each step of generation, J/token.
    EnergyDecode,
}

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// More is better.
    HigherIsBetter,
    /// Less is better.
    LowerIsBetter,
}

impl Metric {
    /// Every metric, in the order of a report.
    pub const ALL: [Self; 15] = [
        Self::Pp,
        Self::Tg,
        Self::TgStream,
        Self::Ttft,
        Self::TtftP95,
        Self::TtftP99,
        Self::Itl,
        Self::ItlP95,
        Self::ItlP99,
        Self::Load,
        Self::Rss,
        Self::Vram,
        Self::Gtt,
        Self::EnergyPrefill,
        Self::EnergyDecode,
    ];

    /// The name in records and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pp => "pp",
            Self::Tg => "tg",
            Self::TgStream => "tg_stream",
            Self::Ttft => "ttft",
            Self::TtftP95 => "ttft_p95",
            Self::TtftP99 => "ttft_p99",
            Self::Itl => "itl",
            Self::ItlP95 => "itl_p95",
            Self::ItlP99 => "itl_p99",
            Self::Load => "load",
            Self::Rss => "rss",
            Self::Vram => "vram",
            Self::Gtt => "gtt",
            Self::EnergyPrefill => "energy_prefill",
            Self::EnergyDecode => "energy_decode",
        }
    }

    /// The unit of a value.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Pp | Self::Tg | Self::TgStream => "tok/s",
            Self::Ttft
            | Self::TtftP95
            | Self::TtftP99
            | Self::Itl
            | Self::ItlP95
            | Self::ItlP99
            | Self::Load => "ms",
            Self::Rss | Self::Vram | Self::Gtt => "bytes",
            Self::EnergyPrefill | Self::EnergyDecode => "J/token",
        }
    }

    /// Whether each run has a value, or else each start.
    pub fn is_of_runs(self) -> bool {
        !matches!(self, Self::Load | Self::Rss | Self::Vram | Self::Gtt)
    }

    /// Whether it is about the tokens after the first, so that a run of one token has none of it.
    pub fn is_of_generation(self) -> bool {
        matches!(
            self,
            Self::Tg | Self::TgStream | Self::Itl | Self::ItlP95 | Self::ItlP99 | Self::EnergyDecode
        )
    }

    /// Which way is better.
    pub fn direction(self) -> Direction {
        match self {
            Self::Pp | Self::Tg | Self::TgStream => Direction::HigherIsBetter,
            Self::Ttft
            | Self::TtftP95
            | Self::TtftP99
            | Self::Itl
            | Self::ItlP95
            | Self::ItlP99
            | Self::Load
            | Self::Rss
            | Self::Vram
            | Self::Gtt
            | Self::EnergyPrefill
            | Self::EnergyDecode => Direction::LowerIsBetter,
        }
    }
}

/// Rates and times of one run, in the units of the metrics; what it has not is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RunValues {
    /// [`Metric::Pp`].
    pub pp: Option<f64>,
    /// [`Metric::Tg`].
    pub tg: Option<f64>,
    /// [`Metric::TgStream`].
    pub tg_stream: Option<f64>,
    /// [`Metric::Ttft`], [`Metric::TtftP95`], [`Metric::TtftP99`].
    pub ttft: [Option<f64>; 3],
    /// [`Metric::Itl`], [`Metric::ItlP95`], [`Metric::ItlP99`].
    pub itl: [Option<f64>; 3],
}

impl RunValues {
    /// Those of a run.
    ///
    /// Of a single request, rates are by the server's clock. Several have no clock of the server in common, so theirs are
    /// by ours, over the windows of [`Windows`]: all tokens of all prompts, and all steps of all streams.
    pub fn of(run: &RunRecord) -> Self {
        let itl = match &run.gaps {
            Some(gaps) => [gaps.p50_ns, gaps.p95_ns, gaps.p99_ns].map(|time| Some(milliseconds(time))),
            None => [None; 3],
        };
        if let Some(bench) = &run.bench {
            let rate = |timed: Option<Timed>| timed.as_ref().and_then(Timed::rate);
            return Self { pp: rate(bench.prompt), tg: rate(bench.generation), ..Self::default() };
        }
        match (&run.measurement, run.streams.as_slice()) {
            (Some(one), _) => Self {
                pp: prompt_rate(one.prompt_tokens, one.prompt_us),
                tg: generation_rate(one.generated_tokens, one.generation_us),
                tg_stream: None,
                ttft: [Some(milliseconds(one.first_token_ns)), None, None],
                itl,
            },
            (None, []) => Self::default(),
            (None, streams) => Self { itl, ..Self::of_streams(streams, Windows::of(run)) },
        }
    }

    fn of_streams(streams: &[Stream], windows: Option<Windows>) -> Self {
        let all = || streams.iter().map(|stream| &stream.measurement);
        let tokens = |of: fn(&Measurement) -> u32| all().map(of).fold(0, u32::saturating_add);
        let prompts = tokens(|one| one.prompt_tokens);
        let steps = tokens(|one| one.generated_tokens.saturating_sub(1));
        let over = |steps, [begin, end]: [u64; 2]| rate(steps, end.saturating_sub(begin) / 1_000);
        let mut first: Vec<u64> = all().map(|one| one.first_token_ns).collect();
        first.sort_unstable();
        let mut rates: Vec<f64> =
            all().filter_map(|one| generation_rate(one.generated_tokens, one.generation_us)).collect();
        rates.sort_by(f64::total_cmp);
        Self {
            pp: windows.and_then(|windows| over(prompts, windows.prompt)),
            tg: windows.and_then(|windows| over(steps, windows.generation)),
            tg_stream: at_rank(&rates, 50),
            ttft: [50, 95, 99].map(|percent| at_rank(&first, percent).map(milliseconds)),
            itl: [None; 3],
        }
    }
}

/// When the parts of a run began and ended, nanoseconds since its first request was sent. Of several streams, each part
/// is the union over them, so that the two overlap where one stream generates while the prompt of another is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// From the first sending to the last of the first tokens.
    pub prompt: [u64; 2],
    /// From the first of the first tokens to the last of all tokens.
    pub generation: [u64; 2],
}

impl Windows {
    /// Those of a run; `None` where nothing was measured.
    pub fn of(run: &RunRecord) -> Option<Self> {
        let single = run.measurement.iter().map(|one| (0, one));
        let several = run.streams.iter().map(|stream| (stream.sent_ns, &stream.measurement));
        let mut windows: Option<Self> = None;
        for (sent, one) in single.chain(several) {
            let first = sent.saturating_add(one.first_token_ns);
            let last = one.arrivals.last().map_or(one.total_ns, |(_, at)| *at).saturating_add(sent);
            let this = Self { prompt: [sent, first], generation: [first, last] };
            windows = Some(match windows {
                None => this,
                Some(all) => Self {
                    prompt: union(all.prompt, this.prompt),
                    generation: union(all.generation, this.generation),
                },
            });
        }
        windows
    }
}

fn union([a, b]: [u64; 2], [c, d]: [u64; 2]) -> [u64; 2] {
    [a.min(c), b.max(d)]
}

impl Gaps {
    /// Those of streams, each by its arrivals: tokens so far, and nanoseconds. `None` where no token follows another.
    pub fn of<'a>(streams: impl Iterator<Item = &'a [(u32, u64)]>) -> Option<Self> {
        let mut gaps: Vec<u64> = Vec::new();
        for arrivals in streams {
            let mut before: Option<(u32, u64)> = None;
            for (tokens, at) in arrivals {
                let (had, then) = before.unwrap_or((1, *at));
                let new = tokens.saturating_sub(had);
                // The first token of a stream ends no gap; those beside it do.
                if new > 0 {
                    let together = if before.is_some() { new - 1 } else { new };
                    if before.is_some() {
                        gaps.push(at.saturating_sub(then));
                    }
                    gaps.extend(std::iter::repeat_n(0, usize::try_from(together).unwrap_or(0)));
                }
                before = Some((*tokens, *at));
            }
        }
        gaps.sort_unstable();
        Some(Self {
            count: u32::try_from(gaps.len()).unwrap_or(u32::MAX),
            p50_ns: at_rank(&gaps, 50)?,
            p95_ns: at_rank(&gaps, 95)?,
            p99_ns: at_rank(&gaps, 99)?,
            max_ns: *gaps.last()?,
        })
    }
}

/// The smallest of sorted values that at least `percent` of a hundred of them do not exceed.
fn at_rank<T: Copy>(sorted: &[T], percent: usize) -> Option<T> {
    let rank = sorted.len().checked_mul(percent)?.div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

#[expect(clippy::cast_precision_loss, reason = "nanoseconds of one request are far below 2^53")]
fn milliseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}

/// Prompt processing, tok/s: `tokens` evaluated in `microseconds`, from the start of the slot to the first
/// token sampled. `None` when nothing was evaluated or no time passed.
pub fn prompt_rate(tokens: u32, microseconds: u64) -> Option<f64> {
    rate(tokens, microseconds)
}

/// Token generation, tok/s: `tokens - 1` steps in `microseconds`, from the first token to the last.
///
/// The first token is sampled at the end of prompt processing, so n tokens are n - 1 steps.
pub fn generation_rate(tokens: u32, microseconds: u64) -> Option<f64> {
    rate(tokens.saturating_sub(1), microseconds)
}

/// Either of both, tok/s, where a tool says how long so many tokens took: `tokens` in `nanoseconds`.
///
/// In the order of operations of llama-bench, so that its samples give its rates to the last bit.
#[expect(clippy::cast_precision_loss, reason = "nanoseconds of one test are far below 2^53")]
pub fn timed_rate(tokens: u32, nanoseconds: u64) -> Option<f64> {
    (tokens > 0 && nanoseconds > 0).then(|| 1e9 * f64::from(tokens) / nanoseconds as f64)
}

/// Energy of a token, J: `microjoules` over `tokens`. For decoding, the steps are counted, one fewer than the tokens
/// generated, as in [`generation_rate`]. `None` when there was none.
pub fn energy_per_token(microjoules: u64, tokens: u32) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "microjoules of one run are far below 2^53")]
    let joules = microjoules as f64 / 1e6;
    (tokens > 0).then(|| joules / f64::from(tokens))
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of one request are far below 2^53")]
fn rate(steps: u32, microseconds: u64) -> Option<f64> {
    (steps > 0 && microseconds > 0).then(|| f64::from(steps) * 1e6 / microseconds as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generation_counts_steps_not_tokens() {
        assert_eq!(generation_rate(129, 2_000_000), Some(64.0));
        assert_eq!(generation_rate(1, 2_000_000), None);
        assert_eq!(generation_rate(0, 0), None);
    }

    fn stream(sent_ns: u64, prompt: u32, arrivals: &[(u32, u64)]) -> Stream {
        let (generated, last) = *arrivals.last().unwrap();
        let first = arrivals[0].1;
        Stream {
            sent_ns,
            measurement: Measurement {
                prompt_tokens: prompt,
                cached_tokens: Some(0),
                prompt_us: first / 1_000,
                generated_tokens: generated,
                generation_us: (last - first) / 1_000,
                first_token_ns: first,
                total_ns: last + 1,
                arrivals: arrivals.to_vec(),
                output_ids: None,
            },
        }
    }

    fn run(streams: Vec<Stream>) -> RunRecord {
        let id = crate::journal::StartId { case: "c".into(), start: 1, attempt: 1 };
        let gaps = Gaps::of(streams.iter().map(|stream| stream.measurement.arrivals.as_slice()));
        let (measurement, bench, broken) = (None, None, Vec::new());
        RunRecord { id, index: 1, warmup: false, measurement, streams, gaps, bench, broken }
    }

    const MS: u64 = 1_000_000;

    #[test]
    fn several_streams_are_one_rate_over_the_union_of_their_times() {
        let run = run(vec![
            stream(0, 100, &[(1, 100 * MS), (11, 600 * MS)]),
            stream(50 * MS, 100, &[(1, 150 * MS), (11, 1050 * MS)]),
        ]);
        let values = RunValues::of(&run);
        // 200 tokens from the first sending (0) to the last first token (200 ms).
        assert_eq!(values.pp, Some(1000.0));
        // 20 steps from the first first token (100 ms) to the last token of all (1100 ms).
        assert_eq!(values.tg, Some(20.0));
        // Rank 1 of 2: the slower one, 10 steps in 900 ms.
        assert!((values.tg_stream.unwrap() - 10.0 / 0.9).abs() < 1e-9);
        assert_eq!(values.ttft, [Some(100.0), Some(150.0), Some(150.0)]);
        assert!(run.counts());
    }

    #[test]
    fn a_single_stream_is_by_the_servers_clock() {
        let Stream { measurement, .. } = stream(0, 10, &[(1, 50 * MS), (5, 250 * MS)]);
        let single = RunRecord {
            measurement: Some(Measurement { prompt_us: 40_000, generation_us: 160_000, ..measurement }),
            streams: Vec::new(),
            ..run(vec![stream(0, 1, &[(1, MS)])])
        };
        let values = RunValues::of(&single);
        assert_eq!((values.pp, values.tg, values.tg_stream), (Some(250.0), Some(25.0), None));
        assert_eq!(values.ttft, [Some(50.0), None, None]);
        assert_eq!(
            Windows::of(&single),
            Some(Windows { prompt: [0, 50 * MS], generation: [50 * MS, 250 * MS] })
        );
    }

    #[test]
    fn gaps_are_of_tokens_and_not_of_events() {
        let of = |arrivals: &[(u32, u64)]| Gaps::of([arrivals].into_iter());
        let even = of(&[(1, 5), (2, 15), (3, 25), (4, 35)]).unwrap();
        assert_eq!(even, Gaps { count: 3, p50_ns: 10, p95_ns: 10, p99_ns: 10, max_ns: 10 });
        // Two of four tokens in one event: gaps 0, 10 and 20.
        let uneven = of(&[(1, 5), (3, 25), (4, 35)]).unwrap();
        assert_eq!(uneven, Gaps { count: 3, p50_ns: 10, p95_ns: 20, p99_ns: 20, max_ns: 20 });
        // All at once.
        assert_eq!(of(&[(3, 5)]).unwrap(), Gaps { count: 2, p50_ns: 0, p95_ns: 0, p99_ns: 0, max_ns: 0 });
        assert_eq!(of(&[(1, 5)]), None);
        assert_eq!(of(&[]), None);
        let many: Vec<(u32, u64)> = (1..=101_u32).map(|token| (token, u64::from(token * token))).collect();
        let gaps = of(&many).unwrap();
        // The gaps are 3, 5, 7, ..., 201.
        assert_eq!(
            (gaps.count, gaps.p50_ns, gaps.p95_ns, gaps.p99_ns, gaps.max_ns),
            (100, 101, 191, 199, 201)
        );
    }

    #[test]
    fn prompt_counts_tokens() {
        assert_eq!(prompt_rate(512, 1_000_000), Some(512.0));
        assert_eq!(prompt_rate(512, 0), None);
    }
}
