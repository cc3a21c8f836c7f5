"""A repository of one's own for container images."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from snowgate.acknowledgements import acknowledge
from snowgate.asked_once import days
from snowgate.tokens import is_token

_KEPT = range(1, 1001)


class ImageRepository(Construct):
    """An ECR repository that scans what is pushed, lets no tag be moved, and forgets old images.

    It keeps the last ``keep_images``, and those without a tag for a day: whatever still runs must be among them, for
    ECS pulls an image again for each task. Images are encrypted, with ``encryption_key`` or with ECR's own (AES-256).
    A ServiceImage takes one from it by version or digest. With removal policy DESTROY it is emptied before it goes.

    Raises:
        ValueError: ``keep_images`` is out of range.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        keep_images: int = 100,
        encryption_key: kms.IKey | None = None,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    ) -> None:
        super().__init__(scope, construct_id)
        if not is_token(keep_images) and keep_images not in _KEPT:
            nearest = min(max(keep_images, _KEPT[0]), _KEPT[-1])
            raise ValueError(
                f"{self.node.path}: keep_images is {keep_images}; allowed is {_KEPT[0]} to {_KEPT[-1]}, nearest is "
                f"{nearest}."
            )

        self.repository = ecr.Repository(
            self,
            "Repository",
            image_scan_on_push=True,
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,
            encryption=ecr.RepositoryEncryption.KMS if encryption_key else ecr.RepositoryEncryption.AES_256,
            encryption_key=encryption_key,
            lifecycle_rules=[
                ecr.LifecycleRule(
                    description="Images that no tag names",
                    tag_status=ecr.TagStatus.UNTAGGED,
                    max_image_age=days(1),
                ),
                ecr.LifecycleRule(description="All but the last images", max_image_count=keep_images),
            ],
            removal_policy=removal_policy,
            empty_on_delete=removal_policy is cdk.RemovalPolicy.DESTROY,
        )

        self.uri = self.repository.repository_uri

    def grant_pull(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` pull images; what runs a ServiceImage of this repository is let already."""
        _acknowledge_token(grantee)
        return self.repository.grant_pull(grantee)

    def grant_push(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee``, as a CI's role, push images and pull what they are built on."""
        _acknowledge_token(grantee)
        return self.repository.grant_pull_push(grantee)


def _acknowledge_token(grantee: iam.IGrantable) -> None:
    if isinstance(grantee, Construct):
        reason = "ecr:GetAuthorizationToken cannot be limited to a repository; pulling and pushing are."
        acknowledge(grantee, {"IAM5[Resource::*]": reason})
