//! Models of several files: `NAME-00001-of-00003.gguf`, as llama.cpp names and loads them.

use camino::{Utf8Path, Utf8PathBuf};

use crate::error::FetchError;

/// What the name of a shard says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShardName {
    /// Before the numbers, with its folder if there was one.
    stem: String,
    /// Which, from 1.
    pub index: u32,
    /// Of how many.
    pub count: u32,
}

impl ShardName {
    /// Reads `NAME-NNNNN-of-NNNNN.gguf`; nothing when it is a model of one file.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (rest, count) = name.strip_suffix(".gguf")?.rsplit_once("-of-")?;
        let (stem, index) = rest.rsplit_once('-')?;
        let number = |text: &str| {
            let is_number = text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| text.parse::<u32>().ok()).flatten()
        };
        let (index, count) = (number(index)?, number(count)?);
        (index >= 1 && index <= count).then(|| Self { stem: stem.to_owned(), index, count })
    }

    /// The name of shard `index`.
    pub(crate) fn name(&self, index: u32) -> String {
        format!("{}-{index:05}-of-{:05}.gguf", self.stem, self.count)
    }

    /// The names of all shards, in order; an error when this is not the first.
    fn all(&self) -> Result<Vec<String>, FetchError> {
        if self.index != 1 {
            return Err(FetchError::NotFirstShard { file: self.name(self.index), first: self.name(1) });
        }
        Ok((1..=self.count).map(|index| self.name(index)).collect())
    }
}

/// The names of every file of the model whose first (or only) file has this name, in order.
///
/// # Errors
/// When it is the name of a later shard.
pub(crate) fn every_name(first: &str) -> Result<Vec<String>, FetchError> {
    ShardName::parse(first).map_or_else(|| Ok(vec![first.to_owned()]), |shard| shard.all())
}

/// Every file of the model whose first (or only) file is `path`, in order.
///
/// # Errors
/// When a shard is not there, or `path` is a later one.
pub fn shards(path: &Utf8Path) -> Result<Vec<Utf8PathBuf>, FetchError> {
    let Some(shard) = path.file_name().and_then(ShardName::parse) else { return Ok(vec![path.to_owned()]) };
    let paths: Vec<_> = shard.all()?.into_iter().map(|name| path.with_file_name(name)).collect();
    let missing: Vec<String> = paths
        .iter()
        .filter(|path| !path.is_file())
        .filter_map(|path| path.file_name().map(str::to_owned))
        .collect();
    if missing.is_empty() {
        Ok(paths)
    } else {
        Err(FetchError::MissingShards { path: path.to_owned(), count: shard.count, missing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{folder, put};

    #[test]
    fn names() {
        let shard = ShardName::parse("a/Model-Q4-00001-of-00003.gguf").unwrap();
        assert_eq!((shard.stem.as_str(), shard.index, shard.count), ("a/Model-Q4", 1, 3));
        assert_eq!(shard.all().unwrap()[2], "a/Model-Q4-00003-of-00003.gguf");
        for plain in [
            "m.gguf",
            "m-1-of-3.gguf",
            "m-00000-of-00003.gguf",
            "m-00004-of-00003.gguf",
            "m-00001-of-00003.bin",
            "m-0000a-of-00003.gguf",
            "-of-.gguf",
            "é-of-.gguf",
        ] {
            assert_eq!(ShardName::parse(plain), None, "{plain}");
        }
        let later = ShardName::parse("m-00002-of-00003.gguf").unwrap().all().unwrap_err();
        assert!(later.to_string().contains("`m-00001-of-00003.gguf`"), "{later}");
    }

    #[test]
    fn a_missing_shard_is_named() {
        let (_keep, path) = folder();
        let first = path.join("m-00001-of-00003.gguf");
        for index in [1, 3] {
            put(&path.join(format!("m-{index:05}-of-00003.gguf")), b"x");
        }
        let error = shards(&first).unwrap_err();
        assert!(error.to_string().ends_with("missing: m-00002-of-00003.gguf"), "{error}");
        put(&path.join("m-00002-of-00003.gguf"), b"x");
        assert_eq!(shards(&first).unwrap().len(), 3);
        assert_eq!(shards(&path.join("one.gguf")).unwrap(), [path.join("one.gguf")]);
    }
}
