//! The warm-up of a start: so many runs, or as many as it takes until they are alike.

use llamark_record::journal::{Event, RunRecord, WarmedUp, WarmedUpBy};
use llamark_record::metric::RunValues;
use llamark_record::plan::WarmUp;
use llamark_stats::steady::has_settled;

use crate::client::Client;
use crate::prompt::Prompt;
use crate::protocol::{Halt, Session, says};
use crate::run;
use crate::start::Recorder;

/// Makes the warm-up runs of a start.
///
/// # Errors
/// When one of them breaks a rule: what is to be warmed up is then not what would be measured. And as a run.
pub(crate) async fn warm_up(
    session: &Session<'_>,
    client: &Client,
    prompt: &Prompt,
    recorder: &mut dyn Recorder,
) -> Result<(), Halt> {
    let (start, most) = (session.start, session.start.case.warmup);
    let rule = start.plan.procedure.warmup;
    let mut rates = Rates::default();
    let mut made = 0;
    let mut by = WarmedUpBy::Limit;
    while made < most && by == WarmedUpBy::Limit {
        made += 1;
        let record = run::run(session, client, prompt, made, true, recorder).await?;
        if let Some(first) = record.broken.first() {
            return Err(Halt::Invalid(format!("warm-up run {made} {}", says(first))));
        }
        rates.take(&record);
        if rates.are_steady(rule) {
            by = WarmedUpBy::Steady;
        }
    }
    if rule != WarmUp::Counted {
        recorder.record(Event::WarmedUp(WarmedUp { id: start.id.clone(), runs: made, by }))?;
    }
    Ok(())
}

/// The rates of the warm-up runs so far.
#[derive(Default)]
struct Rates {
    pp: Vec<f64>,
    tg: Vec<f64>,
}

impl Rates {
    fn take(&mut self, run: &RunRecord) {
        let values = RunValues::of(run);
        self.pp.extend(values.pp);
        self.tg.extend(values.tg);
    }

    /// Every rate that there is has settled. One that no run has (a single token has no generation rate) is not asked.
    fn are_steady(&self, rule: WarmUp) -> bool {
        let WarmUp::Steady { window, variation_ppm } = rule else { return false };
        let window = usize::try_from(window).unwrap_or(usize::MAX);
        let settled = |rates: &Vec<f64>| has_settled(rates, window, f64::from(variation_ppm) / 1e6);
        let mut there = [&self.pp, &self.tg].into_iter().filter(|rates| !rates.is_empty()).peekable();
        there.peek().is_some() && there.all(settled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rate_that_there_is_has_to_settle() {
        let rule = WarmUp::Steady { window: 2, variation_ppm: 10_000 };
        let rates = |pp: &[f64], tg: &[f64]| Rates { pp: pp.to_vec(), tg: tg.to_vec() };
        assert!(rates(&[50.0, 100.0, 100.5], &[9.0, 9.0, 9.01]).are_steady(rule));
        assert!(!rates(&[50.0, 100.0, 100.5], &[5.0, 8.0, 9.0]).are_steady(rule));
        assert!(rates(&[100.0, 100.5], &[]).are_steady(rule), "a rate that no run has is not asked");
        assert!(!rates(&[], &[]).are_steady(rule));
        assert!(!rates(&[1.0; 9], &[1.0; 9]).are_steady(WarmUp::Counted));
    }
}
