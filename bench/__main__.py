"""`python -m bench [STORE …] [SECTION …]`: measures, prints, and writes `bench/results/STORE.json` and `.md`.

Stores: sqlite, postgres, redis; without a name, all whose servers are installed. Sections: drain, enqueue, latency,
memory, idle, flow, scale; sqlite and postgres have web, postgres open_transaction; without a name, all of the store.
live: streams of progress on two stores side by side; its sections are clients and streams.

BENCH_ROUNDS    rounds of which the medians are taken (3)
BENCH_SHARE     measure only every so many-th job, to see that all works (1)
BENCH_RESULTS   another folder for the results
BENCH_TMP       where SQLite's files are
"""

import sys
import time
from importlib import import_module

from servers.process import ServerMissing

from bench.results import Results, table

STORES = ("sqlite", "postgres", "redis", "live")


def measure(name: str, wanted: list[str]) -> None:
    """Measure sections of a store."""
    with import_module(f"bench.{name}").opened() as store:
        sections = [section for section in store.sections if not wanted or section in wanted]
        if not sections:
            return
        results = Results(name)
        results.put("machine", store.machine)
        for section in sections:
            began = time.monotonic()
            found = store.sections[section]()
            results.put(section, found)
            print(f"# {store.title}, {time.monotonic() - began:.0f} s\n{table(section, found)}", flush=True)
        results.describe(store.title, store.sections)


def main() -> None:
    """Measure what the command line names."""
    words = sys.argv[1:]
    known = {"drain", "enqueue", "latency", "memory", "idle", "flow", "scale", "web", "open_transaction", *STORES}
    known |= {"clients", "streams"}
    if unknown := [word for word in words if word not in known]:
        raise SystemExit(f"{', '.join(unknown)}: no store and no section\n\n{__doc__}")
    stores = [word for word in words if word in STORES]
    for store in stores or STORES:
        try:
            measure(store, [word for word in words if word not in STORES])
        except ServerMissing as error:
            if store in stores:
                raise SystemExit(str(error)) from None
            print(f"{store} is left out. {error}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
