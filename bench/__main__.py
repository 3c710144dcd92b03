"""`python -m bench [SECTION …]`: measures, prints, and writes `bench/results/sqlite.json` and `sqlite.md`.

Every figure is the median of several rounds; in a round the sides run one after another, each in a process of its own on
a fresh file, so that a machine whose speed drifts moves all of them. What counts is the ratio in one run.
"""

import json
import os
import platform
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
RESULTS = Path(__file__).parent / "results"


def environment(path: str, synchronous: str) -> dict[str, str]:
    url = f"sqlite:///{path}?synchronous={synchronous}"
    return {**os.environ, "BENCH_URL": url, "BENCH_PATH": path, "BENCH_SYNCHRONOUS": synchronous}


def run(side: str, synchronous: str, verb: str, *arguments, path: str | None = None) -> dict:
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_TMP")) as folder:
        command = [sys.executable, "-m", f"bench.side_{side}", verb, *(json.dumps(a) for a in arguments)]
        env = environment(path or f"{folder}/bench.db", synchronous)
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=1800)
        if done.returncode != 0:
            raise SystemExit(f"{command} failed:\n{done.stderr}")
        return json.loads(done.stdout.splitlines()[-1])


def beside(side: str, synchronous: str, samples: int) -> dict:
    """Latency from this machine's one process to another."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_TMP")) as folder:
        env = environment(f"{folder}/bench.db", synchronous)
        command = [sys.executable, "-m", f"bench.side_{side}"]
        server = subprocess.Popen([*command, "serve"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            arguments = ["latency", str(samples), *(["false"] if side == "stoker" else [])]
            done = subprocess.run([*command, *arguments], env=env, capture_output=True, text=True, timeout=600)
            return json.loads(done.stdout.splitlines()[-1])
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()


def rounds(sides: dict[str, tuple], rounds: int = ROUNDS) -> dict[str, dict]:
    found: dict[str, list[dict]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, (function, *arguments) in sides.items():
            found[name].append(function(*arguments))
    return {name: middle(results) for name, results in found.items()}


def middle(results: list[dict]) -> dict:
    numbers = {k for k, v in results[0].items() if isinstance(v, int | float)}
    return {k: statistics.median(r[k] for r in results) if k in numbers else v for k, v in results[0].items()}


def drain() -> dict:
    sides = {}
    for synchronous in ("full", "normal"):
        sides[f"stoker, {synchronous}"] = (run, "stoker", synchronous, "drain", 50_000)
        sides[f"raw sqlite3, {synchronous}"] = (run, "raw", synchronous, "drain", 50_000)
        sides[f"huey, {synchronous}"] = (run, "huey", synchronous, "drain", 10_000)
    return rounds(sides)


def enqueue() -> dict:
    sides = {}
    for synchronous in ("full", "normal"):
        for side in ("stoker", "raw", "huey"):
            sides[f"{side}, one by one, {synchronous}"] = (run, side, synchronous, "enqueue_one", 5_000)
        for side in ("stoker", "raw"):
            sides[f"{side}, bulk, {synchronous}"] = (run, side, synchronous, "enqueue_bulk", 50_000)
        sides[f"stoker, 100 coroutines, {synchronous}"] = (run, "stoker", synchronous, "enqueue_many_at_once", 20_000)
    return rounds(sides)


def latency() -> dict:
    sides = {}
    for synchronous in ("full", "normal"):
        sides[f"stoker, same process, {synchronous}"] = (run, "stoker", synchronous, "latency", 300, True)
        sides[f"stoker, across processes, {synchronous}"] = (beside, "stoker", synchronous, 300)
    sides["huey, across processes, full"] = (beside, "huey", "full", 100)
    return rounds(sides)


def memory() -> dict:
    return rounds({"stoker, normal": (run, "stoker", "normal", "memory", 400_000)}, 1)


def idle() -> dict:
    return rounds({"stoker, full": (run, "stoker", "full", "idle", 20)}, 1)


def scale() -> dict:
    """The same drain in an empty file, with 1,000,000 jobs queued behind, and with 5,000,000 finished rows."""
    from bench.scale import BACKGROUNDS, prepare

    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_TMP")) as folder:
        paths = {name: prepare(f"{folder}/{name}.db", name) for name in BACKGROUNDS}

        def one(name: str) -> dict:
            return run("scale", "normal", "drain", 50_000, path=paths[name])

        return rounds({name: (one, name) for name in BACKGROUNDS})


SECTIONS = {f.__name__: f for f in (drain, enqueue, latency, memory, idle, scale)}


def table(name: str, results: dict[str, dict]) -> str:
    columns = sorted({key for facts in results.values() for key in facts}, key=str)
    lines = [f"## {name}", "", f"| | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for side, facts in results.items():
        cells = (facts.get(key, "") for key in columns)
        shown = (
            f"{cell:,.0f}"
            if isinstance(cell, float) and cell >= 100
            else f"{cell:.2f}"
            if isinstance(cell, float)
            else str(cell)
            for cell in cells
        )
        lines.append(f"| {side} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def machine() -> dict:
    return {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "cores": os.cpu_count(),
        "rounds": ROUNDS,
        "settings": "one worker process, no-op async task with an int and a str, records and fences kept",
    }


def main() -> None:
    chosen = sys.argv[1:] or list(SECTIONS)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "sqlite.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    results["machine"] = machine()
    for name in chosen:
        results[name] = SECTIONS[name]()
        print(table(name, results[name]), flush=True)
        path.write_text(json.dumps(results, indent=2) + "\n")
    facts = ", ".join(f"{key} {value}" for key, value in results["machine"].items())
    text = "\n".join(table(name, results[name]) for name in SECTIONS if name in results)
    (RESULTS / "sqlite.md").write_text(f"# SQLite, measured by `make bench`\n\n{facts}. Medians.\n\n{text}")


if __name__ == "__main__":
    main()
