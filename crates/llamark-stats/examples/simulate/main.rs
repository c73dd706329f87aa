//! `just simulate`: does the procedure hold what it promises, and what do other rules do on the same numbers?
//!
//! Compares made-up measurements whose truth is known and prints a Markdown table. Ends with an error when a goal is
//! missed. `cargo run -p llamark-stats --example simulate -- [DIFFS [SEED]]`.

#![expect(clippy::print_stdout, reason = "a tool that prints a table, not a part of the program")]

mod study;

use std::process::ExitCode;

use study::drifting;
use study::grouping;
use study::searching::{self, Way};
use study::{Design, REALISTIC, Rates, Rule, Study};

const DESIGNS: [Design; 7] = [
    Design { starts: 1, runs: 3 },
    Design { starts: 1, runs: 5 },
    Design { starts: 1, runs: 10 },
    Design { starts: 3, runs: 3 },
    Design { starts: 3, runs: 5 },
    Design { starts: 3, runs: 10 },
    Design { starts: 5, runs: 5 },
];

/// Goals: at most this share of comparisons of the same thing with an alarm.
const MOST_ALARMS: f64 = 0.02;
/// The same on a machine that others use, where the witness sees most of the disturbance but not all.
const MOST_ALARMS_OF_OTHERS: f64 = 0.05;
/// At most this false discovery rate.
const MOST_FALSE_DISCOVERIES: f64 = 0.02;
/// At least this power for slowdowns of 5 %, with three starts of five runs.
const LEAST_POWER: f64 = 0.9;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let (diffs, seed) = match (arguments.next().unwrap_or(Ok(200)), arguments.next().unwrap_or(Ok(11434))) {
        (Ok(diffs @ 1..=1_000_000), Ok(seed)) => (diffs as usize, seed),
        _ => {
            println!("usage: simulate [DIFFS [SEED]], whole numbers");
            return ExitCode::from(2);
        }
    };
    let (Some(mut missed), Some(of_groups), Some(of_drift)) =
        (print_searches(diffs, seed), print_groups(diffs, seed), print_drift(diffs, seed))
    else {
        println!("a search, or a comparison of groups or on a machine that drifts, did not end");
        return ExitCode::FAILURE;
    };
    missed.extend(of_groups);
    missed.extend(of_drift);
    let study = Study { noise: REALISTIC, diffs, cases: 150, slowed: 15, seed };
    let Some(rates) = study::run(&study, &DESIGNS) else {
        println!("a rule did not decide on made-up numbers");
        return ExitCode::FAILURE;
    };
    println!(
        "{diffs} comparisons of {} cells in each column of each row, {} cells slowed; seed {seed}\n",
        2 * study.cases,
        study.slowed
    );
    print_table(&rates);
    print_equivalence(&rates);
    missed.extend(missed_goals(&rates));
    for goal in &missed {
        println!("MISSED: {goal}");
    }
    if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print_table(rates: &[Vec<Rates>]) {
    println!(
        "| starts x runs | rule | false alarms: of cells | of diffs | FDR | power: 2 % | 3 % | 5 % | 10 % |"
    );
    println!("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for (design, rates) in DESIGNS.iter().zip(rates) {
        for (rule, rates) in Rule::ALL.iter().zip(rates) {
            let power: Vec<String> =
                rates.power.iter().map(|power| format!("{:.0} %", 100.0 * power)).collect();
            println!(
                "| {} x {} | {} | {:.2} % | {:.1} % | {:.1} % | {} |",
                design.starts,
                design.runs,
                rule.name(),
                100.0 * rates.false_alarms,
                100.0 * rates.diffs_with_alarm,
                100.0 * rates.false_discoveries,
                power.join(" | ")
            );
        }
    }
}

fn print_equivalence(rates: &[Vec<Rates>]) {
    println!();
    for (design, rates) in DESIGNS.iter().zip(rates).filter(|(design, _)| design.starts >= 3) {
        let ours = rates[place(Rule::Standard)];
        println!(
            "{} x {}: of cells that did not change {:.1} % are called equivalent; of those slowed by 5 %, {:.2} %",
            design.starts,
            design.runs,
            100.0 * ours.equivalent,
            100.0 * ours.missed_as_equivalent
        );
    }
    println!();
}

fn missed_goals(rates: &[Vec<Rates>]) -> Vec<String> {
    let mut missed = Vec::new();
    for (design, rates) in DESIGNS.iter().zip(rates) {
        for rule in [Rule::Standard, Rule::History, Rule::Confirmed] {
            let found = rates[place(rule)];
            let mut goal = |name: &str, found: f64, holds: bool, limit: f64| {
                if !holds {
                    missed.push(format!(
                        "{} x {}, {}: {name} is {:.1} %, and the goal is {:.0} %",
                        design.starts,
                        design.runs,
                        rule.name(),
                        100.0 * found,
                        100.0 * limit
                    ));
                }
            };
            let (alarms, wrong) = (found.diffs_with_alarm, found.false_discoveries);
            goal("the share of diffs with a false alarm", alarms, alarms <= MOST_ALARMS, MOST_ALARMS);
            goal("the false discovery rate", wrong, wrong <= MOST_FALSE_DISCOVERIES, MOST_FALSE_DISCOVERIES);
            if *design == (Design { starts: 3, runs: 5 }) {
                let power = found.power_at_five_percent();
                goal("the power for 5 %", power, power >= LEAST_POWER, LEAST_POWER);
            }
        }
    }
    missed
}

