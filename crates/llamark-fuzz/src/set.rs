//! A file of a set, with and without a manifest that was made again to fit; and a noise file.

use camino::Utf8Path;
use llamark_artifact::{ArtifactSet, verify};
use llamark_record::Sha256;
use llamark_record::manifest::Manifest;
use llamark_record::noise::NoiseFile;

use crate::folder::{Folder, copy, sample_set};

/// Files that a stranger would change.
const FILES: [&str; 7] = [
    "plan.json",
    "environment.json",
    "manifest.json",
    "manifest-sha256.txt",
    "journal.jsonl",
    "builds/cpu.json",
    "cases/small-135m-q4_1__cpu__bridge/start-1-attempt-1.log",
];

struct Sample {
    folder: Folder,
    /// Content as it was sealed, of [`FILES`] in their order.
    content: Vec<Vec<u8>>,
}

impl Sample {
    fn new() -> Self {
        let folder = Folder::new();
        copy(&sample_set(), folder.path());
        let content = FILES.iter().map(|file| fs_err::read(folder.path().join(file)).unwrap()).collect();
        Self { folder, content }
    }
}

/// One file of a sealed set is another: what is verified reads, in both ways; and nothing else is verified than what
/// was sealed, unless the manifest was made again.
pub fn set_file(data: &[u8]) {
    thread_local! {
        static SAMPLE: Sample = Sample::new();
    }
    let Some((first, bytes)) = data.split_first() else { return };
    let (place, made_again) = (usize::from(first & 0x7f) % FILES.len(), first & 0x80 != 0);
    SAMPLE.with(|sample| {
        let path = sample.folder.path();
        let file = path.join(FILES[place]);
        std::fs::write(&file, bytes).unwrap();
        if made_again {
            make_manifest_again(path, FILES[place], bytes);
        }
        let verified = verify(path, 1).is_ok_and(|verification| verification.passed());
        let slow = ArtifactSet::read(path);
        let quick = ArtifactSet::read_by_seal(path);
        if verified {
            assert!(slow.is_ok() && quick.is_ok(), "{slow:?} {quick:?}");
            let as_it_was = bytes == sample.content[place];
            assert!(as_it_was || made_again, "another {} was accepted", FILES[place]);
        }
        for (file, content) in FILES.iter().zip(&sample.content) {
            std::fs::write(path.join(file), content).unwrap();
        }
    });
}

/// What the attacker can do who knows the format: manifest and checksums that fit the changed file.
fn make_manifest_again(set: &Utf8Path, file: &str, bytes: &[u8]) {
    let manifest = fs_err::read(set.join("manifest.json")).unwrap();
    let Ok(mut manifest) = serde_json::from_slice::<Manifest>(&manifest) else { return };
    for subject in manifest.subject.iter_mut().filter(|subject| subject.name == file) {
        subject.digest.sha256 = Sha256::of_bytes(bytes);
        subject.annotations.insert("bytes".to_owned(), bytes.len().to_string());
    }
    write_manifest(set, &manifest);
}

/// Writes a manifest and the checksums that go with it.
pub(crate) fn write_manifest(set: &Utf8Path, manifest: &Manifest) {
    let mut bytes = serde_json::to_vec_pretty(manifest).unwrap();
    bytes.push(b'\n');
    let mut lines: Vec<(String, Sha256)> = manifest
        .subject
        .iter()
        .map(|subject| (subject.name.clone(), subject.digest.sha256.clone()))
        .collect();
    lines.push(("manifest.json".to_owned(), Sha256::of_bytes(&bytes)));
    lines.sort_by(|a, b| a.0.cmp(&b.0));
    let text: String = lines.iter().map(|(name, digest)| format!("{digest}  {name}\n")).collect();
    std::fs::write(set.join("manifest.json"), bytes).unwrap();
    std::fs::write(set.join("manifest-sha256.txt"), text).unwrap();
}

/// A noise file reads or does not; what reads can be written again.
pub fn noise(data: &[u8]) {
    if let Ok(file) = serde_json::from_slice::<NoiseFile>(data) {
        let again = serde_json::to_vec(&file).unwrap();
        assert_eq!(serde_json::from_slice::<NoiseFile>(&again).unwrap(), file);
    }
}
