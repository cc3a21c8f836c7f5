"""The container engine: one that this machine has, or a podman of this project's own, from Debian's packages.

`python -m local.container_engine` makes one ready, `python -m local.container_engine build` builds all images with it.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from local.images import IMAGES
from local.processes import ROOT, StepFailed, last_lines

FOLDER = ROOT / "build" / "containers"  # of our own podman: its configuration, its images, its logs
PACKAGES = ("podman", "runc", "catatonit", "mmdebstrap")
REGISTRY = "https://registry-1.docker.io/v2/"  # which has the Dockerfiles' BASE_IMAGE
# What such machines give their builds: where packages are. Certificates and proxies are passed by other ways.
INDEX_VARIABLES = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL")

# runc, files and limits are for machines that are containers or small virtual machines themselves: there is no systemd,
# and their own limits are below podman's defaults.
CONFIGURATION = {
    "containers.conf": """\
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
tmp_dir = "{folder}/run/libpod"
[network]
network_backend = "netavark"
network_config_dir = "{folder}/networks"
""",
    # Without skip_mount_home the folder is a mount point, which `make clean` could not remove.
    "storage.conf": """\
[storage]
driver = "overlay"
graphroot = "{folder}/storage"
runroot = "{folder}/run"
[storage.options.overlay]
skip_mount_home = "true"
""",
    "registries.conf": "",
}


class NoEngine(Exception):
    """No container engine is here, and none can be made; the text says what is missing and what to do."""


@dataclass(frozen=True)
class Engine:
    """A command line like Docker's, the variables that it needs, and the base of the images that it builds.

    `base_image` None leaves the Dockerfiles' own, a public one.
    """

    words: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    base_image: str | None = None

    @property
    def is_podman(self) -> bool:
        """Whether it is podman and not Docker."""
        return Path(self.words[0]).name == "podman"

    def to_json(self) -> str:
        """All that another process needs to call the same engine."""
        return json.dumps({"words": self.words, "environment": dict(self.environment)})

    @classmethod
    def from_json(cls, text: str) -> Engine:
        """The engine that `to_json` wrote down."""
        values = json.loads(text)
        return cls(tuple(values["words"]), values["environment"])

    def popen_environment(self) -> dict[str, str]:
        """The variables of the engine's process: this one's, and its own."""
        return os.environ | self.environment

    def run(self, *words: str | Path, check: bool = True, seconds: float = 60) -> subprocess.CompletedProcess[str]:
        """Run one command of the engine to its end, its output caught. Raises StepFailed with what it said."""
        command = [*self.words, *map(str, words)]
        FOLDER.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            command,
            cwd=FOLDER,  # where podman's monitor leaves a file, oom, of a container that took too much
            env=self.popen_environment(),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if check and done.returncode:
            raise StepFailed(" ".join(command[:3]), f"exit code {done.returncode}: {done.stderr.strip()[-2000:]}")
        return done

    def build(self, name: str, folder: Path) -> None:
        """Build the image `name` out of a folder, from the engine's cache what is unchanged. Raises StepFailed."""
        log = FOLDER / "logs" / f"{folder.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        base = ("--build-arg", f"BASE_IMAGE={self.base_image}") if self.base_image else ()
        docker = ("--format", "docker") if self.is_podman else ()  # podman's own format has no HEALTHCHECK
        with _lock(), _secrets() as secrets, log.open("wb") as output:
            command = [*self.words, "build", *docker, *base, *secrets, "--network", "host", "--tag", name, str(folder)]
            code = subprocess.run(
                command, env=self.popen_environment(), stdout=output, stderr=subprocess.STDOUT, check=False
            ).returncode
        if code:
            raise StepFailed(f"build of {name}", f"exit code {code}:\n{last_lines(log)}", log)


@contextmanager
def _secrets() -> Iterator[list[str]]:
    """The Dockerfiles' two build secrets, as far as this machine has them; neither stays in an image."""
    certificates = os.environ.get("SSL_CERT_FILE") or os.environ.get("PIP_CERT")
    words = ["--secret", f"id=certificates,src={certificates}"] if certificates else []
    index = {name: os.environ[name] for name in INDEX_VARIABLES if os.environ.get(name)}
    with tempfile.NamedTemporaryFile("w", suffix=".env") as file:
        file.writelines(f"{name}='{value}'\n" for name, value in index.items())
        file.flush()
        yield [*words, "--secret", f"id=index,src={file.name}"] if index else words


def find() -> Engine:
    """The engine that is there: CONTAINER_HOST's or DOCKER_HOST's, our own, a Docker that answers, a user's podman.

    Raises:
        NoEngine: there is none.
    """
    base = os.environ.get("BASE_IMAGE")
    for variable, program in (("CONTAINER_HOST", "podman"), ("DOCKER_HOST", "docker")):
        if not (host := os.environ.get(variable)):
            continue
        if shutil.which(program):
            return Engine((program, "--remote") if program == "podman" else (program,), {variable: host}, base)
        raise NoEngine(f"{variable} is {host}, but no program {program} is here that could speak to it: install it.")
    if _is_root() and (FOLDER / "containers.conf").exists() and shutil.which("podman"):
        return _own()
    for program in ("docker", *(() if _is_root() else ("podman",))):
        if shutil.which(program) and _answers(program):
            return Engine((program,), base_image=base)
    here = "as root on Debian `make container-engine` installs podman" if _is_root() else "install podman or Docker"
    raise NoEngine(f"No container engine is here: {here}, or set CONTAINER_HOST or DOCKER_HOST to the socket of one.")


