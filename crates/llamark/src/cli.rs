//! The command line: verbs, options, and the text of `--help`. No behaviour.

use camino::Utf8PathBuf;
use clap::{Args, Parser, Subcommand, ValueEnum};
use llamark_record::metric::Metric;

/// Benchmarks of llama.cpp that a stranger can check, repeat and compare.
///
/// One YAML file (an experiment) becomes builds of llama.cpp, measured runs, a sealed set of hashed artifacts,
/// and a report. Human output goes to standard error, data to standard output.
#[derive(Debug, Parser)]
#[command(name = "llamark", version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Options of every verb.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Folder for the artifact sets
    #[arg(long, global = true, value_name = "DIR", env = "LLAMARK_ARTIFACTS", default_value = "artifacts", value_parser = folder)]
    pub(crate) artifacts: Utf8PathBuf,
    /// Folder for downloads, builds and tools; you can delete it at any time [default: the user's cache folder]
    #[arg(long, global = true, value_name = "DIR", env = "LLAMARK_CACHE", value_parser = folder)]
    pub(crate) cache: Option<Utf8PathBuf>,
    /// Folder in which model files are looked up by name
    #[arg(long, global = true, value_name = "DIR", env = "LLAMARK_MODELS", value_parser = folder)]
    pub(crate) models: Option<Utf8PathBuf>,
    /// When to use color
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
    /// Print more: each file, each command
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
    /// Print only what went wrong
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

/// A folder. `--cache "$UNSET"` is a mistake: it must not fall back to another folder.
fn folder(text: &str) -> Result<Utf8PathBuf, &'static str> {
    if text.is_empty() {
        return Err("it is empty; name a folder, or unset the variable");
    }
    Ok(Utf8PathBuf::from(text))
}

/// When to use color.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Check experiments and print every problem; touches nothing
    Validate(Validate),
    /// Print what `run` would do: builds, models, cases, starts, runs, expected time
    Plan(PlanArgs),
    /// Pin what an experiment leaves open: write the digests of its inputs to NAME.lock.yaml next to it
    Lock(LockArgs),
    /// Compile llama.cpp for every backend of an experiment
    Build(Build),
    /// Run an experiment: fetch, build, measure, record, report; resumes what was interrupted
    Run(Run),
    /// Write the report of an artifact set again, or its numbers in another format
    Report(Report),
    /// Measure an experiment against itself, to learn the noise of this machine; `diff` uses it
    Calibrate(Calibrate),
    /// Compare two artifact sets: a verdict per case and metric, and what changed around it
    Diff(Diff),
    /// Find the first revision of llama.cpp that made a case worse, in a git history or a list of engines
    Bisect(Bisect),
    /// Import a third-party document as an artifact set, listing what it leaves out
    Import(Import),
    /// Export an artifact set in a format that other programs read
    Export(Export),
    /// Check an artifact set: files, journal, every derived number, and who signed it
    Verify(Verify),
    /// Sign an artifact set with an SSH key
    Sign(Sign),
    /// Print the facts of a GGUF file
    Inspect(Inspect),
    /// Show what this machine can build and run, and how to get what is missing
    Doctor(Doctor),
    /// List artifact sets, and how large they are
    List(List),
    /// List cache entries that no artifact set uses; `--delete` removes them. Sets are never touched
    Gc(Gc),
    /// Print the JSON Schema of an experiment or of a record
    Schema(Schema),
    /// Print the completion script for a shell
    Completions(Completions),
}

