# Thin recipes over the commands that CI runs. `just` lists them.

set positional-arguments := true

llamark := "cargo run --quiet --"

# List the recipes
default:
    @just --list --unsorted

# Run an experiment: fetch, build, measure, record, report
run SPEC='experiments/quickstart.yaml' *ARGS:
    {{llamark}} run "$@"

# Write the report of a set (default: the newest) into the folder reports/, in both layouts
report *ARGS:
    {{llamark}} report --template default,classic --out reports "$@"

# Compare two artifact sets, or the two sides of one
diff BASE *ARGS:
    {{llamark}} diff "$@"

# Check an artifact set (default: the newest)
verify *ARGS:
    {{llamark}} verify "$@"

# Print what `run` would do
plan SPEC='experiments/quickstart.yaml' *ARGS:
    {{llamark}} plan "$@"

# Check experiments
validate *SPECS='experiments/quickstart.yaml':
    {{llamark}} validate "$@"

# Say what this machine can build and run
doctor:
    {{llamark}} doctor

# Run all tests, or those of one crate: `just test -p llamark-spec`
test *ARGS='--workspace':
    cargo test "$@"

# Format, lint, tests of the tree: what CI runs before it measures
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# Write schema/*.json again from the Rust types
schema:
    LLAMARK_UPDATE_SCHEMA=1 cargo test --quiet -p llamark-spec schema

# Make the committed sets again (when a template or a format has changed)
reference-sets:
    rm -rf artifacts/strix-halo/20260701T000000Z-*
    SOURCE_DATE_EPOCH=1782864000 {{llamark}} import report experiments/published/strix-halo-report.md --name strix-halo --memory-bandwidth '256 GB/s' --again
    cargo build --quiet --workspace --examples
    "${CARGO_TARGET_DIR:-target}"/debug/examples/seal_again artifacts/h100/2*/ artifacts/h100-flash-attention/2*/

# Licences, bans and sources of the dependencies
deny:
    cargo fetch --quiet --locked
    cargo deny --offline check licenses bans sources

# Everything that CI runs
ci:
    bash .ci/run

# Build with optimisation and install the command
install:
    cargo install --path crates/llamark --locked

# Does the procedure of `diff` hold what it promises, and what do other rules do? A table, in a minute or two
simulate *ARGS:
    cargo run --quiet -p llamark-stats --example simulate -- "$@"

# Kill, break and forge for minutes: 1,000 random kills, then kills and errors at every call under strace. A table at the end
torture KILLS='1000':
    bash .ci/torture "$@"

# Fuzz every input (or those named) for SECONDS each; needs `cargo install cargo-fuzz`
fuzz SECONDS='600' *INPUTS='':
    bash fuzz/run "$@"

# Ratios against what a user would use instead
bench:
    bash benches/run
