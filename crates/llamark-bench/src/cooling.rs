//! The pause before a start: so long, or until the device is cool.

use std::time::{Duration, Instant};

use llamark_process::Interrupt;
use llamark_record::journal::{Cooled, CooledBy};
use llamark_record::plan::{CoolDown, Plan, PlannedBackend};
use llamark_telemetry::Thermometer;

use crate::host::Roots;

/// How often the sensors are read meanwhile.
const LOOK: Duration = Duration::from_millis(500);

/// Waits as the plan says before a start on that backend; a request to stop ends it. Gives how it ended, where it waits
/// for something.
pub async fn cool_down(
    plan: &Plan,
    backend: &PlannedBackend,
    roots: &Roots,
    interrupt: &Interrupt,
) -> Option<Cooled> {
    let longest = Duration::from_millis(plan.cooldown_ms);
    match plan.procedure.cooldown {
        CoolDown::Pause => {
            sleep(longest, interrupt).await;
            None
        }
        CoolDown::Until { millicelsius } => {
            let device = if backend.is_on_processor() { "cpu." } else { "gpu." };
            let mut thermometer = Thermometer::find(&llamark_telemetry::Roots::below(&roots.root), device);
            Some(until(longest, millicelsius, LOOK, || thermometer.hottest(), interrupt).await)
        }
    }
}

/// Waits until the hottest sensor is at most this warm, and no longer than `longest`.
async fn until(
    longest: Duration,
    millicelsius: u64,
    look: Duration,
    mut hottest: impl FnMut() -> Option<(String, i64)>,
    interrupt: &Interrupt,
) -> Cooled {
    let began = Instant::now();
    loop {
        let read = hottest();
        let waited = began.elapsed();
        let is_cool =
            read.as_ref().is_some_and(|(_, warm)| *warm <= i64::try_from(millicelsius).unwrap_or(i64::MAX));
        if is_cool || waited >= longest || interrupt.is_set() {
            let by = match &read {
                Some(_) if is_cool => CooledBy::Cool,
                Some(_) => CooledBy::Limit,
                None => CooledBy::NoSensor,
            };
            let (sensor, warm) = read.unzip();
            return Cooled {
                waited_ms: u64::try_from(waited.as_millis()).unwrap_or(u64::MAX),
                millicelsius: warm,
                sensor: sensor.unwrap_or_default(),
                by,
            };
        }
        sleep(look.min(longest.saturating_sub(waited)), interrupt).await;
    }
}

async fn sleep(time: Duration, interrupt: &Interrupt) {
    if !time.is_zero() {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = interrupt.wait() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_millis(60);
    const OFTEN: Duration = Duration::from_millis(5);

    async fn from(readings: &[Option<i64>]) -> Cooled {
        let mut all = readings.iter().copied();
        let mut last = None;
        let next = || {
            last = all.next().unwrap_or(last);
            last.map(|warm| ("cpu.temperature.package".to_owned(), warm))
        };
        until(LONGEST, 60_000, OFTEN, next, &Interrupt::new()).await
    }

    #[tokio::test]
    async fn it_waits_until_it_is_cool_and_no_longer() {
        let cooled = from(&[Some(80_000), Some(70_000), Some(60_000), Some(50_000)]).await;
        assert_eq!((cooled.by, cooled.millicelsius), (CooledBy::Cool, Some(60_000)));
        assert!((10..60).contains(&cooled.waited_ms), "{cooled:?}");
        assert_eq!(cooled.sensor, "cpu.temperature.package");
        assert_eq!(from(&[Some(40_000)]).await.waited_ms, 0);
    }

    #[tokio::test]
    async fn what_does_not_cool_is_given_up_on() {
        let cooled = from(&[Some(80_000)]).await;
        assert_eq!((cooled.by, cooled.millicelsius), (CooledBy::Limit, Some(80_000)));
        assert!(cooled.waited_ms >= 60, "{cooled:?}");
    }

    #[tokio::test]
    async fn without_a_sensor_it_is_a_pause() {
        let cooled = from(&[None]).await;
        assert_eq!((cooled.by, cooled.millicelsius, cooled.sensor.as_str()), (CooledBy::NoSensor, None, ""));
        assert!(cooled.waited_ms >= 60, "{cooled:?}");
    }

    #[tokio::test]
    async fn a_request_to_stop_ends_it() {
        let interrupt = Interrupt::new();
        interrupt.set();
        let cooled = until(Duration::from_secs(60), 1, OFTEN, || None, &interrupt).await;
        assert!(cooled.waited_ms < 1000, "{cooled:?}");
    }
}
