"""What a choice of the protocol does to the numbers, on the real server: `python3 benches/sets.py WHAT [N [EXPERIMENT]]`.

    telemetry   N sets with sensors read 10 times a second and N without, in turns: what the sampler costs
    order       N sets of two sides that are the same, their starts interleaved, and N with them grouped, in turns: how far
                apart the two sides of a set are found, which is what an order is there to keep small

Prints the ratio of each, with a 95 % interval. LLAMARK says which binary; the experiment is the quickstart, without a
canary. For a quiet machine."""

import json
import math
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from statistics import mean, stdev

ROOT = pathlib.Path(__file__).resolve().parent.parent
LLAMARK = os.environ.get("LLAMARK", f"{os.environ.get('CARGO_TARGET_DIR', ROOT / 'target')}/debug/llamark")
# Student's t of about 20 pairs, without scipy.
T = 2.1
METRICS = ("pp", "tg")
SAME_TWICE = "ab:\n  base: { label: one, env: { LLAMARK_SIDE: one } }\n  candidate: { label: two, env: { LLAMARK_SIDE: two } }\n"


def variant(experiment: pathlib.Path, name: str, protocol: str, more: str) -> pathlib.Path:
    """The experiment with that line in its protocol, under that name, beside the original (its paths are relative)."""
    text = experiment.read_text()
    text = re.sub(r"^name: .*$", f"name: {name}", text, flags=re.M)
    text = re.sub(r"^  (canary|telemetry|order):.*\n", "", text, flags=re.M)
    text = re.sub(r"^protocol:$", f"protocol:\n  canary: false\n  {protocol}", text, flags=re.M)
    path = experiment.parent / f".bench-{name}.yaml"
    path.write_text(text + more)
    return path


def measure(artifacts: pathlib.Path, experiment: pathlib.Path, name: str) -> pathlib.Path:
    """One more set; its folder."""
    before = set((artifacts / name).glob("2*"))
    command = [LLAMARK, "--quiet", "--artifacts", artifacts, "run", experiment, "--again"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (new,) = set((artifacts / name).glob("2*")) - before
    return new


def changes(*sets: pathlib.Path) -> dict[str, list[float]]:
    """ln(candidate / base) of each case, by metric."""
    command = [LLAMARK, "diff", *sets, "--format", "json"]
    answer = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=False).stdout)
    found = {metric: [] for metric in METRICS}
    for case in answer["cases"]:
        for metric in case["metrics"]:
            if metric["metric"] in found and metric["change"] is not None:
                found[metric["metric"]].append(math.log1p(metric["change"]))
    return found


def telemetry(count: int, experiment: pathlib.Path, artifacts: pathlib.Path, made: list[pathlib.Path]) -> None:
    for name, rate in (("without", "off"), ("with", "10 Hz")):
        made.append(variant(experiment, name, f"telemetry: {{ rate: {rate} }}", ""))
    without, with_sensors = made
    found = {metric: [] for metric in METRICS}
    for index in range(count):
        turn = [("without", without), ("with", with_sensors)]
        sets = dict((name, measure(artifacts, path, name)) for name, path in (turn if index % 2 else turn[::-1]))
        pair = changes(sets["without"], sets["with"])
        for metric, values in pair.items():
            found[metric] += values
        print(f"pair {index + 1}:", ", ".join(f"{metric} {100 * mean(values):+.2f} %" for metric, values in pair.items()), flush=True)
    for metric, values in found.items():
        half = T * stdev(values) / math.sqrt(len(values))
        low, middle, high = (math.exp(value) for value in (mean(values) - half, mean(values), mean(values) + half))
        print(f"{metric} with telemetry against without: ratio {middle:.4f} ({low:.4f} to {high:.4f}), {len(values)} pairs of sets")


def order(count: int, experiment: pathlib.Path, artifacts: pathlib.Path, made: list[pathlib.Path]) -> None:
    orders = ("interleave", "grouped")
    made += [variant(experiment, each, f"order: {each}", SAME_TWICE) for each in orders]
    found = {each: {metric: [] for metric in METRICS} for each in orders}
    for index in range(count):
        turn = list(zip(orders, made))
        for each, path in turn if index % 2 else turn[::-1]:
            pair = changes(measure(artifacts, path, each))
            for metric, values in pair.items():
                found[each][metric] += values
            print(f"{each}:", ", ".join(f"{metric} {100 * mean(values):+.2f} %" for metric, values in pair.items()), flush=True)
    for metric in METRICS:
        one, other = (math.sqrt(mean(value**2 for value in found[each][metric])) for each in orders)
        print(
            f"{metric}: two sides that are the same differ by {100 * one:.2f} % (root mean square) interleaved, "
            f"{100 * other:.2f} % grouped, ratio {one / other:.2f}, {count} sets each"
        )


def main() -> None:
    what, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10
    experiment = pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else ROOT / "experiments/quickstart.yaml"
    made: list[pathlib.Path] = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            {"telemetry": telemetry, "order": order}[what](count, experiment, pathlib.Path(folder), made)
        finally:
            for path in made:
                path.unlink(missing_ok=True)


main()
