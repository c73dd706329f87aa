"""Two journals compared as a pandas and scipy script would do it: pp and tg of each case, the Mann-Whitney U test on its
runs (benchstat's rule), the false discovery rate controlled."""

import json
import resource
import sys
import time

import numpy
import pandas
from scipy import stats


def read(journal: str) -> pandas.DataFrame:
    rows = []
    with open(journal, encoding="utf-8") as lines:
        for line in lines:
            event = json.loads(line)["event"]
            if "run" in event and (m := event["run"]["measurement"]) and not event["run"]["warmup"]:
                rows.append(
                    (event["run"]["id"]["case"], m["prompt_tokens"], m["prompt_us"], m["generated_tokens"], m["generation_us"])
                )
    runs = pandas.DataFrame(rows, columns=["case", "prompt", "prompt_us", "generated", "generation_us"])
    runs["pp"] = runs.prompt / runs.prompt_us * 1e6
    runs["tg"] = (runs.generated - 1) / runs.generation_us * 1e6
    return runs


def by_case(runs: pandas.DataFrame, metric: str) -> numpy.ndarray:
    # Every case has as many runs, which makes one test of all rows of a matrix, and not one of each.
    return numpy.stack([values.to_numpy() for _, values in runs.groupby("case")[metric]])


def main(base: str, candidate: str) -> None:
    begin = time.perf_counter()
    a, b = read(base), read(candidate)
    p = numpy.concatenate(
        [stats.mannwhitneyu(by_case(a, metric), by_case(b, metric), axis=1).pvalue for metric in ("pp", "tg")]
    )
    called = (stats.false_discovery_control(p) <= 0.05).sum()
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"pandas and scipy: {len(a)} and {len(b)} runs, {len(p)} cells, {called} called: {seconds:.2f} s, peak {peak} MiB")


main(*sys.argv[1:])
