//! What the words and numbers of a row say of its model: name, quantization, sizes, active parameters.

/// Beginnings of the names of quantizations, in upper case: `Q4_K_M`, `IQ2_XXS`, `MXFP4_MOE`, `BF16`.
const QUANTS: [&str; 8] = ["Q", "IQ", "TQ", "BF16", "F16", "F32", "MXFP4", "NVFP4"];

/// The name of a file without its ending, cut where it says its quantization: `Qwen3-8B-Q4_K_M`, `Phi-4-UD-Q4_K_XL`. All of
/// it, and nothing, where it does not say one behind a `-`.
pub(super) fn name_and_quant(stem: &str) -> (&str, &str) {
    let Some((name, quant)) =
        stem.rsplit_once('-').filter(|(name, quant)| !name.is_empty() && is_quant(quant))
    else {
        return (stem, "");
    };
    // A publisher's own mix.
    match name.strip_suffix("-UD") {
        Some(shorter) if !shorter.is_empty() => (shorter, &stem[shorter.len() + 1..]),
        _ => (name, quant),
    }
}

fn is_quant(word: &str) -> bool {
    let upper = word.to_ascii_uppercase();
    let rest = QUANTS.iter().filter_map(|start| upper.strip_prefix(start)).min_by_key(|rest| rest.len());
    let is_of_quant = |c: char| c.is_ascii_digit() || c.is_ascii_uppercase() || c == '_';
    match rest {
        Some("") => upper.contains("16") || upper.contains("32") || upper.contains("FP4"),
        Some(rest) => {
            rest.starts_with(|c: char| c.is_ascii_digit() || c == '_') && rest.chars().all(is_of_quant)
        }
        None => false,
    }
}

/// The active parameters in the words of llama.cpp for a model: `3B` of `qwen3moe 30B.A3B Q4_K - Medium`. `None` where they say
/// nothing: `deepseek2 671B Q4_0` is a mixture of experts too.
pub(super) fn active(model_type: &str) -> Option<&str> {
    let active = model_type.split(' ').find_map(|word| word.split_once(".A"))?.1;
    let number = active.strip_suffix(['B', 'M'])?;
    number.parse::<f64>().is_ok_and(|number| number > 0.0).then_some(active)
}

/// A count of parameters as people write it: `34.66B`, `134.5M`.
pub(super) fn count(parameters: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "four digits of it are shown")]
    let count = parameters as f64;
    let (number, unit) = if count < 1e9 { (count / 1e6, "M") } else { (count / 1e9, "B") };
    format!("{}{unit}", four_digits(number))
}

/// Bytes as people write them: `19.70 GiB`. The exact number is in the document.
pub(super) fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "four digits of it are shown")]
    let bytes = bytes as f64;
    let (number, unit) =
        if bytes < 1_073_741_824.0 { (bytes / 1_048_576.0, "MiB") } else { (bytes / 1_073_741_824.0, "GiB") };
    format!("{} {unit}", four_digits(number))
}

fn four_digits(number: f64) -> String {
    let decimals = match number {
        number if number < 10.0 => 3,
        number if number < 100.0 => 2,
        number if number < 1000.0 => 1,
        _ => 0,
    };
    format!("{number:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_its_quantization_or_not() {
        for (stem, name, quant) in [
            ("Qwen3.6-35B-A3B-Q4_K_M", "Qwen3.6-35B-A3B", "Q4_K_M"),
            ("gpt-oss-20b-mxfp4", "gpt-oss-20b", "mxfp4"),
            ("Llama-4-Scout-UD-Q4_K_XL", "Llama-4-Scout", "UD-Q4_K_XL"),
            ("gemma-3-27b-it-bf16", "gemma-3-27b-it", "bf16"),
            ("DeepSeek-R1-256x21B-IQ4_K_R4", "DeepSeek-R1-256x21B", "IQ4_K_R4"),
            ("SmolLM2-135M-Instruct.Q4_1", "SmolLM2-135M-Instruct.Q4_1", ""),
            ("Mistral-Small-24B-Instruct-2503", "Mistral-Small-24B-Instruct-2503", ""),
            ("model-Qwen", "model-Qwen", ""),
            ("some-F", "some-F", ""),
            ("-Q4_0", "-Q4_0", ""),
            ("UD-Q4_0", "UD", "Q4_0"),
            ("", "", ""),
        ] {
            assert_eq!(name_and_quant(stem), (name, quant), "{stem}");
        }
    }

    #[test]
    fn active_parameters_are_those_that_are_said() {
        assert_eq!(active("qwen35moe 35B.A3B Q4_K - Medium"), Some("3B"));
        assert_eq!(active("minimax-m2 230B.A10B IQ4_XS"), Some("10B"));
        for silent in
            ["deepseek2 671B Q4_0", "llama 8x7B Q5_0", "gpt-oss 20B MXFP4 MoE", "x.Afoo", "x.A0B", ""]
        {
            assert_eq!(active(silent), None, "{silent}");
        }
    }

    #[test]
    fn numbers_have_four_digits() {
        let counts = [34_660_610_688, 134_515_008, 8_030_261_248, 671_000_000_000].map(count);
        assert_eq!(counts, ["34.66B", "134.5M", "8.030B", "671.0B"]);
        assert_eq!([size(21_155_768_832), size(98_300_000)], ["19.70 GiB", "93.75 MiB"]);
    }
}
