use proptest::prelude::{any, prop, prop_assert_eq, proptest};

use llamark_record::journal::BufferKind;

use super::*;

const FLASH_ON: &str = include_str!("../../fixtures/b11434/flash-attn-on.log");
const FLASH_OFF: &str = include_str!("../../fixtures/b11434/flash-attn-off.log");
const OF_2025: &str = include_str!("../../fixtures/2025-08/cpu.log");
const OF_2025_VULKAN: &str = include_str!("../../fixtures/2025-08/vulkan.log");
const B9093: &str = include_str!("../../fixtures/b9093/cpu.log");
const Q8: &str = include_str!("../../fixtures/b11434/kv-q8_0.log");

fn read(text: &str) -> LogSummary {
    let mut reader = LogReader::new();
    reader.feed(text.as_bytes());
    reader.summary()
}

/// What one line says, in the newer format and in the older one.
fn says(message: &str) -> String {
    let events = |line: String| {
        let events = LogReader::new().feed(line.as_bytes());
        events.into_iter().filter(|event| *event != LogEvent::FirstLine).collect::<Vec<_>>()
    };
    let new = events(format!("0.00.170.240 I {message}\n"));
    assert_eq!(new, events(format!("{message}\n")));
    let words: Vec<String> = new.iter().map(|event| format!("{event:?}")).collect();
    words.join("; ")
}

/// What the log of a version states, in a line each: one vocabulary over all of them.
fn table(text: &str) -> String {
    let log = read(text);
    let buffers = |holds| {
        let of_kind = log.buffers.iter().filter(|buffer| buffer.holds == holds);
        of_kind.map(|buffer| format!("{} {}", buffer.device, buffer.bytes)).collect::<Vec<_>>().join(", ")
    };
    let caches = log.kv_caches.iter().map(|cache| format!("{}/{}", cache.type_k, cache.type_v));
    let yes = |known: bool| if known { "yes" } else { "no" };
    [
        format!("url {}", yes(log.url.is_some())),
        format!("devices {:?}", log.devices.iter().map(|device| &device.name).collect::<Vec<_>>()),
        format!("weights {}", buffers(BufferKind::Model)),
        format!("KV {} {}", caches.collect::<Vec<_>>().join(", "), buffers(BufferKind::Kv)),
        format!("compute {}", buffers(BufferKind::Compute)),
        format!(
            "flash attention {:?}, load mode {:?}, offloaded {:?}",
            log.flash_attention, log.load_mode, log.offloaded
        ),
        format!("settings {:?}", log.settings),
        format!("errors {}", log.errors.len()),
    ]
    .join("\n")
}

#[test]
fn real_logs_of_three_versions() {
    insta::assert_snapshot!(table(OF_2025), @r#"
    url yes
    devices []
    weights CPU_Mapped 3407872
    KV f16/f16 CPU 262144
    compute CPU 2621440
    flash attention Some(false), load mode Some(LoadMode { mmap: true, mlock: None }), offloaded None
    settings {Context: 256, ContextPerSlot: 256, Batch: 256, Ubatch: 256, Slots: 1, Threads: 2, ThreadsBatch: 2}
    errors 0
    "#);
    insta::assert_snapshot!(table(OF_2025_VULKAN), @r#"
    url yes
    devices ["Vulkan0"]
    weights Vulkan0 2883584, CPU_Mapped 524288
    KV f16/f16 Vulkan0 262144
    compute Vulkan0 2621440, Vulkan_Host 786432
    flash attention Some(false), load mode Some(LoadMode { mmap: true, mlock: None }), offloaded Some((3, 3))
    settings {Context: 256, ContextPerSlot: 256, Batch: 256, Ubatch: 256, Slots: 1, Threads: 2, ThreadsBatch: 2}
    errors 0
    "#);
    insta::assert_snapshot!(table(B9093), @r#"
    url yes
    devices []
    weights CPU_Mapped 3407872
    KV f16/f16 CPU 262144
    compute CPU 2883584
    flash attention Some(false), load mode Some(LoadMode { mmap: true, mlock: None }), offloaded None
    settings {Context: 256, ContextPerSlot: 256, Batch: 256, Ubatch: 256, Slots: 1, Threads: 16, ThreadsBatch: 16}
    errors 0
    "#);
    insta::assert_snapshot!(table(FLASH_ON), @r#"
    url yes
    devices []
    weights CPU_Mapped 96573849
    KV f16/f16 CPU 23592960
    compute CPU 16399728
    flash attention Some(true), load mode Some(LoadMode { mmap: true, mlock: Some(false) }), offloaded None
    settings {Context: 1024, ContextPerSlot: 1024, Batch: 1000, Ubatch: 512, Slots: 1, Threads: 2, ThreadsBatch: 1}
    errors 0
    "#);
}

#[test]
fn a_real_log_of_b11434() {
    insta::assert_debug_snapshot!(read(FLASH_ON), @r#"
    LogSummary {
        url: Some(
            "http://127.0.0.1:32967",
        ),
        devices: [],
        buffers: [
            Buffer {
                device: "CPU_Mapped",
                holds: Model,
                bytes: 96573849,
            },
            Buffer {
                device: "CPU",
                holds: Output,
                bytes: 199229,
            },
            Buffer {
                device: "CPU",
                holds: Kv,
                bytes: 23592960,
            },
            Buffer {
                device: "CPU",
                holds: Compute,
                bytes: 16399728,
            },
        ],
        kv_caches: [
            KvCache {
                type_k: "f16",
                type_v: "f16",
                cells: 1024,
                bytes: 23592960,
            },
        ],
        flash_attention: Some(
            true,
        ),
        settings: {
            Context: 1024,
            ContextPerSlot: 1024,
            Batch: 1000,
            Ubatch: 512,
            Slots: 1,
            Threads: 2,
            ThreadsBatch: 1,
        },
        load_mode: Some(
            LoadMode {
                mmap: true,
                mlock: Some(
                    false,
                ),
            },
        ),
        mlock_failed: false,
        offloaded: None,
        config_files: [],
        errors: [],
    }
    "#);
    let off = read(FLASH_OFF);
    assert_eq!(off.flash_attention, Some(false));
    assert_eq!(off.load_mode, Some(LoadMode { mmap: false, mlock: Some(false) }));
    assert_eq!(off.buffers[0].device, "CPU");
    let q8 = read(Q8);
    assert_eq!(q8.load_mode, Some(LoadMode { mmap: true, mlock: Some(true) }));
    insta::assert_debug_snapshot!(q8.kv_caches, @r#"
    [
        KvCache {
            type_k: "q8_0",
            type_v: "q8_0",
            cells: 1024,
            bytes: 12530483,
        },
    ]
    "#);
}

#[test]
fn the_order_of_events() {
    let events = LogReader::new().feed(FLASH_ON.as_bytes());
    let place = |wanted: fn(&LogEvent) -> bool| events.iter().position(wanted).unwrap();
    assert_eq!(place(|event| *event == LogEvent::FirstLine), 0);
    let model = place(|event| matches!(event, LogEvent::Buffer(buffer) if buffer.holds == BufferKind::Model));
    let weights = place(|event| *event == LogEvent::WeightsLoaded);
    let listening = place(|event| matches!(event, LogEvent::Listening(_)));
    assert!(model < weights && weights < listening);
}

#[test]
fn addresses() {
    insta::assert_snapshot!(says("srv  llama_server: listening on http://127.0.0.1:46195"), @r#"Listening("http://127.0.0.1:46195")"#);
    insta::assert_snapshot!(says("main: server is listening on http://127.0.0.1:8080 - starting the main loop"), @r#"Listening("http://127.0.0.1:8080")"#);
    insta::assert_snapshot!(says("main: HTTP server is listening, hostname: 127.0.0.1, port: 8080, http threads: 5"), @"");
}

#[test]
fn devices() {
    insta::assert_snapshot!(says("llama_prepare_model_devices: using device Vulkan0 (llvmpipe (LLVM 15.0.6, 256 bits)) (0000:00:02.0) - 2048 MiB free"), @r#"UsingDevice(Device { name: "Vulkan0", description: "llvmpipe (LLVM 15.0.6, 256 bits)" })"#);
    insta::assert_snapshot!(says("llama_model_load_from_file_impl: using device Vulkan0 (AMD Radeon (TM) Graphics (RADV GFX1151)) - 96000 MiB free"), @r#"UsingDevice(Device { name: "Vulkan0", description: "AMD Radeon (TM) Graphics (RADV GFX1151)" })"#);
    insta::assert_snapshot!(says("llama_prepare_model_devices: using device CUDA0 (NVIDIA H100 80GB HBM3) (unknown id) - 80000 MiB free"), @r#"UsingDevice(Device { name: "CUDA0", description: "NVIDIA H100 80GB HBM3" })"#);
    insta::assert_snapshot!(says("llama_prepare_model_devices: using device ROCm0 (AMD Radeon Graphics) (0000:c1:00.0) - 122880 MiB free"), @r#"UsingDevice(Device { name: "ROCm0", description: "AMD Radeon Graphics" })"#);
}

#[test]
fn buffers() {
    insta::assert_snapshot!(says("load_tensors:      Vulkan0 model buffer size =    92.10 MiB"), @r#"Buffer(Buffer { device: "Vulkan0", holds: Model, bytes: 96573849 })"#);
    insta::assert_snapshot!(says("load_tensors:   CPU_Mapped model buffer size =    28.69 MiB"), @r#"Buffer(Buffer { device: "CPU_Mapped", holds: Model, bytes: 30083645 })"#);
    insta::assert_snapshot!(says("load_tensors: RPC0[127.0.0.1:50052] model buffer size = 12345.6 MiB"), @r#"Buffer(Buffer { device: "RPC0[127.0.0.1:50052]", holds: Model, bytes: 12945299865 })"#);
    insta::assert_snapshot!(says("llama_kv_cache_unified:      ROCm0 KV buffer size =    45.00 MiB"), @r#"Buffer(Buffer { device: "ROCm0", holds: Kv, bytes: 47185920 })"#);
    insta::assert_snapshot!(says("llama_memory_recurrent:      CUDA0 RS buffer size =     1.25 MiB"), @r#"Buffer(Buffer { device: "CUDA0", holds: Kv, bytes: 1310720 })"#);
    insta::assert_snapshot!(says("llama_kv_cache_dsv4:      CUDA0 DSV4 csa state buffer size =     1.00 MiB"), @r#"Buffer(Buffer { device: "CUDA0", holds: Kv, bytes: 1048576 })"#);
    insta::assert_snapshot!(says("llama_context:  CUDA_Host  output buffer size =     0.19 MiB"), @r#"Buffer(Buffer { device: "CUDA_Host", holds: Output, bytes: 199229 })"#);
    insta::assert_snapshot!(says("sched_reserve: Vulkan_Host compute buffer size =     5.01 MiB"), @r#"Buffer(Buffer { device: "Vulkan_Host", holds: Compute, bytes: 5253365 })"#);
    assert_eq!(says("llama_adapter: CPU LoRA buffer size = 1.00 MiB"), "");
    assert_eq!(says("load_tensors: CPU model buffer size = huge MiB"), "");
    assert_eq!(says("load_tensors: CPU model buffer size = 99999999999999999999 MiB"), "");
}

#[test]
fn caches_and_settings() {
    insta::assert_snapshot!(says("llama_kv_cache_unified: size =   45.00 MiB (  2048 cells,  30 layers,  1/ 1 seqs), K (f16):   22.50 MiB, V (q4_0):   22.50 MiB"), @r#"KvCache(KvCache { type_k: "f16", type_v: "q4_0", cells: 2048, bytes: 47185920 })"#);
    assert_eq!(
        says(
            "llama_memory_recurrent: size =    1.25 MiB (     1 cells,  30 layers,  1 seqs), R (f32):    0.25 MiB, S (f32):    1.00 MiB"
        ),
        ""
    );
    insta::assert_snapshot!(says("llama_context: flash_attn            = enabled"), @"FlashAttention(true)");
    insta::assert_snapshot!(says("llama_context: flash_attn    = 0"), @"FlashAttention(false)");
    assert_eq!(says("llama_context: flash_attn            = auto"), "");
    insta::assert_snapshot!(says("resolve_fused_ops: Flash Attention enabled"), @"FlashAttention(true)");
    insta::assert_snapshot!(says("resolve_fused_ops: Flash Attention not supported, set to disabled"), @"FlashAttention(false)");
    insta::assert_snapshot!(says("sched_reserve: Flash Attention was auto, set to enabled"), @"FlashAttention(true)");
    insta::assert_snapshot!(says("llama_context: n_ctx_per_seq = 4096"), @"Setting(ContextPerSlot, 4096)");
    assert_eq!(
        says(
            "llama_context: n_ctx_seq (1024) < n_ctx_train (8192) -- the full capacity of the model will not be utilized"
        ),
        ""
    );
    insta::assert_snapshot!(says("load_tensors: loading model tensors, this can take a while... (mmap = true)"), @"LoadMode(LoadMode { mmap: true, mlock: None })");
    insta::assert_snapshot!(says("load_tensors: loading model tensors, this can take a while... (mmap = false, direct_io = false)"), @"LoadMode(LoadMode { mmap: false, mlock: None })");
    insta::assert_snapshot!(says("load_tensors: offloaded 31/31 layers to GPU"), @"Offloaded(31, 31)");
    insta::assert_snapshot!(says("system_info: n_threads = 16 (n_threads_batch = 32) / 32 | CPU : SSE3 = 1 |"), @"Setting(Threads, 16); Setting(ThreadsBatch, 32)");
    insta::assert_snapshot!(says("cmn  common_param: system_info: n_threads = 2 / 2 | CPU : SSE3 = 1 |"), @"Setting(Threads, 2); Setting(ThreadsBatch, 2)");
    insta::assert_snapshot!(says("using config file: /etc/llama.cpp/config.ini"), @r#"ConfigFileUsed("/etc/llama.cpp/config.ini")"#);
    insta::assert_snapshot!(says("warning: failed to mlock 96578048-byte buffer (after previously locking 0 bytes): Cannot allocate memory"), @"MlockFailed");
}

#[test]
fn errors() {
    let log =
        "0.00.014.802 E gguf_init_from_file: failed to open GGUF file 'x'\n0.00.015.255 I all is well\n";
    assert_eq!(read(log).errors, ["gguf_init_from_file: failed to open GGUF file 'x'"]);
    assert_eq!(read("error: invalid argument: --bogus\n").errors, ["error: invalid argument: --bogus"]);
}

/// A model, a template and a path are the user's: what they say is no statement of the server.
#[test]
fn what_others_wrote_into_the_log_is_not_believed() {
    let spoof = "listening on http://10.0.0.1:1";
    let log = format!(
        "0.00.000.001 I srv  llama_server: initializing ...\n\
         0.00.000.002 I llama_model_loader: - kv   2: general.name str = x: {spoof}\n\
         0.00.000.002 I print_info: general.name = {spoof}\n\
         0.00.000.002 I print_info: n_ctx = 7\n\
         0.00.000.002 I load:   - 0 ('Vulkan0 model buffer size = 1.00 MiB')\n\
         0.00.000.003 I srv    load_model: loading model '/m: {spoof}'\n\
         0.00.000.004 I srv          init: init: chat template, example_format: '<|im_start|>\n\
         main: server is {spoof} - starting the main loop\n\
         load_tensors:      Vulkan0 model buffer size =    92.10 MiB\n\
         using config file: /tmp/x\n"
    );
    assert_eq!(read(&log), LogSummary::default());
}

#[test]
fn a_long_line_and_bytes_that_are_not_text() {
    let mut log = b"\xff\xfe listening\n".to_vec();
    log.extend(std::iter::repeat_n(b'x', 3 * MAX_LINE));
    log.extend_from_slice(b"\nmain: server is listening on http://127.0.0.1:1 - starting\r\n");
    let mut reader = LogReader::new();
    assert_eq!(
        reader.feed(&log),
        [LogEvent::FirstLine, LogEvent::Listening("http://127.0.0.1:1".to_owned())]
    );
    reader.feed(&vec![b'y'; 10 * MAX_LINE]);
    assert!(reader.line.len() <= MAX_LINE, "what has no end takes no memory");
}

#[test]
fn bytes_of_mebibytes() {
    assert_eq!(mebibytes("92.10"), Some(96_573_849));
    assert_eq!(mebibytes("0.19"), Some(199_229));
    assert_eq!(mebibytes("1"), Some(1 << 20));
    assert_eq!(mebibytes("1.2345"), mebibytes("1.23"));
    for bad in ["", ".", "-1.00", "1.x0", "99999999999999999999.00", "18446744073709551615.00"] {
        assert_eq!(mebibytes(bad), None, "{bad}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20)) {
        let mut reader = LogReader::new();
        for chunk in &chunks {
            reader.feed(chunk);
        }
        reader.summary();
    }

    #[test]
    fn no_line_that_looks_real_makes_it_panic(
        head in "(0\\.00\\.0[0-9]{2}\\.000 [IWE] )?(llama_context|load_tensors|srv  x): ",
        text in "(using device|size =|KV buffer size =|offloaded|loading model tensors, this can take a while\\.\\.\\.|flash_attn =|system_info: n_threads =)[ ()a-zA-Z0-9.,/:=é-]{0,40}",
    ) {
        LogReader::new().feed(format!("{head}{text}\n").as_bytes());
    }

    #[test]
    fn it_does_not_matter_where_a_log_is_cut(cuts in prop::collection::vec(0..Q8.len(), 0..40)) {
        let mut cuts = cuts;
        cuts.extend([0, Q8.len()]);
        cuts.sort_unstable();
        let mut reader = LogReader::new();
        let mut events = Vec::new();
        for pair in cuts.windows(2) {
            events.extend(reader.feed(&Q8.as_bytes()[pair[0]..pair[1]]));
        }
        let mut whole = LogReader::new();
        prop_assert_eq!(events, whole.feed(Q8.as_bytes()));
        prop_assert_eq!(reader.summary(), whole.summary());
    }
}
