//! The sampler: a thread of its own that reads every sensor at a fixed cadence until it is told to stop.
//!
//! A round that takes longer than the period does not shift the ones after it: those that are missed are left out, and
//! the time stamps show it. A sensor that blocks holds up the sampler, never what is measured, and not [`Sampler::stop`].

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use llamark_record::telemetry::Channel;

use crate::error::TelemetryError;
use crate::file::MOST;
use crate::recording::{self, Recording};
use crate::roots::Roots;
use crate::rows::{Round, Rows};
use crate::sensor::Sensor;
use crate::source;

/// How long the end of the sampler is waited for; only a sensor that blocks takes longer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The sampler reads no sensor at this moment.
const NO_SENSOR: usize = usize::MAX;

/// A sampler that runs. Dropped, it stops by itself.
#[derive(Debug)]
pub struct Sampler {
    shared: Arc<Shared>,
    thread: Thread,
    /// Nothing is ever sent: that the other side is gone says that the thread ended.
    end: Receiver<()>,
    period: Duration,
}

#[derive(Debug)]
struct Shared {
    stop: AtomicBool,
    /// Process to read; 0: none.
    process: AtomicU32,
    /// Place of the sensor that is being read.
    reading: AtomicUsize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    channels: Vec<Channel>,
    rows: Option<Rows>,
}

impl Shared {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sampler {
    /// Starts a thread that looks for the sensors below `roots` and reads all of them `hertz` times per second. Time
    /// stamps are nanoseconds since `origin`, by the monotonic clock of [`Instant`].
    ///
    /// # Errors
    /// When the rate is not 1 to [`TelemetryError::MOST_HERTZ`], or the system gives no thread.
    pub fn start(roots: &Roots, hertz: u32, origin: Instant) -> Result<Self, TelemetryError> {
        if !(1..=TelemetryError::MOST_HERTZ).contains(&hertz) {
            return Err(TelemetryError::Rate { hertz });
        }
        let period = Duration::from_secs(1) / hertz;
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            process: AtomicU32::new(0),
            reading: AtomicUsize::new(NO_SENSOR),
            kept: Mutex::default(),
        });
        let (roots, inside) = (roots.clone(), Arc::clone(&shared));
        let (alive, end) = mpsc::channel();
        let handle = thread::Builder::new()
            .name("telemetry".to_owned())
            .spawn(move || {
                let _alive = alive;
                run(&roots, &inside, period, origin);
            })
            .map_err(|source| TelemetryError::Thread { source })?;
        Ok(Self { shared, thread: handle.thread().clone(), end, period })
    }

    /// From the next round on, reads that process too. Its files are opened once, so that another process that gets its id
    /// later is never read.
    pub fn watch(&self, process: u32) {
        self.shared.process.store(process, Ordering::Relaxed);
    }

    /// Rounds so far; 0 while sensors are being looked for.
    pub fn rounds(&self) -> usize {
        self.shared.kept().rows.as_ref().map_or(0, |rows| rows.at().len())
    }

    /// Planned time between two rounds.
    pub fn period(&self) -> Duration {
        self.period
    }

    /// Reads every sensor a last time, and gives all that was read. When a sensor blocks, what was read before it did.
    pub fn stop(self) -> Recording {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.thread.unpark();
        let is_stuck = self.end.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout);
        let mut kept = self.shared.kept();
        let stuck = is_stuck.then(|| {
            let place = self.shared.reading.load(Ordering::Relaxed);
            let what = kept.channels.get(place).map_or("the search for sensors", |channel| &channel.source);
            format!("{what} blocked for more than {} s", PATIENCE.as_secs())
        });
        let rows = kept.rows.take().unwrap_or_else(|| Rows::new(0));
        let mut channels = std::mem::take(&mut kept.channels);
        recording::settle(&mut channels, &rows);
        let period_ns = u64::try_from(self.period.as_nanos()).unwrap_or(u64::MAX);
        Recording::new(period_ns, channels, rows, stuck)
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.thread.unpark();
    }
}

/// The life of the thread.
fn run(roots: &Roots, shared: &Shared, period: Duration, origin: Instant) {
    let mut sensors = source::discover(roots);
    {
        let mut kept = shared.kept();
        kept.rows = Some(Rows::new(sensors.len()));
        kept.channels = recording::channels(&sensors);
    }
    let mut round = Round::new(sensors.len());
    let mut process = 0;
    let begun = Instant::now();
    loop {
        // Before the round: what stop() asks for is one more.
        let is_last = shared.stop.load(Ordering::Relaxed);
        let wanted = shared.process.load(Ordering::Relaxed);
        if wanted != process {
            process = wanted;
            let folder = roots.proc.join(process.to_string());
            sensors.iter_mut().for_each(|sensor| sensor.probe.watch(&folder));
        }
        let at = origin.elapsed();
        read_all(&mut sensors, &mut round, &|place| shared.reading.store(place, Ordering::Relaxed));
        shared.reading.store(NO_SENSOR, Ordering::Relaxed);
        if let Some(rows) = &mut shared.kept().rows {
            rows.push(u64::try_from(at.as_nanos()).unwrap_or(u64::MAX), &round);
        }
        if is_last {
            return;
        }
        wait(shared, begun, period);
    }
}

/// Waits for the next multiple of the period since `begun`, or for the order to stop.
fn wait(shared: &Shared, begun: Instant, period: Duration) {
    let passed = begun.elapsed().as_nanos();
    let step = period.as_nanos().max(1);
    let next = u64::try_from((passed / step + 1) * step).unwrap_or(u64::MAX);
    let next = begun + Duration::from_nanos(next);
    while !shared.stop.load(Ordering::Relaxed) {
        let left = next.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        thread::park_timeout(left);
    }
}

/// Reads every sensor once; `tell` hears the place of each before it is read.
pub(crate) fn read_all(sensors: &mut [Sensor], round: &mut Round, tell: &dyn Fn(usize)) {
    let mut buffer = [0; MOST];
    for (place, (sensor, value)) in sensors.iter_mut().zip(&mut round.values).enumerate() {
        tell(place);
        *value = sensor.read(&mut buffer);
    }
}