#[derive(Debug, Args)]
pub(crate) struct Validate {
    /// Experiments (YAML)
    #[arg(required = true, value_name = "SPEC")]
    pub(crate) specs: Vec<Utf8PathBuf>,
    /// Print the problems as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which cases of an experiment.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Selection {
    /// Only cases whose id contains TEXT; may be given several times
    #[arg(id = "selected_cases", long = "case", value_name = "TEXT")]
    pub(crate) cases: Vec<String>,
    /// Only this backend; may be given several times
    #[arg(id = "selected_backends", long = "backend", value_name = "NAME")]
    pub(crate) backends: Vec<String>,
    /// Only models whose id contains TEXT; may be given several times
    // Its own id: `--models` is another option.
    #[arg(id = "selected_models", long = "model", value_name = "TEXT")]
    pub(crate) models: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// The experiment (YAML)
    #[arg(value_name = "SPEC")]
    pub(crate) spec: Utf8PathBuf,
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Print the plan as JSON (schema: `llamark schema plan`)
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LockArgs {
    /// The experiment (YAML)
    #[arg(value_name = "SPEC")]
    pub(crate) spec: Utf8PathBuf,
    /// Write nothing and fetch nothing; exit with 2 if the lock file does not fit the experiment
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Build {
    /// The experiment (YAML)
    #[arg(value_name = "SPEC")]
    pub(crate) spec: Utf8PathBuf,
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Print the build records as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The experiment (YAML); or a set (its folder or its manifest.json), to measure it again and compare
    #[arg(value_name = "SPEC")]
    pub(crate) spec: Utf8PathBuf,
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Refuse to run unless every input is pinned, in the experiment or in its lock file
    #[arg(long)]
    pub(crate) locked: bool,
    /// Print the plan and stop
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Measure again even if this machine has a finished set of exactly this plan
    #[arg(long)]
    pub(crate) again: bool,
    /// Run what can run even if the machine is not the one that the experiment expects
    #[arg(long)]
    pub(crate) allow_other_hardware: bool,
    /// When a model is missing or a build fails, skip its cases (with the reason) and run the rest
    #[arg(long)]
    pub(crate) keep_going: bool,
    /// Sign the set with this SSH key when it is done, as `llamark sign` does
    #[arg(long, value_name = "KEY")]
    pub(crate) sign: Option<Utf8PathBuf>,
    #[command(flatten)]
    pub(crate) trust: Trust,
}

/// Formats of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// Markdown, from the templates
    Md,
    /// Every derived number, as JSON
    Json,
    /// One line per run, as CSV
    Csv,
    /// One row per run, as Parquet
    Parquet,
}

#[derive(Debug, Args)]
pub(crate) struct Report {
    /// The set: its folder, its id, or the name of its experiment (its newest) [default: the newest of all]
    #[arg(value_name = "SET")]
    pub(crate) set: Option<String>,
    /// Formats, separated by commas
    #[arg(long, value_name = "FORMAT", value_delimiter = ',', default_value = "md")]
    pub(crate) format: Vec<ReportFormat>,
    /// Layouts of the Markdown page, separated by commas: `default`, `classic`, or a folder with templates that
    /// replace the built-in ones of the same name
    #[arg(long, value_name = "NAME|DIR", value_delimiter = ',', default_value = "default")]
    pub(crate) template: Vec<String>,
    /// Folder to write to [default: standard output, if a single text is asked for]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<Utf8PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Calibrate {
    /// The experiment (YAML), or the manifest.json of a set
    #[arg(value_name = "SPEC")]
    pub(crate) spec: Utf8PathBuf,
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Measure again, even if the last calibration of exactly this plan taught nothing
    #[arg(long)]
    pub(crate) again: bool,
    /// Pairs of starts per case. Pairs that met two machines are replaced, up to three times as many
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(3..=1000))]
    pub(crate) starts: u32,
    /// Run what can run even if the machine is not the one that the experiment expects
    #[arg(long)]
    pub(crate) allow_other_hardware: bool,
    /// Print what was found as JSON, as in the noise file
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `--confirm` measures again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Confirm {
    /// What looks or is worse
    Worse,
    /// That, and what is inconclusive: for a shared machine
    Undecided,
}

