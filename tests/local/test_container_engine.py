"""Which container engine is taken, what is said where there is none, and what a build and a task are given."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from local import container_engine
from local.container_engine import Engine, NoEngine
from local.images import Image
from local.task_containers import TaskContainers
from local.task_processes import Launch

ENGINE = '#!/bin/sh\necho "$0 $@" >> "$CALLS"\n'
ARN = "arn:aws:ecs:eu-west-1:111122223333:task/cluster/1234"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder of programs that this machine has, and nobody's settings."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    for name in ("CONTAINER_HOST", "DOCKER_HOST", "BASE_IMAGE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(container_engine, "FOLDER", tmp_path / "containers")
    return folder


def install(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_text(ENGINE)
        (folder / name).chmod(0o755)


def user(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(container_engine.os, "geteuid", lambda: number)


def test_where_no_engine_is_it_says_what_to_do(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user(monkeypatch, 0)
    with pytest.raises(NoEngine, match="as root on Debian `make container-engine`"):
        container_engine.find()
    user(monkeypatch, 1000)
    with pytest.raises(NoEngine, match="install podman or Docker, or set CONTAINER_HOST or DOCKER_HOST"):
        container_engine.make_ready()
    monkeypatch.setenv("DOCKER_HOST", "unix:///run/some.sock")
    with pytest.raises(NoEngine, match=r"DOCKER_HOST is unix:///run/some.sock, but no program docker"):
        container_engine.find()


def test_a_users_own_engines_are_taken_and_roots_podman_is_not(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(programs, "podman")
    user(monkeypatch, 1000)
    assert container_engine.find().words == ("podman",)
    user(monkeypatch, 0)
    with pytest.raises(NoEngine):  # its images and settings are somebody's: it is used with our own
        container_engine.find()
    install(programs, "docker")
    assert container_engine.find().words == ("docker",)
    monkeypatch.setenv("CONTAINER_HOST", "unix:///run/podman.sock")
    found = container_engine.find()
    assert (found.words, found.environment) == (("podman", "--remote"), {"CONTAINER_HOST": "unix:///run/podman.sock"})
    assert Engine.from_json(found.to_json()) == found


def test_a_networks_certificates_and_index_are_secrets_of_a_build(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(programs, "docker")
    certificates = tmp_path / "ca.pem"
    certificates.touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates))
    monkeypatch.setenv("PIP_INDEX_URL", "https://me:hush@packages.example/simple")
    Engine(("docker",), base_image="base:1").build("name:1", tmp_path)
    call = (tmp_path / "calls").read_text()
    assert f"--secret id=certificates,src={certificates} --secret id=index,src=" in call
    assert "--build-arg BASE_IMAGE=base:1" in call
    assert "hush" not in call


def test_a_container_has_its_definitions_limits_and_no_value_on_its_command_line(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(programs, "podman")
    monkeypatch.setenv("AWS_CA_BUNDLE", "/there/ca.pem")
    image = Image(tmp_path, tmp_path / "python")
    container = {
        "image": "name:1",
        "entryPoint": ["sh", "-c"],
        "command": ["one"],
        "user": "7",
        "readonlyRootFilesystem": True,
        "linuxParameters": {"initProcessEnabled": True},
        "mountPoints": [{"containerPath": "/tmp"}],
    }
    definition = {"cpu": "256", "memory": "512"}
    launch = Launch(ARN, image, definition, container, {"command": ["two"]}, {"PASSWORD": "hush"})
    launcher = TaskContainers(Engine(("podman",)), tmp_path)
    with (tmp_path / "output").open("wb") as output:
        launcher.start(launch, output).wait(10)
    call = (tmp_path / "calls").read_text()
    assert "--cpus 0.25 --memory 512m --read-only --read-only-tmpfs=false --init --user 7" in call
    assert "--mount type=volume,destination=/tmp --env PASSWORD --volume /there/ca.pem:/run/ca.pem:ro" in call
    assert call.endswith("--entrypoint sh name:1 -c two\n")
    assert "hush" not in call
    assert launcher.environment(image, tmp_path) == {"AWS_CA_BUNDLE": "/run/ca.pem"}


def test_the_configuration_of_our_own_podman_stays_in_its_folder(tmp_path: Path) -> None:
    for text in container_engine.CONFIGURATION.values():
        for line in text.format(folder=tmp_path).splitlines():
            assert "/" not in line or str(tmp_path) in line


def test_the_dockerfiles_are_clean(root: Path) -> None:
    files = [root / name / "Dockerfile" for name in ("service", "weather", "conflict_updater")]
    done = subprocess.run([root / ".venv" / "bin" / "hadolint", *files], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_keeps_the_aws_services_that_the_service_calls(root: Path) -> None:
    made = re.compile(r'\b(?:client|LateClient)\(\s*"([a-z0-9]+)"')
    called = {name for file in (root / "service" / "src").rglob("*.py") for name in made.findall(file.read_text())}
    [kept] = re.findall(r'^ARG AWS_SERVICES="(.+)"$', (root / "service" / "Dockerfile").read_text(), re.MULTILINE)
    # The workload identity's login asks STS, in the Snowflake connector.
    assert set(kept.split()) == called | {"sts"}
