//! One run: a request of the measured shape to each slot, all at once; measured, judged and recorded.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use llamark_record::journal::{BrokenRule, Event, Gaps, Rule, RunRecord, Stream};
use llamark_record::metric::Windows;

use crate::client::{Client, ClientError, Next, StreamTimes};
use crate::completion::{self, Ending, Gathering, nanoseconds};
use crate::prompt::Prompt;
use crate::protocol::{Halt, Session};
use crate::rules::{self, Asked};
use crate::start::{Progress, Recorder};

/// Least time between two tellings of where a run is.
const TELL: Duration = Duration::from_millis(100);

/// One run.
///
/// # Errors
/// When the start cannot go on after it. The run is recorded all the same, unless somebody asked to stop.
pub(crate) async fn run(
    session: &Session<'_>,
    client: &Client,
    prompt: &Prompt,
    index: u32,
    warmup: bool,
    recorder: &mut dyn Recorder,
) -> Result<RunRecord, Halt> {
    let phase = format!("{} {index}", if warmup { "warm-up run" } else { "run" });
    let case = session.start.case;
    let asked = Asked { depth: prompt.depth(), prompt: prompt.tokens(), tokens: case.max_tokens };
    if asked.depth > 0 {
        fill(session, client, prompt, &phase).await?;
    }
    let live = Live::new(case.concurrency.max(1), asked, index, warmup);
    let answers = live.ask(session, client, prompt);
    let answers = session.guard(&phase, session.request_limit(), || live.seen(), answers).await;
    let mut record = RunRecord {
        id: session.start.id.clone(),
        index,
        warmup,
        measurement: None,
        streams: Vec::new(),
        gaps: None,
        bench: None,
        broken: Vec::new(),
    };
    let times = match answers {
        Ok(times) => times,
        Err(Halt::Interrupted) => return Err(Halt::Interrupted),
        Err(halt) => {
            let detail = match &halt {
                Halt::Died(_) => format!("the server died: {}", live.seen()),
                Halt::TimedOut { limit, .. } => {
                    format!("no end within {} ms: {}", limit.as_millis(), live.seen())
                }
                Halt::Protocol(detail) => detail.clone(),
                other => format!("{other:?}"),
            };
            record.broken.push(BrokenRule { rule: Rule::Answered, detail });
            recorder.record(Event::Run(record))?;
            return Err(halt);
        }
    };
    let sent = times.iter().map(|times| times.sent).min();
    let result = match live.finish(&times) {
        Ok(measured) => {
            judge(&mut record, &asked, measured);
            if let (false, Some(sent), Some(windows)) = (warmup, sent, Windows::of(&record)) {
                session.watch.run(index, sent, windows);
            }
            Ok(record.clone())
        }
        Err(detail) => {
            record.broken.push(BrokenRule { rule: Rule::Answered, detail: detail.clone() });
            Err(Halt::Protocol(format!("{phase}: {detail}")))
        }
    };
    recorder.record(Event::Run(record))?;
    (session.observer)(Progress::RunDone);
    result
}

/// Fills the context of every slot up to the depth: afterwards its cache holds these tokens and no others. What the run
/// before left behind them is cut off; where a cache cannot be cut, the server evaluates them anew. Not a part of the run.
async fn fill(session: &Session<'_>, client: &Client, prompt: &Prompt, phase: &str) -> Result<(), Halt> {
    let phase = format!("the filling of the context before {phase}");
    for slot in 0..session.start.case.concurrency.max(1) {
        let answer = client.post(completion::PATH, completion::filling(slot, prompt.before()));
        session.guard(&phase, session.request_limit(), String::new, answer).await?;
    }
    Ok(())
}

/// Puts what was measured into the record, with the rules that it breaks.
fn judge(record: &mut RunRecord, asked: &Asked, measured: Vec<(Stream, Ending)>) {
    let several = measured.len() > 1;
    // A server that claims more tokens than it was asked for breaks a rule; memory for each of them is not made.
    let arrivals = || measured.iter().map(|(stream, _)| stream.measurement.arrivals.as_slice());
    let is_bounded =
        arrivals().all(|arrivals| arrivals.last().is_none_or(|(tokens, _)| *tokens <= asked.tokens));
    record.gaps = if is_bounded { Gaps::of(arrivals()) } else { None };
    for (slot, (stream, ending)) in measured.into_iter().enumerate() {
        let broken = rules::broken(asked, &stream.measurement, &ending).into_iter();
        record.broken.extend(broken.map(|BrokenRule { rule, detail }| {
            let detail = if several { format!("stream {}: {detail}", slot + 1) } else { detail };
            BrokenRule { rule, detail }
        }));
        if several {
            record.streams.push(stream);
        } else {
            record.measurement = Some(stream.measurement);
        }
    }
}

