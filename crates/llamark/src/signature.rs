//! Signatures of a manifest by SSH keys, made and checked by stock `ssh-keygen -Y`; who is trusted, a file says.
//!
//! The file is the allowed-signers file of OpenSSH (see `man ssh-keygen`): a name, options, a public key a line. Where one
//! is in force, a set that nobody in it has signed is refused: to take a signature away would else be all it takes.

use std::collections::BTreeMap;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use llamark_artifact::set::SIGNATURE;
use llamark_artifact::{Check, vouch};
use llamark_process::{Command, Output, RunOptions};
use serde::Serialize;

use crate::cli::Trust;
use crate::context::{Context, shown};
use crate::exit::{Exit, Failed, OrFail as _, fail};

/// What a signature is for: one that was made for anything else is none here.
pub(crate) const NAMESPACE: &str = "llamark-manifest@v1";

/// A key of hardware may want to be touched.
const LIMIT: Duration = Duration::from_secs(120);

/// What is known of the signature of a set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Signed {
    /// There is none.
    Unsigned,
    /// It is a signature of this manifest; whose key that is, nobody was asked.
    By {
        /// Fingerprint of the key.
        key: String,
    },
    /// By a key in the file of allowed signers.
    Trusted {
        /// Fingerprint of the key.
        key: String,
        /// The name in that file.
        signer: String,
    },
    /// It is none of this manifest, or of nobody who is trusted.
    Bad {
        /// Why.
        reason: String,
        /// What can be done about it.
        #[serde(skip)]
        hint: String,
    },
    /// It could not be looked at.
    Unchecked {
        /// Why.
        reason: String,
    },
}

impl Signed {
    /// As the end of a sentence.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Unsigned => "unsigned".to_owned(),
            Self::By { key } => format!("signed by the key {key}; whose key it is was not checked"),
            Self::Trusted { key, signer } => format!("signed by {signer} (key {key})"),
            Self::Bad { reason, .. } => format!("its signature is not accepted: {reason}"),
            Self::Unchecked { reason } => format!("its signature was not checked: {reason}"),
        }
    }
}

/// The file that says who is trusted, if one is in force: that which was named, else the user's own.
///
/// # Errors
/// When one was named, and is not there.
pub(crate) fn trust_file(trust: &Trust) -> Result<Option<Utf8PathBuf>, Failed> {
    match &trust.allowed_signers {
        // `LLAMARK_ALLOWED_SIGNERS=` switches the user's own off.
        Some(none) if none.as_str().is_empty() => Ok(None),
        Some(path) if path.is_file() => camino::absolute_utf8(path).map(Some).or_fail(Exit::BadInput),
        Some(path) => fail(
            Exit::BadInput,
            format!("there is no file of allowed signers at {path}"),
            "one line each, as in `alice namespaces=\"llamark-manifest@v1\" ssh-ed25519 AAAA...`; see `man ssh-keygen`",
        ),
        None => Ok(default_file().filter(|path| path.is_file())),
    }
}

/// `$XDG_CONFIG_HOME/llamark/allowed_signers`, or `~/.config/llamark/allowed_signers`.
fn default_file() -> Option<Utf8PathBuf> {
    let folder =
        |name: &str| std::env::var(name).ok().map(Utf8PathBuf::from).filter(|path| path.is_absolute());
    let config = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")))?;
    Some(config.join("llamark").join("allowed_signers"))
}

/// Signs the manifest of a set. The passphrase of a key is never asked for: an agent has it.
///
/// # Errors
/// When the key cannot be used.
pub(crate) fn make(context: &Context, set: &Utf8Path, key: &Utf8Path) -> Result<Vec<u8>, Failed> {
    let key = camino::absolute_utf8(key).or_fail(Exit::BadInput)?;
    if !key.is_file() {
        return fail(
            Exit::BadInput,
            format!("there is no key at {key}"),
            "`ssh-keygen -t ed25519 -f KEY` makes one",
        );
    }
    let manifest = vouch::manifest(set).or_fail(Exit::NotVerified)?;
    let output = ssh_keygen(context, &["-Y", "sign", "-n", NAMESPACE, "-f", key.as_str()], Some(manifest))?;
    if !output.success() {
        return fail(
            Exit::BadInput,
            format!("ssh-keygen cannot sign with {key}: {}", said(&output)),
            "llamark does not ask for a passphrase: give the key to your agent with `ssh-add KEY`, which then signs",
        );
    }
    Ok(output.stdout.into_bytes())
}

