//! The table `gpu_metrics` of amdgpu: only what says whether clocks are held back, and only of layouts that are known.
//!
//! Layouts: `struct gpu_metrics_v*` in the kernel's `kgd_pp_interface.h`. The table begins with its own size (u16), its
//! format and its revision (u8 each), in the byte order of the machine.

use llamark_record::telemetry::Unit;

use crate::fault::Fault;

/// Where a table says it, and how.
struct Layout {
    format: u8,
    contents: std::ops::RangeInclusive<u8>,
    /// Smallest size: later revisions append.
    least: usize,
    field: Field,
}

enum Field {
    /// `indep_throttle_status`: a bit for each reason, the same for every chip.
    Bits(usize),
    /// `throttle_residency_*`: seven counters in a row.
    Residencies(usize),
}

const LAYOUTS: [Layout; 3] = [
    // Discrete GPUs of RDNA.
    Layout { format: 1, contents: 3..=3, least: 120, field: Field::Bits(112) },
    // APUs up to Phoenix.
    Layout { format: 2, contents: 2..=4, least: 128, field: Field::Bits(120) },
    // Strix Point and Strix Halo.
    Layout { format: 3, contents: 0..=0, least: 264, field: Field::Residencies(228) },
];

const RESIDENCIES: usize = 7;

/// What the table of this file counts in; a fault when its layout is not known.
pub(crate) fn unit(table: &[u8]) -> Result<Unit, Fault> {
    Ok(match layout(table)?.field {
        Field::Bits(_) => Unit::ThrottleBits,
        Field::Residencies(_) => Unit::ThrottleCount,
    })
}

/// The reasons for which clocks are held back, or the sum of the counters of the time that they were.
pub(crate) fn throttle(table: &[u8]) -> Result<i64, Fault> {
    let silent = Fault::Said("this chip does not say whether clocks are held back");
    match layout(table)?.field {
        Field::Bits(place) => {
            let bytes = table.get(place..place + 8).and_then(|bytes| bytes.try_into().ok());
            let bits = bytes.map(u64::from_ne_bytes).ok_or(Fault::Empty)?;
            // All ones: the driver fills what a chip does not have.
            i64::try_from(bits).map_err(|_| silent)
        }
        Field::Residencies(place) => {
            let counters = table.get(place..place + 4 * RESIDENCIES).ok_or(Fault::Empty)?;
            let counters = counters
                .chunks_exact(4)
                .filter_map(|bytes| bytes.try_into().ok())
                .map(u32::from_ne_bytes)
                .filter(|counter| *counter != u32::MAX);
            let (count, sum) =
                counters.fold((0_u32, 0_i64), |(count, sum), counter| (count + 1, sum + i64::from(counter)));
            if count == 0 { Err(silent) } else { Ok(sum) }
        }
    }
}

fn layout(table: &[u8]) -> Result<&'static Layout, Fault> {
    let [a, b, format, content, ..] = *table else { return Err(Fault::Empty) };
    let size = u16::from_ne_bytes([a, b]);
    let known = LAYOUTS
        .iter()
        .find(|layout| layout.format == format && layout.contents.contains(&content))
        .filter(|layout| {
            let exact = layout.format != 3 || usize::from(size) == layout.least;
            exact && usize::from(size) >= layout.least && table.len() >= usize::from(size)
        });
    known.ok_or(Fault::Format { size, format, content })
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A table of that layout with all bytes `fill`, but for its head.
    pub(crate) fn table(size: u16, format: u8, content: u8, fill: u8) -> Vec<u8> {
        let mut table = vec![fill; usize::from(size)];
        table[..2].copy_from_slice(&size.to_ne_bytes());
        table[2..4].copy_from_slice(&[format, content]);
        table
    }

    #[test]
    fn reasons_of_a_discrete_gpu_and_of_an_apu() {
        let mut dgpu = table(120, 1, 3, 0);
        assert_eq!((unit(&dgpu), throttle(&dgpu)), (Ok(Unit::ThrottleBits), Ok(0)));
        dgpu[112] = 1; // PPT0
        assert_eq!(throttle(&dgpu), Ok(1));
        let mut apu = table(152, 2, 3, 0);
        apu[124] = 2;
        assert_eq!(throttle(&apu), Ok(2 << 32));
        assert!(matches!(throttle(&table(120, 1, 3, 0xff)), Err(Fault::Said(_))));
    }

    #[test]
    fn residencies_of_strix_halo_are_summed() {
        let mut halo = table(264, 3, 0, 0);
        for (place, value) in [(228, 10_u32), (232, 20), (252, 5)] {
            halo[place..place + 4].copy_from_slice(&value.to_ne_bytes());
        }
        assert_eq!((unit(&halo), throttle(&halo)), (Ok(Unit::ThrottleCount), Ok(35)));
        assert!(matches!(throttle(&table(264, 3, 0, 0xff)), Err(Fault::Said(_))));
    }

    #[test]
    fn another_layout_is_not_guessed() {
        for unknown in [table(96, 1, 1, 0), table(264, 3, 1, 0), table(260, 3, 0, 0), table(200, 4, 0, 0)] {
            assert!(matches!(throttle(&unknown), Err(Fault::Format { .. })));
        }
        let cut = &table(264, 3, 0, 0)[..100];
        assert!(throttle(cut).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(table in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _either = (unit(&table), throttle(&table));
        }
    }
}
