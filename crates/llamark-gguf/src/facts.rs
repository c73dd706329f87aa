//! From headers to facts: parameters, bytes per token, KV bytes. Each field of [`ModelFacts`] states its definition.

use std::collections::BTreeMap;

use llamark_record::model::ModelFacts;

use crate::file_type;
use crate::header::Header;
use crate::tensor::{TensorInfo, TensorType};
use crate::value::Value;

/// Ends the name of a type in [`ModelFacts::bytes_by_type`] when its bytes are not known; the number is 0 then.
pub(crate) const BYTES_UNKNOWN: &str = " (bytes unknown)";

impl Header {
    /// The facts of a model in one file.
    pub fn facts(&self) -> ModelFacts {
        facts_of_shards(std::slice::from_ref(self))
    }
}

/// The facts of a model in several files, in order: keys from the first, tensors from all. Of no file at all, they
/// are zero.
///
/// Tensors of unknown type count as parameters, but not in bytes and not in bits per weight.
pub fn facts_of_shards(shards: &[Header]) -> ModelFacts {
    let empty = Header {
        version: 3,
        big_endian: false,
        values: Vec::new(),
        tensors: Vec::new(),
        alignment: 32,
        data_offset: 0,
        file_bytes: 0,
    };
    let first = shards.first().unwrap_or(&empty);
    let use_ = Use::new(first, shards);
    let (mut parameters, mut known, mut tensor_bytes) = (0_u64, 0_u64, 0_u64);
    let (mut active_parameters, mut bytes_per_token) = (0_u64, 0_u64);
    let mut bytes_by_type = BTreeMap::new();
    for tensor in shards.iter().flat_map(|shard| &shard.tensors) {
        parameters = parameters.saturating_add(tensor.elements);
        active_parameters = active_parameters.saturating_add(use_.elements(tensor));
        let Some(bytes) = tensor.bytes else {
            bytes_by_type.insert(tensor.tensor_type.name() + BYTES_UNKNOWN, 0);
            continue;
        };
        known = known.saturating_add(tensor.elements);
        tensor_bytes = tensor_bytes.saturating_add(bytes);
        bytes_per_token = bytes_per_token.saturating_add(use_.bytes(tensor, bytes));
        let of_type: &mut u64 = bytes_by_type.entry(tensor.tensor_type.name()).or_default();
        *of_type = of_type.saturating_add(bytes);
    }
    let experts = first.number_of_architecture("expert_count").filter(|count| *count > 0);
    ModelFacts {
        architecture: first.architecture().unwrap_or("unknown").to_owned(),
        name: first.text("general.name").map(str::to_owned),
        file_type: first.number("general.file_type").and_then(file_type::name).map(str::to_owned),
        parameters,
        active_parameters,
        tensor_bytes,
        bytes_per_token,
        kv_bytes_per_position: kv_bytes_per_position(first),
        bits_per_weight: if known == 0 { 0.0 } else { tensor_bytes as f64 * 8.0 / known as f64 },
        context_length: first.number_of_architecture("context_length"),
        layers: first.number_of_architecture("block_count"),
        experts,
        experts_used: experts.and_then(|_| first.number_of_architecture("expert_used_count")),
        vocabulary: vocabulary(first),
        bytes_by_type,
        shards: shard_count(first, shards.len()),
    }
}

/// `split.count`, or how many files there are.
fn shard_count(first: &Header, files: usize) -> u32 {
    let announced = first.number("split.count").filter(|count| *count > 0);
    announced.and_then(|count| u32::try_from(count).ok()).unwrap_or(u32::try_from(files).unwrap_or(u32::MAX))
}

fn vocabulary(first: &Header) -> Option<u64> {
    let tokens = first.get("tokenizer.ggml.tokens").and_then(Value::as_array).map(|tokens| tokens.length);
    tokens.or_else(|| first.number_of_architecture("vocab_size"))
}

