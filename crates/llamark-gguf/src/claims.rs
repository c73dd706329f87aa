//! What an author wrote about a model, compared with its header.

use llamark_record::model::ModelFacts;

use crate::facts::{BYTES_UNKNOWN, bits_of};
use crate::file_type;

/// The claims of an author that the header contradicts, as sentences. Empty claims claim nothing; claims that cannot be
/// read (`unknown`) are left alone.
///
/// * the quantization, against the file type, the bits per weight, and the type that most bytes have;
/// * the parameters, when a quarter off; the active parameters, when a third off or of a model without experts;
/// * `file_bytes`, all shards together, when the tensors need more.
pub fn contradictions(
    facts: &ModelFacts,
    file_bytes: u64,
    quant: &str,
    parameters: &str,
    active_parameters: &str,
) -> Vec<String> {
    let mut found = Vec::new();
    found.extend(contradicted_quant(facts, quant.trim()));
    found.extend(contradicted_parameters(facts, parameters));
    found.extend(contradicted_active(facts, active_parameters));
    if file_bytes < facts.tensor_bytes {
        let missing = facts.tensor_bytes - file_bytes;
        found.push(format!(
            "the files are {missing} bytes shorter than their tensors: a shard is missing or truncated"
        ));
    }
    for name in facts.bytes_by_type.keys().filter_map(|name| name.strip_suffix(BYTES_UNKNOWN)) {
        found.push(format!("tensors of {name} are unknown to llamark: every size leaves them out"));
    }
    found
}

fn contradicted_quant(facts: &ModelFacts, claimed: &str) -> Option<String> {
    let claim = Claim::new(claimed)?;
    if let Some(bits) = claim.bits {
        let actual = facts.bits_per_weight;
        // Below its own type a file cannot fall; above it, embeddings and output of a small model weigh in.
        let (low, high) = (bits * 0.9, if bits < 4.0 { bits * 2.0 } else { bits * 1.35 + 1.0 });
        if actual > 0.0 && !(low..=high).contains(&actual) {
            return Some(format!(
                "{claimed} is claimed, but the tensors average {actual:.1} bits per weight"
            ));
        }
    }
    let file_type = facts.file_type.as_deref();
    if let Some(file_type) = file_type.filter(|file_type| !claim.fits_file_type(file_type)) {
        return Some(format!("{claimed} is claimed, but general.file_type says {file_type}"));
    }
    let (name, bytes) = facts.bytes_by_type.iter().max_by_key(|(_, bytes)| **bytes)?;
    let share = *bytes as f64 / facts.tensor_bytes.max(1) as f64;
    if share > 2.0 / 3.0 && claim.bits.is_some() && family(name) != family(&claim.base) {
        return Some(format!("{claimed} is claimed, but {:.0} % of the bytes are {name}", share * 100.0));
    }
    None
}

/// A quantization as people write it.
struct Claim {
    /// In capitals, without a publisher's `UD-`.
    name: String,
    /// Type that gives it its name: `Q4_K` of `Q4_K_M`.
    base: String,
    /// Bits per weight of the base; `None` when it names no type (`IQ2_M` is a mix).
    bits: Option<f64>,
    /// A publisher's mix, which has no file type of its own.
    mixed: bool,
}

impl Claim {
    fn new(claimed: &str) -> Option<Self> {
        let upper = claimed.to_ascii_uppercase().replace("FP16", "F16").replace("FP32", "F32");
        let (name, prefixed) = upper.strip_prefix("UD-").map_or((upper.as_str(), false), |rest| (rest, true));
        if name.is_empty() {
            return None;
        }
        let sized =
            ["_XXL", "_XL", "_L", "_M", "_S", "_MOE"].iter().find_map(|suffix| name.strip_suffix(suffix));
        let whole = bits_of(name);
        let base = if whole.is_some() { name } else { sized.unwrap_or(name) };
        let mixed = prefixed || name.ends_with("_XL") || name.ends_with("_XXL");
        Some(Self {
            name: name.to_owned(),
            base: base.to_owned(),
            bits: whole.or_else(|| bits_of(base)),
            mixed,
        })
    }