/// What is known of the signature of a set; with a file of allowed signers, whether one of them made it.
///
/// # Errors
/// When the set cannot be read, or `ssh-keygen` is not there and is needed.
pub(crate) fn of(context: &Context, set: &Utf8Path, trust: Option<&Utf8Path>) -> Result<Signed, Failed> {
    if vouch::signature(set).or_fail(Exit::NotVerified)?.is_none() {
        return Ok(Signed::Unsigned);
    }
    let manifest = vouch::manifest(set).or_fail(Exit::NotVerified)?;
    let path = camino::absolute_utf8(set.join(SIGNATURE)).or_fail(Exit::NotVerified)?;
    let of_any = ["-Y", "check-novalidate", "-n", NAMESPACE, "-s", path.as_str()];
    let output = match ssh_keygen(context, &of_any, Some(manifest.clone())) {
        Ok(output) => output,
        Err(failed) if trust.is_none() && failed.exit == Exit::BadInput => {
            return Ok(Signed::Unchecked { reason: failed.to_string() });
        }
        Err(failed) => return Err(failed),
    };
    if !output.success() {
        return Ok(Signed::Bad {
            reason: format!("{SIGNATURE} is not a signature of this manifest: {}", said(&output)),
            hint: "the set or its signature is not what was signed: get it again from whoever made it"
                .to_owned(),
        });
    }
    let key = fingerprint(&output.stdout);
    let Some(trust) = trust else { return Ok(Signed::By { key }) };

    let find = ["-Y", "find-principals", "-s", path.as_str(), "-f", trust.as_str()];
    let found = ssh_keygen(context, &find, None)?;
    let file = shown(trust);
    let mut reason = said(&found);
    let mut hint = format!(
        "if you know whose key that is and trust them, add it to {file}; `LLAMARK_ALLOWED_SIGNERS=` asks for no signature"
    );
    for signer in found.stdout.lines().filter(|_| found.success()) {
        let verify =
            ["-Y", "verify", "-f", trust.as_str(), "-I", signer, "-n", NAMESPACE, "-s", path.as_str()];
        let output = ssh_keygen(context, &verify, Some(manifest.clone()))?;
        if output.success() {
            return Ok(Signed::Trusted { key, signer: escaped(signer) });
        }
        reason = said(&output);
        // To ask for no signature would let in what the owner of the file keeps out.
        hint = format!(
            "the key is in {file}, and the options of its line do not let it sign this: see `man ssh-keygen`"
        );
    }
    Ok(Signed::Bad { reason: format!("nobody in {file} signs with the key {key}: {reason}"), hint })
}

/// Level 3: somebody who is trusted has signed the set.
pub(crate) fn check(signed: &Signed) -> Check {
    let mut check = Check::new(3, "signatures by somebody you trust");
    check.result(match signed {
        Signed::Trusted { .. } => Ok(()),
        Signed::Unsigned => {
            Err("the set is unsigned, but a file says who must sign (a signature may have been removed)"
                .to_owned())
        }
        other => Err(other.words()),
    });
    check
}

/// `ssh-keygen` with these arguments. It cannot ask anybody for anything.
fn ssh_keygen(context: &Context, args: &[&str], stdin: Option<Vec<u8>>) -> Result<Output, Failed> {
    let never_ask = BTreeMap::from([
        // Without it, ssh-keygen would ask the terminal, and wait there for ever.
        ("SSH_ASKPASS".to_owned(), "/bin/false".to_owned()),
        ("SSH_ASKPASS_REQUIRE".to_owned(), "force".to_owned()),
    ]);
    let command = Command::new("ssh-keygen", "/")
        .envs(llamark_process::base_environment())
        .envs(never_ask)
        .args(args.iter().copied());
    let options = RunOptions { timeout: Some(LIMIT), stdin, ..RunOptions::new(&context.interrupt) };
    llamark_process::run(&command, options)
        .or_fail_hint(Exit::BadInput, "signatures are made and checked by ssh-keygen of OpenSSH 8.2 or newer")
}

/// What it said, in one line that is safe for a terminal.
fn said(output: &Output) -> String {
    let lines: Vec<String> = output.stderr.lines().chain(output.stdout.lines()).map(escaped).collect();
    if lines.is_empty() { output.ending() } else { lines.join("; ") }
}

fn escaped(text: &str) -> String {
    text.trim().escape_debug().take(300).collect()
}

/// The fingerprint at the end of `Good "..." signature with ED25519 key SHA256:...`.
fn fingerprint(said: &str) -> String {
    let word = said.split_whitespace().rev().find(|word| word.starts_with("SHA256:"));
    word.map_or_else(|| "unknown".to_owned(), escaped)
}
