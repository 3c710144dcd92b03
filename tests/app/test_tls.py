"""TLS by URL: the server's certificate is checked, and a client shows its own where one is asked for."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from servers import PostgresServer, RedisServer
from servers.postgres import unprivileged
from servers.process import free_port, make_folder

from stoker import ConfigError, Stoker, StoreUnavailable


class Papers(NamedTuple):
    """An authority, another one, and what the first one signed."""

    ca: Path
    stranger: Path
    cert: Path
    key: Path


def openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def papers() -> Iterator[Papers]:
    user = unprivileged()
    folder = make_folder("tls", user)
    for name in ("ca", "stranger"):
        openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"),
            *(
                "-addext",
                "keyUsage=critical,keyCertSign",
                "-subj",
                f"/CN={name}",
                "-keyout",
                folder / f"{name}.key",
                "-out",
                folder / f"{name}.crt",
            ),
        )
    openssl(
        *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=127.0.0.1"),
        *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "own.key", "-out", folder / "own.csr"),
    )
    openssl(
        *("x509", "-req", "-in", folder / "own.csr", "-CA", folder / "ca.crt", "-CAkey", folder / "ca.key"),
        *("-CAcreateserial", "-days", "2", "-copy_extensions", "copy", "-out", folder / "own.crt"),
    )
    for path in folder.iterdir():
        path.chmod(0o600)
        if user is not None:
            os.chown(path, pwd.getpwnam(user).pw_uid, -1)
    yield Papers(folder / "ca.crt", folder / "stranger.crt", folder / "own.crt", folder / "own.key")
    shutil.rmtree(folder)


def runs_a_job(url: str) -> bool:
    with Stoker(url) as app:

        @app.task(name="double")
        def double(number: int) -> int:
            return number * 2

        handle = double.enqueue(4)
        return handle.refresh().args == [4]


@pytest.fixture
def redis(papers: Papers) -> Iterator[str]:
    """The URL of a server that speaks TLS and asks for a certificate, without a question mark's rest."""
    port = free_port()
    files = {"tls-cert-file": papers.cert, "tls-key-file": papers.key, "tls-ca-cert-file": papers.ca}
    server = RedisServer(**{"tls-port": port}, **{name: str(path) for name, path in files.items()})
    server.start()
    yield f"rediss://127.0.0.1:{port}/0"
    server.close()


def test_redis(redis: str, papers: Papers) -> None:
    own = f"tls_cert={papers.cert}&tls_key={papers.key}"
    assert runs_a_job(f"{redis}?tls_ca={papers.ca}&{own}")
    with pytest.raises(StoreUnavailable, match="certificate"):
        runs_a_job(f"{redis}?tls_ca={papers.stranger}&{own}")
    with pytest.raises(StoreUnavailable):
        runs_a_job(f"{redis}?tls_ca={papers.ca}")  # shows none of its own


def test_postgres(papers: Papers) -> None:
    server = PostgresServer(ssl="on", ssl_cert_file=str(papers.cert), ssl_key_file=str(papers.key)).start()
    try:
        assert runs_a_job(f"{server.url}?sslmode=verify-full&sslrootcert={papers.ca}")
        with pytest.raises(ConfigError, match="certificate verify failed"):
            runs_a_job(f"{server.url}?sslmode=verify-full&sslrootcert={papers.stranger}")
    finally:
        server.close()