    /// A name that llama-quantize knows must be the file type itself; others (`Q4_K`, `Q4_K_XL`, a publisher's mix)
    /// must share its base. What names no type at all cannot be compared with one.
    fn fits_file_type(&self, file_type: &str) -> bool {
        let has_number = file_type::is_name(&self.name);
        if has_number && !self.mixed {
            return self.name == file_type;
        }
        let base = Self::new(file_type).map(|claim| claim.base);
        !(has_number || self.bits.is_some()) || base.as_deref() == Some(self.base.as_str())
    }
}

/// Types that one quantization mixes freely.
fn family(name: &str) -> &str {
    if name.ends_with("_K") || name.starts_with("IQ") { "K and IQ" } else { name }
}

fn contradicted_parameters(facts: &ModelFacts, claimed: &str) -> Option<String> {
    let count = read_count(claimed)?;
    let actual = facts.parameters as f64;
    let far = actual > 0.0 && (count / actual > 1.25 || actual / count > 1.25);
    far.then(|| {
        let claimed = claimed.trim();
        format!("{claimed} parameters are claimed, but the tensors have {}", counted(actual))
    })
}

fn contradicted_active(facts: &ModelFacts, claimed: &str) -> Option<String> {
    let count = read_count(claimed)?;
    let (all, active) = (facts.parameters as f64, facts.active_parameters as f64);
    let claimed = claimed.trim();
    if facts.experts.is_none() {
        return (count < 0.75 * active).then(|| {
            format!(
                "{claimed} active parameters are claimed, but there are no experts: all {} are used",
                counted(all)
            )
        });
    }
    let far = active > 0.0 && (count / active > 1.35 || active / count > 1.35);
    far.then(|| format!("{claimed} active parameters are claimed, but one token uses {}", counted(active)))
}

/// The first number with a unit in `30B`, `~4B`, `3.8 B`, `135M`. `None` when there is none.
fn read_count(text: &str) -> Option<f64> {
    let text = text.trim().trim_start_matches(['~', '≈']).trim_start();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    let unit = match rest.trim_start().chars().next()? {
        'K' | 'k' => 1e3,
        'M' | 'm' => 1e6,
        'B' | 'b' | 'G' => 1e9,
        'T' | 't' => 1e12,
        _ => return None,
    };
    digits.parse::<f64>().ok().map(|value| value * unit).filter(|value| *value > 0.0)
}

