//! `ab:` of an experiment: two variants in one set, in pairs of starts, and `llamark diff SET` of them.

use std::path::Path;

use serde_json::Value;

use crate::harness::Box;

fn at(rate: f64) -> String {
    format!(r#"{{"generation_rate": {rate}, "prompt_rate": {}, "jitter": 0.002}}"#, rate / 2.0)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// A box with a second engine, as fast as that, and an experiment with these variants.
fn with_variants(ab: &str, protocol: &str, rates: [f64; 2]) -> Box {
    let a_box = Box::new();
    a_box.model("fox", "{}").model("hen", "{}");
    let path = a_box.experiment(&["fox", "hen"], protocol);
    std::fs::create_dir_all(a_box.path("other")).unwrap();
    std::fs::copy(a_box.path("engine/llama-server"), a_box.path("other/llama-server")).unwrap();
    for (engine, rate) in ["engine", "other"].into_iter().zip(rates) {
        std::fs::write(a_box.path(engine).join("fake.json"), at(rate)).unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{text}ab: {ab}\n")).unwrap();
    a_box
}

fn only_set(a_box: &Box) -> String {
    let [set] = a_box.sets().try_into().unwrap();
    set.to_str().unwrap().to_owned()
}

/// The cases of the starts, in the order in which they were made.
fn order(set: &str) -> Vec<(String, u64)> {
    let journal = std::fs::read_to_string(Path::new(set).join("journal.jsonl")).unwrap();
    let opened =
        journal.lines().map(json).filter_map(|line| Some(line["event"].get("start_opened")?["id"].clone()));
    opened.map(|id| (id["case"].as_str().unwrap().to_owned(), id["start"].as_u64().unwrap())).collect()
}

#[test]
fn two_engines_are_measured_in_pairs_in_one_set_and_compared() {
    let ab = "{ base: { label: old }, candidate: { label: new, engine: { source: { prebuilt: other } } } }";
    let a_box = with_variants(ab, "runs: 3, starts: 6", [4000.0, 3000.0]);
    let (plan, _) = a_box.run(&["plan", "box.yaml"], 0);
    assert!(plan.contains("fox/cpu+candidate/p") && plan.contains("prebuilt in other"), "{plan}");
    let (_, err) = a_box.run(&["run", "box.yaml"], 0);
    assert!(err.contains("CPU, old") && err.contains("CPU, new"), "{err}");
    let set = only_set(&a_box);
    a_box.run(&["verify", &set], 0);

    // Both variants of a start follow each other; each goes first in half of the pairs of a case.
    let order = order(&set);
    assert_eq!(order.len(), 24);
    let mut first = std::collections::BTreeMap::new();
    for pair in order.chunks(2) {
        let [(a, one), (b, two)] = pair else { panic!("{pair:?}") };
        let common = |case: &str| case.replace("+base", "").replace("+candidate", "");
        assert_eq!((common(a), one), (common(b), two));
        assert_ne!(a, b);
        *first.entry(a.clone()).or_insert(0_u32) += 1;
    }
    assert_eq!(first.values().copied().collect::<Vec<_>>(), [3, 3, 3, 3]);

    // The page says which is faster, in the numbers of `diff`.
    let page = std::fs::read_to_string(Path::new(&set).join("report.md")).unwrap();
    let table = page.split("## new against old").nth(1).unwrap_or_else(|| panic!("{page}"));
    assert!(table.starts_with("\n\nRegression: 4 of 4 gating comparisons are worse.\n"), "{page}");
    assert_eq!(table.matches("| **regressed** |").count(), 4, "{page}");
    assert!(table.contains("| `fox/cpu/p` | tg | ") && table.contains("`llamark diff box`"), "{page}");

    // A quarter slower: found, named, and told by the exit code.
    let (text, _) = a_box.run(&["diff", &set, "--format", "json", "--no-noise"], 1);
    let found = json(&text);
    assert_eq!((&found["base"]["variant"], &found["candidate"]["variant"]), (&"old".into(), &"new".into()));
    let codes: Vec<&str> =
        found["caveats"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect();
    for code in ["same_set", "not_interleaved", "other_host", "nothing_differs"] {
        assert!(!codes.contains(&code), "{codes:?}");
    }
    let cases = found["cases"].as_array().unwrap();
    let ids: Vec<&str> = cases.iter().map(|case| case["id"].as_str().unwrap()).collect();
    assert_eq!(cases.len(), 2);
    assert!(ids.contains(&"fox/cpu/p") && ids.contains(&"hen/cpu/p"), "{ids:?}");
    for metric in cases.iter().flat_map(|case| case["metrics"].as_array().unwrap()) {
        if metric["metric"] == "tg" {
            assert_eq!(metric["verdict"], "regressed", "{metric}");
            let change = metric["change"].as_f64().unwrap();
            assert!((change + 0.25).abs() < 0.02, "{change}");
            // Pairs: one degree of freedom fewer than there are.
            assert_eq!(metric["evidence"]["own"]["df"], 5.0);
        }
    }
    let engine = found["differences"].as_array().unwrap().iter().filter(|one| one["cause"] == "engine");
    assert!(engine.clone().count() > 0 && engine.clone().all(|one| one["declared"] == true), "{text}");
    for format in ["term", "md", "junit", "in-toto", "svg"] {
        let (text, _) = a_box.run(&["diff", &set, "--format", format, "--no-noise"], 1);
        assert!(format == "in-toto" || text.contains("(new)"), "{format}: {text}");
    }

    // The report has both as backends; the same plan again is the same set.
    let report = std::fs::read_to_string(Path::new(&set).join("report.md")).unwrap();
    assert!(report.contains("CPU, old") && report.contains("CPU, new"), "{report}");
    a_box.run(&["run", "box.yaml"], 0);
    assert_eq!(a_box.sets().len(), 1);

    // From its manifest, with both engines.
    a_box.run(&["run", &format!("{set}/manifest.json")], 0);
    let [first, second] = a_box.sets().try_into().unwrap();
    a_box.run(&["diff", second.to_str().unwrap(), "--no-noise"], 1);
    let sets = [first.to_str().unwrap(), second.to_str().unwrap()];
    let (text, _) = a_box.run(&["diff", sets[0], sets[1], "--format", "json", "--no-noise"], 0);
    assert_eq!(json(&text)["cases"].as_array().unwrap().len(), 4);
    // What was one engine of two is not missed when it changes.
    let mut server = std::fs::read(a_box.path("other/llama-server")).unwrap();
    server.push(0);
    std::fs::write(a_box.path("other/llama-server"), server).unwrap();
    a_box.run(&["run", &format!("{set}/manifest.json")], 3);
}

#[test]
fn settings_and_environment_are_variants_too_and_a_difference_that_is_declared() {
    let ab = "{ base: { server: { threads: 1 } }, candidate: { server: { threads: 2 }, env: { OMP_WAIT_POLICY: passive } } }";
    let a_box = with_variants(ab, "runs: 2, starts: 4", [4000.0, 4000.0]);
    a_box.run(&["run", "box.yaml", "--case", "fox/cpu+candidate"], 0);
    let set = only_set(&a_box);
    assert_eq!(order(&set).len(), 8, "one side alone is half of a pair, so both are measured");
    let (text, _) = a_box.run(&["diff", &set, "--format", "json", "--no-noise", "--threshold", "20"], 0);
    let found = json(&text);
    let declared: Vec<&str> = found["differences"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["declared"] == true)
        .map(|one| one["field"].as_str().unwrap())
        .collect();
    assert_eq!(
        declared,
        [
            "backend.cpu.server.threads",
            "backend.cpu.server.threads_batch",
            "backend.cpu.environment.OMP_WAIT_POLICY"
        ]
    );
    assert_eq!(found["differences"].as_array().unwrap().len(), declared.len(), "{text}");

    // A set without variants is no pair; one with them was already interleaved.
    let (_, err) = a_box.run(&["diff", &set, "--confirm"], 2);
    assert!(err.contains("already interleaved"), "{err}");
    let plain = std::fs::read_to_string(a_box.path("box.yaml")).unwrap();
    let plain = plain.lines().filter(|line| !line.starts_with("ab:")).collect::<Vec<_>>().join("\n");
    std::fs::write(a_box.path("plain.yaml"), plain.replace("name: box", "name: plain")).unwrap();
    a_box.run(&["run", "plain.yaml", "--model", "fox"], 0);
    let (_, err) = a_box.run(&["diff", "plain"], 2);
    assert!(err.contains("does not have two variants") && err.contains("ab:"), "{err}");
}

#[test]
fn two_instruments_are_two_sides_of_one_set() {
    let ab = "{ base: { label: llama-server }, candidate: { label: llama-bench, tool: llama-bench } }";
    let a_box = with_variants(ab, "runs: 3, starts: 4, warmup: 2", [2000.0, 2000.0]);
    std::fs::copy(a_box.path("engine/llama-server"), a_box.path("engine/llama-bench")).unwrap();
    let path = a_box.path("box.yaml");
    // A text is refused before anything is run.
    let (_, err) = a_box.run(&["run", "box.yaml"], 2);
    assert!(err.contains("spec/llama-bench") && err.contains("`p` is a text"), "{err}");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("text: Tell me a story about a fox.", "tokens: 40")).unwrap();
    a_box.run(&["run", "box.yaml"], 0);
    let set = only_set(&a_box);
    a_box.run(&["verify", &set], 0);

    // Both give the rates that they have, and the same ones.
    let (text, _) = a_box.run(&["diff", &set, "--format", "json", "--no-noise", "--threshold", "10"], 0);
    let found = json(&text);
    let cases = found["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 2);
    for metric in cases.iter().flat_map(|case| case["metrics"].as_array().unwrap()) {
        let is_rate = metric["metric"] == "pp" || metric["metric"] == "tg";
        let verdict = if is_rate { "equivalent" } else { "missing" };
        assert!(metric["verdict"] == verdict || metric["metric"] == "rss", "{metric}");
        assert!(!is_rate || metric["candidate"]["runs"] == 12, "{metric}");
    }
    let tool = found["differences"].as_array().unwrap().iter().find(|one| one["field"] == "backend.cpu.tool");
    let tool = tool.unwrap();
    assert_eq!((&tool["declared"], &tool["class"]), (&true.into(), &"treatment".into()));
    assert_eq!((&tool["base"], &tool["candidate"]), (&Value::Null, &"llama-bench".into()));

    // What was measured by it goes out as it came in: every sample, at its depth.
    let (rows, _) = a_box.run(&["export", "llama-bench", &set], 0);
    let rows: Vec<Value> = rows.lines().map(json).collect();
    assert_eq!(rows.len(), 2 * 2 * 4 * 2);
    let behind = rows.iter().filter(|row| row["n_gen"] == 7 && row["n_depth"] == 40);
    assert_eq!(behind.count(), 8);
    assert!(rows.iter().all(|row| row["samples_ns"].as_array().unwrap().len() == 3));

    // A set of the one is not a set of the other.
    let report = std::fs::read_to_string(Path::new(&set).join("report.md")).unwrap();
    assert!(report.contains("measured by llama-bench"), "{report}");
}
