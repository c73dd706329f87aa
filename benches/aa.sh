#!/usr/bin/env bash
# Does `diff` cry wolf, and does it see one? On the real server: `benches/aa.sh [PAIRS [EXPERIMENT]]`.
#
# Makes PAIRS pairs of sets of the same thing back to back and compares each: none may be called better or worse. For the first SLOWED
# of them it measures once more, with a server that stands still for a tenth of the time (THROTTLE, a share), and compares with the
# first set of the pair: each must regress. Whatever stays open at once is decided by `--confirm=undecided` (in the first DECIDED pairs
# of the same), with STARTS pairs of fresh starts; those of a slowed candidate stand still likewise. At last come IN_TURN sets of two
# sides (`ab:`) with STARTS pairs of starts each: none may be called where both are the same, and each must regress where one is slowed.
# Prints the change of each gating metric and counts all of it; ends with 1 when a count is not what it should be.
set -euo pipefail
cd "$(dirname "$0")/.."
pairs=${1:-20}
experiment=${2:-experiments/quickstart.yaml}
throttle=${THROTTLE:-0.1}
slowed_pairs=${SLOWED:-$pairs}
decided_pairs=${DECIDED:-$pairs}
starts=${STARTS:-8}
in_turn=${IN_TURN:-0}
llamark=${LLAMARK:-${CARGO_TARGET_DIR:-target}/debug/llamark}
[ -x "$llamark" ] || cargo build --quiet
artifacts=$(mktemp -d)
slow= same_in_turn= slow_in_turn=
# With CALIBRATE=1 the usual noise of this machine is measured first, and counts in each comparison.
[ -z "${CALIBRATE:-}" ] || "$llamark" --quiet --artifacts "$artifacts" calibrate "$experiment" >&2
trap 'rm -rf "$artifacts" "$slow" "$same_in_turn" "$slow_in_turn"' EXIT

# measure EXPERIMENT: one more set; prints its folder.
measure() {
  local before
  before=$(find "$artifacts" -name manifest.json | sort)
  "$llamark" --quiet --artifacts "$artifacts" run "$1" --again >/dev/null
  comm -13 <(echo "$before") <(find "$artifacts" -name manifest.json | sort) | xargs dirname
}

# The same experiment under a name of its own, with a variable by which its servers are known.
slow=$(dirname "$experiment")/.bench-slowed.yaml
sed -E 's/^name: .*/name: slowed/; s/^( *)label: CPU$/\1label: CPU\n\1env: { LLAMARK_BENCH_SLOWED: "1" }/' "$experiment" >"$slow"
grep -q LLAMARK_BENCH_SLOWED "$slow"
# And two sides in turn, of which the second has that variable, or another one.
sides() { # sides NAME VARIABLE
  sed -E "s/^name: .*/name: $1/; s/^  starts: .*/  starts: $starts/" "$experiment"
  echo "ab: { base: { label: one, env: { LLAMARK_BENCH_SIDE: one } }, candidate: { label: two, env: { $2: \"1\" } } }"
}
same_in_turn=$(dirname "$experiment")/.bench-same-in-turn.yaml
slow_in_turn=$(dirname "$experiment")/.bench-slowed-in-turn.yaml
sides same-in-turn LLAMARK_BENCH_SIDE >"$same_in_turn"
sides slowed-in-turn LLAMARK_BENCH_SLOWED >"$slow_in_turn"

# Makes every server with that variable stand still for that share of each 20 ms: what is measured is slower, and the machine
# is not. Until this script is gone.
python3 - "$throttle" "$$" <<'PYTHON' &
import os, signal, sys, time
share, script = float(sys.argv[1]), sys.argv[2]
PERIOD = 0.02

def servers():
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if open(f"/proc/{pid}/comm").read() == "llama-server\n" and b"LLAMARK_BENCH_SLOWED=1" in open(f"/proc/{pid}/environ", "rb").read():
                yield int(pid)
        except OSError:
            pass

