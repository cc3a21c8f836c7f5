"""The container image of a service."""

from __future__ import annotations

from pathlib import Path

from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from constructs import Construct

from snowgate.architecture import Architecture


class ServiceImage(Construct):
    """An image that is built from a folder and named by the hash of its content, or one that a registry has.

    Exactly one of ``directory`` (with a Dockerfile) and ``uri`` is given. Synth only hashes the folder; the deploy
    builds and pushes it, if its hash is new.

    Raises:
        ValueError: both or none are given, or the uri has the tag ``latest``, which names another image tomorrow.
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
        if uri is not None and uri.endswith(":latest"):
            name = uri.removesuffix(":latest")
            raise ValueError(f"Image {uri} has the tag latest: name a version or a digest, as in {name}@sha256:…")

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
            self.uri, self.container_image = uri, ecs.ContainerImage.from_registry(uri)
