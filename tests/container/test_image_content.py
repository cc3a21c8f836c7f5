"""What the images hold, and what they do not."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from local.container_engine import Engine
from local.images import IMAGES

MOST_BYTES = 150_000_000  # compressed, as a registry has it and Fargate pulls it
BUILT = {name: image.folder for name, image in IMAGES.items() if image.program is None}
LOOK = """
import importlib.metadata, importlib.util, json, os, shutil, sys
tools = "cc", "gcc", "g++", "ld", "make", "git", "pip", "pip3", "uv", "apt-get", "curl", "wget"
modules = "pip", "ensurepip", "setuptools", "wheel", "uv"
names = ".git", ".env", ".netrc", "pip.conf", ".aws", ".ssh", "id_rsa", "credentials"
private = []
for folder, folders, files in os.walk("/"):
    if folder.count("/") == 1:
        folders[:] = [name for name in folders if os.path.join(folder, name) not in ("/proc", "/sys", "/dev")]
    for name in files + folders:
        if name in names or name.endswith(".key"):
            private.append(os.path.join(folder, name))
print(json.dumps({
    "tools": [name for name in tools if shutil.which(name)],
    "modules": [name for name in modules if importlib.util.find_spec(name)],
    "private": private,
    "secrets": os.listdir("/run/secrets") if os.path.isdir("/run/secrets") else [],
    "packages": {d.metadata["Name"].lower(): d.version for d in importlib.metadata.distributions()},
    "user": os.getuid(),
}))
"""


@pytest.fixture(scope="module", params=BUILT, ids=lambda name: name.partition(":")[0])
def image(engine: Engine, request: pytest.FixtureRequest) -> str:
    engine.build(request.param, BUILT[request.param])
    return str(request.param)


@pytest.fixture(scope="module")
def found(engine: Engine, image: str) -> dict[str, Any]:
    """What root finds in a container of the image."""
    command = ("run", "--rm", "--user", "0", "--network", "none", "--entrypoint", "python", image, "-c", LOOK)
    return dict(json.loads(engine.run(*command).stdout))


def test_an_image_is_small(engine: Engine, image: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if engine.is_podman:  # the files that a registry would get
        engine.run("push", "--quiet", "--compress", "--format", "v2s2", image, f"dir:{tmp_path / 'pushed'}")
        manifest = json.loads((tmp_path / "pushed" / "manifest.json").read_text())
        size = sum((tmp_path / "pushed" / layer["digest"].split(":")[1]).stat().st_size for layer in manifest["layers"])
    else:
        words = " ".join((*engine.words, "save", image))
        size = int(subprocess.check_output(f"{words} | gzip | wc -c", shell=True, env=engine.popen_environment()))
    with capsys.disabled():
        print(f"\n{image}: {size / 1e6:.0f} MB compressed")
    assert size < MOST_BYTES


def test_an_image_has_no_tools_to_build_with_and_nothing_private(found: dict[str, Any]) -> None:
    assert (found["tools"], found["modules"], found["private"], found["secrets"]) == ([], [], [], [])


def test_an_image_starts_as_nobody_and_keeps_nothing_of_its_build_in_its_history(engine: Engine, image: str) -> None:
    described = json.loads(engine.run("image", "inspect", image).stdout)[0]
    assert described["Config"]["User"] == "10001:10001"
    assert described["Config"]["StopSignal"] in ("SIGTERM", "15")
    text = json.dumps(described["Config"]["Env"]) + engine.run("history", "--no-trunc", image).stdout
    assert not [word for word in ("INDEX", "PASSWORD", "TOKEN", "SECRET", "certificates") if word in text]


@pytest.fixture(scope="module")
def bills(root: Path) -> Path:
    """The folder in which `make sbom` has written."""
    subprocess.run(["make", "--old-file", "setup", "sbom"], cwd=root, check=True, capture_output=True)
    return root / "build" / "sbom"


def test_the_bill_of_materials_lists_what_the_image_holds(image: str, found: dict[str, Any], bills: Path) -> None:
    listed = json.loads((bills / f"{BUILT[image].name}.cdx.json").read_text())
    assert listed["bomFormat"] == "CycloneDX"
    assert {part["name"].lower(): part["version"] for part in listed["components"]} == found["packages"]
