"""The container images of this platform: what stands for each, for no container engine is here."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.processes import ROOT


class BadImage(Exception):
    """What stands for an image is not there, or its Dockerfile has no ENTRYPOINT or CMD; the text says which."""


@dataclass(frozen=True)
class Image:
    """A folder with a Dockerfile and the code in ``src``, and the interpreter that holds what the image holds."""

    folder: Path
    interpreter: Path

    def words(self, container: Mapping[str, Any], overrides: Mapping[str, Any]) -> list[str]:
        """The process's words: the definition's where given, else the Dockerfile's, as container engines do it."""
        entrypoint = container.get("entryPoint") or self._instruction("ENTRYPOINT")
        command = overrides.get("command") or container.get("command") or self._instruction("CMD")
        words = [*entrypoint, *command]
        return [str(self.interpreter), *words[1:]] if words[0] == "python" else words

    def environment(self) -> dict[str, str]:
        """What leads the interpreter to the code."""
        return {"PYTHONPATH": str(self.folder / "src"), "PYTHONUNBUFFERED": "1"}

    def _instruction(self, name: str) -> list[str]:
        file = self.folder / "Dockerfile"
        for needed in (file, self.interpreter):
            if not needed.exists():
                raise BadImage(f"{needed} is missing: run `make setup`")
        found = re.findall(rf"^{name} (\[.*\])$", file.read_text(), re.M)
        if not found:
            raise BadImage(f"{file} has no {name} in its exec form")
        words: list[str] = json.loads(found[-1])
        return words


def _image(folder: str, environment: str) -> Image:
    return Image(ROOT / folder, ROOT / environment / "bin" / "python")


# By the names that environments/local.toml gives to task definitions.
IMAGES = {
    "snowgate-report-service:local": _image("service", ".venv-service"),
    "snowgate-weather:local": _image("weather", ".venv-weather"),
    "snowgate-conflict-updater:local": _image("conflict_updater", ".venv-conflict-updater"),
}
