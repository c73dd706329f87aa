//! `sign`, and what `verify` says of signatures and time stamps: with the real ssh-keygen and openssl.

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
    fn tool(&self, program: &str, args: &[&str]) {
        Command::new(program).current_dir(self.root.path()).args(args).assert().success();
    }

    /// A key of that name, with that passphrase.
    fn key(&self, name: &str, passphrase: &str) {
        self.tool("ssh-keygen", &["-q", "-t", "ed25519", "-N", passphrase, "-C", name, "-f", name]);
    }

    /// A file of allowed signers: the holder of that key, with those options.
    fn allow(&self, file: &str, key: &str, options: &str) {
        let public = std::fs::read_to_string(self.path(&format!("{key}.pub"))).unwrap();
        std::fs::write(self.path(file), format!("{key} {options} {public}")).unwrap();
    }

    fn signature(&self) -> PathBuf {
        self.sets()[0].join("manifest.json.sig")
    }
}

#[test]
fn a_signature_is_checked_against_those_who_are_trusted() {
    let a_box = measured();
    a_box.key("alice", "");
    a_box.key("mallory", "");
    a_box.allow("trusted", "alice", "namespaces=\"llamark-manifest@v1\"");
    a_box.allow("others", "mallory", "");

    let (_, err) = a_box.run(&["verify"], 0);
    assert!(err.contains("unsigned") && err.contains("whether the machine told the truth"), "{err}");
    a_box.run(&["sign", "--key", "alice"], 0);
    let (out, err) = a_box.run(&["verify", "--json"], 0);
    assert!(err.contains("whose key it is was not checked"), "{err}");
    let verified: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(verified["level"], 2);
    assert!(verified["signature"]["by"]["key"].as_str().unwrap().starts_with("SHA256:"), "{out}");

    let (_, err) = a_box.run(&["verify", "--allowed-signers", "trusted"], 0);
    assert!(err.contains("signed by alice") && err.contains("verifies at level 3"), "{err}");
    let (_, err) = a_box.run(&["verify", "--allowed-signers", "others"], 3);
    assert!(err.contains("nobody in others signs"), "{err}");
    a_box.run(&["verify", "--level", "3"], 2);
    a_box.run(&["verify", "--allowed-signers", "nowhere"], 2);
    // What is sealed did not change by it.
    a_box.tool("sh", &["-c", "cd artifacts/box/* && sha256sum --check --strict --quiet manifest-sha256.txt"]);
}

#[test]
fn a_signature_that_was_taken_away_is_missed_where_a_file_says_who_signs() {
    let a_box = measured();
    a_box.key("alice", "");
    a_box.run(&["sign", "--key", "alice"], 0);
    std::fs::create_dir_all(a_box.path("config/llamark")).unwrap();
    a_box.allow("config/llamark/allowed_signers", "alice", "");
    let (_, err) = a_box.run(&["verify"], 0);
    assert!(err.contains("level 3"), "the user's own file is in force: {err}");
    std::fs::remove_file(a_box.signature()).unwrap();
    let (_, err) = a_box.run(&["verify"], 3);
    assert!(err.contains("unsigned") && err.contains("may have been removed"), "{err}");
    a_box.run(&["verify", "--level", "2"], 0);
    a_box.llamark(&["verify"]).env("LLAMARK_ALLOWED_SIGNERS", "").assert().success();
}

#[test]
fn a_signature_for_something_else_or_by_an_old_key_is_none() {
    let a_box = measured();
    let manifest = a_box.sets()[0].join("manifest.json");
    a_box.key("alice", "");
    a_box.run(&["sign", "--key", "alice"], 0);
    a_box.allow("expired", "alice", "valid-before=\"20200101\"");
    let (_, err) = a_box.run(&["verify", "--allowed-signers", "expired"], 3);
    assert!(err.contains("expired"), "{err}");
    a_box.allow("elsewhere", "alice", "namespaces=\"git\"");
    a_box.run(&["verify", "--allowed-signers", "elsewhere"], 3);

    // The same key and the same bytes, signed as if it were a file.
    std::fs::copy(&manifest, a_box.path("copy")).unwrap();
    a_box.tool("ssh-keygen", &["-q", "-Y", "sign", "-n", "file", "-f", "alice", "copy"]);
    std::fs::remove_file(a_box.signature()).unwrap();
    std::fs::copy(a_box.path("copy.sig"), a_box.signature()).unwrap();
    let (_, err) = a_box.run(&["verify"], 3);
    assert!(err.contains("namespace"), "{err}");
    // Nothing at all.
    std::fs::write(a_box.signature(), "-----BEGIN SSH SIGNATURE-----\n").unwrap();
    a_box.run(&["verify"], 3);
}

#[test]
fn a_changed_manifest_is_not_what_was_signed() {
    let a_box = measured();
    a_box.key("alice", "");
    a_box.allow("trusted", "alice", "");
    a_box.run(&["sign", "--key", "alice"], 0);
    // Made anew as a whole, list of digests and all: every level but the third is satisfied.
    let set = &a_box.sets()[0];
    let read = |name: &str| std::fs::read_to_string(set.join(name)).unwrap();
    let manifest = read("manifest.json");
    let other = manifest.replacen("urn:llamark:llamark", "urn:llamark:other", 1);
    let digest = |text: &str| llamark_record::Sha256::of_bytes(text.as_bytes()).to_string();
    let list = read("manifest-sha256.txt").replace(&digest(&manifest), &digest(&other));
    for (name, text) in [("manifest.json", other), ("manifest-sha256.txt", list)] {
        std::fs::remove_file(set.join(name)).unwrap();
        std::fs::write(set.join(name), text).unwrap();
    }
    let (_, err) = a_box.run(&["verify", "--level", "1"], 3);
    assert!(err.contains("not a signature of this manifest"), "{err}");
    std::fs::remove_file(a_box.signature()).unwrap();
    a_box.run(&["verify"], 0);
    a_box.run(&["verify", "--allowed-signers", "trusted"], 3);
}

