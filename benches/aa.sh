#!/usr/bin/env bash
# Does `diff` cry wolf, and does it see one? On the real server: `benches/aa.sh [PAIRS [EXPERIMENT]]`.
#
# Makes PAIRS pairs of sets of the same thing back to back and compares each: none may be called better or worse. Then measures once more
# for each pair (or for the first SLOWED of them) with a server that stands still for a tenth of the time (THROTTLE, a share), and
# compares with the first set of the pair: each must regress. Prints the change of each gating metric and counts both;
# ends with 1 when a count is not what it should be. For a quiet machine: on a busy one, two sets of the same do differ.
set -euo pipefail
cd "$(dirname "$0")/.."
pairs=${1:-20}
experiment=${2:-experiments/quickstart.yaml}
throttle=${THROTTLE:-0.1}
slowed_pairs=${SLOWED:-$pairs}
llamark=${LLAMARK:-${CARGO_TARGET_DIR:-target}/debug/llamark}
[ -x "$llamark" ] || cargo build --quiet
artifacts=$(mktemp -d)
# With CALIBRATE=1 the usual noise of this machine is measured first, and counts in each comparison.
[ -z "${CALIBRATE:-}" ] || "$llamark" --quiet --artifacts "$artifacts" calibrate "$experiment" >&2
trap 'rm -rf "$artifacts"' EXIT

# measure [PREFIX...]: one more set; prints its folder.
measure() {
  local before
  before=$(find "$artifacts" -name manifest.json | sort)
  "$@" "$llamark" --quiet --artifacts "$artifacts" run "$experiment" --again >/dev/null
  comm -13 <(echo "$before") <(find "$artifacts" -name manifest.json | sort) | xargs dirname
}

# throttled SHARE COMMAND...: the command, while its server stands still for that share of each 20 ms: what is measured is
# slower, and the machine is not.
throttled() {
  python3 - "$@" <<'PYTHON'
import os, signal, subprocess, sys, time
share, command = float(sys.argv[1]), sys.argv[2:]
PERIOD = 0.02

def server(parent):
    """The llama-server that the command runs; none between two starts."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            name, _, rest = open(f"/proc/{pid}/stat").read().partition("(")[2].rpartition(")")
        except OSError:
            continue
        if name == "llama-server" and int(rest.split()[1]) == parent:
            return int(pid)

running = subprocess.Popen(command, stdout=subprocess.DEVNULL)
while running.poll() is None:
    pid = server(running.pid)
    try:
        while pid and running.poll() is None:
            os.kill(pid, signal.SIGSTOP)
            time.sleep(PERIOD * share)
            os.kill(pid, signal.SIGCONT)
            time.sleep(PERIOD * (1 - share))
    except ProcessLookupError:
        pass
    time.sleep(0.005)
sys.exit(running.returncode)
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
  slowed=$(measure throttled "$throttle")
  compare "pair $pair, slowed" "$base" "$slowed"
  [ "$code" != 1 ] || found=$((found + 1))
done
echo "$pairs pairs of the same: $alarms with an alarm, $equivalent shown to be equivalent, $undecided undecided; $found of $slowed_pairs slowdowns found"
[ "$alarms" = 0 ] && [ "$found" = "$slowed_pairs" ]
