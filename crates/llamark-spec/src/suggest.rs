//! "Did you mean": the nearest of some names to one that is none of them.

/// What people write who come from llama.cpp's flags or other tools, and what it is called here.
const SYNONYMS: &[(&str, &str)] = &[
    ("amd", "rocm"),
    ("hip", "rocm"),
    ("nvidia", "cuda"),
    ("cublas", "cuda"),
    ("vk", "vulkan"),
    ("c", "context"),
    ("context_size", "context"),
    ("ctk", "cache_type_k"),
    ("ctv", "cache_type_v"),
    ("ctx", "context"),
    ("ctx_size", "context"),
    ("n_ctx", "context"),
    ("n_predict", "max_tokens"),
    ("tokens", "max_tokens"),
    ("fa", "flash_attn"),
    ("flash_attention", "flash_attn"),
    ("ngl", "gpu_layers"),
    ("n_gpu_layers", "gpu_layers"),
    ("n_threads", "threads"),
    ("batch_size", "batch"),
    ("ubatch_size", "ubatch"),
    ("streams", "concurrency"),
    ("parallel", "concurrency"),
    ("np", "concurrency"),
    ("slots", "concurrency"),
    ("n_depth", "depth"),
    ("repetitions", "runs"),
    ("repeat", "runs"),
    ("iterations", "runs"),
    ("restarts", "starts"),
    ("cmake_args", "build"),
    ("environment", "env"),
    ("quantization", "quant"),
    ("parameters", "params"),
    ("revision", "rev"),
    ("rev", "revision"),
    ("commit", "rev"),
    ("tag", "rev"),
    ("branch", "rev"),
    ("hf", "huggingface"),
    ("repo", "git"),
    ("sha", "sha256"),
    ("hash", "sha256"),
    ("digest", "sha256"),
    ("checksum", "sha256"),
    ("title", "name"),
    ("bandwidth", "memory_bandwidth"),
    ("prompts", "prompt"),
    ("model", "models"),
    ("backend", "backends"),
];

/// Longer names are not compared: nobody mistypes so much, and comparing is quadratic.
const MOST: usize = 64;

/// The candidate that was meant, if one is near enough to be worth saying.
pub(crate) fn nearest<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if wrong.is_empty() || wrong.len() > MOST {
        return None;
    }
    let plain = plain(wrong);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates.into_iter().filter(|candidate| candidate.len() <= MOST) {
        if (wrong, candidate) == ("gpu", "cpu") {
            continue;
        }
        let is_synonym = SYNONYMS.iter().any(|(from, to)| *from == plain && *to == candidate);
        let distance =
            if is_synonym { 0 } else { strsim::damerau_levenshtein(&plain, &self::plain(candidate)) };
        let allowed = plain.chars().count().max(candidate.chars().count()).div_ceil(3).min(4);
        if distance <= allowed && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// The help that a near candidate is worth, and all candidates where they are few.
pub(crate) fn help<'a>(
    wrong: &str,
    kind: &str,
    candidates: impl IntoIterator<Item = &'a str> + Clone,
) -> String {
    if let Some(candidate) = nearest(wrong, candidates.clone()) {
        return format!("did you mean `{candidate}`?");
    }
    let all: Vec<String> = candidates.into_iter().map(|name| format!("`{name}`")).collect();
    match all.as_slice() {
        [] => format!("there are no {kind}"),
        [only] => format!("the only one is {only}"),
        all => format!("{kind} are {}", list(all)),
    }
}

/// The first of some names, and how many more there are.
fn list(names: &[String]) -> String {
    const SHOWN: usize = 16;
    let shown = names.get(..SHOWN).unwrap_or(names).join(", ");
    if names.len() > SHOWN { format!("{shown} and {} more", names.len() - SHOWN) } else { shown }
}

fn plain(name: &str) -> String {
    name.to_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant() {
        let keys = ["threads", "threads_batch", "flash_attn", "context", "mmap", "mlock"];
        for (wrong, right) in [
            ("thread", "threads"),
            ("Threads", "threads"),
            ("threads-batch", "threads_batch"),
            ("fa", "flash_attn"),
            ("n_ctx", "context"),
            ("mmpa", "mmap"),
        ] {
            assert_eq!(nearest(wrong, keys), Some(right), "{wrong}");
        }
        for wrong in ["", "x", "kv_unified", &"threads".repeat(50)] {
            assert_eq!(nearest(wrong, keys), None, "{wrong}");
        }
    }
}
