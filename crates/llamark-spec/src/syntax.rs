//! What is no YAML at all: the parser's word for it, and what it mostly means.

use granit_parser::{ErrorKind, ScanError};

use crate::diagnostic::Problem;
use crate::node::MAX_DEPTH;

/// What the parser could not read, with what it mostly means.
pub(crate) fn syntax_problem(text: &str, error: &ScanError) -> Problem {
    let mut start = error.marker().byte_offset().unwrap_or(text.len()).min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let end = text.get(start..).and_then(|rest| rest.chars().next()).map_or(start, |c| start + c.len_utf8());
    let help = match error.kind() {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabInPlainScalar => Some("YAML is indented with spaces; replace the tab"),
        ErrorKind::RecursionLimitExceeded => {
            let message = format!("nested deeper than {MAX_DEPTH} levels");
            return Problem::new("spec/too-deep", start..end, message);
        }
        ErrorKind::UnknownAnchor => Some("an alias `*name` needs an anchor `&name` before it"),
        ErrorKind::DirectiveDisallowed => {
            Some("remove the line; experiments are YAML 1.2 without directives")
        }
        ErrorKind::UnclosedQuotedScalar => Some("close the quotes"),
        ErrorKind::UnclosedFlowCollection { .. }
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofImplicitFlowMapping
        | ErrorKind::ExpectedFlowMappingSeparator
        | ErrorKind::ExpectedFlowSequenceSeparator => Some("close the bracket before this, or add a comma"),
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement => {
            Some("text that contains `: ` must be quoted")
        }
        ErrorKind::UnexpectedCharacter { .. } => {
            Some("text that begins with `@`, `` ` `` or `%` must be quoted")
        }
        ErrorKind::SimpleKeyExpected
        | ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::ExpectedBlockSequenceEntry
        | ErrorKind::InvalidIndentation => {
            Some("check the indentation, and that a `:` with a space follows each key")
        }
        _ => None,
    };
    Problem::new("spec/syntax", start..end, format!("this is not YAML: {}", error.info()))
        .label("here")
        .maybe_help(help.map(str::to_owned))
}
