//! The environment variables that matter to ggml, CUDA, HIP, Vulkan and OpenMP.

use super::Roots;
use super::read::Facts;

/// How their names begin.
const HEADS: [&str; 17] = [
    "GGML_", "LLAMA_", "CUDA_", "NVIDIA_", "HIP_", "HSA_", "ROCR_", "ROCBLAS_", "VK_", "RADV_", "ANV_",
    "MESA_", "OMP_", "GOMP_", "KMP_", "MALLOC_", "LD_",
];

/// What in the name of something says that its value is a secret.
const SECRET: [&str; 7] = ["KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL"];

pub(super) fn facts(roots: &Roots, facts: &mut Facts) {
    for (name, value) in &roots.variables {
        if !HEADS.iter().any(|head| name.starts_with(head)) {
            continue;
        }
        let value = if is_secret(name) {
            Err("not recorded: its name looks like that of a secret".to_owned())
        } else {
            Ok(without_home(roots, value))
        };
        facts.put(format!("env.{name}"), "environment", value);
    }
}

/// Whether the value of something of this name is to be kept out of every record.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    SECRET.iter().any(|word| name.contains(word))
}

/// The value with `~` for the home folder, which says who the user is.
fn without_home(roots: &Roots, value: &str) -> String {
    let home = roots.variables.get("HOME").map(|home| home.trim_end_matches('/'));
    let Some(home) = home.filter(|home| home.len() > 1) else { return value.to_owned() };
    let mut result = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once(home) {
        // `/home/al` is not the head of `/home/alice`.
        let is_other = after.starts_with(|c: char| c.is_alphanumeric() || "_-.".contains(c));
        result.push_str(before);
        result.push_str(if is_other { home } else { "~" });
        rest = after;
    }
    result.push_str(rest);
    result
}
