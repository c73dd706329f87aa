//! The readings as a file: CSV with a line for each round, and nothing where there was no reading.

use std::io::Write as _;

use crate::recording::Recording;

/// The file, the same bytes for the same readings: `at_ns`, then a column for each channel by its name.
pub(crate) fn csv(recording: &Recording) -> Vec<u8> {
    let mut text = b"at_ns".to_vec();
    for channel in recording.channels() {
        text.push(b',');
        // Names are words; a label of the kernel cannot bring in a comma.
        text.extend_from_slice(channel.name.as_bytes());
    }
    text.push(b'\n');
    for (at, values) in recording.rows().rounds() {
        // To memory: it does not fail.
        let _infallible = write!(text, "{at}");
        for value in values {
            text.push(b',');
            if let Some(value) = value {
                let _infallible = write!(text, "{value}");
            }
        }
        text.push(b'\n');
    }
    text
}
