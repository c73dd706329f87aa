"""What llamark adds to a start: reads the journal of a finished set and prints, per start, the time that is neither
the server's own load nor a request, and the gap between two starts."""

import json
import statistics
import sys
from datetime import datetime


def main(journal: str) -> None:
    ready, requests, closed, times = {}, {}, {}, []
    for line in open(journal, encoding="utf-8"):
        entry = json.loads(line)
        (kind, body), at = next(iter(entry["event"].items())), entry["at"]
        moment = datetime.fromisoformat(at.replace("Z", "+00:00"))
        if kind == "start_opened":
            times.append(("opened", moment))
        if kind in ("start_ready", "run", "start_closed"):
            key = json.dumps(body["id"])
            if kind == "start_ready":
                ready[key] = body["load"]["ready_us"]
            elif kind == "run" and body["measurement"]:
                requests[key] = requests.get(key, 0) + body["measurement"]["total_ns"] // 1000
            elif kind == "start_closed":
                closed[key] = body["lifetime_us"]
                times.append(("closed", moment))
    inside = [closed[key] - ready[key] - requests[key] for key in closed if key in ready and key in requests]
    between = [
        (b - a).total_seconds() * 1e6
        for (first, a), (second, b) in zip(times, times[1:])
        if first == "closed" and second == "opened"
    ]
    work = [ready[key] + requests[key] for key in closed if key in ready and key in requests]
    added = statistics.median(inside) + (statistics.median(between) if between else 0)
    print(
        f"llamark adds {added / 1000:.1f} ms to a start "
        f"({statistics.median(inside) / 1000:.1f} inside it, the stop of the server included; "
        f"{statistics.median(between) / 1000 if between else 0:.1f} between two), "
        f"ratio to load and requests {added / statistics.median(work):.4f}, n = {len(inside)}"
    )


main(sys.argv[1])
