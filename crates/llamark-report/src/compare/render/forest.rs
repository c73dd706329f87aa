//! A comparison as a forest plot (SVG): the change of each case with its interval, a panel for each metric.
//!
//! To the right is worse, whatever the direction of the metric. The geometry is made here, the markup by a template.

use llamark_record::comparison::{Comparison, Evidence, MetricComparison, MetricRule, Verdict};
use llamark_record::metric::{Direction, Metric};
use serde::Serialize;

use super::markup;
use super::rows::interval;
use super::tally::headline;
use crate::error::ReportError;
use crate::format::{change, fixed, float, percent};

const TEMPLATE: &str = include_str!("../../../../../templates/comparison/forest.svg.j2");

/// Rows of a panel; what is left is the least changed.
const MOST_ROWS: usize = 60;
/// Widest axis, as a share; what reaches beyond ends at its edge.
const WIDEST: f64 = 0.5;
const WIDTH: u32 = 980;
const LABEL_X: f64 = 340.0;
const LEFT: f64 = 352.0;
const RIGHT: f64 = 732.0;
const VALUE_X: f64 = 744.0;
const ROW: f64 = 19.0;
/// Characters of a label that fit next to the panel.
const LABEL: usize = 50;

#[derive(Serialize)]
struct Page {
    width: u32,
    height: String,
    headline: String,
    sets: String,
    label_x: String,
    value_x: String,
    groups: Vec<Group>,
    legend: Vec<Entry>,
    note_y: String,
}

#[derive(Serialize)]
struct Group {
    title: String,
    title_y: String,
    top: String,
    bottom: String,
    height: String,
    left: String,
    right: String,
    label_y: String,
    side_y: String,
    band: Band,
    ticks: Vec<Tick>,
    rows: Vec<Row>,
    more: String,
    more_y: String,
}

#[derive(Serialize)]
struct Band {
    x: String,
    width: String,
}

#[derive(Serialize)]
struct Tick {
    x: String,
    text: String,
    is_zero: bool,
}

#[derive(Serialize)]
struct Row {
    case: String,
    label: String,
    y: String,
    text_y: String,
    low: String,
    high: String,
    mark: String,
    color: &'static str,
    fill: &'static str,
    text: String,
}

#[derive(Serialize)]
struct Entry {
    word: &'static str,
    x: String,
    y: String,
    mark: String,
    color: &'static str,
    fill: &'static str,
}

/// As SVG, of a fixed width; as high as it needs.
///
/// # Errors
/// When the template is at fault, which is a bug.
pub fn forest_plot(comparison: &Comparison) -> Result<String, ReportError> {
    let mut y = 64.0;
    let mut groups = Vec::new();
    for metric in Metric::ALL {
        let Some(rule) = comparison.rules.metrics.iter().find(|rule| rule.metric == metric) else { continue };
        let (group, next) = group(comparison, rule, y);
        if let Some(group) = group {
            groups.push(group);
            y = next;
        }
    }
    let legend = legend(y + 8.0);
    let set = llamark_record::comparison::ComparedSet::title;
    let page = Page {
        width: WIDTH,
        height: number(y + 48.0),
        headline: headline(comparison),
        sets: format!("{} against {}", set(&comparison.candidate), set(&comparison.base)),
        label_x: number(LABEL_X),
        value_x: number(VALUE_X),
        groups,
        legend,
        note_y: number(y + 34.0),
    };
    markup::render("forest.svg", TEMPLATE, &page)
}

/// The panel of a metric, if some case has numbers for it, and where the next one begins.
fn group(comparison: &Comparison, rule: &MetricRule, y: f64) -> (Option<Group>, f64) {
    let mut found: Vec<(&str, &MetricComparison, Evidence)> = Vec::new();
    for case in &comparison.cases {
        for metric in case.metrics.iter().filter(|metric| metric.metric == rule.metric) {
            if let Some(evidence) = metric.evidence {
                found.push((&case.id, metric, evidence));
            }
        }
    }
    if found.is_empty() {
        return (None, y);
    }
    found.sort_by(|a, b| {
        let key = |metric: &MetricComparison| (metric.verdict, metric.accepted.is_some());
        key(a.1).cmp(&key(b.1)).then(b.2.difference.total_cmp(&a.2.difference)).then_with(|| a.0.cmp(b.0))
    });
    let more = found.len().saturating_sub(MOST_ROWS);
    found.truncate(MOST_ROWS);
    let scale = Scale::of(&found, rule.margin);
    let top = y + 26.0;
    let rows: Vec<Row> = found
        .iter()
        .enumerate()
        .map(|(place, (case, metric, _))| row(case, metric, top + 14.0 + ROW * count(place), &scale))
        .collect();
    let bottom = top + ROW * count(rows.len()) + 8.0;
    let (from, to) = (scale.x(-rule.margin), scale.x(rule.margin));
    let decides = if rule.gates { "decides" } else { "shown only" };
    let group = Group {
        title: format!("{}: {decides}, margin {}", rule.metric.name(), percent(rule.margin)),
        title_y: number(y + 6.0),
        top: number(top),
        bottom: number(bottom),
        height: number(bottom - top),
        left: number(LEFT),
        right: number(RIGHT),
        label_y: number(bottom + 13.0),
        side_y: number(top - 5.0),
        band: Band { x: number(from), width: number(to - from) },
        ticks: scale.ticks(),
        more: if more > 0 { format!("and {more} more") } else { String::new() },
        more_y: number(bottom + 13.0),
        rows,
    };
    (Some(group), bottom + 42.0)
}

/// From a worsening, as a share, to a place between [`LEFT`] and [`RIGHT`].
struct Scale {
    reach: f64,
}

