"""The picture in mind, held: layers, colours, clocks, exports, sizes."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SRC = Path(__file__).parent.parent / "src" / "stoker"

# From facts to surfaces. A module may import modules of its own layer's row or of rows above it; siblings that must
# not know each other are kept apart below.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("forking",),
    ("errors", "clock", "job", "schedule", "printable"),
    ("logbook", "context", "settings", "timing", "step"),
    ("codec", "plan", "retry", "tokens"),
    ("options", "declarations", "schedule_record", "shell"),
    ("task",),
    ("call",),
    ("graph",),
    ("views", "schedule_store", "lock_store", "tally_store", "audit_store"),
    ("store",),
    ("workflow_record", "queue_limit", "standing", "selection", "parents"),
    ("stores.record", "stores.statements", "drivers.driver", "drivers.aside", "dispatcher", "events"),
    ("stores", "drivers"),
    ("connect",),
    ("worker",),
    ("batcher",),
    ("watcher",),
    ("background", "foreground", "engine"),
    ("handle", "scheduler", "locks"),
    ("dump",),
    ("bound", "jobs", "queues", "workers"),
    ("workflow",),
    ("workflows",),
    ("schedule_options", "schedules"),
    ("schedule_table",),
    ("app",),
    ("__init__",),
    ("target",),
    ("web",),
    ("serving",),
    ("member",),
    ("fleet",),
    ("testing", "demo"),
    ("cli",),
    ("__main__",),
)

KINDS = ("memory", "sqlite", "postgres", "redis")
APART = (
    tuple(f"stores.{kind}" for kind in KINDS),
    (*(f"drivers.{kind}" for kind in KINDS), "drivers.borrowed"),
    tuple(f"connect.{kind}" for kind in KINDS if kind != "memory"),
)

# Where I/O may have a colour: everything else is plain functions over values.
COLOURED = (
    *("drivers", "worker", "batcher", "watcher", "background", "foreground", "engine", "handle", "bound", "app"),
    *("dump", "jobs", "queues", "workers"),
    *("member", "fleet", "plan", "cli", "testing", "demo", "task", "schedules", "shell", "locks", "workflow"),
    *("workflows", "web"),
)

# Where a clock or chance may be read besides `clock`: only through its functions.
FORBIDDEN_CALLS = {
    "time": {"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "sleep"},
    "datetime": {"now", "utcnow", "today"},
    "random": {"random", "randint", "choice", "shuffle", "uniform", "Random", "getrandbits"},
    "uuid": {"uuid1", "uuid4", "uuid7"},
    "secrets": {"token_hex", "token_bytes", "token_urlsafe", "randbelow"},
}

DATABASES = {"sqlite3", "psycopg", "asyncpg", "redis", "sqlalchemy", "aiosqlite"}


def modules() -> dict[str, Path]:
    found = {}
    for path in SRC.rglob("*.py"):
        name = ".".join(path.relative_to(SRC).with_suffix("").parts)
        found[name.removesuffix(".__init__") if name != "__init__" else name] = path
    return found


MODULES = modules()


def layer(name: str) -> int:
    best = max(
        (len(prefix), number)
        for number, row in enumerate(LAYERS)
        for prefix in row
        if name == prefix or name.startswith(prefix + ".")
    )
    return best[1]


def imports(path: Path) -> list[str]:
    """Every import, wherever it stands: a deferred one is an arrow, too."""
    names = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def internal(path: Path) -> list[str]:
    targets = []
    for name in imports(path):
        if name == "stoker" or name.startswith("stoker."):
            short = name.removeprefix("stoker").removeprefix(".")
            while short and short not in MODULES:
                short = short.rpartition(".")[0]
            targets.append(short or "__init__")
    return targets


def test_every_module_has_a_layer():
    assert [
        name for name in MODULES if not any(name == p or name.startswith(p + ".") for row in LAYERS for p in row)
    ] == []


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_flow_one_way(name):
    upward = [target for target in internal(MODULES[name]) if layer(target) > layer(name)]
    assert upward == [], f"{name} imports what lies above it"


def test_there_are_no_import_cycles():
    graph = {name: set(internal(path)) - {name} for name, path in MODULES.items()}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name not in done:
            for target in sorted(graph[name]):
                visit(target, (*trail, name))
            done.add(name)

    for name in sorted(graph):
        visit(name, ())


@pytest.mark.parametrize("family", APART, ids=lambda family: family[0].partition(".")[0])
def test_siblings_never_import_each_other(family):
    for member in family:
        for name, path in MODULES.items():
            if name == member or name.startswith(member + "."):
                others = {
                    target
                    for target in internal(path)
                    for other in family
                    if other != member and target.startswith(other)
                }
                assert others == set(), f"{name} imports a sibling"


@pytest.mark.parametrize(
    "name", sorted(n for n in MODULES if not any(n == c or n.startswith(c + ".") for c in COLOURED))
)
def test_async_stays_at_the_edges(name):
    tree = ast.parse(MODULES[name].read_text("utf-8"))
    coloured = [
        node.lineno for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncWith)
    ]
    assert coloured == []


@pytest.mark.parametrize("name", sorted(n for n in MODULES if not n.startswith(("clock", "cli", "demo", "testing"))))
def test_only_the_clock_reads_time_and_chance(name):
    tree = ast.parse(MODULES[name].read_text("utf-8"))
    found = [
        f"{node.func.value.id}.{node.func.attr} in line {node.lineno}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.attr in FORBIDDEN_CALLS.get(node.func.value.id, ())
    ]
    assert found == []


@pytest.mark.parametrize("name", sorted(n for n in MODULES if not n.startswith("drivers.")))
def test_databases_are_known_to_drivers_only(name):
    if name.startswith(("testing", "cli.bench", "cli.doctor")):
        return
    assert {top for top in (n.partition(".")[0] for n in imports(MODULES[name])) if top in DATABASES} == set()


OF_ONE_STORE = tuple(f"{layer}.{kind}" for layer in ("stores", "drivers") for kind in KINDS)


@pytest.mark.parametrize("name", sorted(n for n in MODULES if not n.startswith((*OF_ONE_STORE, "drivers.borrowed"))))
def test_no_store_is_known_by_name(name):
    """Capabilities, not names: only `connect` says which store there is."""
    if name in ("app", "settings", "stores") or name.startswith(("connect", "cli", "demo", "testing")):
        return  # these only say its name to people
    tree = ast.parse(MODULES[name].read_text("utf-8"))
    words = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    docs = {
        id(body[0].value)
        for node in ast.walk(tree)
        if (body := getattr(node, "body", None)) and isinstance(body, list) and isinstance(body[0], ast.Expr)
    }
    said = [
        w.lineno
        for w in words
        if id(w) not in docs and any(kind in w.value.lower() for kind in ("sqlite", "postgres", "redis"))
    ]
    assert said == [], f"{name} asks for a store by its name"


def test_the_public_names_are_these():
    import stoker

    names = """
        AppClosed BoundTask Call Cancel ConfigError Context InvalidArguments InvalidOption Job JobCancelled JobFailed
        JobHandle JobNotFound KeyTaken LockLost LockTaken Log MissingExtra PayloadTooLarge Retry ScheduleNotFound
        ScheduleRecord Snooze State Step Stoker StokerError StoreBroken StoreUnavailable TaskError UnknownTask
        WorkerNotFound Workflow WorkflowError WorkflowHandle WorkflowNotFound WorkflowRecord WorkflowSealed batch chain
        exponential fixed previous
    """
    assert sorted(stoker.__all__) == names.split()
    assert all(hasattr(stoker, name) for name in stoker.__all__)


@pytest.mark.parametrize("name", sorted(n for n in MODULES if not n.startswith("testing")))
def test_files_are_small_and_named_after_their_noun(name):
    lines = MODULES[name].read_text("utf-8").count("\n")
    assert lines <= 500, f"{name} has {lines} lines: does it still have one noun?"
    assert name.rpartition(".")[2] not in {"utils", "util", "common", "helpers", "helper", "base", "manager", "misc"}


def test_statements_stand_in_files_of_their_own():
    """Only a store may put one together, from names of its own."""
    for name, path in MODULES.items():
        if name.startswith(("stores.sqlite", "stores.postgres")):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                text = "".join(v.value for v in node.values if isinstance(v, ast.Constant) and isinstance(v.value, str))
                assert not text.lstrip().upper().startswith(("SELECT ", "INSERT ", "UPDATE ", "DELETE ")), (
                    name,
                    node.lineno,
                )
