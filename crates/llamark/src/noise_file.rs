//! `ARTIFACTS/noise/HOST.json`: what calibrations of a machine found.

use camino::{Utf8Path, Utf8PathBuf};
use llamark_artifact::files;
use llamark_record::Sha256;
use llamark_record::noise::{Calibration, NOISE_FORMAT, NoiseFile};
use serde::Serialize;

use crate::context::{Context, shown};
use crate::exit::{Exit, Failed, OrFail as _, fail};

/// Where that of a machine is, whether it is there or not.
pub(crate) fn path(context: &Context, host: &Sha256) -> Utf8PathBuf {
    let name = host.as_str().get(..16).unwrap_or_default();
    context.artifacts.join("noise").join(format!("{name}.json"))
}

/// Reads one.
///
/// # Errors
/// When it is not there, or is none of this version.
pub(crate) fn read(path: &Utf8Path) -> Result<NoiseFile, Failed> {
    let hint = "`llamark calibrate SPEC` writes one; `--no-noise` goes without";
    let bytes = fs_err::read(path).or_fail_hint(Exit::BadInput, hint)?;
    let file: NoiseFile = match serde_json::from_slice(&bytes) {
        Ok(file) => file,
        Err(error) => {
            return fail(Exit::BadInput, format!("{} is not a noise file: {error}", shown(path)), hint);
        }
    };
    if file.format != NOISE_FORMAT {
        let message = format!("{} has the format `{}`, not `{NOISE_FORMAT}`", shown(path), file.format);
        return fail(Exit::BadInput, message, hint);
    }
    Ok(file)
}

/// That of a machine, if it is there.
///
/// # Errors
/// When it is there and does not read.
pub(crate) fn of_host(context: &Context, host: &Sha256) -> Result<Option<NoiseFile>, Failed> {
    let path = path(context, host);
    if path.is_file() { read(&path).map(Some) } else { Ok(None) }
}

/// Adds a calibration, or puts it in the place of the same one.
///
/// # Errors
/// When the file does not read, or the disk refuses.
pub(crate) fn add(context: &Context, host: &Sha256, found: Calibration) -> Result<Utf8PathBuf, Failed> {
    let empty =
        || NoiseFile { format: NOISE_FORMAT.to_owned(), host: host.clone(), calibrations: Vec::new() };
    let mut file = of_host(context, host)?.unwrap_or_else(empty);
    file.calibrations.retain(|calibration| calibration.sets != found.sets);
    file.calibrations.push(found);
    let path = path(context, host);
    keep(&path, &file)?;
    Ok(path)
}

/// Writes what was learned of sets that are sealed and stay: that it cannot be kept is no bad input, after hours of measuring.
///
/// # Errors
/// When the disk refuses.
pub(crate) fn keep<T: Serialize>(path: &Utf8Path, learned: &T) -> Result<(), Failed> {
    let mut bytes = serde_json::to_vec_pretty(learned).or_fail(Exit::Internal)?;
    bytes.push(b'\n');
    let folder = path.parent().map_or(Ok(()), files::create_dir_all);
    folder.and_then(|()| files::write_atomic(path, &bytes)).or_fail_hint(
        Exit::NotVerified,
        "what was measured is kept in its sets; once this can be written, the same command goes on from there",
    )
}
