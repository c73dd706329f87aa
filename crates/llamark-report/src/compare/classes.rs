//! What a field means for a comparison: a table of patterns. What no pattern knows is identity, so that it fails closed.

use llamark_record::comparison::Cause;
use llamark_record::environment::FieldClass;

use Cause::{
    BuildFlags, Compiler, Driver, Engine, Hardware, Kernel, Label, Method, Model, Power, Prompt, Sdk,
    Settings, Shape, Unknown, Variables,
};
use FieldClass::{Identity, Nuisance, Treatment};

/// Cause and class of the fields that match.
struct Rule {
    /// Parts of the path: `*` is any one part, `**` (at the end) any rest.
    pattern: &'static [&'static str],
    cause: Cause,
    class: FieldClass,
}

const fn rule(pattern: &'static [&'static str], cause: Cause, class: FieldClass) -> Rule {
    Rule { pattern, cause, class }
}

/// The first that matches holds.
const RULES: &[Rule] = &[
    rule(&["engine", "**"], Engine, Treatment),
    rule(&["build", "*", "engine", "**"], Engine, Treatment),
    rule(&["build", "*", "binaries"], Engine, Treatment),
    rule(&["build", "*", "version"], Engine, Treatment),
    rule(&["build", "*", "cmake", "**"], BuildFlags, Treatment),
    rule(&["build", "*", "targets", "**"], BuildFlags, Treatment),
    rule(&["build", "*", "extra_targets", "**"], BuildFlags, Treatment),
    rule(&["build", "*", "environment", "**"], BuildFlags, Treatment),
    rule(&["build", "*", "tools", "**"], Compiler, Treatment),
    rule(&["build", "*", "sdk", "**"], Sdk, Treatment),
    rule(&["build", "*", "format"], Method, Nuisance),
    rule(&["build", "*", "kind"], Hardware, Identity),
    rule(&["build", "*", "machine"], Hardware, Identity),
    // The bytes of a model are its identity; where they came from and what they are called is not.
    rule(&["model", "*", "files", "*", "sha256"], Model, Identity),
    rule(&["model", "*", "files", "*", "bytes"], Model, Identity),
    rule(&["model", "*", "files", "*", "name"], Label, Nuisance),
    rule(&["model", "*", "source", "**"], Label, Nuisance),
    rule(&["model", "*", "id"], Label, Nuisance),
    rule(&["model", "*", "name"], Label, Nuisance),
    rule(&["model", "*", "quant"], Label, Nuisance),
    rule(&["model", "*", "vision"], Label, Nuisance),
    rule(&["model", "*", "note"], Label, Nuisance),
    rule(&["model", "*", "claimed_file_size"], Label, Nuisance),
    rule(&["model", "*", "claimed_parameters"], Label, Nuisance),
    rule(&["model", "*", "claimed_active_parameters"], Label, Nuisance),
    rule(&["prompt", "*", "sha256"], Prompt, Identity),
    rule(&["prompt", "*", "description"], Prompt, Identity),
    rule(&["case", "*", "prompt_tokens"], Prompt, Identity),
    rule(&["case", "*", "prompt_ids"], Prompt, Identity),
    rule(&["prompt", "*", "tokens"], Prompt, Identity),
    rule(&["case", "*", "depth_ids"], Prompt, Identity),
    rule(&["case", "*", "depth"], Shape, Identity),
    rule(&["case", "*", "concurrency"], Shape, Identity),
    rule(&["case", "*", "max_tokens"], Shape, Identity),
    rule(&["case", "*", "context"], Shape, Identity),
    rule(&["case", "*", "warmup"], Shape, Identity),
    // How often it was repeated changes the noise and not the value.
    rule(&["case", "*", "runs"], Method, Nuisance),
    rule(&["case", "*", "starts"], Method, Nuisance),
    rule(&["backend", "*", "kind"], Hardware, Identity),
    rule(&["backend", "*", "device"], Hardware, Identity),
    // Two instruments are two ways to measure; their numbers compare where that is what is compared.
    rule(&["backend", "*", "tool"], Method, Identity),
    rule(&["backend", "*", "server", "**"], Settings, Treatment),
    // Where a login keeps its sockets: it names the user, and some drivers look there for a display. No rate depends on it.
    rule(&["backend", "*", "environment", "XDG_RUNTIME_DIR"], Variables, Nuisance),
    rule(&["backend", "*", "environment", "**"], Variables, Treatment),
    rule(&["backend", "*", "name"], Label, Nuisance),
    rule(&["backend", "*", "label"], Label, Nuisance),
    rule(&["backend", "*", "note"], Label, Nuisance),
    rule(&["backend", "*", "memory_bandwidth"], Label, Nuisance),
    rule(&["backend", "*", "build"], Label, Nuisance),
    rule(&["plan", "name"], Label, Nuisance),
    rule(&["plan", "title"], Label, Nuisance),
    rule(&["plan", "description"], Label, Nuisance),
    rule(&["plan", "hardware", "**"], Label, Nuisance),
    // Where the numbers come from is said as a caveat; what a document does not state is identity by itself.
    rule(&["plan", "origin", "**"], Method, Nuisance),
    rule(&["plan", "filler", "sha256"], Prompt, Identity),
    rule(&["plan", "cooldown_ms"], Method, Treatment),
    rule(&["plan", "procedure", "until", "**"], Method, Nuisance),
    rule(&["plan", "procedure", "min_run_ms"], Method, Nuisance),
    rule(&["plan", "procedure", "**"], Method, Treatment),
    // Reading sensors takes time of the processor that is measured.
    rule(&["plan", "telemetry", "**"], Method, Treatment),
    // What is asked after the runs, of a server that is stopped then.
    rule(&["plan", "canary", "**"], Method, Nuisance),
    rule(&["plan", "perplexity", "**"], Method, Nuisance),
    rule(&["plan", "seed"], Method, Nuisance),
    rule(&["plan", "timeouts", "**"], Method, Nuisance),
    rule(&["llamark"], Method, Treatment),
    rule(&["host", "software", "**"], Driver, Treatment),
    rule(&["host", "gpu", "*", "driver"], Driver, Treatment),
    rule(&["host", "gpu", "*", "vbios"], Driver, Treatment),
    rule(&["host", "gpu", "*", "firmware", "**"], Driver, Treatment),
    rule(&["host", "machine", "firmware"], Driver, Treatment),
    rule(&["host", "cpu", "microcode"], Driver, Treatment),
    rule(&["host", "kernel", "**"], Kernel, Treatment),
    rule(&["host", "os", "**"], Kernel, Treatment),
    rule(&["host", "limits", "**"], Kernel, Treatment),
    rule(&["host", "numa", "balancing"], Kernel, Treatment),
    // A kernel hides and shows flags; another processor shows in its model and signature.
    rule(&["host", "cpu", "flags_sha256"], Kernel, Treatment),
    rule(&["host", "memory", "available_bytes"], Kernel, Nuisance),
    rule(&["host", "memory", "total_bytes"], Hardware, Identity),
    rule(&["host", "memory", "*"], Kernel, Treatment),
    rule(&["host", "container", "cgroup_version"], Kernel, Treatment),
    rule(&["host", "container", "kind"], Kernel, Treatment),
    rule(&["host", "container", "*"], Power, Treatment),
    rule(&["host", "platform", "**"], Power, Treatment),
    rule(&["host", "cpu", "governor"], Power, Treatment),
    rule(&["host", "cpu", "energy_preference"], Power, Treatment),
    rule(&["host", "cpu", "boost"], Power, Treatment),
    rule(&["host", "cpu", "smt"], Power, Treatment),
    rule(&["host", "cpu", "clock_driver"], Power, Treatment),
    rule(&["host", "cpu", "max_khz"], Power, Treatment),
    rule(&["host", "cpu", "isolated"], Power, Treatment),
    rule(&["host", "cpu", "allowed"], Power, Treatment),
    rule(&["host", "cpu", "usable_cores"], Power, Treatment),
    rule(&["host", "gpu", "*", "performance_level"], Power, Treatment),
    rule(&["host", "gpu", "*", "power_cap_microwatts"], Power, Treatment),
    rule(&["host", "gpu", "*", "pcie_speed"], Power, Treatment),
    rule(&["host", "gpu", "*", "pcie_width"], Power, Treatment),
    rule(&["host", "gpu", "*", "vram_visible_bytes"], Power, Treatment),
    rule(&["host", "gpu", "*", "gtt_total_bytes"], Power, Treatment),
    rule(&["host", "gpu", "*", "pci"], Label, Nuisance),
    rule(&["host", "cpu", "**"], Hardware, Identity),
    rule(&["host", "gpu", "**"], Hardware, Identity),
    rule(&["host", "machine", "**"], Hardware, Identity),
    rule(&["host", "numa", "**"], Hardware, Identity),
    // The user's own variables do not reach the server: it gets those of `backend.*.environment` and no others.
    rule(&["host", "env", "**"], Variables, Nuisance),
];