/// `30.5B`, `134.5M`.
fn counted(value: f64) -> String {
    match value {
        value if value >= 1e9 => format!("{:.1}B", value / 1e9),
        value if value >= 1e6 => format!("{:.1}M", value / 1e6),
        value => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn facts(file_type: Option<&str>, bits: f64, types: &[(&str, u64)]) -> ModelFacts {
        let tensor_bytes = types.iter().map(|(_, bytes)| bytes).sum();
        ModelFacts {
            architecture: "qwen3".to_owned(),
            name: None,
            file_type: file_type.map(str::to_owned),
            parameters: 20_900_000_000,
            active_parameters: 3_600_000_000,
            tensor_bytes,
            bytes_per_token: 0,
            kv_bytes_per_position: None,
            bits_per_weight: bits,
            context_length: None,
            layers: None,
            experts: Some(32),
            experts_used: Some(4),
            vocabulary: None,
            bytes_by_type: types.iter().map(|(name, bytes)| ((*name).to_owned(), *bytes)).collect(),
            shards: 1,
        }
    }

    fn quant(facts: &ModelFacts, claimed: &str) -> Vec<String> {
        contradictions(facts, u64::MAX, claimed, "", "")
    }

    #[test]
    fn a_claim_that_holds_is_not_mentioned() {
        let model = facts(Some("Q4_K_M"), 4.9, &[("Q4_K", 80), ("Q6_K", 20)]);
        for claimed in ["Q4_K_M", "q4_k_m", "", "UD-Q4_K_XL", "Q4_K", "Q4_K_L", "some mix"] {
            assert_eq!(quant(&model, claimed), Vec::<String>::new(), "{claimed}");
        }
        let small = facts(Some("Q4_1"), 5.74, &[("Q4_1", 66), ("Q8_0", 30)]);
        assert_eq!(quant(&small, "Q4_1"), Vec::<String>::new());
        let mix = facts(Some("IQ2_M"), 2.7, &[("IQ2_S", 80), ("IQ3_S", 20)]);
        assert_eq!(quant(&mix, "IQ2_M"), Vec::<String>::new());
        let half = facts(Some("F16"), 16.0, &[("F16", 100)]);
        assert_eq!(quant(&half, "FP16"), Vec::<String>::new());
        let expert = facts(Some("MXFP4_MOE"), 4.5, &[("MXFP4", 90), ("Q8_0", 10)]);
        assert_eq!(quant(&expert, "MXFP4"), Vec::<String>::new());
    }

    #[test]
    fn bits_per_weight_contradict_first() {
        let model = facts(Some("Q8_0"), 4.8, &[("MXFP4", 80), ("Q8_0", 20)]);
        assert_eq!(quant(&model, "Q8_0"), ["Q8_0 is claimed, but the tensors average 4.8 bits per weight"]);
    }

    #[test]
    fn the_file_type_contradicts_a_neighbour() {
        let model = facts(Some("Q4_K_S"), 4.6, &[("Q4_K", 100)]);
        assert_eq!(quant(&model, "Q4_K_M"), ["Q4_K_M is claimed, but general.file_type says Q4_K_S"]);
        assert_eq!(quant(&model, "Q5_K"), ["Q5_K is claimed, but the tensors average 4.6 bits per weight"]);
        let model = facts(Some("IQ2_M"), 2.7, &[("IQ2_S", 100)]);
        assert_eq!(quant(&model, "IQ2_S"), ["IQ2_S is claimed, but general.file_type says IQ2_M"]);
    }

    #[test]
    fn the_commonest_type_contradicts_a_label() {
        let model = facts(Some("Q4_K_M"), 4.5, &[("MXFP4", 90), ("Q5_0", 10)]);
        assert_eq!(quant(&model, "Q4_K_M"), ["Q4_K_M is claimed, but 90 % of the bytes are MXFP4"]);
    }

    #[test]
    fn counts_are_compared_with_room_for_rounding() {
        let model = facts(None, 4.5, &[("Q4_K", 100)]);
        let claims = |all: &str, active: &str| contradictions(&model, u64::MAX, "", all, active);
        assert!(claims("20B", "~4B").is_empty());
        assert!(claims("unknown", "many").is_empty());
        assert!(claims("24B (dense)", "").is_empty());
        assert_eq!(claims("30B", ""), ["30B parameters are claimed, but the tensors have 20.9B"]);
        assert_eq!(claims("", "20B"), ["20B active parameters are claimed, but one token uses 3.6B"]);
        let dense = ModelFacts { experts: None, active_parameters: 20_000_000_000, ..model.clone() };
        assert_eq!(
            contradictions(&dense, u64::MAX, "", "", "~14B"),
            ["~14B active parameters are claimed, but there are no experts: all 20.9B are used"]
        );
        assert!(contradictions(&dense, u64::MAX, "", "", "20B").is_empty());
    }

    #[test]
    fn sizes_that_are_short_or_unknown_are_said() {
        let mut model = facts(None, 4.5, &[("Q4_K", 100)]);
        assert_eq!(
            contradictions(&model, 90, "", "", ""),
            ["the files are 10 bytes shorter than their tensors: a shard is missing or truncated"]
        );
        model.bytes_by_type = BTreeMap::from([(format!("type 57{BYTES_UNKNOWN}"), 0)]);
        assert_eq!(
            quant(&model, ""),
            ["tensors of type 57 are unknown to llamark: every size leaves them out"]
        );
    }

    #[test]
    fn counts_are_read_as_people_write_them() {
        for (text, expected) in [
            ("30B", 30e9),
            ("~4B", 4e9),
            (" 3.8 B ", 3.8e9),
            ("135M", 135e6),
            ("1.5T", 1.5e12),
            ("120B (5B MoE)", 120e9),
        ] {
            assert_eq!(read_count(text), Some(expected), "{text}");
        }
        for text in ["", "large", "30", "B", "1.2.3B", "0B", "30 experts"] {
            assert_eq!(read_count(text), None, "{text}");
        }
    }
}
