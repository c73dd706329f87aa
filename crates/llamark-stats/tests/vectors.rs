//! Every section of the test vectors (`tests/vectors/statistics.json`), made by independent code: scipy, and
//! `limma` through a port. Tolerance: 1e-9 relative, 1e-6 for p below 1e-12.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use llamark_stats::describe::{describe, logarithms, standard_deviation};
use llamark_stats::estimate::{Estimate, MARGIN, MINIMUM_THROUGHPUT, detectable, family_alpha};
use llamark_stats::rank::{Method, hodges_lehmann, mann_whitney, mann_whitney_normal};
use llamark_stats::ratio::{Fieller, delta_log, fieller, geometric, ratio_of_means};
use llamark_stats::shrink::{Variance, fit_prior};
use llamark_stats::start_level::{blocked, relative, start_medians, unblocked, variance_components};
use llamark_stats::{Direction, Interval, OrderInterval};
use llamark_stats::{interval, multiple, special, two_sample};
use serde_json::Value;

const LEVEL: f64 = 0.95;

fn vectors() -> Value {
    serde_json::from_str(include_str!("vectors/statistics.json")).unwrap()
}

fn number(value: &Value) -> f64 {
    match value {
        Value::String(text) if text == "inf" => f64::INFINITY,
        Value::String(text) if text == "-inf" => f64::NEG_INFINITY,
        other => other.as_f64().unwrap_or_else(|| panic!("{other} is not a number")),
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

/// Compares with the tolerance of the vectors. `scale` is the size of the values that were subtracted to get
/// here: below its rounding, a difference is zero.
#[track_caller]
fn close_on(scale: f64, actual: f64, expected: f64, what: &str) {
    let allowed = 1e-9 * expected.abs() + 1e-12 * scale;
    assert!((actual - expected).abs() <= allowed, "{what}: {actual:e} is not {expected:e}");
}

#[track_caller]
fn close(actual: f64, expected: f64, what: &str) {
    close_on(0.0, actual, expected, what);
}

#[track_caller]
fn close_p(actual: f64, expected: f64, what: &str) {
    let relative = if expected < 1e-12 { 1e-6 } else { 1e-9 };
    assert!((actual - expected).abs() <= relative * expected, "{what}: {actual:e} is not {expected:e}");
}

#[track_caller]
fn close_limits(scale: f64, actual: &Interval, expected: &Value, what: &str) {
    close_on(scale, actual.low, number(&expected[0]), what);
    close_on(scale, actual.high, number(&expected[1]), what);
}

#[track_caller]
fn close_all(actual: &[f64], expected: &Value, what: &str) {
    let expected = numbers(expected);
    assert_eq!(actual.len(), expected.len(), "{what}");
    for (index, (actual, expected)) in actual.iter().zip(&expected).enumerate() {
        close_p(*actual, *expected, &format!("{what}[{index}]"));
    }
}

/// Calls `check` with the name, a, b and the vectors of each two-sample case.
fn each_case(check: impl Fn(&str, &[f64], &[f64], &Value)) {
    let vectors = vectors();
    let cases = vectors["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 18);
    for case in cases {
        check(case["name"].as_str().unwrap(), &numbers(&case["a"]), &numbers(&case["b"]), case);
    }
}

#[test]
fn descriptions() {
    each_case(|name, a, b, case| {
        for (values, expected) in [(a, &case["desc_a"]), (b, &case["desc_b"])] {
            let scale = values.iter().fold(0.0_f64, |scale, value| scale.max(value.abs()));
            let found = describe(values).unwrap();
            assert_eq!(found.n as u64, expected["n"].as_u64().unwrap(), "{name}");
            close(found.mean, number(&expected["mean"]), name);
            close(found.median, number(&expected["median"]), name);
            close(found.min, number(&expected["min"]), name);
            close(found.max, number(&expected["max"]), name);
            close(found.standard_deviation.unwrap(), number(&expected["sd"]), name);
            close(found.coefficient_of_variation.unwrap(), number(&expected["cv"]), name);
            close_on(scale, found.median_absolute_deviation, number(&expected["mad"]), name);
            close(found.geometric_mean.unwrap(), number(&expected["geomean"]), name);
            let logs = logarithms(values).unwrap();
            close(standard_deviation(&logs).unwrap(), number(&expected["sd_log"]), name);
            let mean_interval = interval::t_interval(values, LEVEL).unwrap();
            close_limits(0.0, &mean_interval, &expected["mean_ci95"], name);
            let expected = &expected["median_ci95"];
            match interval::median_interval(values, LEVEL).unwrap() {
                OrderInterval::Bounded { low, high, order, achieved } => {
                    assert_eq!(order as u64, expected["lo_order"].as_u64().unwrap(), "{name}");
                    assert_eq!(
                        (values.len() + 1 - order) as u64,
                        expected["hi_order"].as_u64().unwrap(),
                        "{name}"
                    );
                    assert_eq!((low, high), (number(&expected["lo"]), number(&expected["hi"])), "{name}");
                    close(achieved, number(&expected["confidence"]), name);
                }
                OrderInterval::TooFew { achieved, .. } => {
                    assert_eq!(number(&expected["lo"]), f64::NEG_INFINITY, "{name}");
                    let note = format!("n too small: max level with [min,max] is {achieved}");
                    assert_eq!(expected["note"].as_str(), Some(note.as_str()), "{name}");
                }
            }
        }
    });
}

#[test]
fn mann_whitney_as_benchstat() {
    each_case(|name, a, b, case| {
        let expected = &case["mann_whitney"];
        let found = mann_whitney(a, b).unwrap();
        assert_eq!((found.u_a, found.u_b), (number(&expected["U_a"]), number(&expected["U_b"])), "{name}");
        assert_eq!(Some(found.ties), expected["ties"].as_bool(), "{name}");
        close_p(found.p, number(&expected["benchstat_p"]), name);
        if expected["normal_approx_p"].is_null() {
            assert_eq!(found.method, Method::AllEqual, "{name}");
            assert_eq!(mann_whitney_normal(a, b), None, "{name}");
            return;
        }
        assert_eq!(found.method, Method::Exact, "{name}");
        if !expected["scipy_exact_p"].is_null() {
            close_p(found.p, number(&expected["scipy_exact_p"]), name);
        }
        for key in ["normal_approx_p", "scipy_asymptotic_p"] {
            close_p(mann_whitney_normal(a, b).unwrap(), number(&expected[key]), name);
        }
        close_p(found.smallest_possible_p, number(&expected["min_attainable_p"]), name);
    });
}

#[test]
fn t_tests() {
    each_case(|name, a, b, case| {
        for (key, test) in [
            ("welch", two_sample::welch as fn(&[f64], &[f64], f64) -> Option<two_sample::TTest>),
            ("student", two_sample::student),
        ] {
            let expected = &case[key];
            let Some(found) = test(a, b, LEVEL) else {
                assert!(expected.is_null(), "{name}");
                continue;
            };
            let scale = number(&case["desc_a"]["mean"]);
            close_on(scale / found.standard_error, found.t, number(&expected["t"]), name);
            close(found.df, number(&expected["df"]), name);
            close_p(found.p, number(&expected["p"]), name);
            // Only that of Welch's test states it.
            let difference = number(&case["desc_b"]["mean"]) - scale;
            close_on(scale, found.difference, difference, name);
            if let Some(stated) = expected.get("diff_b_minus_a") {
                close_on(scale, found.difference, number(stated), name);
            }
            close_limits(scale, &found.interval, &expected["ci95"], name);
        }
    });
}

#[test]
fn hodges_lehmann_shifts() {
    each_case(|name, a, b, case| {
        let logs = |values: &[f64]| logarithms(values).unwrap();
        let scale = number(&case["desc_a"]["max"]);
        for (key, found, scale) in [
            ("hodges_lehmann", hodges_lehmann(a, b, LEVEL).unwrap(), scale),
            ("hodges_lehmann_log", hodges_lehmann(&logs(a), &logs(b), LEVEL).unwrap(), 1.0),
        ] {
            let expected = &case[key];
            close_on(scale, found.shift, number(&expected["shift_b_minus_a"]), name);
            match found.interval {
                OrderInterval::Bounded { low, high, order, achieved } => {
                    assert_eq!(order as u64, expected["k"].as_u64().unwrap(), "{name}");
                    close(achieved, number(&expected["confidence"]), name);
                    close_on(scale, low, number(&expected["ci95"][0]), name);
                    close_on(scale, high, number(&expected["ci95"][1]), name);
                }
                OrderInterval::TooFew { min, max, achieved } => {
                    assert_eq!(number(&expected["ci95"][0]), f64::NEG_INFINITY, "{name}");
                    assert!(
                        expected["note"].as_str().unwrap().ends_with(&format!("has level {achieved}")),
                        "{name}"
                    );
                    close_on(scale, min, number(&expected["range"][0]), name);
                    close_on(scale, max, number(&expected["range"][1]), name);
                }
            }
        }
    });
}

#[test]
fn ratios() {
    each_case(|name, a, b, case| {
        let expected = &case["ratio"];
        close(ratio_of_means(a, b).unwrap(), number(&expected["ratio_of_means_b_over_a"]), name);
        if expected["delta_log"].is_null() {
            assert_eq!(delta_log(a, b, LEVEL), None, "{name}");
            assert_eq!(fieller(a, b, LEVEL), None, "{name}");
            assert_eq!(geometric(a, b, LEVEL), None, "{name}");
            return;
        }
        let found = delta_log(a, b, LEVEL).unwrap();
        close_on(1e-2, found.ratio.ln(), number(&expected["delta_log"]["log_ratio"]), name);
        close(found.standard_error_log, number(&expected["delta_log"]["se"]), name);
        close(found.df, number(&expected["delta_log"]["df"]), name);
        close_limits(0.0, &found.interval, &expected["delta_log"]["ci95"], name);
        match fieller(a, b, LEVEL).unwrap() {
            Fieller::Bounded { interval, g, df, .. } => {
                close(g, number(&expected["fieller"]["g"]), name);
                close(df, number(&expected["fieller"]["df"]), name);
                close_limits(0.0, &interval, &expected["fieller"]["ci95"], name);
            }
            Fieller::Unbounded { g, df, .. } => {
                close(g, number(&expected["fieller"]["g"]), name);
                close(df, number(&expected["fieller"]["df"]), name);
                assert!(expected["fieller"]["ci95"].is_null(), "{name}");
            }
        }
        let (found, p) = geometric(a, b, LEVEL).unwrap();
        close(found.ratio, number(&expected["geomean_ratio"]["ratio"]), name);
        close(found.df, number(&expected["geomean_ratio"]["df"]), name);
        close_p(p, number(&expected["geomean_ratio"]["p"]), name);
        close_limits(0.0, &found.interval, &expected["geomean_ratio"]["ci95"], name);
    });
}

/// The block of one decision with the case's own variance.
#[track_caller]
fn check_decision(a: &[f64], b: &[f64], expected: &Value, name: &str) {
    let effect = unblocked(a, b, Direction::HigherIsBetter).unwrap();
    // D is a difference of two logarithms of size about 5.
    close_on(5.0, effect.difference, number(&expected["D"]), name);
    assert_eq!(u64::from(effect.df), expected["df"].as_u64().unwrap(), "{name}");
    let own = effect.own_variance().unwrap();
    close(own, number(&expected["s2"]), name);
    let variance = Variance { s_squared: own, df: f64::from(effect.df) };
    let Some(found) = Estimate::new(&effect, &variance) else {
        assert!(expected["se"].is_null(), "{name}");
        return;
    };
    close_on(
        100.0,
        100.0 * relative(effect.difference, Direction::HigherIsBetter),
        number(&expected["slowdown_pct"]),
        name,
    );
    close(found.standard_error, number(&expected["se"]), name);
    close_p(found.p_student().unwrap(), number(&expected["p_student"]), name);
    close_p(found.p_beyond(MINIMUM_THROUGHPUT).unwrap(), number(&expected["p_min_effect_tau_log1_01"]), name);
    close_p(found.p_not_equivalent(MARGIN).unwrap(), number(&expected["p_tost_delta_log1_03"]), name);
    close_limits(1.0, &found.interval(0.9).unwrap(), &expected["ci90_slowdown_log"], name);
}

#[test]
fn decisions_with_own_variance() {
    each_case(|name, a, b, case| {
        let logs = |values: &[f64]| logarithms(values).unwrap();
        check_decision(&logs(a), &logs(b), &case["decision_own_variance_higher_is_better"], name);
    });
}

#[test]
fn special_functions() {
    let vectors = vectors();
    let section = &vectors["special_functions"];
    let rows = |key: &str| -> Vec<Vec<f64>> {
        let rows: Vec<Vec<f64>> = section[key].as_array().unwrap().iter().map(numbers).collect();
        assert!(rows.len() >= 5, "{key}");
        rows
    };
    for row in rows("digamma") {
        close(special::digamma(row[0]).unwrap(), row[1], "digamma");
    }
    for row in rows("trigamma") {
        close(special::trigamma(row[0]).unwrap(), row[1], "trigamma");
    }
    for row in rows("trigamma_inverse") {
        close(special::trigamma_inverse(row[0]).unwrap(), row[1], "trigamma inverse");
    }
    for row in rows("t_sf") {
        close_p(special::t_upper_tail(row[0], row[1]).unwrap(), row[2], "t tail");
    }
    for row in rows("t_ppf") {
        close(special::t_quantile(row[0], row[1]).unwrap(), row[2], "t quantile");
    }
    for row in rows("binom_median_ci") {
        let (order, achieved) = interval::median_orders(row[0] as usize, LEVEL);
        assert_eq!(order as f64, row[1], "order for {}", row[0]);
        close(achieved, row[2], "level");
    }
}

#[test]
fn empirical_bayes_and_verdicts() {
    use llamark_stats::verdict::{Cell, Rules, Verdict, decide};
    let vectors = vectors();
    let section = &vectors["empirical_bayes"][0];
    let df = number(&section["df"]);
    let pool: Vec<Variance> =
        numbers(&section["s2"]).iter().map(|s| Variance { s_squared: *s, df }).collect();
    let prior = fit_prior(&pool).unwrap();
    close(prior.df, number(&section["d0"]), "d0");
    close(prior.s_squared, number(&section["s0_sq"]), "s0²");
    let cells: Vec<Cell<'_>> = numbers(&section["D"])
        .iter()
        .zip(&pool)
        .map(|(difference, own)| Cell {
            backend: "cpu",
            metric: "tg",
            gating: true,
            effect: llamark_stats::Effect {
                difference: *difference,
                sum_of_squares: own.s_squared * df,
                df: df as u32,
                c: 1.0 / number(&section["k_a"]) + 1.0 / number(&section["k_b"]),
                design: llamark_stats::Design::Unblocked,
                starts: 3,
            },
            history: (0.0, 0),
            minimum: number(&section["tau"]),
            least_estimate: 2.0 * number(&section["tau"]),
            margin: number(&section["delta"]),
        })
        .collect();
    assert_eq!(number(&section["q"]), Rules::STANDARD.q);
    let decisions = decide(&cells, &Rules::STANDARD);
    let evidence: Vec<_> = decisions.iter().map(|decision| decision.evidence.unwrap()).collect();
    let column = |pick: fn(&llamark_stats::verdict::Evidence) -> f64| -> Vec<f64> {
        evidence.iter().map(pick).collect()
    };
    close_all(&column(|e| e.variance.s_squared), &section["s2_post"], "s2_post");
    close_all(&column(|e| e.estimate.standard_error), &section["se"], "se");
    close_all(&column(|e| e.p), &section["p_min_effect"], "p");
    close_all(&column(|e| e.p_adjusted), &section["p_bh"], "p_bh");
    close_all(&column(|e| e.interval.high - e.estimate.difference), &section["ci90_half"], "ci90_half");
    for e in &evidence {
        close(e.estimate.df, number(&section["df_total"]), "df_total");
    }
    let names: Vec<&str> = decisions
        .iter()
        .map(|decision| match decision.verdict {
            Verdict::Regressed => "regressed",
            Verdict::Improved => "improved",
            Verdict::Suspect => "suspect",
            Verdict::Equivalent => "equivalent",
            Verdict::Inconclusive => "inconclusive",
        })
        .collect();
    let expected: Vec<&str> =
        section["verdict"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
    assert_eq!(names, expected);
}

#[test]
fn an_infinite_prior() {
    let vectors = vectors();
    let section = &vectors["empirical_bayes"][1];
    let df = number(&section["df"]);
    let pool: Vec<Variance> =
        numbers(&section["s2"]).iter().map(|s| Variance { s_squared: *s, df }).collect();
    let prior = fit_prior(&pool).unwrap();
    assert_eq!(prior.df, f64::INFINITY);
    close(prior.s_squared, number(&section["s0_sq"]), "s0²");
    let posterior = prior.posterior(&pool[0]);
    close(posterior.s_squared, 1e-5, "s̃²");
    assert_eq!(posterior.df, 32.0);
}

#[test]
fn agrees_with_limma() {
    let vectors = vectors();
    let section = &vectors["limma_crosscheck"];
    let arms: Vec<(Vec<f64>, Vec<f64>)> = section["y"]
        .as_array()
        .unwrap()
        .iter()
        .map(|y| (numbers(y)[..3].to_vec(), numbers(y)[3..].to_vec()))
        .collect();
    let minimum = MINIMUM_THROUGHPUT;

    let effects: Vec<_> =
        arms.iter().map(|(a, b)| unblocked(a, b, Direction::HigherIsBetter).unwrap()).collect();
    for (effect, expected) in effects.iter().zip(numbers(&section["D"])) {
        close_on(4.0, effect.difference, expected, "D");
    }
    let own: Vec<Variance> =
        effects.iter().map(|e| Variance::from_squares(e.sum_of_squares, e.df).unwrap()).collect();
    close_all(&own.iter().map(|v| v.s_squared).collect::<Vec<_>>(), &section["s2"], "s2");
    let prior = fit_prior(&own).unwrap();
    close(prior.df, number(&section["d0"]), "d0");
    close(prior.s_squared, number(&section["s0_sq"]), "s0²");
    let posterior: Vec<Variance> = own.iter().map(|own| prior.posterior(own)).collect();
    close_all(&posterior.iter().map(|v| v.s_squared).collect::<Vec<_>>(), &section["s2_post"], "s2_post");
    close(posterior[0].df, number(&section["df_total"]), "df_total");
    let p: Vec<f64> = effects
        .iter()
        .zip(&posterior)
        .map(|(effect, variance)| Estimate::new(effect, variance).unwrap().p_beyond(minimum).unwrap())
        .collect();
    close_all(&p, &section["p_min_effect"], "p");
    close_all(&multiple::benjamini_hochberg(&p).unwrap(), &section["p_bh"], "p_bh");

    let section = &section["paired"];
    let effects: Vec<_> =
        arms.iter().map(|(a, b)| blocked(a, b, Direction::HigherIsBetter).unwrap()).collect();
    let own: Vec<Variance> =
        effects.iter().map(|e| Variance::from_squares(e.sum_of_squares, e.df).unwrap()).collect();
    close_all(&own.iter().map(|v| v.s_squared).collect::<Vec<_>>(), &section["s2_d"], "s2_d");
    let prior = fit_prior(&own).unwrap();
    close(prior.df, number(&section["d0"]), "d0");
    close(prior.s_squared, number(&section["s0_sq"]), "s0²");
    let estimates: Vec<Estimate> =
        effects.iter().zip(&own).map(|(e, own)| Estimate::new(e, &prior.posterior(own)).unwrap()).collect();
    assert!(estimates.iter().all(|e| e.df == number(&section["df_total"])));
    close_all(&estimates.iter().map(|e| e.standard_error).collect::<Vec<_>>(), &section["se"], "se");
    let p: Vec<f64> = estimates.iter().map(|e| e.p_beyond(minimum).unwrap()).collect();
    close_all(&p, &section["p_min_effect"], "paired p");
    close_all(&multiple::benjamini_hochberg(&p).unwrap(), &section["p_bh"], "paired p_bh");
}

#[test]
fn multiple_testing() {
    let vectors = vectors();
    let section = &vectors["multiple_testing"];
    let p = numbers(&section["p"]);
    close_all(&multiple::benjamini_hochberg(&p).unwrap(), &section["bh_adjusted"], "BH");
    close_all(&multiple::benjamini_yekutieli(&p).unwrap(), &section["by_adjusted"], "BY");
    close_all(&multiple::holm(&p).unwrap(), &section["holm_adjusted"], "Holm");
}

#[test]
fn hierarchical_example() {
    let vectors = vectors();
    let section = &vectors["hierarchical"];
    let starts =
        |key: &str| -> Vec<Vec<f64>> { section[key].as_array().unwrap().iter().map(numbers).collect() };
    let warmup = number(&section["warmup_discard"]) as usize;
    let a = start_medians(&starts("a_starts"), warmup).unwrap();
    let b = start_medians(&starts("b_starts"), warmup).unwrap();
    close_all(&a, &section["start_level_log_median_a"], "a");
    close_all(&b, &section["start_level_log_median_b"], "b");
    check_decision(&a, &b, &section["decision"], "hierarchical");
    let found = variance_components(&starts("a_starts"), warmup).unwrap();
    close(found.within, number(&section["variance_components_a"]["within_ms"]), "within");
    close(found.of_start_means, number(&section["variance_components_a"]["between_ms_of_means"]), "of means");
    close(found.between, found.of_start_means - found.within / 4.0, "between");
}

#[test]
fn detectable_effects() {
    let vectors = vectors();
    let rows = vectors["mde"].as_array().unwrap();
    assert_eq!(rows.len(), 6);
    for row in rows {
        let alpha = family_alpha(0.05, 0, number(&row["M"]) as usize);
        close(alpha, number(&row["alpha"]), "alpha");
        let standard_error = (2.0 / number(&row["k"])).sqrt() * number(&row["s"]);
        let found = detectable(standard_error, number(&row["df"]), MINIMUM_THROUGHPUT, alpha, 0.8).unwrap();
        close(found, number(&row["mde_log"]), "mde_log");
        close(100.0 * relative(found, Direction::HigherIsBetter), number(&row["mde_pct"]), "mde_pct");
    }
}
