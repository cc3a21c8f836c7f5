"""Images that stay what they were."""

from __future__ import annotations

import re

from aws_cdk import aws_ecs as ecs

from snowgate.tokens import is_token

_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
_TAG = re.compile(r":[^/:@]+$")


def require_digest(container: ecs.ContainerDefinition) -> None:
    """Refuse a registry's image that is named by a tag, which its owner may move to another image at any time.

    Assets and repositories of the account itself, whose names only the deploy knows, are let through.

    Raises:
        ValueError: the image has no digest; the message says how to get it.
    """
    image = container.image_name
    if is_token(image) or _DIGEST.search(image):
        return
    name = _TAG.sub("", image.partition("@")[0])
    raise ValueError(
        f"{container.node.path}: image {image} has no digest, so it names another image tomorrow. Give it as in "
        f"{name}@sha256:…; `docker buildx imagetools inspect {image}` or `crane digest {image}` prints the digest."
    )
