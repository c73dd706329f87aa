//! What a scalar that is not quoted means: the core schema of YAML 1.2, and nothing of YAML 1.1.

/// A scalar, by what it means.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scalar {
    Null,
    Boolean(bool),
    /// A whole number; one that does not fit is as large as can be.
    Integer(i128),
    /// A number with a fraction or an exponent, `.inf` or `.nan`.
    Float,
    Text(String),
}

/// The meaning of a plain scalar.
pub(crate) fn resolve(text: &str) -> Scalar {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Scalar::Null,
        "true" | "True" | "TRUE" => Scalar::Boolean(true),
        "false" | "False" | "FALSE" => Scalar::Boolean(false),
        ".nan" | ".NaN" | ".NAN" => Scalar::Float,
        _ => match integer(text) {
            Some(number) => Scalar::Integer(number),
            None if is_float(text) => Scalar::Float,
            None => Scalar::Text(text.to_owned()),
        },
    }
}

/// Whether a whole number is written in the one way that every reader of YAML takes alike.
pub(crate) fn is_canonical_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    is_digits(digits) && (digits == "0" || !digits.starts_with('0'))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn integer(text: &str) -> Option<i128> {
    if let Some(digits) = text.strip_prefix("0x") {
        let is_hex = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        return is_hex.then(|| i128::from_str_radix(digits, 16).unwrap_or(i128::MAX));
    }
    if let Some(digits) = text.strip_prefix("0o") {
        let is_octal = !digits.is_empty() && digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
        return is_octal.then(|| i128::from_str_radix(digits, 8).unwrap_or(i128::MAX));
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let most = if text.starts_with('-') { i128::MIN } else { i128::MAX };
    is_digits(digits).then(|| text.parse().unwrap_or(most))
}

fn is_float(text: &str) -> bool {
    let number = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(number, ".inf" | ".Inf" | ".INF") {
        return true;
    }
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (number, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let has_digits = (is_digits(whole) && (fraction.is_empty() || is_digits(fraction)))
        || (whole.is_empty() && is_digits(fraction));
    has_digits && exponent.is_none_or(is_digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn core_schema() {
        for text in [
            "yes",
            "on",
            "1_000",
            "1:30",
            "0b1",
            "+",
            "-",
            ".",
            "e5",
            "1e",
            "0x",
            "2026-11-22",
            "- 1",
            "1.2.3",
        ] {
            assert_eq!(resolve(text), Scalar::Text(text.to_owned()));
        }
        for text in ["1.", ".5", "-1e3", "+1.5E-3", ".inf", "-.INF", ".nan", "017.5"] {
            assert_eq!(resolve(text), Scalar::Float, "{text}");
        }
        for (text, number) in [("0", 0), ("-12", -12), ("+3", 3), ("017", 17), ("0x1f", 31), ("0o17", 15)] {
            assert_eq!(resolve(text), Scalar::Integer(number), "{text}");
        }
        assert_eq!(resolve(&"9".repeat(60)), Scalar::Integer(i128::MAX));
        assert_eq!(resolve(&format!("-{}", "9".repeat(60))), Scalar::Integer(i128::MIN));
        assert!(is_canonical_integer("10") && is_canonical_integer("-1") && is_canonical_integer("0"));
        assert!(!is_canonical_integer("010") && !is_canonical_integer("+1") && !is_canonical_integer("0x1"));
    }
}
