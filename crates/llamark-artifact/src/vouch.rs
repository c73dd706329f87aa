//! What vouches for a sealed set: the bytes that are signed, and where a signature and a time stamp of them lie.
//!
//! Only `manifest.json` is signed: everything else hangs on the digests in it. A signature is made after the seal and
//! is not a part of what is sealed, so that a set without one is unsigned, and not broken.

use camino::Utf8Path;
use llamark_record::Sha256;

use crate::set::{MANIFEST, SIGNATURE, TIMESTAMP};
use crate::{ArtifactError, files, plain};

/// Most bytes of a signature or a time stamp that are read; both have a few hundred, with certificates some thousand.
const MAX_BYTES: u64 = 256 << 10;

/// The bytes of `manifest.json`.
///
/// # Errors
/// When the set is not sealed, or the file cannot be read.
pub fn manifest(set: &Utf8Path) -> Result<Vec<u8>, ArtifactError> {
    plain::read(&set.join(MANIFEST), plain::MAX_JSON)
}

/// The digest by which a sealed set is known: that of its manifest.
///
/// # Errors
/// As [`manifest`].
pub fn digest(set: &Utf8Path) -> Result<Sha256, ArtifactError> {
    Ok(Sha256::of_bytes(&manifest(set)?))
}

/// The signature of the manifest, if there is one.
///
/// # Errors
/// When it is not a plain file, or has more bytes than any signature.
pub fn signature(set: &Utf8Path) -> Result<Option<Vec<u8>>, ArtifactError> {
    optional(&set.join(SIGNATURE))
}

/// The time stamp of the manifest, if there is one.
///
/// # Errors
/// As [`signature`].
pub fn timestamp(set: &Utf8Path) -> Result<Option<Vec<u8>>, ArtifactError> {
    optional(&set.join(TIMESTAMP))
}

fn optional(path: &Utf8Path) -> Result<Option<Vec<u8>>, ArtifactError> {
    if path.symlink_metadata().is_err() {
        return Ok(None);
    }
    plain::read(path, MAX_BYTES).map(Some)
}

/// Puts a signature into a sealed set: all of it or nothing. An older one is replaced.
///
/// # Errors
/// When the set is not sealed, or the disk refuses.
pub fn put_signature(set: &Utf8Path, bytes: &[u8]) -> Result<(), ArtifactError> {
    drop(plain::open(&set.join(MANIFEST))?);
    Ok(files::write_atomic(&set.join(SIGNATURE), bytes)?)
}
