"""LambdaBundle: the zip of a function with wheels."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from snowgate import Architecture
from snowgate.lambda_bundle import BundleError, LambdaBundle


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package without wheels: nothing of it needs a package index."""
    folder = tmp_path / "example"
    (folder / "inner").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "handler.py").write_text("def handler(event, context): ...\n")
    (folder / "inner" / "data.txt").write_text("1")
    (folder / "requirements.txt").write_text("")
    return folder


def bundle(package: Path, python: str = "3.13", architecture: Architecture = Architecture.ARM64) -> LambdaBundle:
    return LambdaBundle(package, python, architecture)


def test_the_package_is_a_folder_of_the_zip_without_what_the_interpreter_leaves(package: Path, tmp_path: Path) -> None:
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "handler.cpython-313.pyc").write_bytes(b"1")
    with zipfile.ZipFile(bundle(package).zip_file(tmp_path / "cache")) as archive:
        assert archive.namelist() == [
            "example/__init__.py",
            "example/handler.py",
            "example/inner/data.txt",
            "example/requirements.txt",
        ]


def test_equal_sources_give_equal_bytes(package: Path, tmp_path: Path) -> None:
    first = bundle(package).zip_file(tmp_path / "one")
    os.utime(package / "handler.py", (1, 1))
    (package / "handler.py").chmod(0o755)
    second = bundle(package).zip_file(tmp_path / "two")
    assert (first.name, first.read_bytes()) == (second.name, second.read_bytes())


def test_the_digest_moves_with_each_thing_that_decides(package: Path) -> None:
    digests = {
        bundle(package).digest,
        bundle(package, python="3.12").digest,
        bundle(package, architecture=Architecture.X86_64).digest,
    }
    for name in ("handler.py", "requirements.txt", "inner/data.txt"):
        (package / name).write_text("# changed\n")
        digests.add(bundle(package).digest)
    (package / "new.py").write_text("")
    assert len(digests | {bundle(package).digest}) == 7


def test_a_zip_that_is_there_is_taken_without_asking_anybody(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = bundle(package).zip_file(tmp_path / "cache")
    monkeypatch.setattr("uv.find_uv_bin", lambda: pytest.fail("uv was asked"))
    assert bundle(package).zip_file(tmp_path / "cache") == made


def test_a_change_of_the_sources_alone_takes_the_wheels_that_are_there(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = bundle(package).zip_file(tmp_path / "cache")
    monkeypatch.setattr("uv.find_uv_bin", lambda: pytest.fail("uv was asked"))
    (package / "handler.py").write_text("def handler(event, context): return 1\n")
    after = bundle(package).zip_file(tmp_path / "cache")
    assert before != after
    with zipfile.ZipFile(after) as archive:
        assert archive.read("example/handler.py").endswith(b"return 1\n")


def test_wheels_that_cannot_be_got_are_an_error_with_the_reason_and_the_next_step(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (package / "requirements.txt").write_text("no-such-package==1.0 --hash=sha256:" + "0" * 64 + "\n")
    monkeypatch.setenv("UV_OFFLINE", "1")
    with pytest.raises(BundleError, match=r"(?s)Python 3.13 on ARM64 could not be got:.*no-such-package.*run it again"):
        bundle(package).zip_file(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []
