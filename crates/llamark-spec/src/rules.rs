//! Every rule that an experiment must obey, by the code that a problem carries.
/// x
pub const RULES: &[u8] = &[];
