"""What `make up` brings to the systems beside the report service."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from local import systems
from local.platform import Platform
from local.settings import LocalEnvironment


def test_an_environment_without_the_other_systems_is_brought_nothing(tmp_path: Path) -> None:
    alone = replace(LocalEnvironment.read(), tables=frozenset({"network", "worker"}))
    systems.prepare(Platform(tmp_path, environment=alone))  # nothing runs that could answer