/// Formats of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DiffFormat {
    /// A table for the terminal
    Term,
    /// Markdown, for a comment on a pull request
    Md,
    /// JSON (schema: `llamark schema comparison`)
    Json,
    /// JUnit XML, for CI
    Junit,
    /// An in-toto statement of the test result, for policies
    InToto,
    /// A forest plot of changes and intervals, as SVG
    Svg,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The baseline: folder or id of a set, or the name of an experiment (its newest)
    #[arg(value_name = "BASE")]
    pub(crate) base: String,
    /// The candidate, likewise [default: compare the two variants within BASE (`ab:` in its experiment)]
    #[arg(value_name = "CANDIDATE")]
    pub(crate) candidate: Option<String>,
    /// Formats, separated by commas
    #[arg(long, value_name = "FORMAT", value_delimiter = ',', default_value = "term")]
    pub(crate) format: Vec<DiffFormat>,
    /// Folder to write to [default: standard output, if a single format is asked for]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<Utf8PathBuf>,
    /// Also write the forest plot (SVG) to FILE
    #[arg(long, value_name = "FILE")]
    pub(crate) plot: Option<Utf8PathBuf>,
    /// Show how each verdict came to be, and what differs around each case
    #[arg(long)]
    pub(crate) explain: bool,
    /// Also show what is equivalent, instead of a count; same as `-v`
    #[arg(long)]
    pub(crate) all: bool,
    /// Call a change by the size of its estimate: more power, more false calls
    #[arg(long)]
    pub(crate) sensitive: bool,
    /// Margin of every gating metric, in percent, instead of those of the baseline
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub(crate) threshold: Option<f64>,
    /// Compare even though FIELD differs, because that is what you want to compare: a kind (model, prompt, shape,
    /// hardware, ...) or a field as the output names it; may be given several times
    #[arg(long, value_name = "FIELD")]
    pub(crate) across: Vec<String>,
    /// File of accepted regressions (YAML or JSON; schema: `llamark schema accepted`): shown, but no failure
    #[arg(long, value_name = "FILE")]
    pub(crate) accept: Option<Utf8PathBuf>,
    /// Measure again on this machine, in fresh, interleaved starts of both sides, which alone decide. At most one such
    /// round
    #[arg(long, value_name = "WHAT", conflicts_with = "sensitive",
        num_args = 0..=1, require_equals = true, default_missing_value = "worse")]
    pub(crate) confirm: Option<Confirm>,
    /// Pairs of starts per case with `--confirm`. Pairs that met two machines are replaced, up to three times as many
    #[arg(long, value_name = "N", default_value_t = 5, requires = "confirm",
        value_parser = clap::value_parser!(u32).range(3..=1000))]
    pub(crate) starts: u32,
    /// Noise file of the machine, from `calibrate` [default: the one under the artifacts for the machine of both sets,
    /// if there is one]
    #[arg(long, value_name = "FILE")]
    pub(crate) noise: Option<Utf8PathBuf>,
    /// Do not use a noise file
    #[arg(long, conflicts_with = "noise")]
    pub(crate) no_noise: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Bisect {
    /// The experiment (YAML) that has the case
    #[arg(value_name = "SPEC")]
    pub(crate) spec: Utf8PathBuf,
    /// The older end, which is good: commit, tag or branch of the experiment's git repository
    #[arg(long, value_name = "REV", requires = "bad", required_unless_present = "engines")]
    pub(crate) good: Option<String>,
    /// The newer end, which is worse
    #[arg(long, value_name = "REV", requires = "good")]
    pub(crate) bad: Option<String>,
    /// Engines instead of revisions, the first good, the last bad (YAML; schema: `llamark schema engines`)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["good", "bad"])]
    pub(crate) engines: Option<Utf8PathBuf>,
    /// Id of the case, or a part of it that no other case has; not needed if there is only one
    #[arg(long, value_name = "ID")]
    pub(crate) case: Option<String>,
    /// The metric that became worse
    #[arg(long, value_name = "NAME", default_value = "tg", value_parser = metric)]
    pub(crate) metric: Metric,
    /// Smallest slowdown between the two ends worth searching for, in percent [default: the minimum of `diff`; 1 for
    /// tg]
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub(crate) minimum: Option<f64>,
    /// Probability that the answer is wrong, in percent
    #[arg(long, value_name = "PERCENT", default_value = "5", value_parser = risk)]
    pub(crate) error: f64,
    /// Maximum pairs of starts per revision; a revision still undecided after that is skipped
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(3..=1000))]
    pub(crate) starts: u32,
    /// Do not try this revision (a label of the list, or the beginning of a commit); may be given several times
    #[arg(long, value_name = "REV")]
    pub(crate) skip: Vec<String>,
    /// Start a new search and measure everything again: what earlier calls found does not count
    #[arg(long)]
    pub(crate) again: bool,
    /// Run even if the machine is not the one that the experiment expects
    #[arg(long)]
    pub(crate) allow_other_hardware: bool,
    /// Print the steps and the answer as JSON (schema: `llamark schema bisect`)
    #[arg(long)]
    pub(crate) json: bool,
}

/// A metric by its name.
fn metric(text: &str) -> Result<Metric, String> {
    let names: Vec<&str> = Metric::ALL.iter().map(|metric| metric.name()).collect();
    let found = Metric::ALL.into_iter().find(|metric| metric.name() == text);
    found.ok_or_else(|| format!("the metrics are {}", names.join(", ")))
}

/// A share in percent: above 0 and below 100, with or without the sign.
fn percent(text: &str) -> Result<f64, String> {
    percent_below(100.0, text)
}

/// A probability of error in percent: of half, no interval tells anything, and all would be measured in vain.
fn risk(text: &str) -> Result<f64, String> {
    percent_below(50.0, text)
}

fn percent_below(limit: f64, text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim().parse::<f64>().ok();
    let share = number.filter(|number| *number > 0.0 && *number < limit);
    share.ok_or_else(|| format!("expected a number above 0 and below {limit}, as in `5` or `2.5%`"))
}

/// Kinds of document that can be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImportKind {
    /// A published report in Markdown
    Report,
    /// Output of llama-bench: JSON Lines (`-o jsonl`) or JSON (`-o json`)
    LlamaBench,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// What kind of document
    #[arg(value_name = "KIND")]
    pub(crate) kind: ImportKind,
    /// The document
    #[arg(value_name = "FILE")]
    pub(crate) file: Utf8PathBuf,
    /// Name of the set: its folder under the artifacts [default: from the file name]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Title, instead of the document's own
    #[arg(long, value_name = "TEXT")]
    pub(crate) title: Option<String>,
    /// Memory bandwidth of the machine, as in `256 GB/s`, for the roofline; the document does not state it
    #[arg(long, value_name = "RATE")]
    pub(crate) memory_bandwidth: Option<String>,
    /// Import again even if there is a finished set of exactly this document
    #[arg(long)]
    pub(crate) again: bool,
}