impl Scale {
    /// Wide enough for every interval and for the margin.
    fn of(found: &[(&str, &MetricComparison, Evidence)], margin: f64) -> Self {
        let mut reach = 1.4 * margin;
        for interval in found.iter().filter_map(|(_, metric, _)| metric.decisive().interval) {
            reach = reach.max(1.1 * interval.low.abs()).max(1.1 * interval.high.abs());
        }
        Self { reach: reach.min(WIDEST.max(1.4 * margin)) }
    }

    fn x(&self, worse: f64) -> f64 {
        let share = (worse / self.reach).clamp(-1.0, 1.0);
        f64::midpoint(LEFT, RIGHT) + share * (RIGHT - LEFT) / 2.0
    }

    /// Round numbers, at most four a side.
    fn ticks(&self) -> Vec<Tick> {
        let steps = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5];
        let step = steps.into_iter().find(|step| self.reach / step <= 4.0).unwrap_or(1.0);
        let tick = |place: i32| {
            let worse = f64::from(place) * step;
            Tick { x: number(self.x(worse)), text: label(worse), is_zero: place == 0 }
        };
        (-4..=4).filter(|place| f64::from(*place).abs() * step <= self.reach).map(tick).collect()
    }
}

/// Without a sign: the side says what is better, and the sign of a change depends on the metric.
fn label(worse: f64) -> String {
    if worse == 0.0 { "0".to_owned() } else { percent(worse.abs()) }
}

fn row(case: &str, metric: &MetricComparison, y: f64, scale: &Scale) -> Row {
    let sign = match metric.metric.direction() {
        Direction::HigherIsBetter => -1.0,
        Direction::LowerIsBetter => 1.0,
    };
    let found = metric.decisive();
    let by = found.change.unwrap_or(0.0);
    let ends = found.interval.map_or((by, by), |found| (found.low, found.high));
    let (a, b) = (scale.x(sign * ends.0), scale.x(sign * ends.1));
    let (color, fill) = colors(metric.verdict, metric.accepted.is_some());
    let word = if metric.accepted.is_some() { ", accepted" } else { "" };
    let shown = found.interval.map_or(String::new(), |found| format!(" ({})", interval(found)));
    Row {
        case: case.to_owned(),
        label: shortened(case),
        y: number(y),
        text_y: number(y + 4.0),
        low: number(a.min(b)),
        high: number(a.max(b)),
        mark: mark(metric.verdict, scale.x(sign * by), y),
        color,
        fill,
        text: format!("{}{shown}{word}", change(by)),
    }
}

/// The shape says the verdict as the colour does, for those who see no colours.
fn mark(verdict: Verdict, x: f64, y: f64) -> String {
    let at = |dx: f64, dy: f64| format!("{} {}", number(x + dx), number(y + dy));
    match verdict {
        // A square, a diamond, a triangle, a circle.
        Verdict::Regressed => {
            format!("M{} L{} L{} L{} Z", at(-4.5, -4.5), at(4.5, -4.5), at(4.5, 4.5), at(-4.5, 4.5))
        }
        Verdict::Suspect => {
            format!("M{} L{} L{} L{} Z", at(0.0, -6.0), at(6.0, 0.0), at(0.0, 6.0), at(-6.0, 0.0))
        }
        Verdict::Improved => format!("M{} L{} L{} Z", at(0.0, -5.5), at(5.5, 4.5), at(-5.5, 4.5)),
        Verdict::Equivalent | Verdict::Inconclusive | Verdict::Missing | Verdict::NotComparable => {
            format!("M{} A4.5 4.5 0 1 0 {} A4.5 4.5 0 1 0 {} Z", at(-4.5, 0.0), at(4.5, 0.0), at(-4.5, 0.0))
        }
    }
}

/// Of line and text, and of the inside of the mark.
fn colors(verdict: Verdict, accepted: bool) -> (&'static str, &'static str) {
    match verdict {
        Verdict::Regressed if accepted => ("#b03a2e", "#ffffff"),
        Verdict::Regressed => ("#b03a2e", "#b03a2e"),
        Verdict::Suspect => ("#b9770e", "#b9770e"),
        Verdict::Improved => ("#1d7a3e", "#1d7a3e"),
        Verdict::Equivalent => ("#2e6da4", "#2e6da4"),
        Verdict::Inconclusive | Verdict::Missing | Verdict::NotComparable => ("#707070", "#ffffff"),
    }
}

fn legend(y: f64) -> Vec<Entry> {
    let words = [
        (Verdict::Regressed, false, "regressed"),
        (Verdict::Regressed, true, "accepted"),
        (Verdict::Suspect, false, "suspect"),
        (Verdict::Inconclusive, false, "inconclusive"),
        (Verdict::Improved, false, "improved"),
        (Verdict::Equivalent, false, "equivalent"),
    ];
    let entry = |(place, (verdict, accepted, word)): (usize, (Verdict, bool, &'static str))| {
        let x = 24.0 + 110.0 * count(place);
        let (color, fill) = colors(verdict, accepted);
        Entry { word, x: number(x + 12.0), y: number(y + 4.0), mark: mark(verdict, x, y), color, fill }
    };
    words.into_iter().enumerate().map(entry).collect()
}

/// The head and the tail of an id that is too long for its column.
fn shortened(id: &str) -> String {
    let length = id.chars().count();
    if length <= LABEL {
        return id.to_owned();
    }
    let head: String = id.chars().take(LABEL / 2 - 1).collect();
    let tail: String = id.chars().skip(length - (LABEL / 2 - 1)).collect();
    format!("{head}…{tail}")
}

fn number(value: f64) -> String {
    fixed(value, 1)
}

fn count(value: usize) -> f64 {
    float(u64::try_from(value).unwrap_or(u64::MAX))
}
