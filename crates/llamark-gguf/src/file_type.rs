//! `general.file_type`: the number that llama-quantize leaves in a file.

/// Numbers and names: `enum llama_ftype` of llama.cpp b11434, include/llama.h.
const NAMES: [(u64, &str); 36] = [
    (0, "F32"),
    (1, "F16"),
    (2, "Q4_0"),
    (3, "Q4_1"),
    (7, "Q8_0"),
    (8, "Q5_0"),
    (9, "Q5_1"),
    (10, "Q2_K"),
    (11, "Q3_K_S"),
    (12, "Q3_K_M"),
    (13, "Q3_K_L"),
    (14, "Q4_K_S"),
    (15, "Q4_K_M"),
    (16, "Q5_K_S"),
    (17, "Q5_K_M"),
    (18, "Q6_K"),
    (19, "IQ2_XXS"),
    (20, "IQ2_XS"),
    (21, "Q2_K_S"),
    (22, "IQ3_XS"),
    (23, "IQ3_XXS"),
    (24, "IQ1_S"),
    (25, "IQ4_NL"),
    (26, "IQ3_S"),
    (27, "IQ3_M"),
    (28, "IQ2_S"),
    (29, "IQ2_M"),
    (30, "IQ4_XS"),
    (31, "IQ1_M"),
    (32, "BF16"),
    (36, "TQ1_0"),
    (37, "TQ2_0"),
    (38, "MXFP4_MOE"),
    (39, "NVFP4"),
    (40, "Q1_0"),
    (41, "Q2_0"),
];

/// The name of a file type, as llama-quantize takes it; `None` for a number that is not known. Numbers with 1024
/// added are those that llama.cpp guessed; the name is the same.
///
/// There is none for "UD" quantizations: those are a publisher's mix under one of these numbers.
pub(crate) fn name(number: u64) -> Option<&'static str> {
    NAMES.iter().find(|(known, _)| *known == number & !1024).map(|(_, name)| *name)
}

/// Whether a file type has this name.
pub(crate) fn is_name(name: &str) -> bool {
    NAMES.iter().any(|(_, known)| *known == name)
}
