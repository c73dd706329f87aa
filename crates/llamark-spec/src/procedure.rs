//! How starts are prepared and repeated: from the keys of `protocol` to the plan's procedure.

use llamark_record::plan::Procedure;

use crate::experiment::Protocol;

/// What the protocol says of it; what it does not say is as usual.
pub(crate) fn procedure(protocol: &Protocol) -> Procedure {
    Procedure { cache: protocol.cache.unwrap_or_default(), ..Procedure::default() }
}
