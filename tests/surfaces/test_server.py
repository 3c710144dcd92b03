"""`stoker server` and `stoker start` as their users run them: real processes, real sockets."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from stoker import Stoker
from stoker.web.prefix import Prefix

WAIT = 60.0
"""seconds after which a test gives up; nothing is expected to take so long"""

SERVED = """
import asyncio, os
from pathlib import Path
from stoker import Context, Stoker

app = Stoker(os.environ.get("PLACE", "sqlite:///jobs.db"), mode=os.environ.get("MODE"))


@app.task(expose=True)
async def add(a: int, b: int) -> int:
    return a + b


@app.task(expose=True)
async def endless(*, ctx: Context) -> None:
    ctx.progress(1, 2)
    await asyncio.Event().wait()
"""

WEB = """
import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from stoker.web import create
from served import add, app


async def hello(request):
    return PlainTextResponse(f"hello below {request.scope['root_path']!r}")


async def slow(request):
    Path("inside").touch()
    while not Path("go").exists():
        await asyncio.sleep(0.01)
    return PlainTextResponse("done")


async def enqueue(request):
    return PlainTextResponse(str(await (await add.aenqueue(1, 2))))


def broken(scope):
    raise RuntimeError("no database today")


@asynccontextmanager
async def refusing(_):
    raise RuntimeError("no database today")
    yield


@asynccontextmanager
async def lifespan(_):
    Path("begun").touch()
    yield
    Path("ended").touch()


routes = [Route("/", hello), Route("/slow", slow), Route("/add", enqueue), Mount("/stoker", create(app))]
api = Starlette(routes=routes, lifespan=lifespan)
double = Starlette(routes=routes, lifespan=app.lifespan())
refuses = Starlette(routes=routes, lifespan=refusing)
number = 42


def wsgi(environ, start_response):
    return []
"""

WHO = """
from stoker.web import Identity

def identify(request):
    name = request.headers.get("x-user")
    return Identity(name, admin=name == "ada") if name else None

nobody = None
"""


class Running:
    """A server that answers."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process = process
        self.url = url
        self.client = httpx.Client(base_url=url, timeout=WAIT)

    def enqueue(self, task: str, *args: object) -> str:
        answer = self.client.post("jobs", json={"task": f"served.{task}", "args": args})
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    def job(self, id: str) -> dict:
        return self.client.get(f"jobs/{id}").raise_for_status().json()

    def workers(self, place: str = "sqlite:///jobs.db") -> list:
        with Stoker(place) as app:
            return list(app.workers.list())

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> tuple[int, str]:
        _, err = self.process.communicate(timeout=WAIT)
        return self.process.returncode, err


