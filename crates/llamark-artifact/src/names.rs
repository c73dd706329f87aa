//! Names inside a set: from the id of a case to a folder, and which relative paths are safe.

use camino::{Utf8Component, Utf8Path};
use llamark_record::Sha256;

use crate::ArtifactError;

/// Longest name of a folder, bytes; the common limit of file systems is 255.
const LONGEST: usize = 200;

/// The folder of a case, or the file name of a build: `/` becomes `__`, every byte but ASCII letters, digits,
/// `.`, `_` and `-` becomes `%XX`, a leading `.` too. A name that gets too long is cut and ends in a digest of
/// the id. Never empty, never `.` or `..`, never with a separator.
pub fn folder_name(id: &str) -> String {
    use std::fmt::Write as _;
    let mut name = String::with_capacity(id.len());
    for (place, byte) in id.bytes().enumerate() {
        match byte {
            b'/' => name.push_str("__"),
            b'.' if place > 0 => name.push('.'),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => name.push(char::from(byte)),
            _ => {
                let _infallible = write!(name, "%{byte:02X}");
            }
        }
    }
    if name.is_empty() {
        name.push_str("%00");
    }
    if name.len() > LONGEST {
        name.truncate(LONGEST);
        name.push('-');
        name.push_str(Sha256::of_bytes(id.as_bytes()).short());
    }
    name
}

/// Refuses a path that could leave the folder of the set, or that `sha256sum -c` could not read as it is.
///
/// # Errors
/// When the path is empty, absolute, has `.` or `..` or empty components, control characters or a backslash.
pub(crate) fn check_relative(name: &str) -> Result<(), ArtifactError> {
    let refuse = |reason| Err(ArtifactError::Name { name: name.to_owned(), reason });
    if name.is_empty() || name.len() > 4096 {
        return refuse("it is empty or too long");
    }
    if name.chars().any(|character| character.is_control() || character == '\\') {
        return refuse("it has a control character or a backslash");
    }
    // Components skip `//`, `/./` and a trailing `/`; the text must have none of them.
    let plain = Utf8Path::new(name).components().all(|part| matches!(part, Utf8Component::Normal(_)));
    if !plain || name.split('/').any(|part| part.is_empty() || part == ".") {
        return refuse("it is absolute or has an empty, `.` or `..` part");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_case_id_is_readable_as_a_folder() {
        assert_eq!(folder_name("smollm2-135m/cpu/short"), "smollm2-135m__cpu__short");
        assert_eq!(folder_name("../x"), "%2E.__x");
        assert_eq!(folder_name(".."), "%2E.");
        assert_eq!(folder_name("ü"), "%C3%BC");
        assert_eq!(folder_name(""), "%00");
    }

    #[test]
    fn what_could_leave_the_set_is_refused() {
        for good in ["a", "a/b.json", "cases/x__y/start-1-attempt-1.log", "..a", "ü"] {
            assert!(check_relative(good).is_ok(), "{good}");
        }
        for bad in ["", "/", "/a", "..", "a/../b", "a//b", "a/", "./a", "a/./b", ".", "a\nb", "a\\b", "a\0"] {
            assert!(check_relative(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn every_id_gives_one_safe_component(id in any::<String>()) {
            let name = folder_name(&id);
            prop_assert!(check_relative(&name).is_ok());
            prop_assert!(!name.contains('/') && !name.starts_with('.') && name.len() <= 255);
        }
    }
}
