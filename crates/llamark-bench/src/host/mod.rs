//! Facts of the machine: what it is, and how it is at this moment.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use llamark_record::environment::{ENVIRONMENT_FORMAT, Environment};

/// Where facts are read. The default is this machine.
#[derive(Clone, Debug)]
pub struct Roots {
    /// `/`, or a folder that holds a recorded tree.
    pub root: Utf8PathBuf,
    /// The environment variables of the user.
    pub variables: BTreeMap<String, String>,
}

impl Default for Roots {
    fn default() -> Self {
        Self {
            root: Utf8PathBuf::from("/"),
            variables: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
        }
    }
}

/// What this machine is.
pub fn environment(_roots: &Roots) -> Environment {
    Environment { format: ENVIRONMENT_FORMAT.to_owned(), facts: BTreeMap::new() }
}

/// How this machine is at this moment.
pub fn conditions(_roots: &Roots) -> BTreeMap<String, String> {
    BTreeMap::new()
}

/// Cores that a computation of ours can use.
pub fn usable_cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(1))
}
