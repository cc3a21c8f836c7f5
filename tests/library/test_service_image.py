"""ServiceImage: from a folder, or from a registry."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import assertions

from snowgate import Architecture, ImageRepository, ServiceImage
from snowgate.fargate_task import FargateTask


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "service"
    source.mkdir()
    (source / "Dockerfile").write_text("FROM scratch\n")
    return source


def docker_assets(app: cdk.App) -> dict[str, dict[str, object]]:
    """The images of the stack's asset manifest: what the deploy builds."""
    manifest = Path(app.synth().directory) / "Stack.assets.json"
    return json.loads(manifest.read_text())["dockerImages"]


def test_a_folder_is_built_for_its_architecture_and_named_by_its_hash(
    app: cdk.App, stack: cdk.Stack, folder: Path
) -> None:
    image = ServiceImage(stack, "Image", directory=folder, architecture=Architecture.ARM64)
    [(digest, asset)] = docker_assets(app).items()
    assert stack.resolve(image.uri)["Fn::Sub"].endswith(f":{digest}")
    assert asset["source"]["platform"] == "linux/arm64"  # type: ignore[index]


def test_what_the_interpreter_leaves_behind_does_not_change_the_hash(stack: cdk.Stack, folder: Path) -> None:
    # Copies, because the CDK remembers the hash of a path.
    run, changed = (Path(shutil.copytree(folder, folder.with_name(name))) for name in ("run", "changed"))
    (run / "__pycache__").mkdir()
    (run / "__pycache__" / "x.cpython-313.pyc").write_bytes(b"1")
    (changed / "x.py").write_text("")
    first, same, other = (
        str(stack.resolve(ServiceImage(stack, source.name, directory=source).uri)) for source in (folder, run, changed)
    )
    assert first == same != other


def test_an_image_of_a_registry_is_taken_as_it_is(app: cdk.App, stack: cdk.Stack) -> None:
    image = ServiceImage(stack, "Image", uri="example/service:1.2")
    assert image.uri == "example/service:1.2"
    assert docker_assets(app) == {}


@pytest.mark.parametrize("version", [":1.2", "@sha256:" + "0" * 64])
def test_what_runs_an_image_of_a_private_ecr_repository_may_pull_it(stack: cdk.Stack, version: str) -> None:
    registry = "999999999999.dkr.ecr.eu-central-1"
    image = ServiceImage(stack, "Image", uri=f"{registry}.amazonaws.com/team/service{version}")
    FargateTask(stack, "Task", image=image.container_image, command=["work"])
    made = assertions.Template.from_stack(stack)
    [definition] = made.find_resources("AWS::ECS::TaskDefinition").values()
    [container] = definition["Properties"]["ContainerDefinitions"]
    parts = [f"{registry}.", {"Ref": "AWS::URLSuffix"}, f"/team/service{version}"]
    assert container["Image"] == {"Fn::Join": ["", parts]}
    [policy] = made.find_resources("AWS::IAM::Policy").values()
    [pull] = [s for s in policy["Properties"]["PolicyDocument"]["Statement"] if "ecr:BatchGetImage" in s["Action"]]
    assert pull["Resource"] == "arn:aws:ecr:eu-central-1:999999999999:repository/team/service"


@pytest.mark.parametrize("uri", ["example/service:latest", "example/service", "localhost:5000/service"])
def test_the_tag_latest_is_refused_also_where_it_is_only_meant(stack: cdk.Stack, uri: str) -> None:
    with pytest.raises(ValueError, match=f"tag latest: .* as in {uri.removesuffix(':latest')}@sha256"):
        ServiceImage(stack, "Image", uri=uri)


@pytest.mark.parametrize("uri", ["", "@sha256:0", "a@b@c"])
def test_what_names_no_image_is_refused(stack: cdk.Stack, uri: str) -> None:
    with pytest.raises(ValueError, match="names no image"):
        ServiceImage(stack, "Image", uri=uri)


def test_both_or_neither_source_is_refused(stack: cdk.Stack, folder: Path) -> None:
    with pytest.raises(ValueError, match="Stack/Both: .* either .*; given were directory and uri"):
        ServiceImage(stack, "Both", directory=folder, uri="example/service:1")
    with pytest.raises(ValueError, match="either directory or uri or repository.*; given were none"):
        ServiceImage(stack, "Neither")


@pytest.mark.parametrize("version", ["1.2", "sha256:" + "0" * 64])
def test_an_image_of_an_own_repository_is_taken_by_version_or_digest(stack: cdk.Stack, version: str) -> None:
    repository = ImageRepository(stack, "Images").repository
    image = ServiceImage(stack, "Image", repository=repository, version=version)
    FargateTask(stack, "Task", image=image.container_image, command=["work"])
    made = assertions.Template.from_stack(stack)
    [definition] = made.find_resources("AWS::ECS::TaskDefinition").values()
    [container] = definition["Properties"]["ContainerDefinitions"]
    assert container["Image"] == stack.resolve(image.uri)
    assert container["Image"]["Fn::Join"][1][-1].endswith(f"@{version}" if ":" in version else f":{version}")
    [policy] = made.find_resources("AWS::IAM::Policy").values()
    [pull] = [s for s in policy["Properties"]["PolicyDocument"]["Statement"] if "ecr:BatchGetImage" in s["Action"]]
    assert pull["Resource"] == stack.resolve(repository.repository_arn)


def test_a_repository_without_a_version_and_a_version_without_a_repository_are_refused(stack: cdk.Stack) -> None:
    repository = ImageRepository(stack, "Images").repository
    with pytest.raises(ValueError, match="the last one a version; given were repository"):
        ServiceImage(stack, "NoVersion", repository=repository)
    with pytest.raises(ValueError, match="given were uri and version"):
        ServiceImage(stack, "NoRepository", uri="example/service:1", version="1")


def test_the_version_latest_of_an_own_repository_is_refused(stack: cdk.Stack) -> None:
    repository = ImageRepository(stack, "Images").repository
    with pytest.raises(ValueError, match="tag latest"):
        ServiceImage(stack, "Image", repository=repository, version="latest")


def test_a_public_image_by_its_digest_needs_no_right_to_pull(stack: cdk.Stack) -> None:
    uri = "public.ecr.aws/example/service@sha256:" + "0" * 64
    FargateTask(stack, "Task", image=ServiceImage(stack, "Image", uri=uri).container_image, command=["work"])
    made = assertions.Template.from_stack(stack)
    [definition] = made.find_resources("AWS::ECS::TaskDefinition").values()
    assert definition["Properties"]["ContainerDefinitions"][0]["Image"] == uri
    assert "ecr:" not in json.dumps(made.find_resources("AWS::IAM::Policy"))
