//! llama-perplexity's flags: the same settings as a server's, for one text.
//!
//! It shares llama-server's parser of arguments, so that what pins a server pins it too. Its `--ctx-size` is that of one chunk:
//! it makes as many sequences as fit into a batch, each with a context of its own.

use camino::Utf8Path;

use super::{Launch, LaunchRequest, Line, Unsupported, environment, model_settings};
use crate::probe::ServerHelp;

/// What llama-perplexity is to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerplexityTest<'a> {
    /// Tokens of a chunk.
    pub context: u32,
    /// Most chunks.
    pub chunks: u32,
    /// The file of the text.
    pub text: &'a Utf8Path,
}

/// The command line and the environment that give llama-perplexity these settings and this text.
///
/// # Errors
/// When this binary cannot be given one of them.
pub fn translate_perplexity(
    help: &ServerHelp,
    request: &LaunchRequest<'_>,
    test: &PerplexityTest<'_>,
) -> Result<Launch, Unsupported> {
    let args = arguments(help, request, test)?;
    Ok(Launch { args, environment: environment(request, |name| std::env::var(name).ok())? })
}

fn arguments(
    help: &ServerHelp,
    request: &LaunchRequest<'_>,
    test: &PerplexityTest<'_>,
) -> Result<Vec<String>, Unsupported> {
    let mut line = Line { help, args: Vec::new() };
    line.must("--model", "model", &request.model)?;
    line.must("--file", "perplexity", &test.text)?;
    line.must("--ctx-size", "context", &test.context)?;
    line.must("--chunks", "chunks", &test.chunks)?;
    model_settings(&mut line, request)?;
    // As the usual perplexity is: each chunk by itself, the second half of it predicted.
    line.pin(&["--ppl-stride"], Some("0"));
    line.pin(&["--ppl-output-type"], Some("0"));
    // The text is taken as it is.
    line.pin(&["--no-escape"], None);
    line.pin(&["--no-kv-unified"], None);
    line.pin(&["--fit"], Some("off"));
    line.pin(&["--no-context-shift"], None);
    line.pin(&["--no-warmup"], None);
    line.pin(&["--offline"], None);
    if let Some(level) = help.trace_verbosity {
        line.pin(&["--verbosity", "--log-verbosity"], Some(&level.to_string()));
    }
    Ok(line.args)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use llamark_record::plan::{CacheType, GpuLayers, ServerSettings};

    use super::*;
    use crate::probe::parse_help;

    const B11434: &str = include_str!("../../../llamark-fake-server/src/help-perplexity-b11434.txt");

    const Y2025: &str = include_str!("../../../llamark-fake-server/src/help-perplexity-2025.txt");

    fn settings() -> ServerSettings {
        ServerSettings {
            gpu_layers: GpuLayers::All,
            flash_attn: true,
            cache_type_k: CacheType::F16,
            cache_type_v: CacheType::Q8_0,
            mmap: true,
            mlock: false,
            threads: 4,
            threads_batch: 8,
            batch: 1024,
            ubatch: 256,
        }
    }

    fn line(help: &str, device: &str) -> Result<String, String> {
        let request = LaunchRequest {
            settings: &settings(),
            is_cpu_build: false,
            is_on_processor: device == "none",
            device,
            backend_environment: &BTreeMap::new(),
            model: Utf8Path::new("m.gguf"),
            context: 8192,
            slots: 1,
            alias: "",
            scratch: Utf8Path::new("/s"),
        };
        let test = PerplexityTest { context: 512, chunks: 16, text: Utf8Path::new("/s/text.txt") };
        let launch = translate_perplexity(&parse_help(help, ""), &request, &test);
        launch.map(|launch| launch.args.join(" ")).map_err(|error| error.to_string())
    }

    #[test]
    fn every_setting_of_the_backend_is_said() {
        insta::assert_snapshot!(
            line(B11434, "Vulkan1").unwrap(),
            @"--model m.gguf --file /s/text.txt --ctx-size 512 --chunks 16 --threads 4 --threads-batch 8 --batch-size 1024 --ubatch-size 256 --device Vulkan1 --n-gpu-layers all --flash-attn on --cache-type-k f16 --cache-type-v q8_0 --load-mode mmap --ppl-stride 0 --ppl-output-type 0 --no-escape --no-kv-unified --fit off --no-context-shift --no-warmup --offline --verbosity 4"
        );
        let processor = line(B11434, "none").unwrap();
        assert!(processor.contains("--device none --n-gpu-layers 0"), "{processor}");
    }

    #[test]
    fn a_llama_cpp_of_2025_is_asked_in_its_own_words() {
        insta::assert_snapshot!(
            line(Y2025, "Vulkan1").unwrap(),
            @"--model m.gguf --file /s/text.txt --ctx-size 512 --chunks 16 --threads 4 --threads-batch 8 --batch-size 1024 --ubatch-size 256 --device Vulkan1 --n-gpu-layers 999 --flash-attn --cache-type-k f16 --cache-type-v q8_0 --ppl-stride 0 --ppl-output-type 0 --no-escape --no-context-shift --offline"
        );
    }

    #[test]
    fn what_it_cannot_be_given_is_refused() {
        let without = |flag: &str| line(&B11434.replace(flag, "--other"), "Vulkan1").unwrap_err();
        assert!(without("--chunks").contains("it has no `--chunks`"));
        assert!(without("--device").contains("cannot be given `device: Vulkan1`"));
        assert!(without("--cache-type-v ").contains("cannot be given `cache_type_v: q8_0`"));
    }
}
