"""The container image of a service."""

from __future__ import annotations

import re
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from constructs import Construct

from snowgate.architecture import Architecture

# registry/name:tag or registry/name@sha256:…; a colon before a slash is a port.
_URI = re.compile(r"(?P<name>[^@]+?)(?::(?P<tag>[^/:@]+))?(?:@(?P<digest>[a-z0-9]+:[0-9a-f]+))?")
_ECR = re.compile(r"(?P<account>[0-9]{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com[.a-z]*/(?P<repository>.+)")


class ServiceImage(Construct):
    """An image that is built from a folder and named by the hash of its content, or one that a registry has.

    Exactly one of ``directory`` (with a Dockerfile) and ``uri`` is given. Synth only hashes the folder; the deploy
    builds and pushes it, if its hash is new. What runs an image of a private ECR repository is let pull it.

    Raises:
        ValueError: both or none are given, or the uri has no digest and no tag, or the tag ``latest``.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        directory: Path | None = None,
        uri: str | None = None,
        architecture: Architecture = Architecture.ARM64,
    ) -> None:
        super().__init__(scope, construct_id)
        if (directory is None) == (uri is None):
            raise ValueError(f"An image needs either directory or uri; given were {directory!r} and {uri!r}.")

        if directory is not None:
            asset = ecr_assets.DockerImageAsset(
                self,
                "Asset",
                directory=str(directory),
                platform=architecture.of_image,
                exclude=["**/__pycache__", "**/*.egg-info", "**/.venv*"],
            )
            self.uri, self.container_image = asset.image_uri, ecs.ContainerImage.from_docker_image_asset(asset)
        else:
            assert uri is not None
            self.uri, self.container_image = uri, self._of_registry(uri)

    def _of_registry(self, uri: str) -> ecs.ContainerImage:
        name, tag, digest = check_uri(uri)
        private = _ECR.fullmatch(name)
        if private is None:
            return ecs.ContainerImage.from_registry(uri)
        arn = cdk.Stack.of(self).format_arn(
            service="ecr",
            account=private["account"],
            region=private["region"],
            resource="repository",
            resource_name=private["repository"],
        )
        repository = ecr.Repository.from_repository_attributes(
            self, "Repository", repository_arn=arn, repository_name=private["repository"]
        )
        return ecs.ContainerImage.from_ecr_repository(repository, digest or tag)


def check_uri(uri: str) -> tuple[str, str | None, str | None]:
    """The name, tag and digest of an image.

    Raises:
        ValueError: it has no digest, and no tag or the tag ``latest``: that names another image tomorrow.
    """
    parts = _URI.fullmatch(uri)
    if parts is None:
        raise ValueError(f"{uri!r} names no image; give a version or a digest, as in registry/name@sha256:….")
    if parts["digest"] is None and parts["tag"] in (None, "latest"):
        said = "the tag latest" if parts["tag"] else "no tag, which means the tag latest"
        raise ValueError(f"Image {uri} has {said}: name a version or a digest, as in {parts['name']}@sha256:….")
    return parts["name"], parts["tag"], parts["digest"]
