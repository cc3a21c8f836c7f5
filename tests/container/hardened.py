"""Containers with every restriction that a task definition here has, and the memory of a task of 1 GB."""

from __future__ import annotations

import secrets
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.container_engine import Engine

MEMORY = "1g"
RESTRICTED = (
    *("--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges"),
    *("--memory", MEMORY, "--pids-limit", "256", "--network", "host"),
)


@dataclass
class Container:
    """One container that was started."""

    engine: Engine
    name: str

    def log(self) -> str:
        """What it wrote."""
        done = self.engine.run("logs", self.name)
        return done.stdout + done.stderr

    def python(self, program: str) -> str:
        """What a Python program prints that runs inside, as the container's user."""
        return self.engine.run("exec", self.name, "python", "-c", program).stdout.strip()

    def look(self, template: str) -> str:
        """A part of what the engine says of it."""
        return self.engine.run("inspect", "--format", template, self.name).stdout.strip()

    def is_healthy(self) -> bool:
        """Whether the image's HEALTHCHECK finds it healthy now; Docker cannot be told to look now."""
        command = ("exec", self.name, "python", "-m", "report_service", "health")
        look = ("healthcheck", "run", self.name) if self.engine.is_podman else command
        return self.engine.run(*look, check=False).returncode == 0

    def stop(self, seconds: int) -> int:
        """SIGTERM, and SIGKILL after `seconds`; its exit code."""
        self.engine.run("stop", "--time", str(seconds), self.name, seconds=seconds + 30)
        return int(self.look("{{.State.ExitCode}}"))


@dataclass
class Containers:
    """Starts containers of one image; `mounts` are files and folders that it may read."""

    engine: Engine
    image: str
    environment: Mapping[str, str]
    mounts: Mapping[Path, Path]
    names: list[str] = field(default_factory=list)

    def start(self, *words: str, mounts: Mapping[Path, Path] | None = None, **changes: str) -> Container:
        """Start one in the background; `changes` go over its environment."""
        self._run("--detach", words=words, mounts=mounts or {}, changes=changes)
        return Container(self.engine, self.names[-1])

    def run(self, *words: str, options: tuple[str, ...] = (), **changes: str) -> subprocess.CompletedProcess[str]:
        """Run one to its end."""
        return self._run(*options, words=words, mounts={}, changes=changes, check=False)

    def remove(self) -> None:
        """Leave none behind."""
        at_once = ("--time", "0") if self.engine.is_podman else ()
        for name in self.names:
            self.engine.run("rm", "--force", "--volumes", *at_once, name, check=False)

    def _run(
        self,
        *options: str,
        words: tuple[str, ...],
        mounts: Mapping[Path, Path],
        changes: Mapping[str, str],
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        self.names.append(f"snowgate-test-{secrets.token_hex(4)}")
        variables = [word for item in (self.environment | changes).items() for word in ("--env", "=".join(item))]
        # podman gives folders in memory beside the volumes otherwise, which Fargate does not.
        strict = ("--read-only-tmpfs=false",) if self.engine.is_podman else ()
        read = [word for here, there in (self.mounts | mounts).items() for word in ("--volume", f"{here}:{there}:ro")]
        return self.engine.run(
            *("run", "--name", self.names[-1], *RESTRICTED, *strict, *options, *variables, *read, self.image, *words),
            check=check,
            seconds=120,
        )


def wait_until(condition: object, seconds: float, otherwise: object) -> None:
    """Wait until `condition()` is true; after `seconds` fail with what `otherwise()` says."""
    assert callable(condition)
    assert callable(otherwise)
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, otherwise()
        time.sleep(0.2)
