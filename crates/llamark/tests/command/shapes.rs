//! Depths, exact lengths, streams and sweeps from an experiment to a report.

use std::fmt::Write as _;

use crate::harness::Box;

const EXPERIMENT: &str = "schema: llamark/experiment/v1
name: box
engine: { source: { prebuilt: engine } }
backends: { cpu: { label: CPU, matrix: { ubatch: [64, 128] } } }
prompts: { p24: { tokens: 24 } }
protocol:
  depth: [0, 96]
  concurrency: [1, 3]
  max_tokens: 8
  context: 256
  warmup: 1
  runs: 3
  telemetry: { rate: off }
models:
  - { name: fox, source: { file: fox.gguf } }
";

#[test]
fn every_shape_is_a_row_of_its_own() {
    let a_box = Box::new();
    a_box.model("fox", "{}");
    std::fs::write(a_box.path("box.yaml"), EXPERIMENT).unwrap();
    let (plan, _) = a_box.run(&["plan", "box.yaml"], 0);
    let mut ids = String::new();
    for line in plan.lines().filter(|line| line.trim_start().starts_with("fox/")) {
        writeln!(ids, "{}", line.split_whitespace().next().unwrap_or_default()).unwrap();
    }
    let expected = "fox/cpu+ubatch=64/p24\nfox/cpu+ubatch=64/p24/c3\nfox/cpu+ubatch=64/p24/d96\n\
                    fox/cpu+ubatch=64/p24/d96/c3\nfox/cpu+ubatch=128/p24\nfox/cpu+ubatch=128/p24/c3\n\
                    fox/cpu+ubatch=128/p24/d96\nfox/cpu+ubatch=128/p24/d96/c3\n";
    assert_eq!(ids, expected, "{plan}");

    a_box.run(&["run", "box.yaml", "--backend", "cpu"], 0);
    a_box.run(&["verify"], 0);
    let sets = a_box.sets();
    let report = std::fs::read_to_string(sets[0].join("report.md")).unwrap();
    for text in ["depth 96, 3 streams", "CPU, ubatch 64", "24 tokens", "ITL"] {
        assert!(report.contains(text), "{text} is not in\n{report}");
    }
    // In the layout of the published report too, which has but one shape.
    let (classic, _) = a_box.run(&["report", "--template", "classic", "--format", "md"], 0);
    for text in
        ["| fox ‡, depth 96, 3 streams | ", "## fox ‡, depth 96", "cases, 96 tokens deep, 3 streams):**"]
    {
        assert!(classic.contains(text), "{text} is not in\n{classic}");
    }
    let summary: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(sets[0].join("summary.json")).unwrap()).unwrap();
    let case = |id: &str| {
        let cases = summary["cases"].as_array().unwrap();
        cases.iter().find(|case| case["id"] == id).unwrap_or_else(|| panic!("{id}")).clone()
    };
    let deep = case("fox/cpu+ubatch=64/p24/d96");
    assert_eq!((&deep["prompt_tokens"], &deep["depth"]), (&24.into(), &96.into()));
    assert!(deep["metrics"]["tg_stream"].is_null());
    let several = case("fox/cpu+ubatch=64/p24/c3");
    assert!(several["metrics"]["tg_stream"]["mean"].is_number(), "{several}");
    // A set does not differ from itself, in any of its shapes.
    let name = sets[0].to_str().unwrap();
    let (diff, _) = a_box.run(&["diff", name, name, "--format", "json"], 6);
    assert!(!diff.contains("not_comparable"), "{diff}");
}
