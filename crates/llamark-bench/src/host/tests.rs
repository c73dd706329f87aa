use std::fmt::Write as _;
use std::io::Write as _;

use camino::Utf8Path;
use llamark_record::environment::Fact;
use proptest::prelude::{any, prop, proptest};

use super::*;

const STRIX_HALO: &str = include_str!("../../fixtures/machines/strix-halo.txt");
const H100: &str = include_str!("../../fixtures/machines/h100.txt");
const VIRTUAL: &str = include_str!("../../fixtures/machines/virtual.txt");

/// A recorded machine, unpacked into a folder.
struct Machine {
    _folder: tempfile::TempDir,
    roots: Roots,
}

fn machine(text: &str) -> Machine {
    let folder = tempfile::tempdir().unwrap();
    let root = Utf8Path::from_path(folder.path()).unwrap().to_owned();
    for file in text.split("\n== ").skip(1) {
        let (path, contents) = file.split_once('\n').unwrap();
        write(&root.join(path.trim_start_matches('/')), contents.as_bytes());
    }
    Machine { _folder: folder, roots: Roots { root, variables: BTreeMap::new() } }
}

fn write(path: &Utf8Path, contents: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = std::fs::OpenOptions::new().create(true).truncate(true).write(true).open(path).unwrap();
    file.write_all(contents).unwrap();
}

fn show(environment: &Environment) -> String {
    let mut text = String::new();
    for (name, fact) in &environment.facts {
        match (&fact.value, &fact.error) {
            (Some(value), None) => writeln!(text, "{name}: {value}").unwrap(),
            (None, Some(error)) => writeln!(text, "{name}? {error} [{}]", fact.source).unwrap(),
            _ => panic!("{name}: a fact has a value or an error"),
        }
    }
    text
}

