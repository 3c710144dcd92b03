"""Declaring tasks: what can be one, what it is called, and what a wrong one is told."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stoker import InvalidOption, Stoker, TaskError, UnknownTask
from stoker.options import Options
from stoker.task import Registry, Task


@pytest.fixture
def app() -> Iterator[Stoker]:
    with Stoker("memory://") as made:
        yield made


def plain() -> None: ...


async def aplain() -> None: ...


class Service:
    def method(self) -> None: ...

    @classmethod
    def for_class(cls) -> None: ...

    @staticmethod
    def alone() -> None: ...


def declared(fn: Callable[..., Any], **options: Any) -> Task:
    return Task(fn, options.pop("name", None), Options.declared(options))


def test_a_task_is_named_after_its_module_and_function() -> None:
    assert declared(plain).name == f"{__name__}.plain"


def test_a_local_function_is_named_without_the_detour() -> None:
    def local() -> None: ...

    name = test_a_local_function_is_named_without_the_detour.__qualname__
    assert declared(local).name == f"{__name__}.{name}.local"


def test_a_name_may_be_given() -> None:
    assert declared(plain, name="images.resize").name == "images.resize"


@pytest.mark.parametrize("name", ["", "x" * 256, 5])
def test_a_wrong_name_is_refused(name: Any) -> None:
    with pytest.raises(TaskError, match="a task's name must be a text of 1 to 255 characters, not"):
        declared(plain, name=name)


@pytest.mark.parametrize(("fn", "executor"), [(plain, "thread"), (aplain, "loop")])
def test_a_function_runs_where_it_belongs(fn: Callable[..., Any], executor: str) -> None:
    task = declared(fn)
    assert task.executor_of(task.options) == executor
    chosen = declared(fn, executor="process")
    assert chosen.executor_of(chosen.options) == "process"


@pytest.mark.parametrize("fn", [Service().method, Service.for_class, Service.method, Service.alone])
def test_a_method_is_refused(fn: Callable[..., Any]) -> None:
    with pytest.raises(TaskError, match=r"is a method"):
        declared(fn)


@pytest.mark.parametrize("fn", [Service.__dict__["for_class"], Service.__dict__["alone"]])
def test_a_method_is_refused_within_its_class(fn: Any) -> None:
    with pytest.raises(TaskError, match="is a method; a task must be a function at the top of a module"):
        declared(fn)


@pytest.mark.parametrize("thing", [print, len, functools.partial(plain), Service, 5, None])
def test_what_is_no_function_is_refused(thing: Any) -> None:
    with pytest.raises(TaskError, match="a task must be a function, not"):
        declared(thing)


def test_a_generator_is_refused() -> None:
    def counting() -> Iterator[int]:
        yield 1

    async def acounting():
        yield 1

    for fn in (counting, acounting):
        with pytest.raises(TaskError, match="a generator cannot be a task; return a value instead of yielding"):
            declared(fn)


def test_a_process_needs_what_it_can_import() -> None:
    def local() -> None: ...

    for fn in (local, lambda: None):
        with pytest.raises(TaskError, match=r"executor='process' needs a function at the top of a module"):
            declared(fn, executor="process")
    assert declared(plain, executor="process").importable


def test_a_wrong_option_is_told_where_it_is_written(app: Stoker) -> None:
    with pytest.raises(InvalidOption, match="there is no option 'retries'"):
        app.task(retries=3)


def test_a_hint_may_name_what_is_defined_further_down(app: Stoker) -> None:
    @app.task
    def early(value: Later) -> None: ...  # noqa: F821

    with pytest.raises(NameError, match="Later"):
        early.call(5)
    plain.__globals__["Later"] = int
    try:
        assert early.call(5).payload == "[[5],{}]"
    finally:
        del plain.__globals__["Later"]


def test_the_decorator_leaves_a_function_that_looks_like_it_was(app: Stoker) -> None:
    @app.task(queue="slow")
    def resize(path: str, width: int = 200) -> str:
        """Make it small."""
        return f"{path}@{width}"

    assert resize("cat.jpg", width=5) == "cat.jpg@5"
    assert (resize.__name__, resize.__doc__, resize.__module__) == ("resize", "Make it small.", __name__)
    assert resize.name.endswith("resize")
    assert "resize" in repr(resize)


def test_two_tasks_of_one_name_are_told_where_they_are(app: Stoker) -> None:
    app.task(name="same")(plain)
    with pytest.raises(TaskError, match=r"'same' is defined twice: in .*test_task\.py:\d+ and in .*test_task\.py:\d+"):
        app.task(name="same")(aplain)


def test_a_task_is_found_by_its_name_or_its_end() -> None:
    registry = Registry()
    for name in ("a.resize", "b.resize", "b.send"):
        registry.add(declared(plain, name=name))
    assert registry.find("a.resize").name == "a.resize"
    assert registry.find("send").name == "b.send"
    with pytest.raises(UnknownTask, match=r"'resize' can be any of a\.resize, b\.resize; write the whole name"):
        registry.find("resize")
    with pytest.raises(UnknownTask, match=r"no task is called 'end'; this app declares: a\.resize, b\.resize, b\.send"):
        registry.find("end")
    with pytest.raises(UnknownTask, match="this app declares: none"):
        Registry().get("x")


SCRIPT = """
from stoker import Stoker
app = Stoker("memory://")
@app.task
def resize(): ...
{more}
print(resize.name, resize.task.importable)
"""


def printed(*arguments: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments], cwd=cwd, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


def test_a_script_goes_by_the_name_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "jobs.py").write_text(SCRIPT.format(more=""))
    assert printed("jobs.py", cwd=tmp_path) == "jobs.resize True"
    assert printed("-m", "jobs", cwd=tmp_path) == "jobs.resize True"
    assert printed("-c", "import jobs", cwd=tmp_path) == "jobs.resize True"


def test_a_package_run_as_a_script_goes_by_the_name_under_which_it_is_imported(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text("")
    (tmp_path / "shop" / "__main__.py").write_text(SCRIPT.format(more=""))
    assert printed("-m", "shop", cwd=tmp_path) == "shop.__main__.resize True"
    assert printed("-c", "import shop.__main__", cwd=tmp_path) == "shop.__main__.resize True"


def test_a_session_may_define_a_task_again(tmp_path: Path) -> None:
    again = "@app.task\ndef resize(): ...\n"
    assert printed("-c", SCRIPT.format(more=again), cwd=tmp_path) == "__main__.resize False"


def test_a_task_of_a_session_does_not_go_where_no_worker_can_import_it(tmp_path: Path) -> None:
    script = SCRIPT.replace("memory://", "sqlite:///jobs.db").format(more="resize.enqueue()")
    failed = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert failed.returncode == 1
    assert "is defined in an interactive session, where no worker can import it; put it into a module" in failed.stderr
