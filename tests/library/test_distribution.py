"""The library as others install it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import uv


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), "constructs"]
    subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    [made] = folder.glob("snowgate-*.whl")
    return made


def test_the_wheel_has_types_and_the_code_of_its_functions(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {
        "snowgate/__init__.py",
        "snowgate/py.typed",
        "snowgate/lambdas/waker/handler.py",
        "snowgate/lambdas/snowflake_deployer/handler.py",
        "snowgate/lambdas/snowflake_deployer/requirements.txt",
    } <= names
    assert not [name for name in names if name.endswith(".pyc") or name.startswith(("tests", "stacks"))]


def test_the_wheel_installs_and_its_constructs_can_be_imported(wheel: Path, tmp_path: Path) -> None:
    command = [uv.find_uv_bin(), "pip", "install", "--quiet", "--offline", "--no-deps", "--python", sys.executable]
    subprocess.run([*command, "--target", str(tmp_path), str(wheel)], check=True, capture_output=True, text=True)
    # -I keeps this project's own folder out, so that what is imported is what was installed.
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import snowgate; print(snowgate.__file__);"
    code += "print(*(getattr(snowgate, name).__name__ for name in snowgate.__all__))"
    done = subprocess.run([sys.executable, "-I", "-c", code], check=True, capture_output=True, text=True)
    place, names = done.stdout.splitlines()
    assert place.startswith(str(tmp_path))
    assert "ScaleToZeroWorker" in names.split()