/// Which share of each tensor one generated token reads.
struct Use {
    /// Experts used and in all.
    experts: Option<(u64, u64)>,
    /// The embedding table serves as output matrix too.
    tied: bool,
    /// Layers from here on only draft (multi-token prediction) and are not read in plain generation.
    first_draft_layer: u64,
}

/// The share of one tensor.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Share {
    All,
    None,
    OneRow,
    Fraction(u64, u64),
}

impl Use {
    fn new(first: &Header, shards: &[Header]) -> Self {
        let used = first.number_of_architecture("expert_used_count");
        let all = first.number_of_architecture("expert_count");
        let experts = used.zip(all).filter(|(used, all)| *all > 0 && used <= all);
        let tied =
            !shards.iter().flat_map(|shard| &shard.tensors).any(|tensor| tensor.name == "output.weight");
        let drafting = first.number_of_architecture("nextn_predict_layers").unwrap_or(0);
        let layers = first.number_of_architecture("block_count");
        let first_draft_layer = match drafting {
            0 => u64::MAX,
            _ => layers.map_or(u64::MAX, |layers| layers.saturating_sub(drafting)),
        };
        Self { experts, tied, first_draft_layer }
    }

    fn share(&self, tensor: &TensorInfo) -> Share {
        match tensor.name.as_str() {
            "token_embd.weight" => return if self.tied { Share::All } else { Share::OneRow },
            "per_layer_token_embd.weight" => return Share::OneRow,
            _ => {}
        }
        if tensor.layer().is_some_and(|layer| layer >= self.first_draft_layer) {
            return Share::None;
        }
        match self.experts {
            Some((used, all)) if is_of_experts(tensor, all) => Share::Fraction(used, all),
            _ => Share::All,
        }
    }

    fn elements(&self, tensor: &TensorInfo) -> u64 {
        match self.share(tensor) {
            Share::All => tensor.elements,
            Share::None => 0,
            Share::OneRow => tensor.row().min(tensor.elements),
            Share::Fraction(part, whole) => scaled(tensor.elements, part, whole),
        }
    }

    fn bytes(&self, tensor: &TensorInfo, bytes: u64) -> u64 {
        match self.share(tensor) {
            Share::All => bytes,
            Share::None => 0,
            Share::OneRow => tensor.tensor_type.row_bytes(tensor.row()).unwrap_or(bytes).min(bytes),
            Share::Fraction(part, whole) => scaled(bytes, part, whole),
        }
    }
}

/// Whether a tensor holds all experts side by side: `ffn_(gate|up|down|gate_up)_exps` and the `chexps` of GroveMoE, with
/// the experts as last dimension. Shared experts (`_shexp`) and the router (`ffn_gate_inp`) are read whole.
fn is_of_experts(tensor: &TensorInfo, experts: u64) -> bool {
    let name = tensor.name_in_layer();
    let stem = name.split('.').next().unwrap_or(name);
    let grouped = stem.ends_with("_chexps");
    (stem.starts_with("ffn_") && stem.ends_with("_exps") && tensor.dimensions.last() == Some(&experts))
        || grouped
}

fn scaled(value: u64, part: u64, whole: u64) -> u64 {
    let exact = u128::from(value) * u128::from(part) / u128::from(whole.max(1));
    u64::try_from(exact).unwrap_or(u64::MAX)
}

