"""What is measured of the web application over 5,000,000 finished and 1,000,000 queued jobs, on any store."""

from __future__ import annotations

from functools import partial

from bench.measuring import Facts, jobs, rounds, run
from bench.places import Place


def web(place: Place) -> dict[str, Facts]:
    """How long pages take, and how fast a worker drains while nobody looks, while the overview is open, and while
    somebody goes through all the pages and searches.
    """
    found = {f"page {name}": facts for name, facts in run("web", place, "pages").items()}
    looks = {"nobody looks": "", "the overview is open": "overview", "somebody goes through all pages": "all"}
    drains = rounds({name: partial(run, "web", place, "drain", jobs(100_000), look) for name, look in looks.items()})
    for name, facts in drains.items():
        ratio = facts["per_second"] / drains["nobody looks"]["per_second"]
        found[f"drain while {name}"] = {**facts, "ratio": ratio}
    return found
