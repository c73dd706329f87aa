//! What differs between two measurements, and which differences may be the cause.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::environment::FieldClass;

/// Something that is not the same in both sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// The kind of thing; it also ranks how likely a cause it is.
    pub cause: Cause,
    /// What it means for a comparison. An identity that was declared with `--across` is a treatment.
    pub class: FieldClass,
    /// Whether it was declared with `--across`.
    pub declared: bool,
    /// Where: `engine.commit`, `build.cpu.tools.cc`, `host.kernel.release`.
    pub field: String,
    /// In the baseline; absent when it has none.
    pub base: Option<String>,
    /// In the candidate; absent when it has none.
    pub candidate: Option<String>,
    /// Which cases it can affect.
    pub touches: Touches,
}

/// Which cases a field affects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Touches {
    /// All.
    All,
    /// Those of a backend, by its name.
    Backend(String),
    /// Those of a model, by its id.
    Model(String),
    /// Those of a prompt, by its name.
    Prompt(String),
    /// One, by its id.
    Case(String),
}

/// What can make numbers differ, the likeliest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// llama.cpp itself.
    Engine,
    /// Flags of the build.
    BuildFlags,
    /// Compiler and build tools.
    Compiler,
    /// SDKs that the build used.
    Sdk,
    /// Drivers and firmware.
    Driver,
    /// Kernel, its command line and its settings; the system around it.
    Kernel,
    /// Governor, power profile, clocks, limits.
    Power,
    /// The bytes of the model.
    Model,
    /// The prompt, as text or as tokens.
    Prompt,
    /// What one run is: tokens, context, warm-up.
    Shape,
    /// Settings of the server.
    Settings,
    /// Environment variables.
    Variables,
    /// The machine.
    Hardware,
    /// How it was measured.
    Method,
    /// Names and notes for people.
    Label,
    /// Something that this version does not know.
    Unknown,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 16] = [
        Self::Engine,
        Self::BuildFlags,
        Self::Compiler,
        Self::Sdk,
        Self::Driver,
        Self::Kernel,
        Self::Power,
        Self::Model,
        Self::Prompt,
        Self::Shape,
        Self::Settings,
        Self::Variables,
        Self::Hardware,
        Self::Method,
        Self::Label,
        Self::Unknown,
    ];

    /// The word for people, and for `--across`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Engine => "engine",
            Self::BuildFlags => "build-flags",
            Self::Compiler => "compiler",
            Self::Sdk => "sdk",
            Self::Driver => "driver",
            Self::Kernel => "kernel",
            Self::Power => "power",
            Self::Model => "model",
            Self::Prompt => "prompt",
            Self::Shape => "shape",
            Self::Settings => "settings",
            Self::Variables => "variables",
            Self::Hardware => "hardware",
            Self::Method => "method",
            Self::Label => "label",
            Self::Unknown => "unknown",
        }
    }
}