#[test]
fn keys_that_cannot_be_used_are_refused_and_nobody_is_asked() {
    let a_box = measured();
    a_box.key("locked", "a passphrase");
    let begun = std::time::Instant::now();
    let (_, err) = a_box.run(&["sign", "--key", "locked"], 2);
    assert!(err.contains("passphrase") && err.contains("ssh-add"), "{err}");
    assert!(begun.elapsed() < std::time::Duration::from_secs(30), "it waits for nobody");
    a_box.run(&["sign", "--key", "nowhere"], 2);
    assert!(!a_box.signature().exists());

    a_box.key("alice", "");
    a_box.run(&["sign", "--key", "alice"], 0);
    let (_, err) = a_box.run(&["sign", "--key", "alice"], 2);
    assert!(err.contains("--replace"), "{err}");
    a_box.run(&["sign", "--key", "alice", "--replace"], 0);
    // What does not verify gets no name under it.
    let report = a_box.sets()[0].join("report.md");
    std::fs::remove_file(&report).unwrap();
    a_box.run(&["sign", "--key", "alice", "--replace"], 3);
}

#[test]
fn a_run_can_be_signed_as_it_ends() {
    let a_box = Box::new();
    a_box.model("fox", "{}").experiment(&["fox"], "runs: 1");
    a_box.run(&["run", "box.yaml", "--sign", "alice"], 2);
    assert!(a_box.sets().is_empty(), "a key that is not there is missed before anything is measured");
    a_box.key("alice", "");
    a_box.run(&["run", "box.yaml", "--sign", "alice"], 0);
    assert!(a_box.signature().is_file());
    let (out, _) = a_box.run(&["list", "--json"], 0);
    let listed: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(listed[0]["signed"], true);
    assert!(listed[0]["bytes"].as_u64().unwrap() > 1000);
}

#[test]
fn a_third_party_says_when() {
    let a_box = measured();
    a_box.key("alice", "");
    a_box.allow("trusted", "alice", "");
    a_box.run(&["sign", "--key", "alice"], 0);
    let level_4 = ["verify", "--allowed-signers", "trusted", "--time-authority", "clock.pem"];
    std::fs::write(
        a_box.path("clock.cnf"),
        "[tsa]\ndefault_tsa = t\n[t]\nserial = ./serial\ndefault_policy = 1.2.3.4.1\ndigests = sha256\nsigner_digest = sha256\n",
    )
    .unwrap();
    std::fs::write(a_box.path("serial"), "01\n").unwrap();
    a_box.tool(
        "openssl",
        &[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-keyout",
            "clock.key",
            "-out",
            "clock.pem",
            "-subj",
            "/CN=clock",
            "-days",
            "2",
            "-addext",
            "extendedKeyUsage=critical,timeStamping",
        ],
    );
    let (_, err) = a_box.run(&level_4, 3);
    assert!(err.contains("there is no manifest.json.tsr"), "{err}");
    let set = &a_box.sets()[0];
    let manifest = set.join("manifest.json");
    a_box.tool(
        "openssl",
        &[
            "ts",
            "-query",
            "-data",
            manifest.to_str().unwrap(),
            "-sha256",
            "-cert",
            "-out",
            "q",
            "-config",
            "clock.cnf",
        ],
    );
    let token = set.join("manifest.json.tsr");
    a_box.tool(
        "openssl",
        &[
            "ts",
            "-reply",
            "-queryfile",
            "q",
            "-signer",
            "clock.pem",
            "-inkey",
            "clock.key",
            "-config",
            "clock.cnf",
            "-out",
            token.to_str().unwrap(),
        ],
    );
    let (_, err) = a_box.run(&level_4, 0);
    assert!(err.contains("verifies at level 4") && err.contains("GMT"), "{err}");
    // A token of another manifest.
    std::fs::write(a_box.path("other"), "other").unwrap();
    a_box.tool(
        "openssl",
        &["ts", "-query", "-data", "other", "-sha256", "-cert", "-out", "q", "-config", "clock.cnf"],
    );
    a_box.tool(
        "openssl",
        &[
            "ts",
            "-reply",
            "-queryfile",
            "q",
            "-signer",
            "clock.pem",
            "-inkey",
            "clock.key",
            "-config",
            "clock.cnf",
            "-out",
            token.to_str().unwrap(),
        ],
    );
    let (_, err) = a_box.run(&level_4, 3);
    assert!(err.contains("does not vouch"), "{err}");
}

/// A run that was killed between the seal and the signature, and one that had nothing left to run.
#[test]
fn a_set_that_was_sealed_before_is_signed_when_that_is_asked() {
    let a_box = measured();
    a_box.key("alice", "");
    let (_, err) = a_box.run(&["run", "box.yaml", "--sign", "alice"], 0);
    assert!(err.contains("nothing was run") && err.contains("Signed"), "{err}");
    let first = std::fs::read(a_box.signature()).unwrap();
    a_box.key("bob", "");
    let (_, err) = a_box.run(&["run", "box.yaml", "--sign", "bob"], 0);
    assert!(err.contains("has a signature"), "{err}");
    assert_eq!(
        std::fs::read(a_box.signature()).unwrap(),
        first,
        "nobody's signature is may have been removed"
    );
}
