"""Rates of a run through llamark against the same request by a bare HTTP client, on the same server binary, model and
settings: starts the server exactly as the journal of a finished set says, and sends the requests with http.client."""

import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time


def rates(prompt_tokens: int, prompt_us: float, generated: int, generation_us: float) -> tuple[float, float]:
    return prompt_tokens / prompt_us * 1e6, (generated - 1) / generation_us * 1e6


def main(set_folder: str, build_folder: str, model_folder: str) -> None:
    entries = [json.loads(line)["event"] for line in open(f"{set_folder}/journal.jsonl", encoding="utf-8")]
    plan = json.load(open(f"{set_folder}/plan.json", encoding="utf-8"))["plan"]
    opened = next(event["start_opened"] for event in entries if "start_opened" in event)
    case = next(case for case in plan["cases"] if case["id"] == opened["id"]["case"])
    prompt = next(prompt["text"] for prompt in plan["prompts"] if prompt["name"] == case["prompt"])
    ours = [
        rates(m["prompt_tokens"], m["prompt_us"], m["generated_tokens"], m["generation_us"])
        for m in (e["run"]["measurement"] for e in entries if "run" in e and not e["run"]["warmup"])
        if m
    ]
    scratch = tempfile.mkdtemp()
    fill = lambda text: (
        text.replace("{build}", build_folder).replace("{model}", model_folder).replace("{scratch}", scratch)
    )
    log = open(f"{scratch}/log", "w+", encoding="utf-8")
    server = subprocess.Popen(
        [fill(word) for word in opened["argv"]],
        env={name: fill(value) for name, value in opened["environment"].items()},
        stdout=log, stderr=log,
    )
    try:
        url = None
        while url is None:
            time.sleep(0.01)
            url = re.search(r"listening on http://127\.0\.0\.1:(\d+)", open(f"{scratch}/log", encoding="utf-8").read())
            assert server.poll() is None, "the server is gone"
        port = int(url.group(1))

        def post(path: str, body: dict) -> dict:
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            answer = json.load(connection.getresponse())
            connection.close()
            return answer

        tokens = post("/tokenize", {"content": prompt, "add_special": True})["tokens"]
        body = {
            "prompt": tokens, "n_predict": case["max_tokens"], "temperature": 0, "samplers": ["top_k"], "top_k": 1,
            "seed": 1, "ignore_eos": True, "cache_prompt": False,
        }
        timings = [post("/completion", body)["timings"] for _ in range(case["warmup"] + len(ours))][case["warmup"]:]
        bare = [
            rates(t["prompt_n"], t["prompt_ms"] * 1000, t["predicted_n"], t["predicted_ms"] * 1000) for t in timings
        ]
    finally:
        server.terminate()
        server.wait()
    for index, name in enumerate(("pp", "tg")):
        a = statistics.median(rate[index] for rate in ours)
        b = statistics.median(rate[index] for rate in bare)
        print(f"{name}: {a:.2f} tok/s through llamark, {b:.2f} by a bare client, ratio {a / b:.3f} (n = {len(ours)} each)")


main(*sys.argv[1:])
