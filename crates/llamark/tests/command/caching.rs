//! The cache: what `gc` removes and what it keeps, and that nothing depends on it.

use std::path::PathBuf;

use assert_cmd::Command;

use crate::harness::Box;

fn measured() -> Box {
    let a_box = Box::new();
    a_box.model("fox", "{}").experiment(&["fox"], "runs: 1");
    a_box.run(&["run", "box.yaml"], 0);
    a_box
}

impl Box {
    /// An entry of the cache that was made two days ago.
    fn cached(&self, name: &str, file: &str, text: &str) -> PathBuf {
        let folder = self.path("cache").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join(file);
        std::fs::write(&file, text).unwrap();
        Command::new("touch").args(["-d", "2 days ago"]).args([&file, &folder]).assert().success();
        folder
    }
}

#[test]
fn only_what_no_set_refers_to_is_removed_and_only_when_asked() {
    let a_box = measured();
    let plan: serde_json::Value =
        serde_json::from_slice(&std::fs::read(a_box.sets()[0].join("plan.json")).unwrap()).unwrap();
    let key = plan["build_keys"]["cpu"].as_str().unwrap();
    let model = plan["model_files"]["fox"][0]["sha256"].as_str().unwrap();
    let other = "0".repeat(64);
    let kept = [
        a_box.cached(&format!("builds/{key}"), "record.json", "{}"),
        a_box.cached(&format!("models/{model}"), "fox.gguf", "{}"),
        a_box.cached("models/member", "sha256", model),
    ];
    let unused = [
        a_box.cached(&format!("builds/{other}"), "record.json", "{}"),
        a_box.cached(&format!("models/{other}"), "hen.gguf", "{}"),
        a_box.cached(&format!("sources/{other}"), "source.json", "{}"),
        a_box.cached(&format!("git/{other}.git"), "HEAD", ""),
        a_box.cached("tmp/left", "file", ""),
        a_box.cached("models/.tmp-left", "file", ""),
    ];
    let young = a_box.path("cache/builds").join("1".repeat(64));
    std::fs::create_dir(&young).unwrap();

    let (_, err) = a_box.run(&["gc"], 0);
    assert!(err.contains("nothing was removed") && err.contains(&other), "{err}");
    assert!(unused.iter().chain(&kept).all(|path| path.exists()), "a look removes nothing");
    let (out, _) = a_box.run(&["gc", "--delete", "--json"], 0);
    let entries: serde_json::Value = serde_json::from_str(&out).unwrap();
    let fates = |fate: &str| entries.as_array().unwrap().iter().filter(|entry| entry["fate"] == fate).count();
    assert_eq!((fates("removed"), fates("referred")), (unused.len(), kept.len()), "{out}");
    for path in unused {
        assert!(!path.exists(), "{}", path.display());
    }
    for path in kept.iter().chain([&young]) {
        assert!(path.exists(), "{}", path.display());
    }
    a_box.run(&["verify"], 0);
}

/// A compiler or a server at work has no lock of its own, and may not have touched its folder for hours.
#[test]
fn what_somebody_is_compiling_or_measuring_is_not_removed() {
    let a_box = measured();
    let left = a_box.cached("tmp/left", "file", "");
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let path = a_box.path("cache").join(format!("machine-{}.lock", host.trim()));
    let machine = std::fs::File::options().write(true).open(path).unwrap();
    machine.lock().unwrap();
    let (out, _) = a_box.run(&["gc", "--delete", "--json"], 0);
    assert!(left.exists() && out.contains("in_use"), "{out}");
    drop(machine);
    a_box.run(&["gc", "--delete"], 0);
    assert!(!left.exists());
}

/// The time of a folder stands still while a file in it grows: of a long download, of which no lock tells.
#[test]
fn what_is_being_filled_is_not_removed() {
    let a_box = measured();
    let filling = a_box.cached("models/.tmp-filling", "head", "GGUF");
    std::fs::create_dir(filling.join("deeper")).unwrap();
    std::fs::write(filling.join("deeper/part"), "GGUF").unwrap();
    let old = ["head", "deeper", ""].map(|name| filling.join(name));
    Command::new("touch").args(["-d", "2 days ago"]).args(old).assert().success();
    let (out, _) = a_box.run(&["gc", "--delete", "--json"], 0);
    assert!(filling.exists() && out.contains("in_use"), "{out}");
    Command::new("touch").args(["-d", "2 days ago"]).arg(filling.join("deeper/part")).assert().success();
    a_box.run(&["gc", "--delete"], 0);
    assert!(!filling.exists());
}

#[test]
fn an_interrupted_set_refers_to_its_inputs_too() {
    let a_box = measured();
    let set = &a_box.sets()[0];
    let plan: serde_json::Value =
        serde_json::from_slice(&std::fs::read(set.join("plan.json")).unwrap()).unwrap();
    for name in ["manifest.json", "manifest-sha256.txt"] {
        std::fs::remove_file(set.join(name)).unwrap();
    }
    let build =
        a_box.cached(&format!("builds/{}", plan["build_keys"]["cpu"].as_str().unwrap()), "record.json", "{}");
    a_box.run(&["gc", "--delete"], 0);
    assert!(build.exists());
    // A plan that does not read could refer to anything.
    let unused = a_box.cached(&format!("builds/{}", "0".repeat(64)), "record.json", "{}");
    std::fs::remove_file(set.join("plan.json")).unwrap();
    std::fs::write(set.join("plan.json"), r#"{"format": "llamark/plan/v9"}"#).unwrap();
    let (_, err) = a_box.run(&["gc", "--delete"], 3);
    assert!(err.contains("llamark/plan/v9") && err.contains("nothing is removed"), "{err}");
    assert!(unused.exists());
}

#[test]
fn the_cache_can_be_deleted_at_any_time() {
    let a_box = measured();
    std::fs::remove_dir_all(a_box.path("cache")).unwrap();
    a_box.run(&["verify"], 0);
    a_box.run(&["report"], 0);
    a_box.run(&["list"], 0);
    a_box.run(&["gc", "--delete"], 0);
    let (_, err) = a_box.run(&["run", "box.yaml"], 0);
    assert!(err.contains("nothing was run"), "{err}");
    a_box.run(&["run", "box.yaml", "--again"], 0);
    assert_eq!(a_box.sets().len(), 2);
}
