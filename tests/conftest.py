"""What tests of several rooms share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import container_engine
from local.container_engine import Engine, NoEngine

# One Node for jsii and the CDK CLI, as the Makefile has it: an older one prints warnings where output is compared.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

SHARING = ("end_to_end", "container")  # rooms: a platform, and images with both stand-ins


@pytest.hookimpl(wrapper=True)  # around, and so before, xdist's own, which reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Keep a file's tests in one process, and all of the rooms whose tests share much: it is started once.

    The long ones come first, each where there is room, so that no process has to wait for one at the end.
    """
    items.sort(key=lambda item: item.path.parent.name not in SHARING and item.get_closest_marker("long") is None)
    for item in items:
        room = item.path.parent.name
        group = room if room in SHARING else item.path.stem
        if item.get_closest_marker("long") is None:
            item.add_marker(pytest.mark.xdist_group(group))
    yield


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def engine() -> Engine:
    """A container engine; only who is not root, and so can have none made, may do without its tests."""
    try:
        return container_engine.make_ready()
    except NoEngine as why:
        if os.geteuid() == 0:
            raise
        pytest.skip(f"NO CONTAINER WAS TESTED. {why}")
