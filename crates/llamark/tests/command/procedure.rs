//! How starts are prepared and repeated: the page cache, the warm-up, how many starts are enough, pauses.

use crate::harness::{Box, events, until};

fn report(a_box: &Box) -> String {
    std::fs::read_to_string(a_box.set().join("report.md")).unwrap()
}

#[test]
fn a_warm_model_is_read_before_each_start_and_counted() {
    let a_box = Box::new();
    a_box.model("fox", "{}").experiment(&["fox"], "cache: warm, runs: 1, starts: 2");
    a_box.run(&["run", "box.yaml"], 0);
    let opened = events(&a_box.set(), "start_opened");
    assert_eq!(opened.len(), 2);
    for start in &opened {
        let file = &start["cache"][0];
        assert_eq!(
            (&file["name"], &file["pages"], &file["resident"]),
            (&"fox.gguf".into(), &1.into(), &1.into())
        );
    }
    assert!(report(&a_box).contains(" (warm) |"), "{}", report(&a_box));
    a_box.run(&["verify"], 0);
}

/// tmpfs keeps its files in memory, whatever anybody asks for: the truth is in the report, and the exit code is 0.
#[test]
fn a_model_that_stays_in_memory_is_not_called_cold() {
    let Ok(folder) = tempfile::TempDir::new_in("/dev/shm") else { return };
    let a_box = Box::new();
    std::fs::write(folder.path().join("fox.gguf"), "{}").unwrap();
    std::os::unix::fs::symlink(folder.path().join("fox.gguf"), a_box.path("models/fox.gguf")).unwrap();
    a_box.experiment(&["fox"], "cache: cold, runs: 1");
    a_box.run(&["run", "box.yaml"], 0);
    let report = report(&a_box);
    assert!(report.contains("could not be made cold in 1 of 1 starts: up to 100 %"), "{report}");
    assert!(report.contains(" (warm) |") && !report.contains("(cold)"), "{report}");
    a_box.run(&["verify"], 0);
}

/// A server whose times are all alike, and one whose times differ by up to a fifth.
const QUIET: &str = "{}";
const NOISY: &str = r#"{"jitter": 0.2}"#;