class Hall:
    """A folder with an app in it, whose processes are served from it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, text in (("served", SERVED), ("shop_web", WEB), ("who", WHO)):
            (folder / f"{name}.py").write_text(text)

    @contextmanager
    def begun(self, *args: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
        """The command as a process; killed if the test does not see its end."""
        process = subprocess.Popen(
            [sys.executable, "-m", "stoker", *args],
            cwd=self.folder,
            env=os.environ | {"STOKER_APP": "served:app", "PYTHONUNBUFFERED": "1"} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        bell = threading.Timer(2 * WAIT, process.kill)  # whoever waits for something gives up before
        bell.start()
        try:
            yield process
        finally:
            bell.cancel()
            process.kill()
            process.communicate()

    @contextmanager
    def running(self, *args: str, **environment: str) -> Iterator[Running]:
        """The same, once it answers."""
        with self.begun(*args, "--port", "0", **environment) as process:
            line = process.stdout.readline()
            assert line.startswith("stoker: serving at http://"), line + process.communicate(timeout=WAIT)[1]
            running = Running(process, line.split()[-1])
            with running.client:
                yield running

    def refused(self, *args: str, **environment: str) -> str:
        """What it says where it cannot begin."""
        with self.begun(*args, **environment) as process:
            out, err = process.communicate(timeout=WAIT)
            assert (process.returncode, out) == (2, ""), err
            assert "Traceback" not in err
            return err


@pytest.fixture
def hall(tmp_path, monkeypatch) -> Hall:
    for name in [name for name in os.environ if name.startswith("STOKER_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return Hall(tmp_path)


# --- what runs where --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_start_serves_and_works_in_one_process(hall, eventually, number):
    with hall.running("start") as running:
        id = running.enqueue("add", 1, 2)
        eventually(lambda: running.job(id)["state"] == "completed")
        [worker] = running.workers()
        assert worker.pid == running.process.pid
        code, err = running.end(number)
    assert code == 0, err
    assert "Traceback" not in err
    assert "scheduler stopped" in err
    assert running.workers() == []


def test_server_runs_no_jobs(hall):
    with hall.running("server") as running:
        id = running.enqueue("add", 1, 2)
        assert running.workers() == []
        assert running.job(id)["state"] == "queued"
        assert running.end()[0] == 0


def test_server_needs_only_a_store(hall):
    with Stoker("sqlite:///jobs.db") as app:
        app.task(name="t")(lambda: None)
        id = app.registry and app.enqueue_many([])  # makes nothing, but opens the store
    assert id == []
    with hall.running("server", "--url", "sqlite:///jobs.db") as running:
        assert running.client.get("jobs").json() == {"jobs": [], "next": None}
    assert "there is no store" in hall.refused("server", "--url", "sqlite:///other.db")


@pytest.mark.parametrize("command", ["start", "server"])
def test_an_app_that_runs_its_jobs_itself_can_be_served(hall, eventually, command):
    with hall.running(command, MODE="async") as running:
        id = running.enqueue("add", 1, 2)
        eventually(lambda: running.job(id)["result"] == 3)
        assert running.end()[0] == 0


def test_jobs_in_memory_are_served_by_the_process_that_runs_them(hall, eventually):
    with hall.running("start", PLACE="memory://") as running:
        id = running.enqueue("add", 1, 2)
        eventually(lambda: running.job(id)["result"] == 3)
    assert "`stoker start`" in hall.refused("server", PLACE="memory://")
    assert "--processes needs a store" in hall.refused("start", "--processes", "2", PLACE="memory://")


def test_a_fleet_has_its_server_in_a_process_of_its_own(hall, eventually):
    with hall.running("start", "--processes", "2") as running:
        id = running.enqueue("add", 1, 2)
        eventually(lambda: running.job(id)["state"] == "completed")
        eventually(lambda: len(running.workers()) == 2)
        children = children_of(running.process.pid)
        assert len(children) == 3
        [server] = children - {worker.pid for worker in running.workers()}
        os.kill(server, signal.SIGKILL)
        again = running.process.stdout.readline()  # the socket is the parent's: nobody is turned away meanwhile
        assert again.split()[-1] == running.url
        assert running.client.get(f"jobs/{id}").json()["id"] == id
        code, err = running.end()
    assert code == 0, err
    assert running.workers() == []


def children_of(pid: int) -> set[int]:
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def test_a_worker_that_is_told_to_stop_leaves_the_server(hall, eventually):
    with hall.running("start") as running:
        [worker] = running.workers()
        with Stoker("sqlite:///jobs.db") as app:
            app.workers.stop(worker.id)
        eventually(lambda: running.workers() == [])
        id = running.enqueue("add", 1, 2)
        assert running.job(id)["state"] == "queued"
        assert running.end()[0] == 0


def test_a_worker_that_cannot_begin_takes_the_server_with_it(hall):
    (hall.folder / "sick.py").write_text(
        "from served import app\n@app.on_start\ndef refuse():\n    raise OSError('no camera')\n"
    )
    with hall.begun("start", "--app", "sick:app", "--port", "0") as process:
        out, err = process.communicate(timeout=WAIT)
        assert process.returncode == 1
        assert out == ""
        assert "no camera" in err


# --- the end ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [("start",), ("start", "--web", "shop_web:api")], ids=["ours", "theirs"])
def test_streams_end_before_the_server_does(hall, command):
    mount = "stoker/" if "--web" in command else ""
    with hall.running(*command, "--grace", "3") as running:
        answer = running.client.post(f"{mount}jobs", json={"task": "served.endless"})
        id = answer.json()["id"]
        with running.client.stream("GET", f"{mount}jobs/{id}/events") as stream:
            lines = stream.iter_lines()
            assert any(line.startswith("data:") for line in lines)
            running.process.send_signal(signal.SIGTERM)
            for _ in lines:  # to the end, and to one that is said: a stream that is cut off raises
                pass
        code, err = running.ended()
    assert code == 0, err
    assert "Cancel" not in err
    with Stoker("sqlite:///jobs.db") as app:
        assert app.jobs.get(id).state == "queued"  # given back


def test_a_request_under_way_ends(hall, eventually):
    with hall.running("start", "--web", "shop_web:api") as running:
        answers = []
        asking = threading.Thread(target=lambda: answers.append(running.client.get("slow")))
        asking.start()
        eventually((hall.folder / "inside").exists)
        running.process.send_signal(signal.SIGTERM)
        eventually(lambda: not accepts(running.url))
        (hall.folder / "go").touch()
        asking.join(WAIT)
        assert [answer.text for answer in answers] == ["done"]
        assert running.ended()[0] == 0
    assert (hall.folder / "ended").exists()


def accepts(url: str) -> bool:
    parts = httpx.URL(url)
    try:
        socket.create_connection((parts.host, parts.port), WAIT).close()
    except ConnectionError:  # refused, or reset where it stopped listening just then
        return False
    return True


def test_a_second_signal_waits_for_nothing(hall, eventually):
    with hall.running("start", "--web", "shop_web:api") as running:
        asking = threading.Thread(target=ask, args=(running, "slow"))
        asking.start()
        eventually((hall.folder / "inside").exists)
        running.process.send_signal(signal.SIGTERM)
        eventually(lambda: not accepts(running.url))
        code, err = running.end()
        asking.join(WAIT)
    assert code == 0, err
    assert "timeout graceful shutdown exceeded" not in err


def ask(running: Running, path: str) -> None:
    with suppress(httpx.HTTPError):
        running.client.get(path)


# --- who may come in --------------------------------------------------------------------------------------------------


def test_identify_says_who_asks(hall):
    (hall.folder / "stoker.toml").write_text('app = "served:app"\nidentify = "who:identify"\n')
    with hall.running("server", "--host", "0.0.0.0") as running:
        url = running.url.replace("0.0.0.0", "127.0.0.1") + "jobs"
        with httpx.Client(timeout=WAIT) as client:
            assert client.get(url).status_code == 401
            made = client.post(url, json={"task": "served.add", "args": [1, 2]}, headers={"x-user": "bob"}).json()
            assert made["owner"] == "bob"
            for name, status in (("bob", 200), ("eve", 404), ("ada", 200)):
                assert client.get(f"{url}/{made['id']}", headers={"x-user": name}).status_code == status


@pytest.mark.parametrize(("command", "host"), [("start", "0.0.0.0"), ("server", "::")])
def test_nothing_is_open_to_all_where_nothing_says_who_asks(hall, command, host):
    assert "nothing says who asks: set identify" in hall.refused(command, "--host", host, "--port", "0")


def test_read_only_changes_nothing(hall):
    with hall.running("server", "--read-only") as running:
        answer = running.client.post("jobs", json={"task": "served.add", "args": [1, 2]})
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:stoker:read-only")


def test_tokens_are_not_logged(hall):
    token = "very-secret-token"
    with hall.running("start", "--log-level", "debug") as running:
        id = running.enqueue("add", 1, 2)
        assert running.client.get(f"jobs/{id}", params={"token": token}).status_code == 200
        address = f"{running.url.replace('http', 'ws')}jobs/{id}/ws?token={token}"
        with (
            suppress(WebSocketException),
            connect(address, open_timeout=WAIT) as opened,
        ):  # what it says is another test's matter
            opened.recv(WAIT)
        _, err = running.end()
    assert "started on" in err
    assert token not in err


@pytest.mark.parametrize("path", ["jobs", "ops/stoker/jobs"])
def test_a_prefix_may_be_taken_off_by_the_proxy_or_left_on(hall, path):
    with hall.running("server", "--prefix", "/ops/stoker/") as running:
        parts = httpx.URL(running.url)
        assert parts.path == "/ops/stoker/"
        where = f"http://{parts.host}:{parts.port}/{path}"
        answer = httpx.post(where, json={"task": "served.add", "args": [1, 2]}, timeout=WAIT)
        assert answer.status_code == 202
        assert answer.headers["location"] == f"/ops/stoker/jobs/{answer.json()['id']}"


@pytest.mark.parametrize("before", ["", "/ops/stoker"], ids=["taken-off", "left-on"])
def test_the_dashboard_behind_a_prefix_knows_where_it_is(hall, before):
    with hall.running("server", "--prefix", "/ops/stoker") as running:
        root = f"http://{httpx.URL(running.url).netloc.decode()}{before}"
        for path, up in (
            ("/", "./"),
            ("/ui/jobs", "../"),
            ("/ui/jobs/a%2Fb", "../../"),
            ("/ui/%6Aobs/%C3%A4", "../../"),
        ):
            page = httpx.get(root + path, headers={"accept": "text/html"}, timeout=WAIT).text
            assert f'href="{up}static/dashboard' in page, path
        page = httpx.get(f"{root}/ui/jobs", headers={"accept": "text/html"}, timeout=WAIT).text
        assert 'data-page="ui/jobs"' in page


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("path", "raw", "whole", "whole_raw"),
    [
        ("/ui/a/b", b"/ui/a%2Fb", "/s/ui/a/b", b"/s/ui/a%2Fb"),
        ("/s/ui/a/b", b"/s/ui/a%2Fb", "/s/ui/a/b", b"/s/ui/a%2Fb"),
        ("/s", b"/s", "/s", b"/s"),
        ("/same", b"/same", "/s/same", b"/s/same"),
        ("/ui", None, "/s/ui", None),
        ("/s/ui", None, "/s/ui", None),
    ],
)
async def test_both_paths_of_a_request_get_the_prefix(path, raw, whole, whole_raw):
    seen = {}

    async def inner(scope, receive, send):
        seen.update(scope)

    await Prefix(inner, "/s/")({"type": "http", "path": path, "raw_path": raw}, None, None)
    assert (seen["path"], seen["raw_path"], seen["root_path"]) == (whole, whole_raw, "/s")
    await Prefix(inner, "/s")({"type": "http", "path": path}, None, None)
    assert seen["path"] == whole


# --- the user's own application ---------------------------------------------------------------------------------------


def test_ones_own_application_is_served_beside_the_worker(hall):
    with hall.running("start", "--web", "shop_web:api") as running:
        assert running.client.get("").text == "hello below ''"
        assert running.client.get("add").text == "3"
        assert (hall.folder / "begun").exists()
        assert running.client.get("stoker/jobs").json()["jobs"][0]["result"] == 3
        assert running.end()[0] == 0
    assert (hall.folder / "ended").exists()


@pytest.mark.parametrize("processes", ["1", "2"])
def test_its_lifespan_starts_no_second_worker(hall, eventually, processes):
    with hall.running("start", "--web", "shop_web:double", "--processes", processes) as running:
        assert running.client.get("add").text == "3"
        eventually(lambda: len(running.workers()) == int(processes))
        assert running.client.get("add").text == "3"
        assert len(running.workers()) == int(processes)


def test_the_app_of_the_application_is_found(hall):
    with hall.running("start", "--web", "shop_web:api", STOKER_APP="") as running:
        assert running.client.get("add").text == "3"


def test_an_application_that_cannot_begin_ends_everything(hall):
    with hall.begun("start", "--web", "shop_web:refuses", "--port", "0") as process:
        out, err = process.communicate(timeout=WAIT)
        assert process.returncode == 1
        assert out == ""
        assert "no database today" in err
        assert "stoker: the web application could not start; the log says why" in err


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [("server",), ("start",), ("start", "--processes", "2")], ids=" ".join)
def test_a_port_that_is_taken(shop, command):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = shop.run(*command, "--port", str(port))
    assert (done.code, done.out) == (2, "")
    assert f"port {port} of 127.0.0.1 is taken" in done.err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--host", "no such host"], "there is no host 'no such host'"),
        (["--host", "192.0.2.7", "--identify", "who:identify"], "192.0.2.7 is not an address of this machine"),
        (["--prefix", "stoker"], "a prefix is a path as /stoker, not 'stoker'"),
        (["--prefix", "/a?b"], "a prefix is a path as /stoker"),
        (["--identify", "who"], "identify takes MODULE:ATTRIBUTE"),
        (["--identify", "nowhere:identify"], "there is no module 'nowhere'"),
        (["--identify", "who:missing"], "identify who:missing: the module who has no 'missing'"),
        (["--identify", "who:nobody"], "identify who:nobody is NoneType, and cannot be called"),
        (["--web", "shop_web"], "--web takes MODULE:ATTRIBUTE, as in web:api, not 'shop_web'"),
        (["--web", "shop_web:number"], "--web shop_web:number is int, and cannot be called"),
        (["--web", "shop_web:wsgi"], "--web shop_web:wsgi is a WSGI application; put it into a2wsgi.WSGIMiddleware"),
        (["--web", "shop_web:api", "--no-server"], "without the server, nothing serves --web"),
        (["--web", "shop_web:api", "--read-only"], "your own application says itself who may do what"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_is_told(hall, shop, args, words):
    done = shop.run("start", "--app", "served:app", "--port", "0", *args)
    assert (done.code, done.out) == (2, "")
    assert words in " ".join(done.err.replace("│", " ").split())


def test_a_fleet_whose_server_cannot_begin_ends(hall):
    said = hall.refused("start", "--processes", "2", "--web", "shop_web:missing", "--port", "0")
    assert "--web shop_web:missing: the module shop_web has no 'missing'" in said


@pytest.mark.parametrize("package", ["starlette", "uvicorn", "jinja2"])
def test_a_missing_extra_is_named(hall, package):
    """As where only the core is installed: the import fails."""
    (hall.folder / "sitecustomize.py").write_text(f"import sys\nsys.modules[{package!r}] = None\n")
    said = hall.refused("start", "--port", "0", PYTHONPATH=str(hall.folder))
    assert f"the server needs the package {package}: pip install 'stoker[web]'" in said
    with hall.begun("start", "--no-server", "--drain", PYTHONPATH=str(hall.folder)) as process:
        _, err = process.communicate(timeout=WAIT)
        assert process.returncode == 0, err


def test_standard_output_is_the_url_alone(hall):
    with hall.running("start") as running:
        running.enqueue("add", 1, 2)
        running.process.send_signal(signal.SIGTERM)
        out, _ = running.process.communicate(timeout=WAIT)
    assert out == ""
