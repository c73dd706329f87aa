//! By which rules a comparison is decided: the plan of the baseline, unless the caller says otherwise.

use llamark_record::comparison::{MetricRule, Rules};
use llamark_record::metric::Metric;
use llamark_record::plan::{Gate, Plan, STANDARD_GATES};
use llamark_stats::procedure::{self, Sensitivity};

use super::options::Options;
use crate::estimate::round;

/// The least change looked for, as a part of the margin; where sensitive, the least estimate.
const MINIMUM: f64 = 1.0 / 3.0;
const SENSITIVE_MINIMUM: f64 = 2.0 / 3.0;

/// How each metric is judged in that plan.
pub(super) fn gates(plan: &Plan) -> &[Gate] {
    if plan.gates.is_empty() { &STANDARD_GATES } else { &plan.gates }
}

/// The rules of a comparison with this baseline.
pub(super) fn of(plan: &Plan, options: &Options) -> Rules {
    let rules = procedure::Rules::STANDARD;
    let share = |ppm: u32| f64::from(ppm) / 1e6;
    let mut metrics: Vec<MetricRule> = gates(plan)
        .iter()
        .map(|gate| MetricRule {
            metric: gate.metric,
            gates: gate.decides,
            minimum: share(gate.minimum_ppm),
            margin: share(gate.margin_ppm),
        })
        .collect();
    for rule in &mut metrics {
        if let Some(threshold) = options.threshold.filter(|_| rule.gates) {
            rule.margin = threshold;
            rule.minimum = threshold * MINIMUM;
        }
        if options.sensitive {
            rule.minimum = rule.margin * SENSITIVE_MINIMUM;
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
    found.unwrap_or(MetricRule { metric, gates: false, minimum: 0.01, margin: 0.03 })
}

/// The same for the statistics. Where sensitive, one least estimate serves a family: that of its smallest margin.
pub(super) fn of_family(rules: &Rules, gating: bool) -> procedure::Rules {
    let family = rules.metrics.iter().filter(|rule| rule.gates == gating);
    let least = family.map(|rule| rule.minimum).fold(f64::INFINITY, f64::min);
    let sensitivity = if rules.sensitive && least.is_finite() {
        Sensitivity::Estimate(least.ln_1p())
    } else {
        Sensitivity::MinimumEffect
    };
    procedure::Rules { q: rules.false_discovery_rate, alpha: rules.alpha, power: rules.power, sensitivity }
}
