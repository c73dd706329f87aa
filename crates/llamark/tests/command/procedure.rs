//! How starts are prepared and repeated: the page cache, the warm-up, how many starts are enough, pauses.

use serde_json::Value;

use crate::harness::Box;

/// The events of that name in the journal of the newest set.
fn events(a_box: &Box, name: &str) -> Vec<Value> {
    let set = a_box.sets().pop().unwrap();
    let journal = std::fs::read_to_string(set.join("journal.jsonl")).unwrap();
    let entries = journal.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    entries.filter_map(|entry| entry["event"].get(name).cloned()).collect()
}

fn report(a_box: &Box) -> String {
    std::fs::read_to_string(a_box.sets().pop().unwrap().join("report.md")).unwrap()
}

#[test]
fn a_warm_model_is_read_before_each_start_and_counted() {
    let a_box = Box::new();
    a_box.model("fox", "{}").experiment(&["fox"], "cache: warm, runs: 1, starts: 2");
    a_box.run(&["run", "box.yaml"], 0);
    let opened = events(&a_box, "start_opened");
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
