//! `diff`: exit codes, formats, and what it refuses. The fake server runs at the speed that a test gives it.

use crate::harness::Box;

/// How fast a model runs. A prompt takes so long that a jitter is many of the microseconds in which it is told: starts
/// that agree exactly say nothing of the noise.
fn at(rate: f64) -> String {
    let prompt = rate / 2.0;
    format!(r#"{{"generation_rate": {rate}, "prompt_rate": {prompt}, "jitter": 0.002}}"#)
}

/// Two models, five starts each; the candidate's fox runs at this rate. The engine is told the speed, since another
/// model file would be another measurement.
fn two_sets(rate: f64) -> (Box, String, String) {
    let a_box = Box::new();
    a_box.model("fox", "{}").model("hen", "{}").experiment(&["fox", "hen"], "runs: 3, starts: 5");
    std::fs::write(a_box.path("engine/fake.json"), at(4000.0)).unwrap();
    a_box.run(&["run", "box.yaml"], 0);
    std::fs::write(a_box.path("engine/fake.json"), at(rate)).unwrap();
    a_box.run(&["run", "box.yaml", "--again"], 0);
    let sets: Vec<String> = a_box.sets().iter().map(|set| set.to_str().unwrap().to_owned()).collect();
    let [base, candidate] = sets.try_into().unwrap();
    (a_box, base, candidate)
}

#[test]
fn the_same_twice_is_no_regression() {
    let (a_box, base, candidate) = two_sets(4000.0);
    let (table, _) = a_box.run(&["diff", &base, &candidate], 0);
    assert!(table.starts_with("No regression: of 4 gating comparisons 4 equivalent"), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
    assert!(table.contains("not interleaved"), "{table}");
    let (table, _) = a_box.run(&["diff", &base, &candidate, "-v"], 0);
    assert!(table.contains("fox/cpu/p"), "{table}");
    let (json, _) = a_box.run(&["diff", &base, &candidate, "--format", "json"], 0);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["format"], "llamark/comparison/v1");
    assert_eq!(json["conclusion"], "no_regression");
    a_box.run(&["diff", &base, &candidate, "--format", "md,json"], 2);
    let all = ["diff", &base, &candidate, "--format", "term,md,json,junit,in-toto,svg", "--out", "out"];
    let (out, err) = a_box.run(&all, 0);
    assert!(out.is_empty() && err.contains("No regression"), "{err}");
    for file in ["txt", "md", "json", "junit.xml", "intoto.json", "svg"] {
        assert!(a_box.path(&format!("out/comparison.{file}")).is_file(), "{file}");
    }
    a_box.run(&["diff", &base, &candidate, "--plot", "plot.svg"], 0);
    assert!(std::fs::read_to_string(a_box.path("plot.svg")).unwrap().starts_with("<svg "));
}

#[test]
fn a_slower_candidate_is_a_regression_unless_it_is_accepted() {
    let (a_box, base, candidate) = two_sets(3600.0);
    let (table, _) = a_box.run(&["diff", &base, &candidate, "--explain"], 1);
    assert!(table.starts_with("Regression: 4 of 4 gating comparisons are worse"), "{table}");
    assert!(
        table.contains("How it was decided")
            && table.contains("nothing differs around it that could be a cause"),
        "{table}"
    );
    a_box.run(&["diff", &base, &candidate, "--threshold", "50"], 0);
    a_box.run(&["diff", &base, &candidate, "--threshold", "100"], 2);
    a_box.run(&["diff", &candidate, &base], 0);

    let mut accepted = String::new();
    for (case, metric) in [("fox", "pp"), ("fox", "tg"), ("hen", "pp"), ("hen", "tg")] {
        accepted.push_str(&format!(
            "- {{ case: {case}/cpu/p, metric: {metric}, at_most: 15%, reason: safer arithmetic }}\n"
        ));
    }
    std::fs::write(a_box.path("accepted.yaml"), &accepted).unwrap();
    let accept = ["diff", &base, &candidate, "--accept", "accepted.yaml"];
    let (table, _) = a_box.run(&accept, 0);
    assert!(table.contains("safer arithmetic"), "{table}");
    std::fs::write(a_box.path("accepted.yaml"), accepted.replace("15%", "5%")).unwrap();
    let (table, _) = a_box.run(&accept, 1);
    assert!(table.contains("no effect: the accepted change in line 1"), "{table}");
    std::fs::write(a_box.path("accepted.yaml"), accepted.replace("reason", "raeson")).unwrap();
    let (_, err) = a_box.run(&accept, 2);
    assert!(err.contains("accepted.yaml:1") && err.contains("did you mean `reason`?"), "{err}");
}

#[test]
fn another_prompt_is_not_comparable_and_can_be_declared() {
    let (a_box, base, _) = two_sets(4000.0);
    let before = a_box.sets();
    let text = std::fs::read_to_string(a_box.path("box.yaml")).unwrap();
    std::fs::write(a_box.path("box.yaml"), text.replace("about a fox", "about an owl")).unwrap();
    a_box.run(&["run", "box.yaml"], 0);
    // Two ids of one second do not say which came first.
    let other = a_box.sets().into_iter().find(|set| !before.contains(set)).unwrap();
    let other = other.to_str().unwrap().to_owned();
    let (table, _) = a_box.run(&["diff", &base, &other], 3);
    assert!(
        table.starts_with("Not comparable: these sets have nothing in common that can be compared\n"),
        "{table}"
    );
    assert!(table.contains("prompt.p.sha256"), "{table}");
    a_box.run(&["diff", &base, &other, "--across", "prompt"], 0);
    let (_, err) = a_box.run(&["diff", &base, &other, "--across", "promt"], 2);
    assert!(err.contains("promt") && err.contains("hardware"), "{err}");
}

#[test]
fn one_start_decides_nothing() {
    let a_box = Box::new();
    a_box.model("fox", r#"{"jitter": 0.002}"#).experiment(&["fox"], "runs: 3, starts: 1");
    a_box.run(&["run", "box.yaml"], 0);
    a_box.run(&["run", "box.yaml", "--again"], 0);
    let sets: Vec<String> = a_box.sets().iter().map(|set| set.to_str().unwrap().to_owned()).collect();
    let (table, _) = a_box.run(&["diff", &sets[0], &sets[1]], 6);
    assert!(table.starts_with("Inconclusive: 2 of 2 gating comparisons are undecided"), "{table}");
    assert!(table.contains("between-start noise unknown"), "{table}");
}

#[test]
fn a_set_that_was_touched_is_not_compared() {
    let (a_box, base, candidate) = two_sets(4000.0);
    let report = std::path::Path::new(&candidate).join("report.md");
    std::fs::remove_file(&report).unwrap();
    std::fs::write(&report, "other").unwrap();
    let (out, err) = a_box.run(&["diff", &base, &candidate], 3);
    assert!(out.is_empty() && err.contains("does not verify, so it is not compared"), "{err}");
}
