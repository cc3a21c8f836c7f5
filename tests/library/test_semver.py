"""The rule of versions, by the snapshots."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.semver import PROJECT, SNAPSHOTS, Level, changes, least, main, replacing_properties

CLUSTER = {"Type": "AWS::ECS::Cluster", "Properties": {"ClusterName": "a", "ClusterSettings": [1]}}


def template(**resources: Any) -> dict[str, Any]:
    return {"Resources": resources}


def level(before: dict[str, Any], after: dict[str, Any]) -> tuple[Level, str]:
    [change] = changes({"Thing": before}, {"Thing": after})
    return change.level, change.text


def changed(resource: dict[str, Any], **properties: Any) -> dict[str, Any]:
    return resource | {"Properties": resource["Properties"] | properties}


def test_a_logical_id_that_is_gone_is_a_major_change() -> None:
    assert level(template(A=CLUSTER), template()) == (
        Level.MAJOR,
        "Thing: A (AWS::ECS::Cluster) has no such logical id any more",
    )
    found = changes({"Thing": template(A=CLUSTER)}, {"Thing": template(B=CLUSTER)})
    assert [change.level for change in found] == [Level.MAJOR, Level.MINOR]


def test_a_property_that_replaces_the_resource_is_a_major_change() -> None:
    assert level(template(A=CLUSTER), template(A=changed(CLUSTER, ClusterName="b"))) == (
        Level.MAJOR,
        "Thing: A (AWS::ECS::Cluster) is replaced, because of ClusterName",
    )
    assert level(template(A=CLUSTER), template(A=CLUSTER | {"Type": "AWS::EKS::Cluster"}))[0] is Level.MAJOR


def test_any_other_change_of_a_resource_is_a_patch() -> None:
    assert level(template(A=CLUSTER), template(A=changed(CLUSTER, ClusterSettings=[2]))) == (
        Level.PATCH,
        "Thing: A (AWS::ECS::Cluster) changes ClusterSettings",
    )
    assert level(template(A=CLUSTER), template(A=CLUSTER | {"DependsOn": ["B"]}))[0] is Level.PATCH


def test_a_new_revision_of_a_task_definition_replaces_nothing_that_anybody_has() -> None:
    task = {"Type": "AWS::ECS::TaskDefinition", "Properties": {"Cpu": "256"}}
    assert "Cpu" in replacing_properties("AWS::ECS::TaskDefinition")
    assert level(template(A=task), template(A=changed(task, Cpu="512")))[0] is Level.PATCH


def test_a_new_resource_or_construct_is_a_minor_change_and_a_construct_that_is_gone_a_major_one() -> None:
    assert level(template(), template(A=CLUSTER))[0] is Level.MINOR
    assert [change.level for change in changes({}, {"Thing": template()})] == [Level.MINOR]
    assert [change.level for change in changes({"Thing": template()}, {})] == [Level.MAJOR]
    assert changes({"Thing": template(A=CLUSTER)}, {"Thing": template(A=CLUSTER)}) == []


@pytest.mark.parametrize(
    ("version", "rises"),
    [
        ("1.4.2", {Level.MAJOR: "2.0.0", Level.MINOR: "1.5.0", Level.PATCH: "1.4.3"}),
        ("0.4.2", {Level.MAJOR: "0.5.0", Level.MINOR: "0.4.3", Level.PATCH: "0.4.3"}),
    ],
)
def test_the_part_that_rises_is_that_of_semantic_versioning(version: str, rises: dict[Level, str]) -> None:
    assert {level: least(version, level) for level in rises} == rises


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """A repository whose version 1.0.0 is released, with one snapshot."""
    write(tmp_path, "1.0.0", template(A=CLUSTER))
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    for command in (["init", "--quiet"], ["add", "."], [*identity, "commit", "--quiet", "--message", "Release"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    return tmp_path


def write(root: Path, version: str, made: dict[str, Any]) -> None:
    snapshot = root / SNAPSHOTS / "test_thing" / "Thing.json"
    for file, text in ((snapshot, json.dumps(made)), (root / PROJECT, f'[project]\nversion = "{version}"\n')):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def test_a_version_that_has_not_risen_as_it_must_is_found(released: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(released) == 0
    assert "Nothing is released yet" in capsys.readouterr().out
    subprocess.run(["git", "tag", "snowgate-v1.0.0"], cwd=released, check=True)
    assert main(released) == 0

    write(released, "1.1.0", template(A=changed(CLUSTER, ClusterName="b")))
    assert main(released) == 1
    assert "MAJOR  test_thing/Thing.json: A" in capsys.readouterr().out
    write(released, "2.0.0", template(A=changed(CLUSTER, ClusterName="b")))
    assert main(released) == 0
    assert "snowgate-v1.0.0 was 1.0.0; the least that may follow is 2.0.0" in capsys.readouterr().out
