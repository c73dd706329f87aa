//! Telemetry of one start: the sampler around it, and which spans of time it is asked about.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use llamark_process::Interrupt;
use llamark_record::journal::{Event, Pace};
use llamark_record::metric::Windows;
use llamark_record::plan::{BackendKind, PlannedBackend, TelemetryRate};
use llamark_record::telemetry::{Availability, Channel, Phase};
use llamark_telemetry::{Roots, Sampler, Span};

use crate::completion::nanoseconds;
use crate::error::RecordError;
use crate::start::{Recorder, Start};

/// How long the machine is looked at before the server is spawned: the baseline.
const IDLE: Duration = Duration::from_millis(500);
/// How long the first readings may take: the driver of a sleeping GPU needs seconds.
const FIRST_READINGS: Duration = Duration::from_secs(10);
/// How often it is looked whether they are there.
const LOOK: Duration = Duration::from_millis(5);
/// Extension of the file of readings, beside the log of the server.
const EXTENSION: &str = "telemetry.csv";

/// Every sensor of this machine that telemetry looks for, each read once.
pub fn sensors() -> Vec<Channel> {
    llamark_telemetry::channels(&Roots::default())
}

/// The sampler of a start, or nothing where the plan wants none.
pub(crate) struct Watch {
    sampler: Option<Sampler>,
    origin: Instant,
    spawned: Cell<u64>,
    spans: RefCell<Vec<Span>>,
}

impl Watch {
    /// Starts the sampler, and lets it see the machine before the server is there.
    pub(crate) async fn begin(start: &Start<'_>, interrupt: &Interrupt) -> Self {
        let origin = Instant::now();
        let sampler = match start.plan.telemetry {
            TelemetryRate::Off => None,
            // Without a thread for it there are no readings, and the record has none; the start goes on.
            TelemetryRate::Hertz(hertz) => {
                Sampler::start(&Roots::below(&start.roots.root), hertz, origin).ok()
            }
        };
        let this = Self { sampler, origin, spawned: Cell::new(0), spans: RefCell::default() };
        this.idle(interrupt).await;
        this
    }

    /// Nothing is read.
    pub(crate) fn off() -> Self {
        Self { sampler: None, origin: Instant::now(), spawned: Cell::new(0), spans: RefCell::default() }
    }

    /// The baseline: from the first readings on.
    async fn idle(&self, interrupt: &Interrupt) {
        let Some(sampler) = &self.sampler else { return };
        while sampler.rounds() == 0 && self.origin.elapsed() < FIRST_READINGS && !interrupt.is_set() {
            tokio::time::sleep(LOOK).await;
        }
        let begin = Instant::now();
        tokio::select! {
            () = tokio::time::sleep(IDLE) => {}
            () = interrupt.wait() => {}
        }
        self.span(Phase::Idle, self.since(begin), self.since(Instant::now()));
    }

    /// The server was spawned.
    pub(crate) fn spawned(&self, process: u32, at: Instant) {
        self.spawned.set(self.since(at));
        if let Some(sampler) = &self.sampler {
            sampler.watch(process);
        }
    }

    /// The server answers.
    pub(crate) fn ready(&self, at: Instant) {
        self.span(Phase::Load, self.spawned.get(), self.since(at));
    }

    /// A run that counts was measured; its first request was sent at `sent`.
    pub(crate) fn run(&self, run: u32, sent: Instant, windows: Windows) {
        let sent = self.since(sent);
        let span = |phase, [begin, end]: [u64; 2]| {
            self.span(phase, sent.saturating_add(begin), sent.saturating_add(end));
        };
        span(Phase::Prefill { run }, windows.prompt);
        span(Phase::Decode { run }, windows.generation);
    }

    /// Stops the sampler and records what it read: first the file of readings, then the event that has its digest.
    pub(crate) fn end(self, start: &Start<'_>, recorder: &mut dyn Recorder) -> Result<(), RecordError> {
        let Some(sampler) = self.sampler else { return Ok(()) };
        let recording = sampler.stop();
        let (mut telemetry, bytes) = recording.record(start.id.clone(), &self.spans.into_inner());
        telemetry.gpus = gpus(start.backend, &telemetry.channels);
        telemetry.rails = rails(&telemetry.gpus, start.backend, &telemetry.channels);
        recorder.attach(&start.id, EXTENSION, &bytes)?;
        recorder.record(Event::Telemetry(telemetry))
    }

    fn span(&self, phase: Phase, begin_ns: u64, end_ns: u64) {
        self.spans.borrow_mut().push(Span { phase, begin_ns, end_ns });
    }

    fn since(&self, at: Instant) -> u64 {
        nanoseconds(at.saturating_duration_since(self.origin))
    }
}

