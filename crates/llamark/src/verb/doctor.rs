//! `llamark doctor`: what this machine can build and run, and the command that gets what is missing.

use std::collections::BTreeMap;

use llamark_bench::host;
use llamark_record::plan::BackendKind;
use llamark_record::telemetry::{Availability, Channel};
use serde::Serialize;

use crate::cli::Doctor;
use crate::context::Context;
use crate::exit::{Exit, Outcome};

/// What `--json` prints.
#[derive(Serialize)]
struct Findings {
    environment: llamark_record::environment::Environment,
    backends: BTreeMap<&'static str, Vec<llamark_build::Missing>>,
    sensors: Vec<Channel>,
}

pub(crate) fn run(context: &Context, args: &Doctor) -> Outcome {
    let environment = host::environment(&host::Roots::default());
    let backends: BTreeMap<_, _> =
        BackendKind::ALL.into_iter().map(|kind| (kind.name(), llamark_build::check(kind))).collect();
    let findings = Findings { environment, backends, sensors: llamark_bench::sensors() };
    if args.json {
        context.terminal.json(&findings)?;
        return Ok(Exit::Done);
    }
    let mut text = String::from("Machine\n");
    for name in
        ["cpu.model", "cpu.physical", "cpu.governor", "memory.total_bytes", "kernel.release", "os.name"]
    {
        let value = match findings.environment.facts.get(name) {
            Some(fact) => match (&fact.value, &fact.error) {
                (Some(value), _) if name.ends_with("_bytes") => {
                    value.parse().map_or_else(|_| value.clone(), llamark_report::format::bytes)
                }
                (Some(value), _) => value.clone(),
                (None, Some(error)) => format!("not available: {error}"),
                (None, None) => "not available".to_owned(),
            },
            None => "not available".to_owned(),
        };
        text.push_str(&format!("  {name:<20} {value}\n"));
    }
    for (name, fact) in &findings.environment.facts {
        if name.starts_with("gpu.") && name.ends_with(".name") {
            text.push_str(&format!("  {name:<20} {}\n", fact.value.as_deref().unwrap_or("not available")));
        }
    }
    text.push_str("\nBackends\n");
    for (kind, missing) in &findings.backends {
        if missing.is_empty() {
            text.push_str(&format!("  {kind:<8} can be built\n"));
            continue;
        }
        text.push_str(&format!("  {kind:<8} cannot be built:\n"));
        for item in missing {
            text.push_str(&format!("           {}: {}\n", item.what, item.why));
            for (system, command) in item.install.commands() {
                text.push_str(&format!("             {system:<14} {command}\n"));
            }
        }
    }
    text.push_str("\nSensors\n");
    for sensor in &findings.sensors {
        let said = match &sensor.availability {
            Availability::Available => "available".to_owned(),
            Availability::Partly { reason, .. } => format!("partly available: {reason}"),
            Availability::NotAvailable { reason } => format!("not available: {reason} ({})", sensor.source),
        };
        text.push_str(&format!("  {:<28} {said}\n", sensor.name));
    }
    let cpu_is_fine = findings.backends.get("cpu").is_some_and(Vec::is_empty);
    text.push_str(if cpu_is_fine {
        "\nTry it: llamark run experiments/quickstart.yaml\n"
    } else {
        "\nNot even the cpu backend can be built here: install what is listed above first.\n"
    });
    context.terminal.data(text.as_bytes())?;
    Ok(Exit::Done)
}
