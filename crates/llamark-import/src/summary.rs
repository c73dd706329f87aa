//! The summary: its legend and its table.

use crate::markdown::{Block, Row as TableRow, Text};
use crate::phrase;
use crate::problem::{Code, Problem};
use crate::published::{At, BackendName, ModelName, Numbers, Summary, SummaryRow};
use crate::read::Reading;

/// Columns before those of the backends.
const FIXED: [&str; 3] = ["Model", "Quant", "Params (active)"];

/// Reads the blocks under `## Summary`; absent when there is no table that reads.
pub(crate) fn read(reading: &mut Reading<'_>, heading: &Text, blocks: &[&Block]) -> Option<Summary> {
    let mut summary = Summary {
        span: heading.span.clone(),
        sorted_by: None,
        also: None,
        backends: Vec::new(),
        rows: Vec::new(),
    };
    let mut found = None;
    for block in blocks {
        match block {
            Block::Paragraph(lines) => lines.iter().for_each(|line| legend(reading, &mut summary, line)),
            Block::Table { header, rows } if found.is_none() => found = Some((header, rows)),
            Block::Table { header, .. } => {
                let message = "the summary has two tables";
                reading.problem(Problem::new(Code::Duplicate, header.span.clone(), message));
            }
            other => reading.unknown_block(other, "in the summary"),
        }
    }
    let (header, rows) = found?;
    summary.span = header.span.clone();
    table(reading, &mut summary, header, rows);
    Some(summary)
}

/// `Sorted by Vulkan TG speed descending. ‡ = also benchmarked on ROCm and CPU (see detail section). ...`
fn legend(reading: &mut Reading<'_>, summary: &mut Summary, line: &Text) {
    let text = line.plain();
    for sentence in text.split_inclusive(". ") {
        let sentence = sentence.trim().trim_end_matches('.');
        let sorted =
            sentence.strip_prefix("Sorted by ").and_then(|rest| rest.strip_suffix(" TG speed descending"));
        if let Some(name) = sorted {
            let backend = reading.read(&line.span, phrase::backend(name));
            summary.sorted_by = backend.map(|backend| At { value: backend.value.kind, span: backend.span });
        } else if let Some(also) = sentence.strip_prefix("‡ = also benchmarked on ") {
            let names = also.split(" (").next().unwrap_or(also);
            summary.also = reading.read(&line.span, phrase::backends(names));
        } else if sentence != "(vision) = multimodal model, benchmarked text-only" {
            reading.unknown(line.span.clone(), &format!("`{sentence}`"), "in the summary");
        }
    }
}

fn table(reading: &mut Reading<'_>, summary: &mut Summary, header: &TableRow, rows: &[TableRow]) {
    let mut names: Vec<String> = FIXED.iter().map(|name| (*name).to_owned()).collect();
    for cell in &header.cells {
        let label = cell.plain();
        let label = label.strip_suffix(" TG").or(label.strip_suffix(" PP")).or(label.strip_suffix(" Load"));
        let Some(Ok(backend)) = label.map(phrase::backend) else { continue };
        if !summary.backends.contains(&backend) {
            names.extend(["Load", "PP", "TG"].map(|metric| format!("{} {metric}", backend.label)));
            summary.backends.push(backend);
        }
    }
    if summary.backends.is_empty() {
        names.extend(["Vulkan Load", "Vulkan PP", "Vulkan TG"].map(str::to_owned));
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let Some(columns) = reading.columns(header, &names) else { return };
    let backends = summary.backends.clone();
    for row in rows {
        if reading.is_whole(row, header) {
            summary.rows.extend(self::row(reading, row, &columns, &backends));
        }
    }
}

fn row(
    reading: &mut Reading<'_>,
    row: &TableRow,
    columns: &[usize],
    backends: &[BackendName],
) -> Option<SummaryRow> {
    let cells: Vec<&Text> = columns.iter().filter_map(|place| row.cells.get(*place)).collect();
    let [name, quant, parameters, rest @ ..] = cells.as_slice() else { return None };
    let model = model(reading, name, Some(quant.plain()))?;
    let parameters = reading.read(&parameters.span, phrase::short_parameters(&parameters.plain()));
    let mut numbers = Vec::new();
    for cells in rest.chunks(3).take(backends.len()) {
        let [load, pp, tg] = cells else { return None };
        numbers.extend(self::numbers(reading, load, pp, tg));
    }
    let (parameters, is_whole) = (parameters?, numbers.len() == backends.len());
    is_whole.then(|| SummaryRow { span: row.span.clone(), model: model.value, parameters, numbers })
}

/// Load, PP and TG of a row.
pub(crate) fn numbers(reading: &mut Reading<'_>, load: &Text, pp: &Text, tg: &Text) -> Option<Numbers> {
    let runs = reading.runs;
    let load = reading.read(&load.span, phrase::load(&load.plain()));
    let pp = reading.read(&pp.span, phrase::estimate(&pp.plain(), runs));
    let tg = reading.read(&tg.span, phrase::estimate(&tg.plain(), runs));
    Some(Numbers { load: load?, pp: pp?, tg: tg? })
}

/// `Qwen3-VL 30B-A3B Instruct Q4_K_M ‡ *(vision)*`; in a table, the quantization is apart.
pub(crate) fn model(reading: &mut Reading<'_>, text: &Text, quant: Option<String>) -> Option<At<ModelName>> {
    let refuse = |message: &str, help: &str| {
        Some(Problem::new(Code::Malformed, text.span.clone(), message.to_owned()).help(help))
    };
    let emphasised = text.emphasised();
    let plain = text.not_emphasised();
    let (rest, dagger) = match plain.strip_suffix('‡') {
        Some(rest) => (rest.trim(), true),
        None => (plain.as_str(), false),
    };
    let (name, quant) = match quant {
        Some(quant) => (rest, quant),
        None => rest
            .rsplit_once(' ')
            .map_or((rest, String::new()), |(name, quant)| (name.trim(), quant.to_owned())),
    };
    let is_odd = |c: char| matches!(c, '‡' | '±' | '|') || c.is_control();
    let problem = if !matches!(emphasised.as_str(), "" | "(vision)") || text.is_foreign() {
        refuse("the name of a model has unknown marks", "the known ones are `‡` and `*(vision)*`")
    } else if name.is_empty() || quant.is_empty() || llamark_record::plan::model_id(name, "").is_empty() {
        refuse("a model needs a name and a quantization", "as in `Qwen3-VL 30B-A3B Instruct Q4_K_M`")
    } else if name.contains(is_odd) || quant.contains(is_odd) || quant.contains(' ') {
        refuse("this is not the name of a model and its quantization", "as in `Phi-4-mini Instruct Q8_0 ‡`")
    } else {
        None
    };
    if let Some(problem) = problem {
        reading.problem(problem);
        return None;
    }
    let vision = !emphasised.is_empty();
    let value = ModelName { name: name.to_owned(), quant, dagger, vision };
    Some(At { value, span: text.span.clone() })
}
