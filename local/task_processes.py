"""ECS tasks as processes of this machine: the default, for which no container engine is needed."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import psutil

from local.images import Image
from local.processes import stop_all

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Launch:
    """What is to be started: a task's container, as its definition and the task's overrides describe it."""

    arn: str
    image: Image
    definition: Mapping[str, Any]
    container: Mapping[str, Any]
    overrides: Mapping[str, Any]
    environment: Mapping[str, str]


class Launcher(Protocol):
    """How tasks are started and ended; each is followed by one process of this machine, which ends as the task does."""

    def environment(self, image: Image, scratch: Path) -> dict[str, str]:
        """The variables that a task needs to run in this way; `scratch` is a folder of its own."""

    def start(self, launch: Launch, output: IO[bytes]) -> psutil.Popen:
        """Start a task, its output going to a file. Raises BadImage if its image cannot be run."""

    def kill(self, arn: str, process: psutil.Popen) -> None:
        """End a task that does not end by itself."""

    def forget(self, arn: str) -> None:
        """Leave nothing behind of a task that has ended."""

    def sweep(self) -> None:
        """Leave nothing behind of any task, of an earlier runner's either."""


class TaskProcesses:
    """Starts an image's program with the interpreter that holds what the image holds."""

    def environment(self, image: Image, scratch: Path) -> dict[str, str]:
        """The way to programs and code, and to the folder that the task may write to."""
        passed = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return passed | image.environment() | {"HOME": str(scratch), "TMPDIR": str(scratch)}

    def start(self, launch: Launch, output: IO[bytes]) -> psutil.Popen:
        """Start the Dockerfile's words under the definition's. Raises BadImage."""
        words = launch.image.words(launch.container, launch.overrides)
        return follow(words, launch.environment, output, launch.image.folder)

    def kill(self, arn: str, process: psutil.Popen) -> None:
        """SIGKILL to the process and what it started."""
        stop_all([process], 0)

    def forget(self, arn: str) -> None:
        """There is nothing: a process leaves nothing."""

    def sweep(self) -> None:
        """There is nothing: processes end with their runner."""


def follow(words: list[str], environment: Mapping[str, str], output: IO[bytes], folder: Path) -> psutil.Popen:
    """Start the process that stands for a task."""
    return psutil.Popen(
        words,
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        preexec_fn=_end_with_the_runner,
    )


def _end_with_the_runner() -> None:
    """Called in the new process: a runner that is killed takes its tasks with it, for nobody else knows them."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
