"""ReportBucket alone in a stack."""

from __future__ import annotations

from collections.abc import Callable

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from aws_cdk import aws_iam as iam

from snowgate import ReportBucket

Synthesise = Callable[[], assertions.Template]
Match = assertions.Match


def test_reports_are_encrypted_versioned_private_and_logged(stack: cdk.Stack, template: Synthesise) -> None:
    ReportBucket(stack, "Reports")
    made = template()
    made.has_resource(
        "AWS::S3::Bucket",
        {
            "DeletionPolicy": "RetainExceptOnCreate",
            "Properties": Match.object_like(
                {
                    "VersioningConfiguration": {"Status": "Enabled"},
                    "LoggingConfiguration": {"LogFilePrefix": "report-bucket/"},
                    "PublicAccessBlockConfiguration": {
                        "BlockPublicAcls": True,
                        "BlockPublicPolicy": True,
                        "IgnorePublicAcls": True,
                        "RestrictPublicBuckets": True,
                    },
                }
            ),
        },
    )
    made.resource_count_is("Custom::S3AutoDeleteObjects", 0)


def test_plain_http_is_denied_for_every_bucket(stack: cdk.Stack, template: Synthesise) -> None:
    ReportBucket(stack, "Reports")
    policies = template().find_resources("AWS::S3::BucketPolicy").values()
    assert len(policies) == 2
    for policy in policies:
        statements = policy["Properties"]["PolicyDocument"]["Statement"]
        assert any(s["Effect"] == "Deny" and "aws:SecureTransport" in str(s.get("Condition")) for s in statements)


def test_reports_expire_only_if_asked_and_unfinished_uploads_always(stack: cdk.Stack, template: Synthesise) -> None:
    ReportBucket(stack, "Reports", keep=cdk.Duration.days(90))
    rules = Match.array_with(
        [
            Match.object_like({"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}),
            {"ExpirationInDays": 90, "Prefix": "reports/", "Status": "Enabled"},
        ]
    )
    template().has_resource_properties("AWS::S3::Bucket", {"LifecycleConfiguration": {"Rules": rules}})


def test_a_bucket_that_goes_with_its_stack_is_emptied_first(stack: cdk.Stack, template: Synthesise) -> None:
    ReportBucket(stack, "Reports", removal_policy=cdk.RemovalPolicy.DESTROY)
    made = template()
    made.resource_count_is("Custom::S3AutoDeleteObjects", 2)
    made.all_resources("AWS::S3::Bucket", {"DeletionPolicy": "Delete"})


@pytest.mark.parametrize(
    ("grant", "actions"),
    [("grant_write", ["s3:AbortMultipartUpload", "s3:PutObject"]), ("grant_read", "s3:GetObject")],
)
def test_a_grant_is_for_reports_and_nothing_else(
    stack: cdk.Stack, template: Synthesise, grant: str, actions: object
) -> None:
    grantee = iam.Role(stack, "Grantee", assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"))
    getattr(ReportBucket(stack, "Reports"), grant)(grantee)
    [policy] = template().find_resources("AWS::IAM::Policy").values()
    [statement] = policy["Properties"]["PolicyDocument"]["Statement"]
    given = statement["Action"]
    assert (sorted(given) if isinstance(given, list) else given) == actions
    assert statement["Resource"]["Fn::Join"][1][1] == "/reports/*"