/// How fast the processor itself is, with as many threads as the server computes with; nothing where a GPU computes, or where
/// the plan wants no telemetry.
pub(crate) fn pace(start: &Start<'_>) -> Option<Box<Pace>> {
    let is_wanted = start.plan.telemetry != TelemetryRate::Off && start.backend.is_on_processor();
    let threads = NonZeroU32::new(start.settings.threads).filter(|_| is_wanted)?;
    llamark_telemetry::pace(threads).map(Box::new)
}

/// The GPUs that the backend may run on: those with a sensor that its driver gives. llama.cpp does not say which of them
/// is `Vulkan0`, so they count together.
fn gpus(backend: &PlannedBackend, channels: &[Channel]) -> Vec<String> {
    if backend.is_on_processor() {
        return Vec::new();
    }
    let is_of_driver = |channel: &&Channel| {
        let is_nvidia = channel.source.starts_with("NVML");
        match backend.kind {
            Some(BackendKind::Cuda) => is_nvidia,
            Some(BackendKind::Rocm) => !is_nvidia,
            Some(BackendKind::Vulkan | BackendKind::Cpu) | None => true,
        }
    };
    let is_read = |channel: &&Channel| !matches!(channel.availability, Availability::NotAvailable { .. });
    let number =
        |channel: &Channel| channel.name.strip_prefix("gpu.")?.split_once('.')?.0.parse::<u32>().ok();
    let numbers: BTreeSet<u32> =
        channels.iter().filter(is_of_driver).filter(is_read).filter_map(number).collect();
    numbers.iter().map(|number| format!("gpu.{number}")).collect()
}

/// The channels of energy of the backend's device: of each GPU its counter, or else its power; of the processor its
/// packages and their memory.
fn rails(gpus: &[String], backend: &PlannedBackend, channels: &[Channel]) -> Vec<String> {
    if backend.is_on_processor() {
        let names = channels.iter().map(|channel| &channel.name);
        return names.filter(|name| name.starts_with("cpu.energy")).cloned().collect();
    }
    let is_read = |name: &String| {
        channels.iter().any(|channel| {
            channel.name == *name && !matches!(channel.availability, Availability::NotAvailable { .. })
        })
    };
    let rail = |gpu: &String| {
        let counter = format!("{gpu}.energy");
        if is_read(&counter) { counter } else { format!("{gpu}.power") }
    };
    gpus.iter().map(rail).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use llamark_record::plan::{Settings, StatedSettings, Tool};
    use llamark_record::telemetry::Unit;

    use super::*;

    fn backend(kind: BackendKind, device: &str) -> PlannedBackend {
        PlannedBackend {
            name: "b".to_owned(),
            label: String::new(),
            note: String::new(),
            kind: Some(kind),
            build: "b".to_owned(),
            device: device.to_owned(),
            server: Settings::Stated(StatedSettings::default()),
            environment: BTreeMap::new(),
            tool: Tool::LlamaServer,
            memory_bandwidth: None,
        }
    }

    fn channels() -> Vec<Channel> {
        let gone = Availability::NotAvailable { reason: "x".to_owned() };
        [
            ("cpu.energy.package-0", "/sys/x", Availability::Available),
            ("gpu.0.power", "/sys/class/drm/card0", Availability::Available),
            ("gpu.0.vram", "/sys/class/drm/card0", Availability::Available),
            ("gpu.1.energy", "NVML a", Availability::Available),
            ("gpu.1.power", "NVML b", Availability::Available),
            ("gpu.2.energy", "NVML a", gone.clone()),
            ("gpu.2.power", "NVML b", Availability::Available),
            ("gpu.3.power", "/sys/class/drm/card3", gone),
        ]
        .map(|(name, source, availability)| Channel {
            name: name.to_owned(),
            unit: Unit::Microwatts,
            source: source.to_owned(),
            wraps_at: None,
            availability,
        })
        .to_vec()
    }

    #[test]
    fn the_rails_are_those_of_the_backends_device() {
        let of = |kind, device| {
            let backend = backend(kind, device);
            let gpus = gpus(&backend, &channels());
            let rails = rails(&gpus, &backend, &channels());
            (gpus.join(" "), rails.join(" "))
        };
        let found = |gpus: &str, rails: &str| (gpus.to_owned(), rails.to_owned());
        assert_eq!(of(BackendKind::Cpu, "none"), found("", "cpu.energy.package-0"));
        assert_eq!(of(BackendKind::Vulkan, "none"), found("", "cpu.energy.package-0"));
        assert_eq!(of(BackendKind::Cuda, "CUDA0"), found("gpu.1 gpu.2", "gpu.1.energy gpu.2.power"));
        assert_eq!(of(BackendKind::Rocm, "ROCm0"), found("gpu.0", "gpu.0.power"));
        let all = found("gpu.0 gpu.1 gpu.2", "gpu.0.power gpu.1.energy gpu.2.power");
        assert_eq!(of(BackendKind::Vulkan, "Vulkan0"), all);
    }
}
