"""Is a Vulkan device without a GPU proven, does it compute what the processor computes, and is a hidden one noticed?"""

import json
import sys

report = json.load(open(sys.argv[1]))
cases = {case["id"].split("/")[1]: case for case in report["cases"]}
for name, case in cases.items():
    print(f'{name}: {case["outcome"]}, canary {(case.get("canary") or {}).get("agreement")}, {case["reason"]}')
# Valid means proven: every layer, and the buffers, on Vulkan0 by the log of the server.
assert cases["vulkan"]["outcome"] == cases["cpu"]["outcome"] == "ok"
assert cases["vulkan"]["canary"]["agreement"] in ("equal", "rounding")
assert cases["vulkan-hidden"]["outcome"] in ("failed", "invalid")
assert "does not see the device" in cases["vulkan-hidden"]["reason"], cases["vulkan-hidden"]["reason"]