#[test]
fn a_start_is_warmed_up_until_it_is_steady_and_no_longer() {
    let a_box = Box::new();
    // The second one is twice as fast from its third run on: the window of three is steady after the fifth.
    a_box.model("quiet", QUIET).model("slow", r#"{"time_factor": 0.5, "from_run": 3}"#);
    a_box.experiment(&["quiet", "slow"], "warmup: auto, runs: 2, starts: 2");
    let (plan, _) = a_box.run(&["plan", "box.yaml"], 0);
    assert!(plan.contains("2 starts x 2 runs after at most 10 warm-up"), "{plan}");
    a_box.run(&["run", "box.yaml"], 0);
    let mut warmed: Vec<String> = events(&a_box.set(), "warmed_up")
        .iter()
        .map(|one| format!("{} {} {}", one["id"]["case"].as_str().unwrap(), one["runs"], one["by"]))
        .collect();
    warmed.sort();
    let (quiet, slow) = ("quiet/cpu/p 3 \"steady\"", "slow/cpu/p 5 \"steady\"");
    assert_eq!(warmed, [quiet, quiet, slow, slow]);
    let report = report(&a_box);
    assert!(report.contains("CPU: 5 warm-up runs until steady."), "{report}");
    assert!(report.contains("after at most 10 warm-up"), "{report}");
    assert_eq!(events(&a_box.set(), "run").len(), 2 * (3 + 2) + 2 * (5 + 2));
    a_box.run(&["verify"], 0);
}

#[test]
fn starts_are_added_until_the_rates_are_known() {
    let a_box = Box::new();
    a_box.model("quiet", QUIET).model("noisy", NOISY);
    a_box.experiment(&["quiet", "noisy"], "warmup: 0, runs: 1, until: { ci: 0.5%, max_starts: 6 }");
    let (plan, _) = a_box.run(&["plan", "box.yaml"], 0);
    assert!(
        plan.contains("at most 6 starts x 1 runs") && plan.contains("2 cases, at most 12 starts"),
        "{plan}"
    );
    let (_, said) = a_box.run(&["run", "box.yaml"], 0);
    assert!(
        said.contains("quiet/cpu/p: 3 of at most 6 starts, its rates are known as precisely as asked"),
        "{said}"
    );
    let enough = events(&a_box.set(), "enough");
    assert_eq!(enough.len(), 1, "{enough:?}");
    assert_eq!(
        (&enough[0]["case"], &enough[0]["starts"], &enough[0]["by"]),
        (&"quiet/cpu/p".into(), &3.into(), &"narrow".into())
    );
    assert_eq!(events(&a_box.set(), "start_closed").len(), 3 + 6);
    let report = report(&a_box);
    assert!(
        report.contains("CPU: 3 of at most 6 starts, stopped by the rule: PP and TG within ±"),
        "{report}"
    );
    assert!(report.contains("CPU: 6 of at most 6 starts, no more are allowed"), "{report}");
    assert!(report.contains("LM308") && !report.contains("planned runs count"), "{report}");
    a_box.run(&["verify"], 0);
    // The same plan again: it is done.
    let (_, said) = a_box.run(&["run", "box.yaml"], 0);
    assert!(said.contains("nothing was run"), "{said}");
}

#[test]
fn when_the_time_is_used_up_only_the_fewest_starts_are_made() {
    let a_box = Box::new();
    a_box.model("noisy", NOISY);
    a_box.experiment(&["noisy"], "warmup: 0, runs: 1, starts: 4, until: { ci: 0.1%, max_time: 1ms }");
    a_box.run(&["run", "box.yaml"], 0);
    let enough = events(&a_box.set(), "enough");
    assert_eq!((&enough[0]["starts"], &enough[0]["by"]), (&4.into(), &"time".into()));
    assert!(report(&a_box).contains("stopped when the time was used up"));
    a_box.run(&["verify"], 0);
}

/// Interrupted at any moment, the rule decides by what is recorded.
#[test]
fn a_set_that_was_interrupted_stops_by_the_same_rule() {
    let a_box = Box::new();
    a_box.model("quiet", r#"{"load_ms": 300.0}"#);
    a_box.experiment(&["quiet"], "warmup: 0, runs: 1, until: { ci: 2%, max_starts: 9 }");
    let mut child = a_box.spawn(&["run", "box.yaml"]);
    until("start_closed", || a_box.sets().iter().any(|set| !events(set, "start_closed").is_empty()));
    child.kill().unwrap();
    child.wait().unwrap();
    a_box.run(&["run", "box.yaml"], 0);
    let enough = events(&a_box.set(), "enough");
    assert_eq!((enough.len(), &enough[0]["starts"]), (1, &3.into()), "{enough:?}");
    assert_eq!(events(&a_box.set(), "resume").len(), 1);
    a_box.run(&["verify"], 0);
}

#[test]
fn grouped_starts_are_made_case_by_case_and_the_report_says_so() {
    let a_box = Box::new();
    a_box.model("one", QUIET).model("two", QUIET);
    a_box.experiment(&["one", "two"], "runs: 1, starts: 2, order: grouped, min_duration: 1s");
    a_box.run(&["run", "box.yaml"], 0);
    let order: Vec<String> = events(&a_box.set(), "start_opened")
        .iter()
        .map(|start| format!("{} {}", start["id"]["case"].as_str().unwrap(), start["id"]["start"]))
        .collect();
    assert_eq!(order, ["one/cpu/p 1", "one/cpu/p 2", "two/cpu/p 1", "two/cpu/p 2"]);
    let report = report(&a_box);
    assert!(report.contains("one after the other, in the order of the cases"), "{report}");
    assert!(report.contains("less than the 1.00 s that the experiment asks for: max_tokens "), "{report}");
    a_box.run(&["verify"], 0);
}

/// The box has no sensor that is below 1 degree: the pause is as long as it may be, and the journal says how it ended.
#[test]
fn a_pause_that_waits_for_something_has_an_end() {
    let a_box = Box::new();
    a_box.model("one", QUIET).experiment(&["one"], "runs: 1, cooldown: { until: 1 C, at_most: 200ms }");
    a_box.run(&["run", "box.yaml"], 0);
    let cooled = &events(&a_box.set(), "start_opened")[0]["cooled"];
    assert!(cooled["waited_ms"].as_u64().unwrap() >= 200, "{cooled}");
    assert!(["limit", "no_sensor"].contains(&cooled["by"].as_str().unwrap()), "{cooled}");
    assert!(report(&a_box).contains("is at most 1.00 °C, for at most 200 ms"), "{}", report(&a_box));
    a_box.run(&["verify"], 0);
}

/// The variants of a case stop together: no start is without its partner.
#[test]
fn two_variants_have_enough_together() {
    let a_box = Box::new();
    let path = a_box
        .model("fox", QUIET)
        .experiment(&["fox"], "warmup: 0, runs: 1, until: { ci: 2%, max_starts: 8 }");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{text}ab: {{ candidate: {{ server: {{ threads: 1 }} }} }}\n")).unwrap();
    a_box.run(&["run", "box.yaml"], 0);
    let mut enough: Vec<String> = events(&a_box.set(), "enough")
        .iter()
        .map(|event| format!("{} {}", event["case"].as_str().unwrap(), event["starts"]))
        .collect();
    enough.sort();
    assert_eq!(enough, ["fox/cpu+base/p 3", "fox/cpu+candidate/p 3"]);
    assert_eq!(events(&a_box.set(), "start_closed").len(), 6);
    a_box.run(&["verify"], 0);
}
