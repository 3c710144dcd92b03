"""What is measured of the web application over 5,000,000 finished and 1,000,000 queued jobs, on any store."""

from __future__ import annotations

from functools import partial

from bench.measuring import Facts, jobs, rounds, run
from bench.places import Place


def web(place: Place) -> dict[str, Facts]:
    """How long pages take, and how fast a worker drains with nobody looking and with somebody at every page."""
    found = {f"page {name}": facts for name, facts in run("web", place, "pages").items()}
    drains = {
        "drain, nobody looks": partial(run, "web", place, "drain", jobs(50_000), False),
        "drain, somebody looks at all pages": partial(run, "web", place, "drain", jobs(50_000), True),
    }
    found |= rounds(drains)
    alone, watched = (found[name]["per_second"] for name in drains)
    found["drain, somebody looks at all pages"]["ratio"] = watched / alone
    return found