#[test]
fn a_strix_halo() {
    let machine = machine(STRIX_HALO);
    insta::assert_snapshot!(show(&environment(&machine.roots)), @"
    container.cgroup_version: 2
    container.cpu_limit? no limit is set [/sys/fs/cgroup]
    container.kind: none
    container.memory_limit_bytes? no limit is set [/sys/fs/cgroup]
    cpu.allowed: 0-3
    cpu.boost: on
    cpu.caches: L1d 48K for 0,2, L3 32768K for 0-3
    cpu.clock_driver: amd-pstate-epp
    cpu.energy_preference: balance_performance
    cpu.flags_sha256: 5459b1e6ad753180004c0cb419e3e2b75f2acc756c46a479ae02d884ccdc5cfa
    cpu.governor: performance (1), powersave (3)
    cpu.isolated: none
    cpu.logical: 4
    cpu.max_khz: 5187500
    cpu.microcode: 0xb700032
    cpu.model: AMD RYZEN AI MAX+ 395 w/ Radeon 8060S
    cpu.physical: 2
    cpu.signature: 26-112-0
    cpu.smt: on
    cpu.sockets: 1
    cpu.usable_cores: 2
    cpu.vendor: AuthenticAMD
    gpu.0.driver: amdgpu of Linux 6.16.9-200.fc43.x86_64
    gpu.0.firmware.mec: 0x00000020
    gpu.0.gfx: gfx1151
    gpu.0.gtt_total_bytes: 128849018880
    gpu.0.id: 1002:1586 rev c1
    gpu.0.name: AMD 1002:1586 (gfx1151)
    gpu.0.pci: 0000:c1:00.0
    gpu.0.performance_level: auto
    gpu.0.power_cap_microwatts? there is no such file [/sys/class/drm/card1/device/hwmon/hwmon7/power1_cap]
    gpu.0.vbios: 113-STRXLGEN-001
    gpu.0.vram_total_bytes: 536870912
    gpu.0.vram_visible_bytes: 536870912
    kernel.clocksource: tsc
    kernel.cmdline: BOOT_IMAGE=/vmlinuz-6.16.9 root=UUID=0a1b amd_iommu=off amdgpu.gttsize=122880 ttm.pages_limit=31457280 rd.luks.key=... vconsole.keymap=us wifi_password=... quiet
    kernel.mitigations.spectre_v2: Mitigation: Enhanced / Automatic IBRS; IBPB: conditional; STIBP: always-on
    kernel.release: 6.16.9-200.fc43.x86_64
    kernel.version: #1 SMP PREEMPT_DYNAMIC Thu Sep 25 18:05:50 UTC 2025
    limits.locked_memory_bytes: 8388608
    machine.architecture: x86_64
    machine.board: FRANMFCP06
    machine.firmware: 03.04
    machine.product: Desktop (AMD Ryzen AI Max 300 Series)
    machine.vendor: Framework
    machine.virtualization: none
    memory.available_bytes: 122880000000
    memory.hugepage_bytes: 2097152
    memory.hugepages_total: 0
    memory.overcommit: 0
    memory.swap_total_bytes: 8589930496
    memory.swappiness: 60
    memory.thp: madvise
    memory.thp_defrag: madvise
    memory.total_bytes: 134217728000
    numa.balancing: 0
    numa.nodes: 1
    os.id: fedora
    os.name: Fedora Linux 43 (Workstation Edition)
    os.version: 43
    platform.power_source: mains
    platform.profile: performance
    software.rocm: 7.2.0
    software.vulkan_drivers: lvp_icd.x86_64.json, radeon_icd.x86_64.json 1.4.318
    ");
    insta::assert_debug_snapshot!(conditions(&machine.roots), @r#"
    {
        "cpu.governor": "performance (1), powersave (3)",
        "cpu.mean_mhz": "4000",
        "gpu.0.busy_percent": "0",
        "gpu.0.gtt_used_bytes": "15765504",
        "gpu.0.power_microwatts": "12045000",
        "gpu.0.vram_used_bytes": "246210560",
        "load.1min": "0.52",
        "memory.available_bytes": "122880000000",
        "memory.swap_free_bytes": "8589930496",
        "platform.power_source": "mains",
        "temperature.amdgpu.edge": "41.000",
        "temperature.k10temp.Tctl": "48.125",
        "temperature.zone.acpitz": "45.000",
    }
    "#);
    assert_eq!(usable_cores_of(&machine.roots), 2, "four processors, two threads each");
    assert_eq!(memory_total(&machine.roots), Some(131_072_000 << 10));
}

#[test]
fn a_container_on_a_server_of_nvidia() {
    let machine = machine(H100);
    insta::assert_snapshot!(show(&environment(&machine.roots)), @"
    container.cgroup_version: 2
    container.cpu_limit: 3.500
    container.kind: kubepods
    container.memory_limit_bytes: 137438953472
    cpu.allowed: 0-1,4-5
    cpu.boost: on
    cpu.caches? no cache is listed [/sys/devices/system/cpu/cpu0/cache]
    cpu.clock_driver? there is no such file [/sys/devices/system/cpu/cpu*/cpufreq/scaling_driver]
    cpu.flags_sha256: e3dc9c09b8978effdd39b5f285759b9ffe511d60139f88aec05d8fe757fc34e1
    cpu.governor? there is no such file [/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor]
    cpu.logical: 6
    cpu.max_khz? there is no such file [/sys/devices/system/cpu/cpu*/cpufreq/cpuinfo_max_freq]
    cpu.microcode: 0x2b000603
    cpu.model: Intel(R) Xeon(R) Platinum 8480C
    cpu.physical? there is no such file [/sys/devices/system/cpu/cpu*/topology]
    cpu.signature: 6-143-8
    cpu.smt? there is no such file [/sys/devices/system/cpu/smt/control]
    cpu.sockets? there is no such file [/sys/devices/system/cpu/cpu*/topology]
    cpu.usable_cores: 3
    cpu.vendor: GenuineIntel
    gpu.0.driver: ast of Linux 5.15.0-1066-nvidia
    gpu.0.id: 1a03:2000
    gpu.0.name: GPU 1a03:2000
    gpu.0.pci: 0000:03:00.0
    gpu.1.driver: nvidia 570.124.06
    gpu.1.id: 10de:2330
    gpu.1.name: NVIDIA H100 80GB HBM3
    gpu.1.pci: 0000:19:00.0
    gpu.1.vbios: 96.00.a5.00.01
    gpu.2.driver: nvidia 570.124.06
    gpu.2.name: NVIDIA H100 80GB HBM3
    gpu.2.pci: 0000:3b:00.0
    gpu.2.vbios: 96.00.a5.00.01
    kernel.clocksource? there is no such file [/sys/devices/system/clocksource/clocksource0/current_clocksource]
    kernel.cmdline? there is no such file [/proc/cmdline]
    kernel.release: 5.15.0-1066-nvidia
    kernel.version? there is no such file [/proc/sys/kernel/version]
    limits.locked_memory_bytes? there is no such file [/proc/self/limits]
    machine.architecture: x86_64
    machine.board? there is no such file [/sys/class/dmi/id/board_name]
    machine.firmware? there is no such file [/sys/class/dmi/id/bios_version]
    machine.product? there is no such file [/sys/class/dmi/id/product_name]
    machine.vendor? there is no such file [/sys/class/dmi/id/sys_vendor]
    machine.virtualization: hypervisor
    memory.available_bytes: 2048000000000
    memory.hugepage_bytes: 2097152
    memory.hugepages_total: 4
    memory.overcommit? there is no such file [/proc/sys/vm/overcommit_memory]
    memory.swap_total_bytes: 0
    memory.swappiness? there is no such file [/proc/sys/vm/swappiness]
    memory.thp? there is no such file [/sys/kernel/mm/transparent_hugepage/enabled]
    memory.thp_defrag? there is no such file [/sys/kernel/mm/transparent_hugepage/defrag]
    memory.total_bytes: 2163712000000
    numa.node0.cpus: 0-2
    numa.node1.cpus: 3-5
    numa.nodes: 2
    os.id? there is no such file [/etc/os-release]
    os.name? there is no such file [/etc/os-release]
    os.version? there is no such file [/etc/os-release]
    platform.power_source? no power supply says so [/sys/class/power_supply]
    platform.profile? there is no such file [/sys/firmware/acpi/platform_profile]
    software.libdrm: 2.4.113-2
    software.mesa: 23.2.1-1ubuntu3.1~22.04.3
    software.rocm? there is no such file [/opt/rocm/.info/version]
    software.vulkan_drivers? no driver is listed [/usr/share/vulkan/icd.d]
    ");
    insta::assert_debug_snapshot!(conditions(&machine.roots), @r#"
    {
        "cpu.mean_mhz": "2500",
        "memory.available_bytes": "2048000000000",
        "memory.swap_free_bytes": "0",
    }
    "#);
    assert_eq!(usable_cores_of(&machine.roots), 3, "four cores are allowed, 3.5 are granted");
}

#[test]
fn a_virtual_machine() {
    let machine = machine(VIRTUAL);
    insta::assert_snapshot!(show(&environment(&machine.roots)), @"
    container.cgroup_version: 1
    container.cpu_limit? no limit is set [/sys/fs/cgroup]
    container.kind: docker
    container.memory_limit_bytes? no limit is set [/sys/fs/cgroup]
    cpu.allowed: 0-1
    cpu.boost? there is no such file [/sys/devices/system/cpu/cpufreq/boost]
    cpu.caches? no cache is listed [/sys/devices/system/cpu/cpu0/cache]
    cpu.clock_driver? there is no such file [/sys/devices/system/cpu/cpu*/cpufreq/scaling_driver]
    cpu.flags_sha256: c7a6c3dfbdda6660294a7cf388e4dc6c972d3bdbaf8ff82f24faa5afdf04ce68
    cpu.governor? there is no such file [/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor]
    cpu.logical: 2
    cpu.max_khz? there is no such file [/sys/devices/system/cpu/cpu*/cpufreq/cpuinfo_max_freq]
    cpu.microcode: 0x1
    cpu.model: Intel(R) Xeon(R) Processor
    cpu.physical: 2
    cpu.signature: 6-207-2
    cpu.smt: notsupported
    cpu.sockets? there is no such file [/sys/devices/system/cpu/cpu*/topology]
    cpu.usable_cores: 2
    cpu.vendor: GenuineIntel
    kernel.clocksource? there is no such file [/sys/devices/system/clocksource/clocksource0/current_clocksource]
    kernel.cmdline: console=ttyS0 reboot=k panic=1
    kernel.release: 6.18.44
    kernel.version? there is no such file [/proc/sys/kernel/version]
    limits.locked_memory_bytes? there is no such file [/proc/self/limits]
    machine.architecture: x86_64
    machine.board? there is no such file [/sys/class/dmi/id/board_name]
    machine.firmware? there is no such file [/sys/class/dmi/id/bios_version]
    machine.product? there is no such file [/sys/class/dmi/id/product_name]
    machine.vendor? there is no such file [/sys/class/dmi/id/sys_vendor]
    machine.virtualization: hypervisor
    memory.available_bytes: 23507509248
    memory.hugepage_bytes: 2097152
    memory.hugepages_total: 0
    memory.overcommit? there is no such file [/proc/sys/vm/overcommit_memory]
    memory.swap_total_bytes: 0
    memory.swappiness? there is no such file [/proc/sys/vm/swappiness]
    memory.thp: always
    memory.thp_defrag? there is no such file [/sys/kernel/mm/transparent_hugepage/defrag]
    memory.total_bytes: 25276510208
    numa.nodes? no node is listed [/sys/devices/system/node]
    os.id: debian
    os.name: Debian GNU/Linux 12 (bookworm)
    os.version: 12
    platform.power_source? no power supply says so [/sys/class/power_supply]
    platform.profile? there is no such file [/sys/firmware/acpi/platform_profile]
    software.rocm? there is no such file [/opt/rocm/.info/version]
    software.vulkan_drivers? no driver is listed [/usr/share/vulkan/icd.d]
    ");
    insta::assert_debug_snapshot!(conditions(&machine.roots), @r#"
    {
        "cpu.mean_mhz": "2100",
        "load.1min": "8.18",
        "memory.available_bytes": "23507509248",
        "memory.swap_free_bytes": "0",
    }
    "#);
    assert_eq!(usable_cores_of(&machine.roots), 2);
}

#[test]
fn where_there_is_nothing_nothing_is_invented() {
    let machine = machine("");
    let environment = environment(&machine.roots);
    for (name, Fact { value, error, .. }) in &environment.facts {
        let is_ours = ["machine.architecture", "cpu.usable_cores"].contains(&name.as_str());
        assert!(is_ours || value.is_none() && error.is_some(), "{name}: {value:?}");
    }
    assert!(environment.facts.len() > 40);
    assert!(conditions(&machine.roots).is_empty());
    assert_eq!(memory_total(&machine.roots), None);
    assert!(usable_cores_of(&machine.roots) >= 1);
}

#[test]
fn limits_on_processors() {
    let with = |text: &str| usable_cores_of(&machine(&format!("{STRIX_HALO}{text}")).roots);
    assert_eq!(with("== /proc/self/status\nCpus_allowed_list:\t1,3\n"), 1, "two threads of one core");
    assert_eq!(with("== /proc/self/status\nCpus_allowed_list:\t9\n"), with_none(), "none of those online");
    assert_eq!(with("== /sys/fs/cgroup/cpu.max\n50000 100000\n"), 1, "half a processor is still one");
    assert_eq!(with("== /sys/fs/cgroup/cpu.max\n150000 0\n"), 2, "a period of nothing is no limit");
    assert_eq!(with("== /sys/fs/cgroup/user.slice/cpu.max\n100000 100000\n"), 1, "of a group above ours");

    let v1 = |text: &str| usable_cores_of(&machine(&format!("{VIRTUAL}{text}")).roots);
    assert_eq!(v1("== /sys/fs/cgroup/cpu/cpu.cfs_quota_us\n100000\n"), 1);
}

fn with_none() -> u32 {
    std::thread::available_parallelism().map_or(1, |cpus| u32::try_from(cpus.get()).unwrap())
}

#[test]
fn garbage_is_an_error_and_not_a_number() {
    let text = format!(
        "{STRIX_HALO}== /proc/meminfo\nMemTotal: many kB\nMemAvailable: 12 MB\nSwapTotal: 99999999999999999999 kB\n\
         == /sys/devices/system/cpu/online\n0-99999999\n\
         == /sys/kernel/mm/transparent_hugepage/enabled\nalways\n\
         == /sys/class/hwmon/hwmon2/temp1_input\n-274000\n\
         == /sys/class/drm/card1/device/uevent\nPCI_SLOT_NAME=zz:::..\n\
         == /sys/class/drm/card1/device/gpu_busy_percent\nEBUSY\n\
         == /proc/loadavg\n\n"
    );
    let machine = machine(&text);
    let environment = environment(&machine.roots);
    let shown = show(&environment);
    let found: Vec<&str> = shown
        .lines()
        .filter(|line| {
            line.starts_with("memory.") || line.contains("gpu.0.driver") || line.contains("logical")
        })
        .collect();
    insta::assert_snapshot!(found.join("\n"), @"
    cpu.logical: 2
    gpu.0.driver? no driver is bound to it [/sys/class/drm]
    memory.available_bytes? `12 MB` has no unit [/proc/meminfo]
    memory.hugepage_bytes? it has no `Hugepagesize` [/proc/meminfo]
    memory.hugepages_total? it has no `HugePages_Total` [/proc/meminfo]
    memory.overcommit: 0
    memory.swap_total_bytes? `99999999999999999999 kB` is no number [/proc/meminfo]
    memory.swappiness: 60
    memory.thp? nothing is chosen in `always` [/sys/kernel/mm/transparent_hugepage/enabled]
    memory.thp_defrag: madvise
    memory.total_bytes? `many kB` is no number [/proc/meminfo]
    ");
    let conditions = conditions(&machine.roots);
    for name in ["temperature.k10temp.Tctl", "gpu.0.busy_percent", "load.1min", "memory.available_bytes"] {
        assert!(!conditions.contains_key(name), "{name}");
    }
}

#[test]
fn variables_that_matter_and_no_secret() {
    let variables = [
        ("GGML_VK_VISIBLE_DEVICES", "0"),
        ("OMP_NUM_THREADS", "8"),
        ("LD_LIBRARY_PATH", "/home/alice/lib:/opt/rocm/lib:/home/alice:/home/alice2"),
        ("LLAMA_API_KEY", "sk-1"),
        ("NVIDIA_token", "t"),
        ("HOME", "/home/alice/"),
        ("USER", "alice"),
        ("HOSTNAME", "box"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
    ];
    let mut machine = machine("");
    machine.roots.variables =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let shown = show(&environment(&machine.roots));
    let found: Vec<&str> = shown.lines().filter(|line| line.starts_with("env.")).collect();
    insta::assert_snapshot!(found.join("\n"), @"
    env.GGML_VK_VISIBLE_DEVICES: 0
    env.LD_LIBRARY_PATH: ~/lib:/opt/rocm/lib:~:/home/alice2
    env.LLAMA_API_KEY? not recorded: its name looks like that of a secret [environment]
    env.NVIDIA_token? not recorded: its name looks like that of a secret [environment]
    env.OMP_NUM_THREADS: 8
    ");
    for private in ["alice/", "alice:", "box", "sk-1"] {
        assert!(!shown.contains(private), "{private}");
    }
}

#[test]
fn kernel_parameters_without_secrets() {
    let hide = system::without_secrets;
    assert_eq!(
        hide("ro quiet a.Password=x b=\"c d\"  tpm_token=1"),
        "ro quiet a.Password=... b=\"c d\" tpm_token=..."
    );
    assert_eq!(hide("key=\"a b\" keymap=us"), "key=... keymap=us");
    assert_eq!(hide("ro -- --auth-token 1 --port 2"), "ro -- ...");
    assert_eq!(hide(""), "");
    assert_eq!(hide("\"unbalanced key=1"), "\"unbalanced key=...");
}

#[test]
fn this_very_machine() {
    let roots = Roots::default();
    let environment = environment(&roots);
    assert!(environment.value("cpu.logical").is_some() && environment.value("kernel.release").is_some());
    assert!(usable_cores() >= 1);
    assert!(conditions(&roots).contains_key("memory.available_bytes"));
}

proptest! {
    #[test]
    fn no_file_makes_it_panic(
        contents in prop::collection::vec(any::<u8>(), 0..80),
        text in "[0-9a-z:.,/ \\-\\[\\]=\"\\n]{0,60}",
    ) {
        read::ranges(&text);
        read::field(&text, "a", ':');
        system::without_secrets(&text);
        system::without_secrets(&String::from_utf8_lossy(&contents));
        memory::chosen(&text).ok();
    }
}