/// Formats that other programs read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportKind {
    /// An RO-Crate (Process Run Crate 0.5), for Zenodo, WorkflowHub and the like
    RoCrate,
    /// Rows of llama-bench (JSON Lines), for its own comparison script and anything else that reads them
    LlamaBench,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Which format
    #[arg(value_name = "KIND")]
    pub(crate) kind: ExportKind,
    /// The set: its folder, its id, or the name of an experiment (its newest) [default: the newest of all]
    #[arg(value_name = "SET")]
    pub(crate) set: Option<String>,
    /// Folder for the crate, with every file of the set; or file for the rows [default: only the description, or the
    /// rows, to standard output]
    #[arg(long, value_name = "PATH")]
    pub(crate) out: Option<Utf8PathBuf>,
    /// Value of `build_commit` in every row, by which scripts tell sets apart [default: the commit of the engine]
    #[arg(long, value_name = "TEXT")]
    pub(crate) build_commit: Option<String>,
    /// URL of the licence under which you publish a crate
    #[arg(long, value_name = "URL")]
    pub(crate) license: Option<String>,
}

/// Whose signatures count.
#[derive(Clone, Debug, Args)]
pub(crate) struct Trust {
    /// Who may sign (an allowed-signers file of OpenSSH): a set that none of them signed is refused
    /// [default: ~/.config/llamark/allowed_signers, if it exists]
    #[arg(long, value_name = "FILE", env = "LLAMARK_ALLOWED_SIGNERS")]
    pub(crate) allowed_signers: Option<Utf8PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Sign {
    /// The set: its folder, its id, or the name of an experiment (its newest) [default: the newest of all]
    #[arg(value_name = "SET")]
    pub(crate) set: Option<String>,
    /// The key: an SSH private key, or the public half of one that your agent holds
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Utf8PathBuf,
    /// Replace an existing signature
    #[arg(long)]
    pub(crate) replace: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The set: its folder, its id, or the name of an experiment (its newest) [default: the newest of all]
    #[arg(value_name = "SET")]
    pub(crate) set: Option<String>,
    /// 0: files and digests; 1: also the journal; 2: also every derived number and the report, rebuilt; 3: also a
    /// signature by somebody you trust; 4: also the time, by a third party [default: 2; 3 if a file says whom you
    /// trust]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=4))]
    pub(crate) level: Option<u8>,
    #[command(flatten)]
    pub(crate) trust: Trust,
    /// Certificates (PEM) of the time-stamp authorities to accept (RFC 3161): manifest.json.tsr is checked against them
    #[arg(long, value_name = "FILE")]
    pub(crate) time_authority: Option<Utf8PathBuf>,
    /// Print what was checked as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// A GGUF file; for a model with several shards, the first
    #[arg(value_name = "MODEL")]
    pub(crate) model: Utf8PathBuf,
    /// Print the facts as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Print the facts and findings as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only sets of this experiment
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Print as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Gc {
    /// Remove them: downloads, source trees, builds and models that no set under `--artifacts` uses. Whatever is
    /// needed again is fetched or compiled again
    #[arg(long)]
    pub(crate) delete: bool,
    /// Print every entry of the cache as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What a schema can be printed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaOf {
    /// The experiment (YAML)
    Experiment,
    /// The lock file next to an experiment
    Lock,
    /// `llamark plan --json`
    Plan,
    /// `plan.json` of a set: the plan with the digests of its inputs
    ResolvedPlan,
    /// A line of `journal.jsonl`
    Journal,
    /// `manifest.json`
    Manifest,
    /// `environment.json`
    Environment,
    /// `llamark diff --format json`
    Comparison,
    /// What `llamark calibrate` writes: `artifacts/noise/HOST.json`
    Noise,
    /// The file of `llamark diff --accept`
    Accepted,
    /// The file of `llamark bisect --engines`
    Engines,
    /// What `llamark bisect` writes: `artifacts/bisect/NAME-DIGEST.json`
    Bisect,
}

#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// What to print the schema of
    #[arg(value_name = "WHAT", default_value = "experiment")]
    pub(crate) what: SchemaOf,
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: clap_complete::Shell,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn model_and_models_are_two_options() {
        let cli = Cli::try_parse_from([
            "llamark", "run", "a.yaml", "--models", "m", "--model", "x", "--model", "y",
        ]);
        let Ok(Cli { global, verb: Verb::Run(run) }) = cli else { panic!("a run") };
        assert_eq!(global.models.as_deref(), Some("m".into()));
        assert_eq!(run.selection.models, ["x", "y"]);
    }
}
