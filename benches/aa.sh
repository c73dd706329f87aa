#!/usr/bin/env bash
# Does `diff` cry wolf, and does it see one? On the real server: `benches/aa.sh [PAIRS [EXPERIMENT]]`.
#
# Makes PAIRS pairs of sets of the same thing back to back and compares each: none may be called better or worse. Then measures once more
# for each pair (or for the first SLOWED of them) beside a process that takes a tenth of every core (BUSY, a share), and
# compares with the first set of the pair: each must regress. Prints the change of each gating metric and counts both;
# ends with 1 when a count is not what it should be. For a quiet machine: on a busy one, two sets of the same do differ.
set -euo pipefail
cd "$(dirname "$0")/.."
pairs=${1:-20}
experiment=${2:-experiments/quickstart.yaml}
busy=${BUSY:-0.1}
slowed_pairs=${SLOWED:-$pairs}
llamark=${LLAMARK:-${CARGO_TARGET_DIR:-target}/debug/llamark}
[ -x "$llamark" ] || cargo build --quiet
artifacts=$(mktemp -d)
burner=
# With CALIBRATE=1 the usual noise of this machine is measured first, and counts in each comparison.
[ -z "${CALIBRATE:-}" ] || "$llamark" --quiet --artifacts "$artifacts" calibrate "$experiment" >&2
trap 'rm -rf "$artifacts"; [ -z "$burner" ] || kill "$burner"' EXIT

# measure: one more set; prints its folder.
measure() {
  local before
  before=$(find "$artifacts" -name manifest.json | sort)
  "$llamark" --quiet --artifacts "$artifacts" run "$experiment" --again >/dev/null
  comm -13 <(echo "$before") <(find "$artifacts" -name manifest.json | sort) | xargs dirname
}

# Takes that share of every core, in turns of 20 ms, until it is killed or this script is gone.
burn() {
  exec python3 - "$busy" "$$" <<'PYTHON'
import os, signal, sys, time
share, script = float(sys.argv[1]), int(sys.argv[2])
children = []
for core in range(len(os.sched_getaffinity(0))):
    child = os.fork()
    if child == 0:
        while os.path.exists(f"/proc/{script}"):
            begin = time.perf_counter()
            while time.perf_counter() - begin < 0.02 * share:
                pass
            time.sleep(0.02 * (1 - share))
        os._exit(0)
    children.append(child)
def stop(*_):
    for child in children:
        os.kill(child, signal.SIGKILL)
    os._exit(0)
signal.signal(signal.SIGTERM, stop)
signal.pause()
PYTHON
}

# compare WHAT BASE CANDIDATE: prints one line, and leaves the exit code of diff in `code` and what it called improved in
# `improved`.
compare() {
  code=0
  "$llamark" --artifacts "$artifacts" diff "$2" "$3" --format json >"$artifacts/diff.json" || code=$?
  python3 - "$1" "$code" "$artifacts/diff.json" "$artifacts/improved" <<'PYTHON'
import collections, json, sys
what, code, path, improved = sys.argv[1:]
metrics = [metric for case in json.load(open(path))["cases"] for metric in case["metrics"] if metric["gates"]]
verdicts = collections.Counter(metric["verdict"] for metric in metrics)
changes = [f'{metric["metric"]} {100 * metric["change"]:+.1f} %' for metric in metrics if metric["change"] is not None]
counts = [f"{count} {verdict}" for verdict, count in sorted(verdicts.items())]
print(f"{what}: exit {code};", ", ".join(counts) + ";", ", ".join(changes), flush=True)
open(improved, "w").write(str(verdicts["improved"]))
PYTHON
  improved=$(cat "$artifacts/improved")
}

alarms=0 equivalent=0 undecided=0 found=0
for pair in $(seq "$pairs"); do
  base=$(measure)
  candidate=$(measure)
  compare "pair $pair, the same twice" "$base" "$candidate"
  # A thing is no better than itself, either.
  case $code-$improved in
    0-0) equivalent=$((equivalent + 1)) ;;
    6-0) undecided=$((undecided + 1)) ;;
    *) alarms=$((alarms + 1)) ;;
  esac
  [ "$pair" -le "$slowed_pairs" ] || continue
  burn &
  burner=$!
  slowed=$(measure)
  kill "$burner"
  wait "$burner" || true
  burner=
  compare "pair $pair, slowed" "$base" "$slowed"
  [ "$code" != 1 ] || found=$((found + 1))
done
echo "$pairs pairs of the same: $alarms with an alarm, $equivalent shown to be equivalent, $undecided undecided; $found of $slowed_pairs slowdowns found"
[ "$alarms" = 0 ] && [ "$found" = "$slowed_pairs" ]
