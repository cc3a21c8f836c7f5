"""The container images of this platform: what stands for each, for no container engine is here."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.processes import ROOT


class BadImage(Exception):
    """What stands for an image is not there, or its Dockerfile says nothing that can be run; the text says which."""


@dataclass(frozen=True)
class Image:
    """A folder with a Dockerfile and the code in ``src``, and the interpreter that holds what the image holds.

    Or ``program``, a module of this project that stands in for an image that somebody else makes.
    """

    folder: Path
    interpreter: Path
    program: str | None = None

    def words(self, container: Mapping[str, Any], overrides: Mapping[str, Any]) -> list[str]:
        """The process's words: the definition's where given, else the Dockerfile's, as container engines do it."""
        if self.program:
            return [str(self.interpreter), "-m", self.program]
        entrypoint = container.get("entryPoint") or self._instruction("ENTRYPOINT")
        command = overrides.get("command") or container.get("command") or self._instruction("CMD")
        words = [*entrypoint, *command]
        if not words:
            raise BadImage(f"{self.folder / 'Dockerfile'} has neither ENTRYPOINT nor CMD in its exec form")
        return [str(self.interpreter), *words[1:]] if words[0] == "python" else words

    def environment(self) -> dict[str, str]:
        """What leads the interpreter to the code."""
        code = self.folder if self.program else self.folder / "src"
        return {"PYTHONPATH": str(code), "PYTHONUNBUFFERED": "1"}

    def _instruction(self, name: str) -> list[str]:
        file = self.folder / "Dockerfile"
        for needed in (file, self.interpreter):
            if not needed.exists():
                raise BadImage(f"{needed} is missing: run `make setup`")
        found = re.findall(rf"^{name} (\[.*\])$", file.read_text(), re.M)
        words: list[str] = json.loads(found[-1]) if found else []
        return words


def _image(folder: str, environment: str) -> Image:
    return Image(ROOT / folder, ROOT / environment / "bin" / "python")


# By the names that environments/local.toml gives to task definitions.
IMAGES = {
    "snowgate-report-service:local": _image("service", ".venv-service"),
    "snowgate-weather:local": _image("weather", ".venv-weather"),
    "snowgate-conflict-updater:local": _image("conflict_updater", ".venv-conflict-updater"),
    f"snowgate-matillion-agent@sha256:{'0' * 64}": Image(ROOT, Path(sys.executable), "local.matillion_agent"),
}