/// Cause and class of a field.
pub(super) fn classify(path: &[String]) -> (Cause, FieldClass) {
    let found = RULES.iter().find(|rule| matches(rule.pattern, path));
    found.map_or((Unknown, Identity), |rule| (rule.cause, rule.class))
}

fn matches(pattern: &[&str], path: &[String]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (Some((&"**", _)), _) | (None, None) => true,
        (Some((head, pattern)), Some((part, path))) => {
            (*head == "*" || head == part) && matches(pattern, path)
        }
        (Some(_), None) | (None, Some(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class_of(field: &str) -> (Cause, FieldClass) {
        classify(&field.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn the_class_follows_the_field() {
        for (field, cause, class) in [
            ("engine commit", Engine, Treatment),
            ("build cpu cmake GGML_NATIVE", BuildFlags, Treatment),
            ("build cpu tools cc", Compiler, Treatment),
            ("build cpu machine", Hardware, Identity),
            ("model some-3.1 files 0 sha256", Model, Identity),
            ("model some-3.1 files 0 name", Label, Nuisance),
            ("case m/cpu/p max_tokens", Shape, Identity),
            ("case m/cpu/p runs", Method, Nuisance),
            ("backend cpu server threads", Settings, Treatment),
            ("backend cpu device", Hardware, Identity),
            ("host kernel cmdline", Kernel, Treatment),
            ("host cpu governor", Power, Treatment),
            ("host cpu model", Hardware, Identity),
            ("host memory available_bytes", Kernel, Nuisance),
            ("host gpu 0 driver", Driver, Treatment),
            ("host gpu 0 name", Hardware, Identity),
            ("host env OMP_NUM_THREADS", Variables, Nuisance),
            ("backend cpu environment GGML_VK_VISIBLE_DEVICES", Variables, Treatment),
            ("backend cpu environment XDG_RUNTIME_DIR", Variables, Nuisance),
        ] {
            assert_eq!(class_of(field), (cause, class), "{field}");
        }
    }

    #[test]
    fn what_is_not_known_is_identity() {
        for field in
            ["host quantum entanglement", "backend cpu speculation", "plan weather", "model m files 0 crc"]
        {
            assert_eq!(class_of(field), (Unknown, Identity), "{field}");
        }
        assert_eq!(class_of("host cpu something_new"), (Hardware, Identity));
    }

    #[test]
    fn every_rule_can_match() {
        for (place, rule) in RULES.iter().enumerate() {
            let path: Vec<String> = rule.pattern.iter().map(|part| part.replace('*', "x")).collect();
            let first = RULES.iter().position(|other| matches(other.pattern, &path));
            assert_eq!(first, Some(place), "{:?} is hidden by an earlier rule", rule.pattern);
        }
    }
}
