"""The figures in the documentation are those that the benchmark wrote."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from typing import Any

import pytest

from docs.pages import PAGES, ROOT, name_of

SCRIPT = ROOT / "scripts" / "figures"
WITH_FIGURES = [page for page in PAGES if "<!-- figures -->" in page.read_text("utf-8")]


def test_the_pages_with_figures_are_these():
    assert [name_of(page) for page in WITH_FIGURES] == ["README.md", "docs/explain/performance.md"]


def test_the_figures_are_those_of_the_benchmark():
    done = subprocess.run([sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_figure_stands_elsewhere(page):
    text = page.read_text("utf-8")
    if page in WITH_FIGURES:
        before, _, rest = text.partition("<!-- figures -->")
        text = before + rest.partition("<!-- /figures -->")[2]
    if "decisions" not in page.parts:
        assert "jobs/s" not in text


# --- stores on servers, by results made up ----------------------------------------------------------------------------

MACHINE = {"python": "3.13", "cores": 2, "settings": "no-op", "packages": {"peer": "1.0"}}
DRAIN = {"jobs": 100, "client_us": 6.4, "server_us": 9.6, "keeps": "all"}
ON_A_SERVER = {
    "rounds": {"drain": 3, "scale": 3},
    "drain": {
        "stoker, 1 process": {"per_second": 60_001.0, **DRAIN},
        "stoker, 2 processes": {"per_second": 90_002.0, **DRAIN},
        "Peer": {"left_out": "it does not start"},
    },
    "enqueue": {"stoker, bulk": {"per_second": 70_003.0}},
    "latency": {"stoker": {"p50_ms": 1.04, "p99_ms": 2.05}, "Peer": {"left_out": "it does not start"}},
    "open_transaction": {
        "none": {"per_second": 60_004.0, "jobs": 100_000},
        "held open": {"per_second": 54_005.0, "ratio": 0.9},
    },
    "scale": {"5M finished": {"per_second": 60_006.0}},
}


@pytest.fixture
def figures():
    return runpy.run_path(str(SCRIPT))


@pytest.fixture
def stores(figures, tmp_path) -> dict[str, Any]:
    (tmp_path / "postgres.json").write_text(
        json.dumps({"machine": {**MACHINE, "postgresql": "17.1", "durability": "fsync on"}, **ON_A_SERVER})
    )
    return {"sqlite": figures["read"]()["sqlite"], **figures["read"](tmp_path)}


def test_each_store_with_results_is_a_column_in_short(figures, stores):
    text = "\n".join(figures["short"](stores))
    assert "| SQLite, `full` | SQLite, `normal` | PostgreSQL |" in text
    assert "PostgreSQL 17.1" in text
    for number in ("60,001", "90,002", "70,003", "1.0 / 2.0"):
        assert number in text


def test_each_store_with_results_has_a_block_of_its_own(figures, stores):
    text = "\n".join(figures["full"](stores))
    assert "## PostgreSQL" in text
    assert "## Redis" not in text
    for number in ("peer 1.0", "60,004", "54,005", "0.90", "60,006"):
        assert number in text


WEB = {
    "page overview": {"first_ms": 812.0, "median_ms": 3.21, "status": 200},
    "page jobs, text that none has": {"first_ms": 2000.0, "median_ms": 2000.0, "status": 503},
    "drain while nobody looks": {"per_second": 20_007.0, "ratio": 1.0},
    "drain while the overview is open": {"per_second": 19_008.0, "ratio": 0.95},
}


def test_pages_have_figures_once_they_are_measured(figures, stores):
    stores["postgres"]["web"] = WEB
    lines = figures["full"](stores)
    assert "| overview | 3.2 | 812 |" in lines
    assert "Given up after its time: jobs, text that none has." in lines
    assert "| nobody looks | 20,007 | 1.00 |" in lines
    assert "| the overview is open | 19,008 | 0.95 |" in lines
    del stores["postgres"]["web"], stores["sqlite"]
    assert "Pages and the API" not in "\n".join(figures["full"](stores))


STREAMS = {
    "machine": {**MACHINE, "sqlite": "3.40", "postgresql": "17.1", "settings": "one process"},
    "rounds": {"clients": 3, "streams": 1},
    "clients": {
        "stoker, SQLite, 1,000 clients on 1 job": {"told": 1_000, "p50_ms": 150.4, "p99_ms": 201.0, "last_ms": 9.04},
    },
    "streams": {
        "stoker, PostgreSQL, 10,000 streams on 1,000 jobs, 100 changes/s": {
            "questions_per_second": 4.56,
            "question_ms": 12.3,
            "events_per_second": 1_009.0,
            "server_cpu_percent": 34.5,
            "store_cpu_percent": 1.0,
            "kb_a_stream": 21.3,
        },
    },
}


def test_streams_have_figures_once_they_are_measured(figures, stores):
    before = figures["short"](stores)
    stores["live"] = STREAMS
    lines = figures["full"](stores)
    assert "## Live streams" in lines
    assert "| SQLite, 1,000 clients on 1 job | 150 | 201 | 9.0 |" in lines
    assert "| PostgreSQL, 10,000 streams on 1,000 jobs, 100 changes/s | 4.6 | 12 | 1,009 | 34 | 21 |" in lines
    assert any("SQLite 3.40, PostgreSQL 17.1; one process" in line for line in lines)
    assert figures["short"](stores) == before


def test_a_peer_that_did_not_run_is_named_with_the_reason(figures, stores):
    lines = figures["full"](stores)
    assert lines.count("- Peer was left out: it does not start") == 1
    assert not any("| Peer" in line for line in lines)


def test_sections_that_were_measured_by_other_rounds_say_so(figures, stores):
    stores["postgres"]["rounds"] = {"drain": 1, "scale": 3}
    stores["sqlite"]["rounds"] = {"drain": 3}
    assert "medians of 1 to 3 rounds" in "\n".join(figures["short"](stores))
    stores["postgres"]["rounds"] = {"drain": 3}
    assert "medians of 3 rounds" in "\n".join(figures["short"](stores))