/// Bytes of KV cache that one position takes with f16 keys and values, without the cap of sliding windows:
/// Σ over layers of heads × (key length + value length) × 2.
///
/// With latent attention (MLA) only keys are stored. Layers that are recurrent, draft, or use the cache of an earlier
/// layer store nothing. `None` when the header leaves any of it open.
fn kv_bytes_per_position(header: &Header) -> Option<u64> {
    let number = |key: &str| header.number_of_architecture(key);
    // Compressed and indexed caches have sizes of their own.
    let special = ["attention.compress_ratios", "attention.indexer.key_length"];
    if special.iter().any(|key| header.of_architecture(key).is_some()) {
        return None;
    }
    let drafting = number("nextn_predict_layers").unwrap_or(0);
    let layers = number("block_count")?.checked_sub(drafting)?;
    let heads = header.per_layer("attention.head_count", layers)?;
    let kv_heads = header.per_layer("attention.head_count_kv", layers).unwrap_or_else(|| heads.clone());
    let per_head = |key: &str| -> Option<u64> {
        number(key).or_else(|| {
            let widest = heads.iter().max().filter(|heads| **heads > 0)?;
            Some(number("embedding_length")? / widest)
        })
    };
    let (key_length, value_length) = (per_head("attention.key_length")?, per_head("attention.value_length")?);
    let latent = ["attention.key_length_mla", "attention.value_length_mla"]
        .iter()
        .all(|key| number(key).is_some_and(|length| length > 0));
    let values = if latent { 0 } else { value_length };
    let recurrent = recurrent_layers(header, layers)?;
    let windowed = windowed_layers(header, layers);
    let sharing = number("attention.shared_kv_layers").unwrap_or(0);
    let of_window = number("attention.key_length_swa").map(|keys| {
        keys.saturating_add(if latent { 0 } else { number("attention.value_length_swa").unwrap_or(keys) })
    });
    let mut total = 0_u64;
    for (index, heads) in kv_heads.iter().enumerate() {
        if recurrent[index] || index as u64 >= layers.saturating_sub(sharing) {
            continue;
        }
        let lengths = match (&of_window, &windowed) {
            (Some(of_window), Some(windowed)) if windowed[index] => *of_window,
            (None, _) | (Some(_), Some(_)) => key_length.checked_add(values)?,
            // Windowed layers differ, and which they are is not said.
            (Some(_), None) => return None,
        };
        total = total.checked_add(heads.checked_mul(lengths)?.checked_mul(2)?)?;
    }
    Some(total)
}

/// Which layers are recurrent, and so have a state of constant size. `None` when the model has a state and does not say
/// in which layers.
fn recurrent_layers(header: &Header, layers: u64) -> Option<Vec<bool>> {
    if let Some(flags) = header.per_layer("attention.recurrent_layers", layers) {
        return Some(flags.iter().map(|flag| *flag != 0).collect());
    }
    if let Some(interval) = header.number_of_architecture("full_attention_interval").filter(|n| *n > 0) {
        return Some((1..=layers).map(|layer| layer % interval != 0).collect());
    }
    // Others mark them by zero KV heads, layer by layer.
    let prefix = format!("{}.", header.architecture()?);
    let has_state = header.values.iter().any(|entry| {
        entry.key.strip_prefix(&prefix).is_some_and(|key| key.starts_with("ssm.") || key.starts_with("wkv."))
    });
    let marked = matches!(header.of_architecture("attention.head_count_kv"), Some(Value::Array(_)));
    (!has_state || marked).then(|| vec![false; usize::try_from(layers).unwrap_or(0)])
}

/// Which layers see a sliding window only, where the header has a flag per layer.
fn windowed_layers(header: &Header, layers: u64) -> Option<Vec<bool>> {
    header.of_architecture("attention.sliding_window_pattern")?.as_array()?;
    let flags = header.per_layer("attention.sliding_window_pattern", layers)?;
    Some(flags.iter().map(|flag| *flag != 0).collect())
}

/// Bits per weight of a type; `None` when it is not known.
pub(crate) fn bits_of(name: &str) -> Option<f64> {
    let layout = (0..=u32::from(u8::MAX)).filter_map(|number| TensorType(number).layout());
    layout
        .into_iter()
        .find(|layout| layout.name == name)
        .map(|layout| layout.bytes as f64 * 8.0 / layout.elements as f64)
}

#[cfg(test)]
mod tests;
