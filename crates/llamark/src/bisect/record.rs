//! `ARTIFACTS/bisect/NAME-DIGEST.json`: a search and how far it came. Another question is another file.

use std::num::NonZeroU32;

use camino::Utf8PathBuf;
use llamark_record::bisect::{BISECT_FORMAT, BisectRecord, Question};

use crate::context::{Context, shown};
use crate::exit::{Exit, Failed, OrFail as _, fail};
use crate::noise_file;

/// The file of a search, and what is in it.
pub(crate) struct RecordFile {
    /// Where it is.
    pub(crate) path: Utf8PathBuf,
    /// What it holds.
    pub(crate) record: BisectRecord,
}

impl RecordFile {
    /// That of a question: as it was left, or new. `again`: the next attempt at it, about which nothing is known.
    ///
    /// # Errors
    /// When it is there and does not read: it is never taken for an empty one.
    pub(crate) fn open(context: &Context, question: Question, again: bool) -> Result<Self, Failed> {
        let mut file = Self::as_left(context, question)?;
        if again {
            let record = &mut file.record;
            (record.steps, record.answer) = (Vec::new(), None);
            record.attempt = record.attempt.saturating_add(1);
            // Now, and not with the first step: also an attempt that ends before it is one.
            file.save()?;
        }
        Ok(file)
    }

    fn as_left(context: &Context, question: Question) -> Result<Self, Failed> {
        let digest = question.digest().or_fail(Exit::Internal)?;
        let name = format!("{}-{}.json", question.experiment, digest.short());
        let path = context.artifacts.join("bisect").join(name);
        if !path.is_file() {
            let format = BISECT_FORMAT.to_owned();
            let record =
                BisectRecord { format, question, attempt: NonZeroU32::MIN, steps: Vec::new(), answer: None };
            return Ok(Self { path, record });
        }
        let hint = "remove it to start a new search: what was measured is in its own sets, and is used again";
        let bytes = fs_err::read(&path).or_fail_hint(Exit::NotVerified, hint)?;
        let record: BisectRecord = match serde_json::from_slice(&bytes) {
            Ok(record) => record,
            Err(error) => {
                return fail(
                    Exit::NotVerified,
                    format!("{} is not the record of a search: {error}", shown(&path)),
                    hint,
                );
            }
        };
        if record.format != BISECT_FORMAT || record.question != question {
            return fail(Exit::NotVerified, format!("{} belongs to another search", shown(&path)), hint);
        }
        Ok(Self { path, record })
    }

    /// Writes it.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn save(&self) -> Result<(), Failed> {
        noise_file::keep(&self.path, &self.record)
    }
}