while os.path.exists(f"/proc/{script}"):
    for pid in servers():
        try:
            while True:
                os.kill(pid, signal.SIGSTOP)
                time.sleep(PERIOD * share)
                os.kill(pid, signal.SIGCONT)
                time.sleep(PERIOD * (1 - share))
        except ProcessLookupError:
            pass
    # Seldom: between two starts the pace of the processor is taken.
    time.sleep(0.2)
PYTHON

# compare WHAT BASE CANDIDATE [ARGS]: prints one line, and leaves the exit code of diff in `code` and what it called improved in
# `improved`.
compare() {
  code=0
  local what=$1
  shift
  "$llamark" --quiet --artifacts "$artifacts" diff "$@" --format json >"$artifacts/diff.json" || code=$?
  python3 - "$what" "$code" "$artifacts/diff.json" "$artifacts/improved" <<'PYTHON'
import collections, json, sys
what, code, path, improved = sys.argv[1:]
metrics = [metric for case in json.load(open(path))["cases"] for metric in case["metrics"] if metric["gates"]]
verdicts = collections.Counter(metric["verdict"] for metric in metrics)
shown = [(metric["metric"], (metric["confirmation"] or metric)["change"]) for metric in metrics]
changes = [f'{name} {100 * change:+.1f} %' for name, change in shown if change is not None]
counts = [f"{count} {verdict}" for verdict, count in sorted(verdicts.items())]
print(f"{what}: exit {code};", ", ".join(counts) + ";", ", ".join(changes), flush=True)
open(improved, "w").write(str(verdicts["improved"]))
PYTHON
  improved=$(cat "$artifacts/improved")
}

alarms=0 equivalent=0 decided=0 undecided=0 found=0 confirmed=0 missed=0
for pair in $(seq "$pairs"); do
  base=$(measure "$experiment")
  candidate=$(measure "$experiment")
  compare "pair $pair, the same twice" "$base" "$candidate"
  at_once=$code
  if [ "$code-$improved" = 6-0 ] && [ "$pair" -le "$decided_pairs" ]; then
    compare "pair $pair, the same twice, decided" "$base" "$candidate" --confirm=undecided --starts "$starts"
  fi
  # A thing is no better than itself, either.
  case $code-$improved-$at_once in
    0-0-0) equivalent=$((equivalent + 1)) ;;
    0-0-6) decided=$((decided + 1)) ;;
    6-0-6) undecided=$((undecided + 1)) ;;
    *) alarms=$((alarms + 1)) ;;
  esac
  [ "$pair" -le "$slowed_pairs" ] || continue
  slowed=$(measure "$slow")
  compare "pair $pair, slowed" "$base" "$slowed"
  if [ "$code" = 1 ]; then
    found=$((found + 1))
    continue
  fi
  compare "pair $pair, slowed, confirmed" "$base" "$slowed" --confirm=undecided --starts "$starts"
  if [ "$code" = 1 ]; then confirmed=$((confirmed + 1)); else missed=$((missed + 1)); fi
done
in_turn_alarms=0 in_turn_found=0
for turn in $(seq "$in_turn"); do
  compare "turn $turn, the same" "$(measure "$same_in_turn")"
  [ "$code-$improved" = 0-0 ] || [ "$code-$improved" = 6-0 ] || in_turn_alarms=$((in_turn_alarms + 1))
  compare "turn $turn, slowed" "$(measure "$slow_in_turn")"
  [ "$code" != 1 ] || in_turn_found=$((in_turn_found + 1))
done
echo "$pairs pairs of the same: $alarms with an alarm, $equivalent equivalent at once, $decided by fresh starts, $undecided undecided;" \
  "of $slowed_pairs slowdowns $found found at once, $confirmed by fresh starts, $missed not"
echo "$in_turn sets of $starts pairs in turn of the same: $in_turn_alarms with an alarm; of $in_turn slowdowns $in_turn_found found"
[ "$alarms" = 0 ] && [ "$missed" = 0 ] && [ "$in_turn_alarms" = 0 ] && [ "$in_turn_found" = "$in_turn" ]
