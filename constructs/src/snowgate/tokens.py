"""Values that only the deploy knows."""

from __future__ import annotations

import aws_cdk as cdk


def is_token(value: object) -> bool:
    """Whether only the deploy knows ``value``: ``cdk.Token.is_unresolved`` for those that may be a token at all.

    A question to the CDK is a message to its Node process, hundreds in an application. Texts that are tokens hold
    ``${Token[``, and numbers that are tokens lie far below 0 ("Tokens" in the AWS CDK Developer Guide).
    """
    if isinstance(value, str) and "${Token[" not in value:
        return False
    if isinstance(value, int | float) and value >= 0:
        return False
    return cdk.Token.is_unresolved(value)
