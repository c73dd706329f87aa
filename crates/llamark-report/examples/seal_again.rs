//! Makes the derived files and the manifest of a measured set again, after a format of theirs has changed: for the
//! committed sets (`just reference-sets`). Plan, journal, environment, logs and telemetry stay byte for byte.
//!
//!     cargo run -p llamark-report --example seal_again -- SET...
#![expect(clippy::print_stdout, reason = "a tool of this project, not a part of it")]

use std::error::Error;

use camino::Utf8PathBuf;
use llamark_artifact::set::{CHECKSUMS, MANIFEST};
use llamark_artifact::{ArtifactSet, Store};

fn main() -> Result<(), Box<dyn Error>> {
    for path in std::env::args().skip(1).map(Utf8PathBuf::from) {
        let set = ArtifactSet::read(&path)?;
        let id = set.id.clone();
        let root = path.parent().and_then(|folder| folder.parent()).ok_or("a set lies in NAME/ID")?;
        for file in [MANIFEST, CHECKSUMS] {
            std::fs::remove_file(path.join(file))?;
        }
        let mut writer =
            Store::open(root).resume(&path, &set.resolved, &set.environment, env!("CARGO_PKG_VERSION"))?;
        writer.end()?;
        for (name, bytes) in llamark_report::derived_files(&writer.set()?)? {
            writer.put(&name, &bytes)?;
        }
        writer.seal(Vec::new())?;
        println!("sealed {id} again");
    }
    Ok(())
}
