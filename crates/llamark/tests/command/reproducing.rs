//! `run SET`: a set measured again from what it holds, and what is said of the two.

use crate::harness::Box;

/// Of an engine of that speed, whose starts differ by a few parts in a thousand. A prompt takes so long that these are
/// many of the microseconds in which it is told: starts that agree exactly say nothing of the noise.
fn speed(rate: f64) -> String {
    format!(r#"{{"generation_rate": {rate}, "prompt_rate": {}, "jitter": 0.002}}"#, rate / 2.0)
}

/// A set of five starts, without its experiment.
fn measured() -> (Box, String) {
    let a_box = Box::new();
    // The fake server obeys the file beside it, which is no part of the engine as we know it.
    std::fs::write(a_box.path("engine/fake.json"), speed(4000.0)).unwrap();
    a_box.model("fox", "{}").experiment(&["fox"], "runs: 2, starts: 5, warmup: 0");
    a_box.run(&["run", "box.yaml"], 0);
    let set = a_box.sets()[0].to_str().unwrap().to_owned();
    std::fs::remove_file(a_box.path("box.yaml")).unwrap();
    (a_box, set)
}

/// The exit code and both streams.
fn repeat(a_box: &Box, args: &[&str]) -> (i32, String) {
    let output = a_box.llamark(args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn a_set_is_measured_again_and_compared() {
    let (a_box, set) = measured();
    let (code, said) = repeat(&a_box, &["run", &set]);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("done: reproduced: ") && said.contains("the same were generated in 1 of 1 cases"),
        "{said}"
    );
    let [first, again] = a_box.sets().try_into().unwrap();
    // The same plan; what it repeats is an input, by the digest of the manifest.
    let read = |path: &std::path::Path, name: &str| std::fs::read_to_string(path.join(name)).unwrap();
    assert_eq!(read(&first, "plan.json"), read(&again, "plan.json"));
    let manifest: serde_json::Value = serde_json::from_str(&read(&again, "manifest.json")).unwrap();
    let inputs = manifest["predicate"]["buildDefinition"]["resolvedDependencies"].as_array().unwrap();
    let original = llamark_record::Sha256::of_bytes(read(&first, "manifest.json").as_bytes());
    let repeats = |input: &serde_json::Value| {
        input["name"].as_str().unwrap().starts_with("reproduces/box/")
            && input["digest"]["sha256"] == original.as_str()
    };
    assert_eq!(inputs.iter().filter(|input| repeats(input)).count(), 1, "{manifest}");
    a_box.run(&["verify"], 0);
    // By its manifest too, and as often as one likes.
    let (code, said) = repeat(&a_box, &["run", &format!("{set}/manifest.json")]);
    assert!([0, 1, 6].contains(&code), "{said}");
    assert_eq!(a_box.sets().len(), 3);
}

#[test]
fn another_speed_does_not_reproduce_be_it_slower_or_faster() {
    let (a_box, set) = measured();
    for rate in [2000.0, 8000.0] {
        std::fs::write(a_box.path("engine/fake.json"), speed(rate)).unwrap();
        let (code, said) = repeat(&a_box, &["run", &set]);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains("not reproduced: "), "{said}");
    }
}

#[test]
fn one_start_says_nothing_of_the_next() {
    let a_box = Box::new();
    a_box.model("fox", "{}").experiment(&["fox"], "runs: 2, starts: 1");
    a_box.run(&["run", "box.yaml"], 0);
    let (code, said) = repeat(&a_box, &["run", a_box.sets()[0].to_str().unwrap()]);
    assert_eq!(code, 6, "{said}");
    assert!(said.contains("inconclusive: "), "{said}");
}

#[test]
fn a_model_may_lie_anywhere_under_any_name() {
    let (a_box, set) = measured();
    std::fs::create_dir(a_box.path("models/deep")).unwrap();
    std::fs::rename(a_box.path("models/fox.gguf"), a_box.path("models/deep/renamed.gguf")).unwrap();
    // Another one has its name.
    a_box.model("fox", r#"{"prompt_rate": 77.0}"#);
    let (code, said) = repeat(&a_box, &["run", &set]);
    assert!([0, 1, 6].contains(&code), "{said}");
    let [first, again] = a_box.sets().try_into().unwrap();
    let plan = |set: &std::path::Path| std::fs::read(set.join("plan.json")).unwrap();
    assert_eq!(plan(&first), plan(&again));
}

#[test]
fn all_that_is_missing_is_named_before_anything_is_measured() {
    let a_box = Box::new();
    a_box.model("fox", "{}").model("hen", "{ }").experiment(&["fox", "hen"], "runs: 1");
    a_box.run(&["run", "box.yaml"], 0);
    let set = a_box.sets()[0].to_str().unwrap().to_owned();
    for file in ["models/fox.gguf", "models/hen.gguf"] {
        std::fs::remove_file(a_box.path(file)).unwrap();
    }
    std::fs::rename(a_box.path("engine"), a_box.path("elsewhere")).unwrap();
    let (_, err) = a_box.run(&["run", &set], 2);
    for what in [
        "missing: the engine",
        "missing: model fox: fox.gguf (",
        "missing: model hen",
        "sha256",
        "--models DIR",
    ] {
        assert!(err.contains(what), "{what} in {err}");
    }
    assert_eq!(a_box.sets().len(), 1);
}

#[test]
fn what_is_not_what_it_was_is_not_run() {
    let (a_box, set) = measured();
    a_box.model("fox", r#"{"prompt_rate": 77.0}"#);
    let (_, err) = a_box.run(&["run", &set], 3);
    assert!(err.contains("model `fox`"), "{err}");
    a_box.model("fox", "{}");
    // Other binaries of somebody else.
    std::fs::write(a_box.path("engine/libllama.so"), "another").unwrap();
    let (_, err) = a_box.run(&["run", &set], 3);
    assert!(err.contains("the binaries of build cpu"), "{err}");
    std::fs::remove_file(a_box.path("engine/libllama.so")).unwrap();
    // A set that was touched.
    let spec = a_box.sets()[0].join("spec.yaml");
    std::fs::remove_file(&spec).unwrap();
    std::fs::write(&spec, "other").unwrap();
    a_box.run(&["run", &set], 3);
    assert_eq!(a_box.sets().len(), 1);
}

#[test]
fn where_a_file_says_who_signs_only_their_sets_are_run() {
    let (a_box, set) = measured();
    let tool = |args: &[&str]| {
        assert_cmd::Command::new("ssh-keygen").current_dir(a_box.root.path()).args(args).assert().success();
    };
    tool(&["-q", "-t", "ed25519", "-N", "", "-f", "alice"]);
    let public = std::fs::read_to_string(a_box.path("alice.pub")).unwrap();
    std::fs::write(a_box.path("trusted"), format!("alice {public}")).unwrap();
    let (_, err) = a_box.run(&["run", &set, "--allowed-signers", "trusted"], 3);
    assert!(err.contains("cannot be run again: unsigned"), "{err}");
    assert!(err.contains("ask whoever made it to sign it"), "{err}");
    tool(&["-q", "-t", "ed25519", "-N", "", "-f", "mallory"]);
    a_box.run(&["sign", &set, "--key", "mallory"], 0);
    let (_, err) = a_box.run(&["run", &set, "--allowed-signers", "trusted"], 3);
    assert!(err.contains("nobody in trusted signs") && err.contains("add it to trusted"), "{err}");
    // A key that is known and may not sign this, and a signature of something else: not to ask for any is no way out.
    std::fs::write(a_box.path("elsewhere"), format!("alice namespaces=\"git\" {public}")).unwrap();
    a_box.run(&["sign", &set, "--key", "alice", "--replace"], 0);
    let (_, err) = a_box.run(&["run", &set, "--allowed-signers", "elsewhere"], 3);
    assert!(err.contains("the options of its line") && !err.contains("LLAMARK_ALLOWED_SIGNERS"), "{err}");
    let signature = format!("{set}/manifest.json.sig");
    let genuine = std::fs::read(&signature).unwrap();
    std::fs::write(a_box.path("other"), "other").unwrap();
    tool(&["-q", "-Y", "sign", "-n", "llamark-manifest@v1", "-f", "alice", "other"]);
    std::fs::remove_file(&signature).unwrap();
    std::fs::copy(a_box.path("other.sig"), &signature).unwrap();
    for signers in ["trusted", ""] {
        let mut command = a_box.llamark(&["run", &set]);
        let output = command.env("LLAMARK_ALLOWED_SIGNERS", signers).output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{err}");
        assert!(err.contains("get it again") && !err.contains("LLAMARK_ALLOWED_SIGNERS"), "{err}");
    }
    std::fs::write(&signature, genuine).unwrap();
    let (code, said) = repeat(&a_box, &["run", &set, "--allowed-signers", "trusted"]);
    assert!([0, 1, 6].contains(&code) && said.contains("signed by alice"), "{said}");
}
