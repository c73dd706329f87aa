//! `llamark inspect`: the facts of a GGUF file.

use camino::{Utf8Path, Utf8PathBuf};
use llamark_record::model::ModelFacts;
use llamark_report::format;

use crate::cli::Inspect;
use crate::context::Context;
use crate::exit::{Exit, OrFail as _, Outcome};

pub(crate) fn run(context: &Context, args: &Inspect) -> Outcome {
    let shards = llamark_fetch::shards(&args.model).or_fail(Exit::BadInput)?;
    let headers: Result<Vec<_>, _> = shards.iter().map(|path| llamark_gguf::read(path)).collect();
    let headers = headers.or_fail_hint(Exit::BadInput, "MODEL is the path of a GGUF file")?;
    let facts = llamark_gguf::facts_of_shards(&headers);
    if args.json {
        context.terminal.json(&facts)?;
    } else {
        let synthetic = headers.first().and_then(llamark_gguf::Header::synthetic);
        context.terminal.data(table(&args.model, &shards, &facts, synthetic).as_bytes())?;
    }
    Ok(Exit::Done)
}

fn table(path: &Utf8Path, shards: &[Utf8PathBuf], facts: &ModelFacts, synthetic: Option<&str>) -> String {
    let known = |value: Option<u64>| value.map_or_else(|| "not stated".to_owned(), |value| value.to_string());
    let mut rows = vec![
        ("file", path.to_string()),
        ("shards", shards.len().to_string()),
        ("architecture", facts.architecture.clone()),
        ("name", facts.name.clone().unwrap_or_else(|| "not stated".to_owned())),
        ("file type", facts.file_type.clone().unwrap_or_else(|| "not stated".to_owned())),
        ("parameters", format!("{} ({})", format::parameters(facts.parameters), facts.parameters)),
        ("active", format!("{} ({})", format::parameters(facts.active_parameters), facts.active_parameters)),
        ("tensors", format::bytes(facts.tensor_bytes)),
        ("per token", format!("{} of weights", format::bytes(facts.bytes_per_token))),
        (
            "KV cache",
            facts.kv_bytes_per_position.map_or_else(
                || "not stated".to_owned(),
                |bytes| format!("{} per position (f16)", format::bytes(bytes)),
            ),
        ),
        ("bits/weight", format!("{:.2}", facts.bits_per_weight)),
        ("context", known(facts.context_length)),
        ("layers", known(facts.layers)),
        ("vocabulary", known(facts.vocabulary)),
    ];
    if let (Some(experts), Some(used)) = (facts.experts, facts.experts_used) {
        rows.push(("experts", format!("{used} of {experts}")));
    }
    if let Some(format) = synthetic {
        rows.push(("weights", format!("synthetic, made up by {format}: the speed is real, the text is not")));
    }
    let types: Vec<_> =
        facts.bytes_by_type.iter().map(|(name, bytes)| format!("{name} {}", format::bytes(*bytes))).collect();
    rows.push(("types", types.join(", ")));
    rows.iter().map(|(name, value)| format!("{name:>12}  {value}\n")).collect()
}
