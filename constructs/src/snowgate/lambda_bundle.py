"""The zip of a Lambda function that ships wheels, made once and kept."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import uv

from snowgate.architecture import Architecture

CACHE = Path.home() / ".cache" / "snowgate"
LOCK = "requirements.txt"

_FORM = "2"  # counted up when the zip is made in another way, so that old ones in a cache are not taken
_MADE = (1980, 1, 1, 0, 0, 0)
# What uv and the interpreter leave behind: paths and times of this machine, nothing that is imported.
_LEFT_OUT = {"__pycache__", "bin", ".lock", "uv_cache.json", "direct_url.json", "REQUESTED", "INSTALLER", "RECORD"}


class BundleError(RuntimeError):
    """The wheels of a function could not be got."""


@dataclass(frozen=True)
class LambdaBundle:
    """A package and the wheels of its locked ``requirements.txt``, for one Python version and one architecture."""

    package: Path
    python: str
    architecture: Architecture

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of all that decides what is in the zip, in hex: the same on every machine."""
        return self._digest(dict(_files(self.package)))

    def zip_file(self, cache: Path = CACHE) -> Path:
        """The zip from ``cache``, put there first if it is missing.

        Only wheels that are not in the cache need the package index: a change of the sources alone does not.

        Raises:
            BundleError: the wheels could not be got; the message has uv's reason.
        """
        return _kept(self._file(cache, self.package.name, self.digest), lambda made: self._finish(made, cache))

    def _finish(self, made: Path, cache: Path) -> None:
        lock = self._digest({LOCK: self.package / LOCK})
        shutil.copyfile(_kept(self._file(cache, f"{self.package.name}-wheels", lock), self._fetch), made)
        _add(made, {f"{self.package.name}/{name}": file for name, file in _files(self.package)})

    def _fetch(self, made: Path) -> None:
        target = made.with_suffix("")
        command = [uv.find_uv_bin(), "pip", "install", "--quiet", "--no-config", "--python", sys.executable]
        command += ["--target", str(target), "--python-platform", self.architecture.of_wheels]
        command += ["--python-version", self.python, "--only-binary", ":all:", "--require-hashes"]
        command += ["--requirements", str(self.package / LOCK)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BundleError(
                f"The wheels of {self.package / LOCK} for Python {self.python} on {self.architecture.value} could not "
                f"be got:\n{done.stderr.strip()}\nOnce they are, synth needs no network: run it again with the package "
                "index reachable."
            )
        _add(made, dict(_files(target)))

    def _file(self, cache: Path, name: str, digest: str) -> Path:
        return cache / f"{name}-{self.python}-{self.architecture.value.lower()}-{digest[:16]}.zip"

    def _digest(self, files: dict[str, Path]) -> str:
        found = hashlib.sha256(f"{_FORM} {self.python} {self.architecture.value}".encode())
        for name, file in files.items():
            content = file.read_bytes()
            found.update(f"\n{name} {len(content)}\n".encode() + content)
        return found.hexdigest()


def _kept(file: Path, make: Callable[[Path], None]) -> Path:
    """The file, made beside its place and moved there whole, so that two synths at once do no harm."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent) as folder:
            unfinished = Path(folder) / file.name
            make(unfinished)
            os.replace(unfinished, file)
    return file


def _add(archive: Path, files: dict[str, Path]) -> None:
    """Write files into a zip in order, with one time and one mode: equal content gives equal bytes."""
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as opened:
        for name, file in files.items():
            entry = zipfile.ZipInfo(name, _MADE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o100644 << 16
            opened.writestr(entry, file.read_bytes())


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """The files under a folder with their names in the zip, in order, without what is left out."""
    for file in sorted(folder.rglob("*")):
        name = PurePosixPath(file.relative_to(folder).as_posix())
        if file.is_file() and file.suffix != ".pyc" and not _LEFT_OUT.intersection(name.parts):
            yield str(name), file
