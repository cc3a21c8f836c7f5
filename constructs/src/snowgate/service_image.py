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
from snowgate.tokens import is_token

# registry/name:tag or registry/name@sha256:…; a colon before a slash is a port.
_URI = re.compile(r"(?P<name>[^@]+?)(?::(?P<tag>[^/:@]+))?(?:@(?P<digest>[a-z0-9]+:[0-9a-f]+))?")
_ECR = re.compile(r"(?P<account>[0-9]{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com[.a-z]*/(?P<repository>.+)")


class ServiceImage(Construct):
    """An image that is built from a folder and named by the hash of its content, or one that a registry has.

    Exactly one of ``directory`` (with a Dockerfile), ``uri`` and ``repository`` is given. Synth only hashes the folder;
    the deploy builds and pushes it, if its hash is new. ``version`` is the tag or the digest of an image that was
    pushed into ``repository``. What runs an image of a private ECR repository is let pull it.

    Raises:
        ValueError: not exactly one is given, a repository without a version or the other way round, or an image has no
            digest and no tag, or the tag ``latest``.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        directory: Path | None = None,
        uri: str | None = None,
        repository: ecr.IRepository | None = None,
        version: str | None = None,
        architecture: Architecture = Architecture.ARM64,
    ) -> None:
        super().__init__(scope, construct_id)
        sources = {"directory": directory, "uri": uri, "repository": repository}
        given = [name for name, source in sources.items() if source is not None]
        if len(given) != 1 or (version is not None) != (repository is not None):
            raise ValueError(
                f"{self.node.path}: an image needs either directory or uri or repository, and the last one a version; "
                f"given were {' and '.join([*given, *(['version'] if version else [])]) or 'none'}."
            )

        if directory is not None:
            asset = ecr_assets.DockerImageAsset(
                self,
                "Asset",
                directory=str(directory),
                platform=architecture.of_image,
                exclude=["**/__pycache__", "**/*.egg-info", "**/.venv*"],
            )
            self.uri, self.container_image = asset.image_uri, ecs.ContainerImage.from_docker_image_asset(asset)
        elif repository is not None and version is not None:
            self.uri, self.container_image = _of_repository(repository, version)
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


def _of_repository(repository: ecr.IRepository, version: str) -> tuple[str, ecs.ContainerImage]:
    if not is_token(version):
        separator = "@" if ":" in version else ":"
        check_uri(f"repository{separator}{version}")
    uri = repository.repository_uri_for_tag_or_digest(version)
    return uri, ecs.ContainerImage.from_ecr_repository(repository, version)


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
