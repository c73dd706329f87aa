//! The environment that helper commands get, and where programs are.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};

/// Variables that a helper command needs to find programs, its user's folders and the network.
const PASSED: [&str; 26] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "TZ",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "SSH_AUTH_SOCK",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
];

/// What a helper command needs: `PATH`, `HOME`, `TMPDIR` and the like, certificates and proxies, from our own
/// environment, with `LANG=C.UTF-8` so that its messages can be read. Nothing else, so nothing of the user's
/// shell reaches a compiler unseen. Variables that are not UTF-8 are left out.
pub fn base_environment() -> BTreeMap<String, String> {
    let mut environment = select(|name| std::env::var(name).ok());
    environment.entry("PATH".to_owned()).or_insert_with(|| "/usr/local/bin:/usr/bin:/bin".to_owned());
    environment
}

fn select(lookup: impl Fn(&str) -> Option<String>) -> BTreeMap<String, String> {
    let mut environment: BTreeMap<String, String> =
        PASSED.iter().filter_map(|name| Some(((*name).to_owned(), lookup(name)?))).collect();
    environment.insert("LANG".to_owned(), "C.UTF-8".to_owned());
    environment
}

/// Our whole environment as text, as the user gave it: without the folders that `cargo run` puts at the beginning of
/// `LD_LIBRARY_PATH`, so that one started by cargo and one started by hand see the same machine. Variables that are
/// not UTF-8 are left out.
pub fn own_environment() -> BTreeMap<String, String> {
    let text =
        |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    let mut environment: BTreeMap<String, String> = std::env::vars_os().filter_map(text).collect();
    let exe = std::env::current_exe().ok().and_then(|exe| Utf8PathBuf::from_path_buf(exe).ok());
    let ours = exe.as_deref().and_then(Utf8Path::parent);
    if let Some(folders) = environment.remove(LIBRARIES).map(|folders| without_cargo(&folders, ours))
        && !folders.is_empty()
    {
        environment.insert(LIBRARIES.to_owned(), folders);
    }
    environment
}

const LIBRARIES: &str = "LD_LIBRARY_PATH";

/// `folders` without those below `ours` (where cargo put the program) and those of a Rust toolchain.
fn without_cargo(folders: &str, ours: Option<&Utf8Path>) -> String {
    let is_of_cargo = |folder: &str| {
        let folder = Utf8Path::new(folder);
        ours.is_some_and(|ours| folder.starts_with(ours))
            || folder.components().any(|part| part.as_str() == "rustlib")
            || folder.join("rustlib").is_dir()
    };
    let kept: Vec<&str> = folders.split(':').filter(|folder| !is_of_cargo(folder)).collect();
    kept.join(":")
}

/// The program of that name in our `PATH`, as a path; a name that holds a `/` is taken as it is. Absent when
/// there is no such file or it may not be executed.
pub fn find_program(name: &str) -> Option<Utf8PathBuf> {
    if name.contains('/') {
        return Some(Utf8PathBuf::from(name)).filter(is_program);
    }
    find_in(name, &std::env::var_os("PATH")?)
}

fn find_in(name: &str, path: &OsStr) -> Option<Utf8PathBuf> {
    std::env::split_paths(path)
        .filter_map(|folder| Utf8PathBuf::from_path_buf(folder.join(name)).ok())
        .find(|candidate| candidate.is_absolute() && is_program(candidate))
}

fn is_program(path: &Utf8PathBuf) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_adds_to_the_library_path_is_not_of_the_user() {
        let ours = Some(Utf8Path::new("/t/debug"));
        let toolchain = "/h/.rustup/toolchains/stable/lib/rustlib/x86_64-unknown-linux-gnu/lib";
        let path = format!("/t/debug/build/zstd/out:/t/debug:/t/debug/deps:{toolchain}");
        assert_eq!(without_cargo(&path, ours), "");
        assert_eq!(
            without_cargo(&format!("{path}:/opt/rocm/lib:/opt/gcc/lib64"), ours),
            "/opt/rocm/lib:/opt/gcc/lib64"
        );
        assert_eq!(without_cargo("/opt/rocm/lib", None), "/opt/rocm/lib");
    }

    #[test]
    fn nothing_but_the_list_is_passed() {
        let environment = select(|name| Some(format!("value of {name}")));
        assert_eq!(environment.len(), PASSED.len() + 1);
        assert_eq!(environment["LANG"], "C.UTF-8");
        assert!(!environment.contains_key("CFLAGS") && !environment.contains_key("LD_PRELOAD"));
        assert_eq!(select(|_| None).len(), 1);
    }

    #[test]
    fn programs_are_found_in_path_order_and_only_when_executable() {
        let folder = tempfile::tempdir().unwrap();
        for (sub, mode) in [("a", 0o644), ("b", 0o755), ("c", 0o755)] {
            let file = folder.path().join(sub).join("tool");
            std::fs::create_dir(file.parent().unwrap()).unwrap();
            std::fs::OpenOptions::new().create(true).append(true).open(&file).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let path = std::env::join_paths(["a", "b", "c"].map(|sub| folder.path().join(sub))).unwrap();
        let found = find_in("tool", &path).unwrap();
        assert!(found.ends_with("b/tool"), "{found}");
        assert_eq!(find_in("missing", &path), None);
        assert_eq!(find_program("sh").unwrap().file_name(), Some("sh"));
        assert_eq!(find_program("/nowhere/sh"), None);
    }
}
