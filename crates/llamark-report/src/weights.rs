//! What a model weighs and what one token reads of it: from the header of its file, else from what is claimed.

use crate::format::float;
use crate::summary::{Basis, ModelHeader, Weights};

/// Bits per weight that a quantization comes to. The mixes: as `llama-quantize` measured them on Llama 3.1 8B
/// (llama.cpp b11434, `tools/quantize/README.md`); single types: bytes of a block (`GGML_QUANT_SIZES`).
const NOMINAL_BITS: [(&str, f64); 34] = [
    ("F32", 32.0),
    ("F16", 16.0),
    ("BF16", 16.0),
    ("Q8_0", 8.5008),
    ("Q6_K", 6.5633),
    ("Q5_K_M", 5.7036),
    ("Q5_K_S", 5.5704),
    ("Q5_1", 6.0),
    ("Q5_0", 5.5),
    ("Q4_K_M", 4.8944),
    ("Q4_K_S", 4.6672),
    ("Q4_1", 5.0),
    ("Q4_0", 4.5),
    ("IQ4_NL", 4.6818),
    ("IQ4_XS", 4.4597),
    ("MXFP4", 4.25),
    ("MXFP4_MOE", 4.25),
    ("NVFP4", 4.5),
    ("Q3_K_L", 4.2979),
    ("Q3_K_M", 3.9960),
    ("Q3_K_S", 3.6429),
    ("IQ3_M", 3.7628),
    ("IQ3_S", 3.6606),
    ("IQ3_XS", 3.4977),
    ("IQ3_XXS", 3.2548),
    ("Q2_K", 3.1593),
    ("Q2_K_S", 2.9697),
    ("IQ2_M", 2.9294),
    ("IQ2_S", 2.7403),
    ("IQ2_XS", 2.5882),
    ("IQ2_XXS", 2.3824),
    ("IQ1_M", 2.1460),
    ("IQ1_S", 2.0042),
    ("TQ1_0", 1.69),
];

/// Fewest models whose sizes are compared with their quantizations before another unit than the stated one is
/// believed.
const FEWEST_FOR_UNIT: usize = 3;

/// What somebody claims of a model, read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Claim {
    /// Parameters.
    pub(crate) parameters: f64,
    /// Parameters used for one token; all of them where nothing else is claimed.
    pub(crate) active: f64,
    /// The number of the size, and its unit.
    pub(crate) size: f64,
    /// The unit as it is stated.
    pub(crate) unit: &'static str,
}

/// The bits per weight of a quantization by its name; `None` for a publisher's own mix.
pub(crate) fn nominal_bits(quant: &str) -> Option<f64> {
    let upper = quant.to_ascii_uppercase();
    NOMINAL_BITS.iter().find(|(name, _)| *name == upper).map(|(_, bits)| *bits)
}

/// The number of parameters in `30B`, `~4B`, `3.8B`, `135M`.
pub(crate) fn read_count(text: &str) -> Option<f64> {
    let (number, rest) = read_number(text)?;
    let scale = match rest {
        "K" => 1e3,
        "M" => 1e6,
        "B" => 1e9,
        "T" => 1e12,
        _ => return None,
    };
    Some(number * scale).filter(|count| *count > 0.0)
}

fn read_number(text: &str) -> Option<(f64, &str)> {
    let text = text.trim().trim_start_matches(['~', '≈']).trim_start();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, rest.trim()))
}

/// The claims of a model, where all that is needed is claimed and reads.
pub(crate) fn claim(parameters: &str, active: &str, size: &str) -> Option<Claim> {
    let parameters = read_count(parameters)?;
    let active = if active.is_empty() { parameters } else { read_count(active)? };
    let (size, unit) = read_number(size)?;
    let unit = UNITS.iter().find(|(name, ..)| *name == unit)?.0;
    (size > 0.0).then_some(Claim { parameters, active, size, unit })
}

/// Units of a size: name, bytes, and the one that it is mistaken for.
const UNITS: [(&str, f64, &str); 6] = [
    ("MB", 1e6, "MiB"),
    ("GB", 1e9, "GiB"),
    ("TB", 1e12, "TiB"),
    ("MiB", 1_048_576.0, "MB"),
    ("GiB", 1_073_741_824.0, "GB"),
    ("TiB", 1_099_511_627_776.0, "TB"),
];

/// Bytes of a unit, and the unit of the other kind.
pub(crate) fn unit(name: &str) -> (f64, &'static str) {
    UNITS.iter().find(|(known, ..)| *known == name).map_or((1.0, ""), |(_, bytes, other)| (*bytes, *other))
}

