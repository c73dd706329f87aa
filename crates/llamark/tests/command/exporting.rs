//! `export`: what other programs are given.

use crate::harness::Box;

#[test]
fn a_crate_has_every_file_of_the_set_and_describes_them_all() {
    let a_box = Box::new();
    a_box.model("fox", "{}").experiment(&["fox"], "runs: 1");
    a_box.run(&["run", "box.yaml"], 0);
    let (text, _) = a_box.run(&["export", "ro-crate"], 0);
    let described: serde_json::Value = serde_json::from_str(&text).unwrap();
    let licence = "https://spdx.org/licenses/CC0-1.0";
    a_box.run(&["export", "ro-crate", "box", "--out", "crate", "--license", licence], 0);
    a_box.run(&["export", "ro-crate", "box", "--out", "crate"], 2);

    let entities = described["@graph"].as_array().unwrap();
    let find =
        |id: &str| entities.iter().find(|entity| entity["@id"] == id).unwrap_or(&serde_json::Value::Null);
    let root = find("./");
    assert_eq!(root["conformsTo"]["@id"], "https://w3id.org/ro/wfrun/process/0.5");
    for part in root["hasPart"].as_array().unwrap() {
        let id = part["@id"].as_str().unwrap();
        assert_eq!(find(id)["@type"], "File", "{id}");
        let decoded = id.replace("%25", "%");
        assert!(a_box.path("crate").join(&decoded).is_file(), "{decoded}");
    }
    let action = find(root["mentions"]["@id"].as_str().unwrap());
    assert_eq!(action["@type"], "CreateAction");
    assert_eq!(find(action["instrument"]["@id"].as_str().unwrap())["name"], "llamark");
    let inputs: Vec<_> = action["object"]
        .as_array()
        .unwrap()
        .iter()
        .map(|input| find(input["@id"].as_str().unwrap()))
        .collect();
    let names: Vec<_> = inputs.iter().filter_map(|input| input["name"].as_str()).collect();
    for name in ["model/fox/fox.gguf", "build/cpu/llama-server", "prompt/p"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    // What the server had mapped, too: its program is in the build, the C library is not.
    assert!(names.iter().any(|name| name.starts_with("mapped/") && name.contains("libc")), "{names:?}");
    // It is the set still, with a description beside it.
    assert_cmd::Command::new("sha256sum")
        .current_dir(a_box.path("crate"))
        .args(["--check", "--strict", "--quiet", "manifest-sha256.txt"])
        .assert()
        .success();
    let written = std::fs::read_to_string(a_box.path("crate/ro-crate-metadata.json")).unwrap();
    assert!(written.contains(licence) && !text.contains(licence));
}

#[test]
fn what_does_not_verify_is_not_exported() {
    let a_box = Box::new();
    a_box.model("fox", "{}").experiment(&["fox"], "runs: 1");
    a_box.run(&["run", "box.yaml"], 0);
    let report = a_box.sets()[0].join("report.md");
    std::fs::remove_file(&report).unwrap();
    a_box.run(&["export", "ro-crate", "--out", "crate"], 3);
    assert!(!a_box.path("crate").exists());
}
