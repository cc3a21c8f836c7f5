"""What is a token is asked of the CDK only where it may be one; the answers are the CDK's."""

from __future__ import annotations

import aws_cdk as cdk
import pytest

from snowgate.tokens import is_token


@pytest.mark.parametrize(
    "value",
    [
        "",
        "plain",
        "$",
        "${name}",
        "${Token[",
        "a ${Token[ b",
        0,
        1,
        -1,
        256,
        1.5,
        True,
        None,
        [],
        ["plain"],
        cdk.Aws.REGION,
        f"arn:{cdk.Aws.PARTITION}:s3:::bucket",
        cdk.CfnParameter(cdk.Stack(), "Number", type="Number").value_as_number,
        cdk.CfnParameter(cdk.Stack(), "List", type="CommaDelimitedList").value_as_list,
        cdk.Fn.get_att("Resource", "Arn"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_it_is_what_the_cdk_says(value: object) -> None:
    assert is_token(value) is cdk.Token.is_unresolved(value)