/// The table of what is said of groups, and its goals that were missed.
fn print_groups(diffs: usize, seed: u64) -> Option<Vec<String>> {
    println!("{diffs} comparisons in turn of 300 cells on 3 backends in each row, 3 starts of 5 runs\n");
    println!("| one backend lost | said of it as a whole (tg) | of its cells called alone | a wrong group |");
    println!("| ---: | ---: | ---: | ---: |");
    let mut missed = Vec::new();
    for loss in [0.0, 0.01, 0.015, 0.02, 0.03] {
        let found = grouping::run(&REALISTIC, diffs, 150, loss, seed)?;
        println!(
            "| {:.1} % | {:.1} % | {:.1} % | {:.1} % |",
            100.0 * loss,
            100.0 * found.found,
            100.0 * found.alone,
            100.0 * found.wrong
        );
        if found.wrong > MOST_ALARMS {
            missed.push(format!(
                "groups, {:.1} % lost: a wrong one is named in {:.1} % of the comparisons, and the goal is {:.0} %",
                100.0 * loss,
                100.0 * found.wrong,
                100.0 * MOST_ALARMS
            ));
        }
    }
    println!();
    Some(missed)
}

/// The tables of machines that others use, and their goals that were missed.
fn print_drift(diffs: usize, seed: u64) -> Option<Vec<String>> {
    println!("{diffs} comparisons of 12 cells in each field, one set after the other, 3 starts of 5 runs\n");
    println!(
        "| the machine differs by | rule | diffs with a false alarm | 5 % found | 10 % found | 20 % found |"
    );
    println!("| ---: | --- | ---: | ---: | ---: | ---: |");
    let mut missed = Vec::new();
    for drift in [0.0, 0.01, 0.03, 0.1, 0.2] {
        let of = |loss| drifting::run(&REALISTIC, diffs, drift, loss, seed);
        let title = format!("{:.0} %", 100.0 * drift);
        missed.extend(print_witness(&title, ["as measured", "llamark: and relative to the pace"], of)?);
    }
    println!(
        "\n{diffs} comparisons of one case in each field, {} pairs of starts in turn, 5 runs each\n",
        drifting::PAIRS
    );
    println!(
        "| moved during a start | rule | diffs with a false alarm | 5 % found | 10 % found | 20 % found |"
    );
    println!("| ---: | --- | ---: | ---: | ---: | ---: |");
    for moves in [0.0, 0.05, 0.1, 0.2] {
        let of = |loss| drifting::run_moved(&REALISTIC, diffs, moves, loss, seed);
        let title = format!("{:.0} %", 100.0 * moves);
        let rules = ["all pairs", "those that met one machine", "llamark: others in their place"];
        missed.extend(print_witness(&title, rules, of)?);
    }
    println!();
    Some(missed)
}

/// A row for each rule, the first without the witness, the last ours. The goal of that one, if it was missed.
fn print_witness<const RULES: usize>(
    title: &str,
    rules: [&str; RULES],
    of: impl Fn(f64) -> Option<drifting::Outcomes<RULES>>,
) -> Option<Option<String>> {
    let same = of(0.0)?;
    let found = [of(0.05)?.found, of(0.1)?.found, of(0.2)?.found];
    for (place, rule) in rules.iter().enumerate() {
        let found: Vec<String> = found.iter().map(|found| format!("{:.0} %", 100.0 * found[place])).collect();
        println!("| {title} | {rule} | {:.1} % | {} |", 100.0 * same.wrong[place], found.join(" | "));
    }
    let alarms = same.wrong.last().copied()?;
    Some((alarms > MOST_ALARMS_OF_OTHERS).then(|| {
        format!(
            "a machine that others use, {title}: {:.1} % of the comparisons have a false alarm, and the goal is {:.0} %",
            100.0 * alarms,
            100.0 * MOST_ALARMS_OF_OTHERS
        )
    }))
}

/// Revisions of a history.
const REVISIONS: usize = 64;

/// The table of `llamark bisect`, and its goals that were missed. `None` when a search did not end.
fn print_searches(searches: usize, seed: u64) -> Option<Vec<String>> {
    println!("{searches} searches of histories of {REVISIONS} revisions in each row\n");
    println!("| drift | lost | way | first bad named | wrong | starts |");
    println!("| ---: | ---: | --- | ---: | ---: | ---: |");
    let mut missed = Vec::new();
    let all = study::SLOWDOWNS.map(|loss| [loss, 0.0]).into_iter();
    for [loss, drift] in all.chain([[0.03, 0.005], [0.05, 0.005], [0.1, 0.005]]) {
        let found = searching::run(&REALISTIC, searches, REVISIONS, [loss, drift], seed)?;
        for (way, found) in Way::ALL.iter().zip(found) {
            println!(
                "| {:.1} % | {:.0} % | {} | {:.1} % | {:.1} % | {:.0} |",
                100.0 * drift,
                100.0 * loss,
                way.name(),
                100.0 * found.right,
                100.0 * found.wrong,
                found.starts
            );
            if *way == Way::Sequential && found.wrong > searching::ERROR {
                missed.push(format!(
                    "bisect, {:.0} % lost: {:.1} % of the answers are wrong, and the goal is {:.0} %",
                    100.0 * loss,
                    100.0 * found.wrong,
                    100.0 * searching::ERROR
                ));
            }
        }
    }
    println!();
    Some(missed)
}

fn place(rule: Rule) -> usize {
    Rule::ALL.iter().position(|other| *other == rule).unwrap_or_default()
}
