//! The build key: the digest of everything that decides the bytes of a build.

use std::collections::BTreeSet;

use llamark_record::Sha256;
use llamark_record::build::BuildInputs;
use llamark_record::digest::CanonicalError;

use crate::machine::Machine;

/// `format` of a build record as written by this version.
pub const BUILD_FORMAT: &str = "llamark/build/v1";
/// `format` of the inputs: part of the key, so that a new meaning never meets an old entry.
pub const INPUTS_FORMAT: &str = "llamark/build-inputs/v1";

/// The key: SHA-256 of the canonical JSON of the inputs.
///
/// # Errors
/// Never, for the inputs hold neither a number nor an odd map.
pub fn key_of(inputs: &BuildInputs) -> Result<Sha256, CanonicalError> {
    Sha256::of_canonical_json(inputs)
}

/// Lines of `/proc/cpuinfo` by which a compiler chooses instructions and tuning: x86 first, then ARM, then others.
const DECISIVE: [&str; 12] = [
    "vendor_id",
    "cpu family",
    "model",
    "flags",
    "CPU implementer",
    "CPU architecture",
    "CPU variant",
    "CPU part",
    "Features",
    "isa",
    "cpu",
    "features",
];

/// Operating system and processor, as in `linux-x86_64`; for a native build also a digest of the processor's
/// features, since its binaries may not even run on another one.
pub(crate) fn machine_name(machine: &Machine, is_native: bool) -> String {
    let name = format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH);
    if !is_native {
        return name;
    }
    let text = fs_err::read_to_string(machine.root.join("proc/cpuinfo")).unwrap_or_default();
    format!("{name}-native-{}", processor_digest(&text).short())
}

/// Digest of the decisive lines, each once: processors of one machine repeat them.
fn processor_digest(cpuinfo: &str) -> Sha256 {
    let lines: BTreeSet<(&str, &str)> = cpuinfo
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim(), value.trim()))
        .filter(|(name, _)| DECISIVE.contains(name))
        .collect();
    let text: String = lines.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    Sha256::of_bytes(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use llamark_record::plan::BackendKind;

    use super::*;

    fn map(name: &str, value: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(name.to_owned(), value.to_owned())])
    }

    fn inputs() -> BuildInputs {
        BuildInputs {
            format: INPUTS_FORMAT.to_owned(),
            source_tree: Sha256::of_bytes(b"tree"),
            kind: BackendKind::Vulkan,
            cmake: map("GGML_VULKAN", "ON"),
            targets: vec!["llama-server".to_owned()],
            tools: map("cmake", "cmake version 4.4.4"),
            sdk: map("glslc", "shaderc v2023.2"),
            environment: map("CC", "gcc-12"),
            machine: "linux-x86_64".to_owned(),
        }
    }

    /// If this fails, the meaning of the inputs changed: change `INPUTS_FORMAT`, not this literal.
    #[test]
    fn a_known_key() {
        assert_eq!(
            key_of(&inputs()).unwrap().as_str(),
            "e146e62bb972c0904609f90d3bca778f27cbdc020523e827cfc1a7d0e1690ca4"
        );
    }

    macro_rules! differs {
        ($($name:ident: $change:expr;)*) => { $(
            #[test]
            fn $name() {
                let mut changed = inputs();
                let change: fn(&mut BuildInputs) = $change;
                change(&mut changed);
                assert_ne!(key_of(&changed).unwrap(), key_of(&inputs()).unwrap());
            }
        )* };
    }

    differs! {
        another_format_differs: |inputs| inputs.format.push('x');
        another_tree_differs: |inputs| inputs.source_tree = Sha256::of_bytes(b"other");
        another_kind_differs: |inputs| inputs.kind = BackendKind::Cpu;
        another_flag_differs: |inputs| inputs.cmake.extend(map("GGML_NATIVE", "OFF"));
        another_value_differs: |inputs| inputs.cmake = map("GGML_VULKAN", "OFF");
        another_target_differs: |inputs| inputs.targets.push("llama-bench".to_owned());
        another_tool_differs: |inputs| inputs.tools = map("cmake", "cmake version 3.25.1");
        another_sdk_differs: |inputs| inputs.sdk = map("glslc", "shaderc v2024.1");
        another_environment_differs: |inputs| inputs.environment = map("CC", "clang");
        another_machine_differs: |inputs| inputs.machine.push_str("-native-0123");
    }

    #[test]
    fn the_processor_and_nothing_of_the_moment_decides() {
        let one = "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel\t\t: 1\nmodel name\t: X\ncpu MHz\t\t: 2400.1\nflags\t\t: fpu avx2\n";
        let two =
            format!("{one}\n{}", one.replace("processor\t: 0", "processor\t: 1").replace("2400.1", "3100"));
        assert_eq!(processor_digest(one), processor_digest(&two));
        assert_ne!(processor_digest(one), processor_digest(&one.replace("avx2", "avx2 avx512f")));
        assert_ne!(processor_digest("Features\t: fp asimd\n"), processor_digest("Features\t: fp\n"));
    }
}
