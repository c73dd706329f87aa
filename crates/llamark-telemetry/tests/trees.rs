//! Channels and readings of trees of devices, whole and damaged.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::disallowed_methods, reason = "a test makes its own files")]

use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use llamark_record::telemetry::{Availability, Channel, Phase, Throttled, Window};
use llamark_telemetry::{Recording, Roots, Sampler, Span, TelemetryError};

/// Longest that a test waits for something.
const PATIENCE: Duration = Duration::from_secs(20);

fn fixture(name: &str) -> Utf8PathBuf {
    Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// One line for each channel: what it says, or why it does not.
fn table(recording: &Recording) -> String {
    let last_ns = recording.rounds().last().copied().unwrap_or(0);
    let window = recording.window(Span { phase: Phase::Load, begin_ns: 0, end_ns: last_ns });
    let mut text = String::new();
    for channel in recording.channels() {
        let said = match &channel.availability {
            Availability::Available => match window.readings.get(&channel.name) {
                Some(reading) => format!("{} {:?}", reading.max, channel.unit),
                None => format!("a counter in {:?}", channel.unit),
            },
            Availability::Partly { reason, .. } => format!("partly: {reason}"),
            Availability::NotAvailable { reason } => format!("not available: {reason}"),
        };
        text.push_str(&format!("{} = {said}\n", channel.name));
    }
    text
}

/// Waits until the sampler has made `rounds` more rounds.
fn wait(sampler: &Sampler, rounds: usize) {
    let begun = Instant::now();
    let goal = sampler.rounds() + rounds;
    while sampler.rounds() < goal {
        assert!(begun.elapsed() < PATIENCE, "the sampler made no round");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A few rounds over a tree.
fn sample(folder: &Utf8Path, process: Option<u32>) -> Recording {
    let sampler = Sampler::start(&Roots::below(folder), 100, Instant::now()).unwrap();
    wait(&sampler, 1);
    if let Some(process) = process {
        sampler.watch(process);
    }
    wait(&sampler, 2);
    sampler.stop()
}

/// A copy of a fixture that a test may damage.
fn copy(name: &str) -> (tempfile::TempDir, Utf8PathBuf) {
    fn copy_into(from: &Utf8Path, to: &Utf8Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in from.read_dir_utf8().unwrap() {
            let entry = entry.unwrap();
            let target = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy_into(entry.path(), &target);
            } else {
                std::fs::copy(entry.path(), &target).unwrap();
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let root = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
    copy_into(&fixture(name), &root);
    (folder, root)
}

fn channel<'a>(recording: &'a Recording, name: &str) -> &'a Channel {
    recording.channels().iter().find(|channel| channel.name == name).unwrap()
}

fn whole(recording: &Recording) -> Window {
    let rounds = recording.rounds();
    recording.window(Span { phase: Phase::Load, begin_ns: rounds[0], end_ns: *rounds.last().unwrap() })
}

fn availability<'a>(recording: &'a Recording, name: &str) -> &'a Availability {
    &channel(recording, name).availability
}

fn not_available(reason: &str) -> Availability {
    Availability::NotAvailable { reason: reason.to_owned() }
}

#[test]
fn strix_halo() {
    let recording = sample(&fixture("strix-halo"), Some(4242));
    insta::assert_snapshot!(table(&recording), @r"
    cpu.energy.package-0 = a counter in Microjoules
    gpu.0.power = 118047000 Microwatts
    gpu.0.vram = 171991040 Bytes
    gpu.0.gtt = 64424509440 Bytes
    gpu.0.busy = 97 Percent
    gpu.0.clock = 2894000000 Hertz
    gpu.0.memory_clock = 1000000000 Hertz
    gpu.0.temperature.edge = 71000 Millidegrees
    gpu.0.throttle = a counter in ThrottleCount
    process.rss = 1264196608 Bytes
    process.cpu_time = a counter in Nanoseconds
    memory.available = 61440000000 Bytes
    cpu.clock = 4450000000 Hertz
    cpu.temperature.k10temp.tctl = 74625 Millidegrees
    cpu.throttle = not available: there is no such file
    ");
}

#[test]
fn a_discrete_gpu_beside_another() {
    insta::assert_snapshot!(table(&sample(&fixture("radeon-rx-7900-xtx"), None)), @r"
    cpu.energy = not available: the kernel shows no RAPL counters
    gpu.0.power = 327000000 Microwatts
    gpu.1.power = not available: GPU sensors are read only from amdgpu and NVIDIA's driver
    gpu.0.vram = 21474836480 Bytes
    gpu.0.gtt = 78643200 Bytes
    gpu.0.busy = 99 Percent
    gpu.0.clock = 2371000000 Hertz
    gpu.0.memory_clock = 1249000000 Hertz
    gpu.0.temperature.edge = 61000 Millidegrees
    gpu.0.temperature.junction = 83000 Millidegrees
    gpu.0.temperature.mem = 78000 Millidegrees
    gpu.0.throttle = a counter in ThrottleBits
    process.rss = not available: no process was given
    process.cpu_time = not available: no process was given
    memory.available = 40960000000 Bytes
    cpu.clock = not available: no processor has a clock driver
    cpu.temperature.coretemp.package_id_0 = 63000 Millidegrees
    cpu.throttle = not available: there is no such file
    ");
}

#[test]
fn a_server_with_two_packages() {
    let recording = sample(&fixture("xeon-two-packages"), None);
    insta::assert_snapshot!(table(&recording), @r"
    cpu.energy.package-0 = a counter in Microjoules
    cpu.energy.package-0.dram = a counter in Microjoules
    cpu.energy.package-1.dram = a counter in Microjoules
    cpu.energy.package-1 = a counter in Microjoules
    gpu.power = not available: there is no GPU
    process.rss = not available: no process was given
    process.cpu_time = not available: no process was given
    memory.available = 512000000000 Bytes
    cpu.clock = 2500000000 Hertz
    cpu.temperature.zone.1.x86_pkg_temp = 55000 Millidegrees
    cpu.throttle = a counter in ThrottleCount
    ");
    assert_eq!(channel(&recording, "cpu.energy.package-1").wraps_at, Some(262_143_328_850));
    let clock = &channel(&recording, "cpu.clock").source;
    assert!(clock.ends_with("(10 of 20)"), "{clock}");
}

#[test]
fn a_machine_with_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let root = Utf8Path::from_path(folder.path()).unwrap();
    insta::assert_snapshot!(table(&sample(root, Some(1))), @r"
    cpu.energy = not available: the kernel shows no RAPL counters
    gpu.power = not available: there is no GPU
    process.rss = not available: there is no such file
    process.cpu_time = not available: there is no such file
    memory.available = not available: there is no such file
    cpu.clock = not available: no processor has a clock driver
    cpu.temperature = not available: no sensor of the processor
    cpu.throttle = not available: there is no such file
    ");
}

#[test]
fn garbage_and_false_zeros_are_not_available() {
    let (_folder, root) = copy("strix-halo");
    let device = root.join("sys/class/drm/card1/device");
    std::fs::write(device.join("hwmon/hwmon4/power1_average"), "0\n").unwrap();
    std::fs::write(device.join("hwmon/hwmon4/temp1_input"), "0\n").unwrap();
    std::fs::write(device.join("hwmon/hwmon4/freq1_input"), "N/A\n").unwrap();
    std::fs::write(device.join("mem_info_vram_used"), "").unwrap();
    std::fs::write(device.join("gpu_busy_percent"), "65535\n").unwrap();
    std::fs::write(device.join("mem_info_gtt_used"), "0\n").unwrap();
    std::fs::write(device.join("gpu_metrics"), [8, 0, 9, 9, 0, 0, 0, 0]).unwrap();
    std::fs::write(device.join("pp_dpm_mclk"), "0: 400Mhz\n").unwrap();
    let recording = sample(&root, None);
    for (name, reason) in [
        ("gpu.0.power", "it says 0 microwatts, which cannot be true"),
        ("gpu.0.temperature.edge", "it says 0 thousandths of a degree, which cannot be true"),
        ("gpu.0.clock", "it does not contain a number"),
        ("gpu.0.vram", "it is empty"),
        ("gpu.0.busy", "it says a number of percent that cannot be true"),
        ("gpu.0.throttle", "the layout of table v9.9 with 8 bytes is unknown"),
        ("gpu.0.memory_clock", "no level is marked"),
    ] {
        assert_eq!(*availability(&recording, name), not_available(reason), "{name}");
    }
    // Nothing in use is nothing in use.
    assert_eq!(whole(&recording).readings["gpu.0.gtt"].max, 0);
    assert_eq!(whole(&recording).throttled, Throttled::Unknown);
}

#[test]
fn a_file_that_vanishes_is_a_gap_and_is_read_again_when_it_is_back() {
    let (_folder, root) = copy("strix-halo");
    let path = root.join("sys/class/drm/card1/device/hwmon/hwmon4/power1_average");
    let sampler = Sampler::start(&Roots::below(&root), 100, Instant::now()).unwrap();
    wait(&sampler, 3);
    std::fs::remove_file(&path).unwrap();
    wait(&sampler, 3);
    std::fs::write(&path, "5000000\n").unwrap();
    wait(&sampler, 3);
    let recording = sampler.stop();
    let Availability::Partly { failed, reason } = availability(&recording, "gpu.0.power") else {
        panic!("{:?}", availability(&recording, "gpu.0.power"))
    };
    assert!(*failed >= 2, "{failed}");
    assert_eq!(reason, "there is no such file");
    let power = whole(&recording).readings["gpu.0.power"];
    assert_eq!((power.min, power.max), (5_000_000, 118_047_000));
    let text = String::from_utf8(recording.csv()).unwrap();
    let columns = text.lines().next().unwrap().split(',').count();
    assert!(text.lines().all(|line| line.split(',').count() == columns), "{text}");
    let place = text.lines().next().unwrap().split(',').position(|name| name == "gpu.0.power").unwrap();
    let column: Vec<&str> = text.lines().skip(1).map(|line| line.split(',').nth(place).unwrap()).collect();
    assert!(column.contains(&"") && column.contains(&"118047000") && !column.contains(&"0"), "{column:?}");
}

#[test]
fn before_and_after_the_process_there_is_nothing_to_read() {
    let (_folder, root) = copy("strix-halo");
    let sampler = Sampler::start(&Roots::below(&root), 100, Instant::now()).unwrap();
    wait(&sampler, 2);
    sampler.watch(4242);
    wait(&sampler, 3);
    std::fs::remove_dir_all(root.join("proc/4242")).unwrap();
    wait(&sampler, 2);
    let recording = sampler.stop();
    assert_eq!(*availability(&recording, "process.rss"), Availability::Available);
    let rss = whole(&recording).readings["process.rss"];
    assert_eq!((rss.min, rss.max), (1_234_567 * 1024, 1_234_567 * 1024));
    let rounds = u32::try_from(recording.rounds().len()).unwrap();
    assert!(rss.samples >= 2 && rss.samples <= rounds - 4, "{} of {rounds}", rss.samples);
}

#[test]
fn clocks_held_back_show_as_a_counter_that_grows() {
    let (_folder, root) = copy("xeon-two-packages");
    let path = root.join("sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count");
    let sampler = Sampler::start(&Roots::below(&root), 100, Instant::now()).unwrap();
    wait(&sampler, 3);
    let calm_until = sampler.rounds();
    std::fs::write(&path, "13\n").unwrap();
    wait(&sampler, 3);
    let recording = sampler.stop();
    assert_eq!(whole(&recording).throttled, Throttled::Yes);
    let end_ns = recording.rounds()[calm_until - 1];
    let calm = recording.window(Span { phase: Phase::Idle, begin_ns: recording.rounds()[0], end_ns });
    assert_eq!(calm.throttled, Throttled::No);
}

#[test]
fn a_sensor_that_blocks_neither_stops_the_rounds_nor_the_end() {
    let (_folder, root) = copy("strix-halo");
    let path = root.join("sys/class/drm/card1/device/gpu_busy_percent");
    std::fs::remove_file(&path).unwrap();
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, path.as_std_path(), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let recording = sample(&root, None);
    assert!(matches!(availability(&recording, "gpu.0.busy"), Availability::NotAvailable { .. }));
    assert_eq!(*availability(&recording, "gpu.0.power"), Availability::Available);
    assert_eq!(recording.cut_short(), None);
}

#[test]
fn this_process_on_this_machine() {
    let sampler = Sampler::start(&Roots { nvml: false, ..Roots::default() }, 100, Instant::now()).unwrap();
    sampler.watch(std::process::id());
    wait(&sampler, 5);
    let recording = sampler.stop();
    let rss = whole(&recording).readings["process.rss"];
    assert!(rss.min > 1 << 20 && rss.max < 1 << 40, "{rss:?}");
    assert!(whole(&recording).readings["memory.available"].min > 1 << 20);
    let rounds = recording.rounds();
    assert!(rounds.windows(2).all(|pair| pair[0] < pair[1]), "{rounds:?}");
}

#[test]
fn the_cadence_is_that_of_the_rate() {
    let (_folder, root) = copy("strix-halo");
    let sampler = Sampler::start(&Roots::below(&root), 50, Instant::now()).unwrap();
    wait(&sampler, 10);
    let recording = sampler.stop();
    let rounds = recording.rounds();
    // The last comes when it is asked for; the others on multiples of 20 ms, if late, and never more often.
    let regular = &rounds[..rounds.len() - 1];
    let span = regular.last().unwrap() - regular[0];
    let periods = u64::try_from(regular.len() - 1).unwrap();
    assert!(span >= (periods - 1) * 20_000_000, "{rounds:?}");
    assert_eq!(recording.period_ns(), 20_000_000);
}

#[test]
fn a_rate_out_of_range_is_refused() {
    for hertz in [0, 101] {
        let refused = Sampler::start(&Roots::below(Utf8Path::new("/none")), hertz, Instant::now());
        assert!(matches!(refused, Err(TelemetryError::Rate { .. })));
    }
}

#[test]
fn the_same_recording_gives_the_same_bytes() {
    let recording = sample(&fixture("strix-halo"), Some(4242));
    let id = llamark_record::journal::StartId { case: "m/b/p".into(), start: 1, attempt: 1 };
    let span = Span { phase: Phase::Idle, begin_ns: 0, end_ns: 1 };
    let (first, bytes) = recording.record(id.clone(), &[span]);
    let (second, again) = recording.record(id, &[span]);
    assert_eq!((&first, &bytes), (&second, &again));
    assert_eq!(first.samples.sha256, llamark_record::Sha256::of_bytes(&bytes));
    assert_eq!(first.samples.rows, u64::try_from(recording.rounds().len()).unwrap());
}

#[test]
fn the_hottest_sensor_of_a_device_is_told_by_name() {
    use llamark_telemetry::Thermometer;
    let (_keep, tree) = copy("strix-halo");
    let hottest = |device| Thermometer::find(&Roots::below(&tree), device).hottest();
    let (cpu, gpu) = (hottest("cpu.").unwrap(), hottest("gpu.").unwrap());
    assert!(cpu.0.starts_with("cpu.temperature.k10temp") && cpu.1 > 20_000, "{cpu:?}");
    assert!(gpu.0.starts_with("gpu.0.temperature") && gpu.1 > 20_000, "{gpu:?}");
    assert_eq!(hottest("gpu.7."), None);
    // It is read anew each time, and a sensor that says what cannot be true is none.
    let mut thermometer = Thermometer::find(&Roots::below(&tree), "gpu.");
    thermometer.hottest().unwrap();
    let file = tree.join("sys/class/drm/card1/device/hwmon/hwmon4/temp1_input");
    fs_err::write(&file, "91000\n").unwrap();
    assert_eq!(thermometer.hottest().unwrap().1, 91_000);
    fs_err::write(&file, "0\n").unwrap();
    assert_eq!(thermometer.hottest(), None);
}