/// The requests of a run while they are answered.
struct Live {
    streams: Vec<RefCell<Gathering>>,
    asked: Asked,
    index: u32,
    warmup: bool,
    began: Instant,
    told: Cell<Instant>,
}

impl Live {
    fn new(streams: u32, asked: Asked, index: u32, warmup: bool) -> Self {
        let began = Instant::now();
        let streams = (0..streams).map(|_| RefCell::default()).collect();
        Self { streams, asked, index, warmup, began, told: Cell::new(began) }
    }

    /// Sends all of them, and waits for all of them; the first that fails ends the others.
    async fn ask(
        &self,
        session: &Session<'_>,
        client: &Client,
        prompt: &Prompt,
    ) -> Result<Vec<StreamTimes>, ClientError> {
        let requests = self.streams.iter().zip(0..).map(|(gathering, slot)| {
            let on_event = move |at: Instant, data: &[u8]| {
                let next = gathering.borrow_mut().take(at, data);
                if next == Next::More {
                    self.tell(session, at);
                }
                next
            };
            let body = completion::body(slot, prompt.whole(), self.asked.tokens, self.asked.depth > 0);
            client.stream(completion::PATH, body, on_event)
        });
        all(requests).await
    }

    fn tell(&self, session: &Session<'_>, at: Instant) {
        if at.saturating_duration_since(self.told.get()) >= TELL {
            self.told.set(at);
            let case = session.start.case;
            (session.observer)(self.progress(if self.warmup { case.warmup } else { case.runs }));
        }
    }

    /// Where the run is, by our clock; of several streams, all together.
    fn progress(&self, of: u32) -> Progress {
        let count = u32::try_from(self.streams.len()).unwrap_or(u32::MAX);
        let tokens = self.tokens();
        let moments: Vec<(Instant, Instant)> =
            self.streams.iter().filter_map(|stream| stream.borrow().moments()).collect();
        let rate =
            |steps: f64, time: Duration| (steps > 0.0 && !time.is_zero()).then(|| steps / time.as_secs_f64());
        let evaluated = f64::from(self.asked.prompt.saturating_mul(count));
        // Only when every prompt is through.
        let last_first = moments.iter().map(|(first, _)| *first).max();
        let pp = last_first
            .filter(|_| moments.len() == self.streams.len())
            .and_then(|at| rate(evaluated, at.saturating_duration_since(self.began)));
        let steps = tokens.saturating_sub(u32::try_from(moments.len()).unwrap_or(u32::MAX));
        let first = moments.iter().map(|(first, _)| *first).min();
        let last = moments.iter().map(|(_, last)| *last).max();
        let tg = first
            .zip(last)
            .and_then(|(first, last)| rate(f64::from(steps), last.saturating_duration_since(first)));
        let of_tokens = self.asked.tokens.saturating_mul(count);
        Progress::Run { index: self.index, of, warmup: self.warmup, tokens, of_tokens, pp, tg }
    }

    fn tokens(&self) -> u32 {
        self.streams.iter().map(|stream| stream.borrow().tokens()).fold(0, u32::saturating_add)
    }

    /// How far the run got.
    fn seen(&self) -> String {
        let count = u32::try_from(self.streams.len()).unwrap_or(u32::MAX);
        match self.tokens() {
            0 => "no token was here".to_owned(),
            tokens => format!("{tokens} of {} tokens were here", self.asked.tokens.saturating_mul(count)),
        }
    }

    /// What was measured of each.
    ///
    /// # Errors
    /// What is wrong with the answer of one of them, as a sentence.
    fn finish(self, times: &[StreamTimes]) -> Result<Vec<(Stream, Ending)>, String> {
        let first = times.iter().map(|times| times.sent).min();
        let streams = self.streams.into_iter().zip(times).map(|(stream, times)| {
            let (measurement, ending) = stream.into_inner().finish(*times)?;
            let since = first.map(|first| times.sent.saturating_duration_since(first));
            let sent_ns = nanoseconds(since.unwrap_or_default());
            Ok((Stream { sent_ns, measurement }, ending))
        });
        streams.collect()
    }
}

/// Waits for all of some futures, each polled by the very task that waits.
async fn all<T, E>(futures: impl Iterator<Item = impl Future<Output = Result<T, E>>>) -> Result<Vec<T>, E> {
    let mut futures: Vec<Pin<Box<_>>> = futures.map(Box::pin).collect();
    let mut done: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    poll_fn(|context| {
        let mut is_waiting = false;
        for (future, slot) in futures.iter_mut().zip(&mut done) {
            if slot.is_some() {
                continue;
            }
            match future.as_mut().poll(context) {
                Poll::Ready(Ok(value)) => *slot = Some(value),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => is_waiting = true,
            }
        }
        if is_waiting { Poll::Pending } else { Poll::Ready(Ok(())) }
    })
    .await?;
    Ok(done.into_iter().flatten().collect())
}
