//! Why a metric of the sensors has no value.

use std::collections::BTreeMap;

use llamark_artifact::CaseLedger;
use llamark_record::metric::Metric;
use llamark_record::telemetry::Phase;

use crate::summary::Metrics;

/// The metrics that come from sensors.
const OF_SENSORS: [Metric; 4] = [Metric::Vram, Metric::Gtt, Metric::EnergyPrefill, Metric::EnergyDecode];

/// The reason of each metric of the sensors that has no value, by its name. Of the first start with telemetry: where it
/// fails, it fails alike in all, as a rule.
pub(crate) fn not_available(case: &CaseLedger, metrics: &Metrics) -> BTreeMap<String, String> {
    let Some((start, telemetry)) =
        case.starts.values().find_map(|start| Some((start, start.telemetry.as_ref()?)))
    else {
        return BTreeMap::new();
    };
    // Of the run that nothing else keeps from having a number.
    let run = start.runs.iter().find(|run| run.counts()).map_or(1, |run| run.index);
    let absent = OF_SENSORS.iter().filter(|metric| metrics.get(**metric).is_none());
    absent
        .filter_map(|metric| {
            let found = match metric {
                Metric::Vram => telemetry.peak("vram"),
                Metric::Gtt => telemetry.peak("gtt"),
                Metric::EnergyPrefill => telemetry.energy(Phase::Prefill { run }),
                Metric::EnergyDecode => telemetry.energy(Phase::Decode { run }),
                _ => return None,
            };
            let reason = found.err().unwrap_or_else(|| "no run has a value that counts".to_owned());
            Some((metric.name().to_owned(), reason))
        })
        .collect()
}
