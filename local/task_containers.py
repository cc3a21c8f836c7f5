"""ECS tasks as real containers of the engine that is here, with their definition's limits.

The engine's own command follows each container: it passes SIGTERM on, writes what the container writes, and ends with
its exit code. Containers share this machine's network, where the stand-ins are.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

import psutil

from local.container_engine import Engine
from local.images import Image
from local.task_processes import Launch, TaskProcesses, follow

CERTIFICATES = "/run/ca.pem"  # in a container: what makes clients trust the AWS stand-in


class TaskContainers:
    """Starts containers of images that were built; a program that stands in for somebody else's image is a process.

    Their labels say whose they are: the task's ARN, and `folder`, the platform's.
    """

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._engine, self._folder = engine, folder
        self._label = f"snowgate.platform={folder}"
        self._processes = TaskProcesses()

    def environment(self, image: Image, scratch: Path) -> dict[str, str]:
        """Where the certificates are in the container; all else is the image's own."""
        if image.program:
            return self._processes.environment(image, scratch)
        return {"AWS_CA_BUNDLE": CERTIFICATES} if "AWS_CA_BUNDLE" in os.environ else {}

    def start(self, launch: Launch, output: IO[bytes]) -> psutil.Popen:
        """Run the container with its definition's limits. Raises BadImage for a program that cannot be run."""
        if launch.image.program:
            return self._processes.start(launch, output)
        # Names only: the values, secrets among them, are read from the engine's own environment.
        variables = [word for name in launch.environment for word in ("--env", name)]
        words = [
            *(*self._engine.words, "run", "--rm", "--pull", "never", "--name", _name(launch.arn)),
            *("--label", self._label, "--label", f"snowgate.task={launch.arn}", "--network", "host"),
            *self._limits(launch),
            *variables,
            *self._certificates(),
            *_words(launch),
        ]
        return follow(words, {**self._engine.popen_environment(), **launch.environment}, output, self._folder)

    def kill(self, arn: str, process: psutil.Popen) -> None:
        """SIGKILL to all of the container; the process that follows it then ends by itself."""
        if self._engine.run("kill", "--signal", "KILL", _name(arn), check=False).returncode:
            self._processes.kill(
                arn, process
            )  # no such container: the process is a program's, or an engine's that hangs

    def forget(self, arn: str) -> None:
        """Remove what an engine that was interrupted may have left of the container."""
        self._engine.run("kill", "--signal", "KILL", _name(arn), check=False)
        self._engine.run("rm", "--force", "--volumes", _name(arn), check=False)

    def sweep(self) -> None:
        """Remove all of this platform's containers. Raises StepFailed when the engine cannot."""
        left = self._engine.run("ps", "--all", "--quiet", "--filter", f"label={self._label}").stdout.split()
        if left:
            self._engine.run("kill", "--signal", "KILL", *left, check=False)  # some are not running
            self._engine.run("rm", "--force", "--volumes", *left)

    def _limits(self, launch: Launch) -> list[str]:
        definition, container = launch.definition, launch.container
        words = ["--cpus", f"{int(definition['cpu']) / 1024:g}", "--memory", f"{definition['memory']}m"]
        if container.get("readonlyRootFilesystem"):
            # podman would give folders in memory beside the volumes, which Fargate does not.
            words += ["--read-only", *(["--read-only-tmpfs=false"] if self._engine.is_podman else [])]
        if container.get("linuxParameters", {}).get("initProcessEnabled"):
            words += ["--init"]
        if container.get("user"):
            words += ["--user", container["user"]]
        for mount in container.get("mountPoints", []):
            words += ["--mount", f"type=volume,destination={mount['containerPath']}"]
        return words

    def _certificates(self) -> list[str]:
        bundle = os.environ.get("AWS_CA_BUNDLE")
        return ["--volume", f"{bundle}:{CERTIFICATES}:ro"] if bundle else []


def _words(launch: Launch) -> list[str]:
    """The image and its command; a definition's own entry point goes over the image's."""
    entrypoint = launch.container.get("entryPoint") or []
    command = launch.overrides.get("command") or launch.container.get("command") or []
    over = ["--entrypoint", entrypoint[0]] if entrypoint else []
    return [*over, launch.container["image"], *entrypoint[1:], *command]


def _name(arn: str) -> str:
    return f"snowgate-{arn.rsplit('/', 1)[1]}"