impl Claim {
    /// Bits per weight when the size is in this unit.
    pub(crate) fn bits(&self, in_unit: &str) -> f64 {
        self.size * unit(in_unit).0 * 8.0 / self.parameters
    }
}

/// How well the sizes of all models fit their quantizations, in the unit as stated and in the other one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct UnitReading {
    /// Models that can be judged.
    pub(crate) models: usize,
    /// Those whose size lies closer to its quantization in the stated unit.
    pub(crate) closer_as_stated: usize,
    /// Sum over the models of |ln(bits / nominal bits)|, in the stated unit and in the other.
    pub(crate) distance: (f64, f64),
}

impl UnitReading {
    /// Of the claims with the quantization of each.
    pub(crate) fn of<'a>(claims: impl Iterator<Item = (&'a Claim, &'a str)>) -> Self {
        let mut reading = Self::default();
        for (claim, quant) in claims {
            let Some(nominal) = nominal_bits(quant) else { continue };
            let distance = |unit: &str| (claim.bits(unit) / nominal).ln().abs();
            let (stated, other) = (distance(claim.unit), distance(unit(claim.unit).1));
            reading.models += 1;
            reading.closer_as_stated += usize::from(stated <= other);
            reading.distance = (reading.distance.0 + stated, reading.distance.1 + other);
        }
        reading
    }

    /// Whether the sizes are in the other unit than they say: most models fit better in it, and all together do.
    pub(crate) fn is_other(&self) -> bool {
        self.models >= FEWEST_FOR_UNIT
            && 2 * self.closer_as_stated < self.models
            && self.distance.1 < self.distance.0
    }
}

/// The weights of a model: of the header if there is one.
pub(crate) fn weights(
    header: Option<&ModelHeader>,
    file_bytes: Option<u64>,
    claim: Option<&Claim>,
    reading: &UnitReading,
) -> Option<Weights> {
    if let Some(header) = header.filter(|header| header.parameters > 0 && header.bytes_per_token > 0) {
        return Some(Weights {
            basis: Basis::Header,
            parameters: float(header.parameters),
            active_parameters: float(header.active_parameters),
            bytes: file_bytes.map_or(float(header.parameters) * header.bits_per_weight / 8.0, float),
            bytes_per_token: float(header.bytes_per_token),
            bits_per_weight: header.bits_per_weight,
            size_unit: String::new(),
        });
    }
    let claim = claim?;
    let size_unit = if reading.is_other() { unit(claim.unit).1 } else { claim.unit };
    let bytes = claim.size * unit(size_unit).0;
    Some(Weights {
        basis: Basis::Claims,
        parameters: claim.parameters,
        active_parameters: claim.active,
        bytes,
        bytes_per_token: bytes * claim.active / claim.parameters,
        bits_per_weight: crate::estimate::round(claim.bits(size_unit)),
        size_unit: size_unit.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_read_or_are_left_alone() {
        let read = claim("30B", "~3B", "~19 GiB").unwrap();
        assert_eq!((read.parameters, read.active, read.size, read.unit), (30e9, 3e9, 19.0, "GiB"));
        assert_eq!(claim("8B", "", "8 GB").unwrap().active, 8e9);
        for (parameters, active, size) in
            [("", "", "8 GB"), ("8B", "few", "8 GB"), ("8B", "", "8"), ("B", "", "8 GB"), ("8B", "", "0 GB")]
        {
            assert_eq!(claim(parameters, active, size), None, "{parameters} {active} {size}");
        }
    }

    #[test]
    fn sizes_that_fit_only_in_the_other_unit_are_in_it() {
        let seventy = claim("70B", "", "75 GiB").unwrap();
        let claims = [(&seventy, "Q8_0"); 3];
        assert!(UnitReading::of(claims.into_iter()).is_other());
        assert!(!UnitReading::of(claims.into_iter().take(2)).is_other(), "two models are too few to say");
        let right = claim("70B", "", "69.3 GiB").unwrap();
        assert!(!UnitReading::of([(&right, "Q8_0"); 3].into_iter()).is_other());
        assert_eq!(UnitReading::of([(&right, "UD-Q4_K_XL")].into_iter()).models, 0);
        let read = weights(None, None, Some(&seventy), &UnitReading::of(claims.into_iter())).unwrap();
        assert_eq!((read.size_unit.as_str(), read.bytes), ("GB", 75e9));
    }
}
