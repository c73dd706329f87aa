"""The summary that llamark makes of a million runs, as a pandas and jinja2 script would make it: per case the number of
runs, and mean, standard deviation, median, least and most of pp and tg, printed as a Markdown table."""

import json
import resource
import sys
import time

import jinja2
import pandas

PAGE = jinja2.Template(
    """| case | n | pp mean | sd | median | min | max | tg mean | sd | median | min | max |
|---|---|---|---|---|---|---|---|---|---|---|---|
{% for row in rows %}| {{ row.case }} | {{ row.n }} | {% for value in row.numbers %}{{ "%.4g" | format(value) }} | {% endfor %}
{% endfor %}"""
)


def main(journal: str) -> None:
    begin = time.perf_counter()
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
    table = runs.groupby("case")[["pp", "tg"]].agg(["mean", "std", "median", "min", "max"])
    counts = runs.groupby("case").size()
    page = PAGE.render(rows=[{"case": case, "n": counts[case], "numbers": list(row)} for case, row in table.iterrows()])
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"pandas and jinja2: {len(runs)} runs, {len(page)} bytes of page, {seconds:.1f} s, peak {peak:.0f} MiB")


main(sys.argv[1])