def make_ready() -> Engine:
    """The engine that is there, or else, as root on Debian, podman from its packages with all it needs in build/.

    Raises:
        NoEngine: there is none, and this is not root on Debian.
        StepFailed: a package or the base image could not be had.
    """
    with _lock():
        try:
            engine = find()
        except NoEngine:
            if not (_is_root() and shutil.which("apt-get")):
                raise
            _install()
            for name, text in CONFIGURATION.items():
                (FOLDER / name).write_text(text.format(folder=FOLDER))
            engine = find()
        if engine.base_image and engine.base_image == _debian_base():
            _make_base(engine)
    return engine


def build_all() -> Engine:
    """Make an engine ready and build every image of local/images.py that has a Dockerfile. Raises as `make_ready`."""
    engine = make_ready()
    for name, image in IMAGES.items():
        if image.program is None:
            engine.build(name, image.folder)
    return engine


def _own() -> Engine:
    environment = {
        "CONTAINERS_CONF": str(FOLDER / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(FOLDER / "storage.conf"),
        "CONTAINERS_REGISTRIES_CONF": str(FOLDER / "registries.conf"),
    }
    base = os.environ.get("BASE_IMAGE") or (None if _registry_answers() else _debian_base())
    return Engine(("podman",), environment, base)


def _install() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    if missing := [name for name in PACKAGES if not _is_installed(name)]:
        quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        log = FOLDER / "packages.log"
        with log.open("wb") as output:
            # A source of somebody else's that is away is no reason to stop: whether the packages come decides.
            subprocess.run(["apt-get", "update"], env=quiet, stdout=output, stderr=output, check=False)
            command = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
            code = subprocess.run(command, env=quiet, stdout=output, stderr=output, check=False).returncode
        if code:
            raise StepFailed("installation of podman", f"apt-get ended with {code}:\n{last_lines(log)}", log)


def _is_installed(package: str) -> bool:
    shown = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Status}", package], capture_output=True, text=True, check=False
    )
    return shown.stdout == "install ok installed"


def _make_base(engine: Engine) -> None:
    """A slim image of this Debian with Python, as the public one has it, without any registry."""
    if engine.run("image", "exists", str(engine.base_image), check=False).returncode == 0:
        return
    unneeded = [f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in ("doc", "info", "locale", "man")]
    wanted = "usr-is-merged,python3,python3-venv,ca-certificates,libstdc++6"
    merged = "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr"  # else usrmerge comes, and 45 MB of Perl with it
    command = ["mmdebstrap", "--variant=essential", merged, f"--include={wanted}", *unneeded, _codename(), "-"]
    log = FOLDER / "logs" / "base.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        making = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=output)
        imported = subprocess.run(
            [*engine.words, "import", "-", str(engine.base_image)],
            env=engine.popen_environment(),
            stdin=making.stdout,
            stdout=output,
            stderr=output,
            check=False,
        )
        made = making.wait()
    if made or imported.returncode:
        engine.run("rmi", "--force", str(engine.base_image), check=False)  # half of it, else the next run would take it
        why = f"mmdebstrap ended with {made}, podman import with {imported.returncode}"
        raise StepFailed("making of the base image", f"{why}:\n{last_lines(log)}", log)


def _debian_base() -> str:
    return f"localhost/snowgate-base:{_codename()}"


def _codename() -> str:
    """Of this Debian; its Python is that of the image."""
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    if release.get("ID") != "debian":
        raise NoEngine(f"A base image is only made on Debian, and this is {release.get('ID')}: say BASE_IMAGE=….")
    return release["VERSION_CODENAME"]


def _registry_answers() -> bool:
    try:
        with urllib.request.urlopen(REGISTRY, timeout=3):
            return True
    except urllib.error.HTTPError as error:
        return error.code == 401  # it is there, and asks who one is
    except OSError:
        return False


def _answers(program: str) -> bool:
    return subprocess.run([program, "info"], capture_output=True, check=False).returncode == 0


def _is_root() -> bool:
    return os.geteuid() == 0


@contextmanager
def _lock() -> Iterator[None]:
    """One builds, others wait and find all of it in the cache."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main(verbs: list[str]) -> int:
    """Make an engine ready, and build the images if told so; 0, or 1 with what is missing."""
    started = time.monotonic()
    try:
        engine = build_all() if verbs == ["build"] else make_ready()
    except (NoEngine, StepFailed) as error:
        print(error, file=sys.stderr)
        return 1
    base = engine.base_image or "the Dockerfiles' own base"
    print(f"{' '.join(engine.words)} is ready, with {base}; {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
