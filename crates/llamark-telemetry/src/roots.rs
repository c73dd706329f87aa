//! Where sensors are read: this machine, or a recorded tree of another one.

use camino::{Utf8Path, Utf8PathBuf};

/// Where sensors are read. The default is this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// The folder that stands for `/proc`.
    pub proc: Utf8PathBuf,
    /// The folder that stands for `/sys`.
    pub sys: Utf8PathBuf,
    /// Whether to ask NVIDIA's driver through its library, NVML, which knows this machine only.
    pub nvml: bool,
}

impl Default for Roots {
    fn default() -> Self {
        Self { proc: Utf8PathBuf::from("/proc"), sys: Utf8PathBuf::from("/sys"), nvml: true }
    }
}

impl Roots {
    /// The trees `proc` and `sys` below a folder; NVML only when the folder is `/`.
    pub fn below(folder: &Utf8Path) -> Self {
        Self { proc: folder.join("proc"), sys: folder.join("sys"), nvml: folder == "/" }
    }

    /// The names in a folder of such a tree, in order, numbers in them as numbers (`card2` before `card10`); none when it
    /// cannot be read.
    pub fn names(folder: &Utf8Path) -> Vec<String> {
        let Ok(entries) = fs_err::read_dir(folder) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        names.sort_by_cached_key(|name| {
            let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
            let head = name.strip_suffix(digits).unwrap_or(name).to_owned();
            (head, digits.parse::<u64>().unwrap_or(0), name.clone())
        });
        names
    }
}
