"""What stands for a container image on this platform."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from local.images import IMAGES, BadImage, Image
from local.settings import LocalEnvironment

DOCKERFILE = 'FROM base\nENTRYPOINT ["python", "-m", "job"]\nCMD ["run", "all"]\n'


@pytest.fixture
def image(tmp_path: Path) -> Image:
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    return Image(tmp_path, Path(sys.executable))


def test_the_words_are_the_definitions_where_given_and_else_the_dockerfiles(image: Image) -> None:
    assert image.words({}, {}) == [sys.executable, "-m", "job", "run", "all"]
    assert image.words({"command": ["one"]}, {}) == [sys.executable, "-m", "job", "one"]
    assert image.words({"command": ["one"]}, {"command": ["two"]}) == [sys.executable, "-m", "job", "two"]
    assert image.words({"entryPoint": ["/bin/echo"], "command": ["one"]}, {}) == ["/bin/echo", "one"]


def test_what_is_missing_is_named(image: Image, tmp_path: Path) -> None:
    with pytest.raises(BadImage, match="nowhere is missing: run `make setup`"):
        Image(tmp_path, tmp_path / "nowhere").words({}, {})
    (tmp_path / "Dockerfile").write_text("ENTRYPOINT python -m job\n")
    with pytest.raises(BadImage, match="neither ENTRYPOINT nor CMD in its exec form"):
        image.words({}, {})


def test_the_report_services_image_is_that_of_the_local_environment() -> None:
    assert LocalEnvironment.read().image in IMAGES
    assert IMAGES[LocalEnvironment.read().image].words({}, {})[1:] == ["-m", "report_service", "worker"]
