//! What is compiled, and on which device it runs.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::settings::Settings;
use super::source::Engine;
use super::tool::Tool;

/// The device that is no device.
pub const NO_DEVICE: &str = "none";

/// The kinds of backend that llamark knows how to build, run and prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BackendKind {
    /// The processor.
    Cpu,
    /// Vulkan.
    Vulkan,
    /// AMD ROCm (HIP).
    Rocm,
    /// NVIDIA CUDA.
    Cuda,
}

impl BackendKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Cpu, Self::Vulkan, Self::Rocm, Self::Cuda];

    /// The name, as in an experiment.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Vulkan => "vulkan",
            Self::Rocm => "rocm",
            Self::Cuda => "cuda",
        }
    }
}

/// Something to compile. Backends that agree on it share it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlannedBuild {
    /// Name of the build: that of the first backend that uses it.
    pub id: String,
    /// The kind, which decides what must be installed.
    pub kind: BackendKind,
    /// CMake variables of the author, `ON`/`OFF` for booleans. `llamark-build` adds those of the kind and those
    /// that make a build hermetic. Empty for a prebuilt engine.
    pub cmake: BTreeMap<String, String>,
    /// The engine that it is made of, where that is another than the plan's: that of a variant. Absent: the plan's,
    /// and omitted from the file then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<Engine>,
    /// What is compiled besides llama-server and llama-bench: targets of llama.cpp. Omitted from the file if empty, so
    /// that older plans keep their digest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra_targets: Vec<String>,
}

/// A build, the device that it runs on, and how the server is set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlannedBackend {
    /// Name in the experiment.
    pub name: String,
    /// Name in the report.
    pub label: String,
    /// Note in the report; empty when there is none.
    pub note: String,
    /// The kind; absent if a document was measured with one that llamark cannot build, as Metal or SYCL.
    pub kind: Option<BackendKind>,
    /// Id of the build.
    pub build: String,
    /// Device as llama.cpp names it (`Vulkan0`), or `none` for the processor alone; empty if a document does not say.
    pub device: String,
    /// Settings of the server.
    pub server: Settings,
    /// Environment variables that the author sets for the server.
    pub environment: BTreeMap<String, String>,
    /// What measures. Omitted from the file if it is the server, so that older plans keep their digest.
    #[serde(default, skip_serializing_if = "Tool::is_server")]
    pub tool: Tool,
    /// Memory bandwidth of what it computes on, bytes per second, where that is another than that of the machine.
    /// Omitted from the file if absent, so that older plans keep their digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bandwidth: Option<u64>,
}

impl PlannedBackend {
    /// Whether it is compiled for the processor.
    pub fn is_cpu(&self) -> bool {
        self.kind == Some(BackendKind::Cpu)
    }

    /// Whether the processor alone computes: it is compiled for nothing else, or no device is to be used.
    pub fn is_on_processor(&self) -> bool {
        self.is_cpu() || self.device == NO_DEVICE
    }
}
