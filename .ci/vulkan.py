"""Is a Vulkan device without a GPU proven, does it compute what the processor computes (canary and perplexity), and is a hidden
one noticed?"""

import json
import sys

report = json.load(open(sys.argv[1]))
cases = {case["id"].split("/")[1]: case for case in report["cases"]}
for name, case in cases.items():
    print(f'{name}: {case["outcome"]}, canary {(case.get("canary") or {}).get("agreement")}, {case["reason"]}')
# Valid means proven: every layer, and the buffers, on Vulkan0 by the log of the server.
assert cases["vulkan"]["outcome"] == cases["cpu"]["outcome"] == "ok"
assert cases["vulkan"]["canary"]["agreement"] in ("equal", "rounding")
perplexities = {report["backends"][row["backend"]]["name"]: row for row in report["perplexity"]["rows"]}
for name, row in perplexities.items():
    print(f'{name}: perplexity {row["perplexity"]} over {row["chunks"]} chunks, {row["above"]} above the lowest')
assert set(perplexities) == {"vulkan", "cpu"}, "of the hidden one nothing was measured"
# Rounding alone is in it: what is above 1 % over so few tokens would be worth a look.
assert all(row["above"] is not None and row["above"] < 0.01 for row in perplexities.values())
assert cases["vulkan-hidden"]["outcome"] in ("failed", "invalid")
assert "does not see the device" in cases["vulkan-hidden"]["reason"], cases["vulkan-hidden"]["reason"]
