//! What to run: a program, its arguments, its folder and its whole environment. Never a shell string.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

/// A program with all that it is given. Nothing of our own environment is added (but for one variable that
/// marks the process as ours, see [`crate::guard`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// A path, or a name that is looked up in the `PATH` of `env`. A relative path is relative to the folder of
    /// this process, not to `cwd`.
    pub program: Utf8PathBuf,
    /// Arguments, without the program.
    pub args: Vec<String>,
    /// Folder in which it runs.
    pub cwd: Utf8PathBuf,
    /// Its environment, complete.
    pub env: BTreeMap<String, String>,
}

impl Command {
    /// A command without arguments and with an empty environment.
    pub fn new(program: impl Into<Utf8PathBuf>, cwd: impl Into<Utf8PathBuf>) -> Self {
        Self { program: program.into(), args: Vec::new(), cwd: cwd.into(), env: BTreeMap::new() }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<String>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Sets environment variables.
    #[must_use]
    pub fn envs(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.env.extend(variables);
        self
    }

    /// Program and arguments, quoted so that a person can paste them into a shell. Never given to one by us.
    pub fn display(&self) -> String {
        let mut text = quote(self.program.as_str());
        for arg in &self.args {
            text.push(' ');
            text.push_str(&quote(arg));
        }
        text
    }

    /// The program as it is given to the operating system: a bare name, or an absolute path.
    pub(crate) fn executable(&self) -> Utf8PathBuf {
        if self.program.is_absolute() || !self.program.as_str().contains('/') {
            return self.program.clone();
        }
        let absolute = std::path::absolute(&self.program).ok();
        let absolute = absolute.and_then(|path| Utf8PathBuf::from_path_buf(path).ok());
        absolute.unwrap_or_else(|| Utf8Path::new(".").join(&self.program))
    }
}

fn quote(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-./=:,+@%^~".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) && !text.starts_with('~') {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_is_quoted_for_a_shell() {
        let command =
            Command::new("/opt/x y/cmake", "/").args(["-DA=ON", "", "it's", "$HOME", "~x", "größe", "a;b"]);
        assert_eq!(command.display(), r"'/opt/x y/cmake' -DA=ON '' 'it'\''s' '$HOME' '~x' größe 'a;b'");
    }

    #[test]
    fn a_relative_program_is_relative_to_us() {
        let here = Utf8PathBuf::from_path_buf(std::env::current_dir().unwrap()).unwrap();
        assert_eq!(Command::new("bin/tool", "/tmp").executable(), here.join("bin/tool"));
        assert_eq!(Command::new("tool", "/tmp").executable(), "tool");
        assert_eq!(Command::new("/bin/tool", "/tmp").executable(), "/bin/tool");
    }
}
