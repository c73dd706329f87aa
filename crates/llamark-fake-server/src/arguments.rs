//! The arguments, as its own `--help` describes them: what is not in there is refused, as the real one does.

use std::collections::BTreeMap;

/// Arguments by the first name that the help gives them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arguments {
    values: BTreeMap<String, String>,
}

/// A flag of the help: its names, and whether a value follows.
struct Flag<'a> {
    names: Vec<&'a str>,
    takes_value: bool,
}

fn flags(help: &str) -> Vec<Flag<'_>> {
    let entries = help.lines().filter(|line| line.starts_with('-') && !line.starts_with("-----"));
    entries
        .map(|line| {
            let mut names = Vec::new();
            let mut rest = line;
            while rest.starts_with('-') {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                let (name, after) = rest.split_at(end);
                names.push(name.trim_end_matches(','));
                rest = after;
                if name.ends_with(',') {
                    rest = rest.trim_start();
                }
            }
            // One space before a value, more before the explanation.
            let value = rest.strip_prefix(' ').unwrap_or_default();
            let takes_value = !value.is_empty() && !value.starts_with(' ');
            Flag { names, takes_value }
        })
        .collect()
}

impl Arguments {
    /// Understands `given`.
    ///
    /// # Errors
    /// What the real one would say.
    pub(crate) fn parse(given: &[String], help: &str) -> Result<Self, String> {
        let flags = flags(help);
        let mut values = BTreeMap::new();
        let mut given = given.iter();
        while let Some(name) = given.next() {
            let flag = flags.iter().find(|flag| flag.names.contains(&name.as_str()));
            let flag = flag.ok_or_else(|| format!("error: invalid argument: {name}"))?;
            let value = if flag.takes_value {
                given.next().cloned().ok_or_else(|| {
                    format!("error while handling argument \"{name}\": expected value for argument")
                })?
            } else {
                name.clone()
            };
            let first = flag.names.first().copied().unwrap_or_default();
            values.insert(first.to_owned(), value);
        }
        Ok(Self { values })
    }

    /// The value of the flag whose first name is `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    pub(crate) fn number(&self, name: &str) -> Option<u32> {
        self.get(name)?.parse().ok()
    }

    pub(crate) fn model(&self) -> &str {
        self.get("-m").unwrap_or_default()
    }

    pub(crate) fn alias(&self) -> &str {
        self.get("-a").unwrap_or(self.model())
    }

    pub(crate) fn port(&self) -> u16 {
        self.get("--port").and_then(|port| port.parse().ok()).unwrap_or(8080)
    }

    pub(crate) fn verbosity(&self) -> u32 {
        self.number("-lv").unwrap_or(3)
    }

    pub(crate) fn slots(&self) -> u32 {
        self.number("-np").unwrap_or(4)
    }

    /// The context of all slots, padded as llama.cpp pads it.
    pub(crate) fn context(&self) -> u32 {
        self.slot_context() * if self.is_unified() { 1 } else { self.slots() }
    }

    /// The context of each slot.
    pub(crate) fn slot_context(&self) -> u32 {
        let context = self.number("-c").filter(|context| *context > 0).unwrap_or(8192);
        let slots = if self.is_unified() { 1 } else { self.slots() };
        (context / slots.max(1)).next_multiple_of(256)
    }

    /// Whether all slots share one cache: where the number of slots is not given.
    fn is_unified(&self) -> bool {
        self.get("-np").is_none() || self.get("-kvu").is_some_and(|flag| !flag.contains("no-kv"))
    }

    pub(crate) fn batch(&self) -> u32 {
        self.number("-b").unwrap_or(2048)
    }

    pub(crate) fn ubatch(&self) -> u32 {
        self.number("-ub").unwrap_or(512)
    }

    pub(crate) fn threads(&self) -> u32 {
        self.number("-t").unwrap_or(2)
    }

    pub(crate) fn threads_batch(&self) -> u32 {
        self.number("-tb").unwrap_or(self.threads())
    }

    /// The device asked for; none: the processor.
    pub(crate) fn device(&self) -> Option<&str> {
        self.get("-dev").filter(|device| *device != "none")
    }

    pub(crate) fn cache_type_k(&self) -> &str {
        self.get("-ctk").unwrap_or("f16")
    }

    pub(crate) fn cache_type_v(&self) -> &str {
        self.get("-ctv").unwrap_or("f16")
    }

    pub(crate) fn flash_attn(&self) -> &str {
        match self.get("-fa") {
            Some("on" | "1" | "-fa" | "--flash-attn") => "enabled",
            Some("off" | "0") => "disabled",
            _ => "auto",
        }
    }

    pub(crate) fn load_mode(&self) -> &str {
        let is_read = self.get("--no-mmap").is_some() || self.get("-mmp") == Some("0");
        let old = if is_read { "none" } else { "mmap" };
        self.get("-lm").unwrap_or(old)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::behaviour::Version;

    fn parse(version: Version, given: &[&str]) -> Result<Arguments, String> {
        Arguments::parse(&given.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>(), version.help())
    }

    #[test]
    fn arguments_are_those_of_the_help() {
        let new = parse(
            Version::B11434,
            &["--model", "m", "-c", "1000", "-fa", "on", "--no-ui", "--port", "0", "-ctxcp", "0"],
        )
        .unwrap();
        assert_eq!((new.model(), new.context(), new.flash_attn(), new.port()), ("m", 1024, "enabled", 0));
        let old = parse(Version::Y2025, &["-m", "m", "-fa", "--no-mmap"]).unwrap();
        assert_eq!(old.flash_attn(), "enabled");
        assert_eq!(parse(Version::B11434, &["--bogus"]).unwrap_err(), "error: invalid argument: --bogus");
        assert_eq!(parse(Version::Y2025, &["-lm", "none"]).unwrap_err(), "error: invalid argument: -lm");
        assert!(parse(Version::B11434, &["-c"]).is_err());
    }
}
