"""The library as others install it."""

from __future__ import annotations

import email
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import uv

import snowgate


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


def test_the_wheel_says_what_it_is_and_what_it_needs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = email.message_from_bytes(archive.read(name))
    assert (metadata["Name"], metadata["Requires-Python"]) == ("snowgate", ">=3.11")
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert "## ScaleToZeroWorker" in metadata.get_payload()
    assert {"Framework :: AWS CDK :: 2", "Typing :: Typed"} <= set(metadata.get_all("Classifier", []))
    needed = {re.split(r"[<>=~ ]", line)[0] for line in metadata.get_all("Requires-Dist", [])}
    assert needed == {"aws-cdk-lib", "cdk-fck-nat", "cdk-monitoring-constructs", "constructs", "jinja2", "uv"}


def test_the_reference_has_a_text_for_every_public_class(root: Path, tmp_path: Path) -> None:
    # The CDK starts its Node when it is imported, which pdoc forbids unless told.
    command = [sys.executable, "-m", "pdoc", "--docformat", "google", "--output-directory", str(tmp_path), "snowgate"]
    subprocess.run(command, cwd=root, check=True, capture_output=True, env={**os.environ, "PDOC_ALLOW_EXEC": "1"})
    page = (tmp_path / "snowgate.html").read_text()
    for name in snowgate.__all__:
        section = page.partition(f'<section id="{name}">')[2].partition("</section>")[0]
        assert '<div class="docstring">' in section, name
