//! By which rules a comparison is decided: the plan of the baseline, unless the caller says otherwise.

use llamark_record::comparison::{MetricRule, Rules};
use llamark_record::metric::Metric;
use llamark_record::plan::{Gate, Plan, STANDARD_GATES};
use llamark_stats::verdict::{self, Sensitivity};

use super::options::Options;
use crate::estimate::round;

/// As parts of the margin: the least change looked for, and the least estimate where sensitive.
const MINIMUM: f64 = 1.0 / 3.0;
const LEAST_ESTIMATE: f64 = 2.0 / 3.0;

/// How each metric is judged in that plan.
pub(super) fn gates(plan: &Plan) -> &[Gate] {
    if plan.gates.is_empty() { &STANDARD_GATES } else { &plan.gates }
}

/// The rules of a comparison with this baseline.
pub(super) fn of(plan: &Plan, options: &Options) -> Rules {
    let rules = verdict::Rules::STANDARD;
    let share = |ppm: u32| f64::from(ppm) / 1e6;
    let mut metrics: Vec<MetricRule> = gates(plan)
        .iter()
        .map(|gate| MetricRule {
            metric: gate.metric,
            gates: gate.decides,
            minimum: share(gate.minimum_ppm),
            least_estimate: None,
            margin: share(gate.margin_ppm),
        })
        .collect();
    for rule in &mut metrics {
        if let Some(threshold) = options.threshold.filter(|_| rule.gates) {
            rule.margin = threshold;
            rule.minimum = threshold * MINIMUM;
        }
        if options.sensitive {
            rule.least_estimate = Some(round(rule.margin * LEAST_ESTIMATE));
        }
        (rule.margin, rule.minimum) = (round(rule.margin), round(rule.minimum));
    }
    Rules {
        false_discovery_rate: rules.q,
        alpha: rules.alpha,
        power: rules.power,
        sensitive: options.sensitive,
        metrics,
        across: options.across.clone(),
    }
}

/// The rule of a metric; one that the plan does not know is shown only, as is standard.
pub(super) fn rule(rules: &Rules, metric: Metric) -> MetricRule {
    let found = rules.metrics.iter().find(|rule| rule.metric == metric).copied();
    found.unwrap_or(MetricRule { metric, gates: false, minimum: 0.01, least_estimate: None, margin: 0.03 })
}

/// The same for the statistics.
pub(super) fn of_statistics(rules: &Rules) -> verdict::Rules {
    let sensitivity = if rules.sensitive { Sensitivity::Estimate } else { Sensitivity::MinimumEffect };
    verdict::Rules { q: rules.false_discovery_rate, alpha: rules.alpha, power: rules.power, sensitivity }
}
