//! What a start says of the files that it ran: the program, the libraries, the model.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "helpers of tests, which write by hand")]

mod support;

use llamark_bench::Progress;
use llamark_record::Sha256;
use llamark_record::journal::Outcome;
use llamark_record::model::FileIdentity;
use serde_json::json;
use support::{Bench, Memory};

/// A bench whose server lies in the folder of its build, and whose record says that it has this digest.
fn bench(digest: impl FnOnce(&[u8]) -> Sha256) -> Bench {
    let mut bench = Bench::new(&json!({}));
    let server = bench.build_folder.join("bin/llama-server");
    let bytes = std::fs::read(&server).unwrap();
    // A copy in place of the link.
    let permissions = std::fs::metadata(&server).unwrap().permissions();
    std::fs::remove_file(&server).unwrap();
    std::fs::write(&server, &bytes).unwrap();
    std::fs::set_permissions(&server, permissions).unwrap();
    let (name, sha256) = ("bin/llama-server".to_owned(), digest(&bytes));
    bench.build.files = vec![FileIdentity { name, bytes: bytes.len() as u64, sha256 }];
    bench
}

#[tokio::test]
async fn the_program_and_every_library_are_recorded_by_digest() {
    let bench = bench(Sha256::of_bytes);
    let ran = bench.run().await;
    assert_eq!(ran.outcome, Outcome::Ok, "{}", ran.log);
    let mapped = &ran.ready().unwrap().mapped;
    let program = mapped.iter().find(|file| file.path == "{build}/bin/llama-server").unwrap();
    assert_eq!(program.sha256.as_ref(), Some(&bench.build.files[0].sha256));
    assert!(mapped.iter().any(|file| file.path.contains("libc") && file.sha256.is_some()), "{mapped:?}");
    assert!(mapped.iter().all(|file| !file.path.ends_with(".gguf")), "{mapped:?}");
    assert!(mapped.is_sorted_by_key(|file| &file.path) && mapped.iter().all(|file| file.error.is_none()));
}

#[tokio::test]
async fn a_server_that_is_not_what_was_built_is_not_measured() {
    let ran = bench(|_| Sha256::of_bytes(b"what was built")).run().await;
    let Outcome::Invalid { reason } = &ran.outcome else { panic!("{:?}", ran.outcome) };
    assert!(reason.contains("{build}/bin/llama-server, which is not what was built"), "{reason}");
    assert!(ran.runs().is_empty());
}

#[tokio::test]
async fn a_model_that_is_touched_while_it_is_measured_makes_the_start_invalid() {
    let bench = Bench::new(&json!({}));
    let model = bench.model.clone();
    let touch = |progress: &Progress| {
        if matches!(progress, Progress::RunDone) {
            std::fs::write(&model, "another").unwrap();
        }
    };
    let ran = bench.run_with(&mut Memory::default(), touch).await.unwrap();
    let Outcome::Invalid { reason } = &ran.outcome else { panic!("{:?}", ran.outcome) };
    assert!(reason.contains("touched after it was hashed"), "{reason}");
    assert!(!ran.runs().is_empty(), "what was measured stays on record");
}
