"""ReportBucket alone in a stack."""

from __future__ import annotations

from collections.abc import Callable

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from syrupy.assertion import SnapshotAssertion

from snowgate import ReportBucket

Synthesise = Callable[[], assertions.Template]
Match = assertions.Match


def test_the_defaults_are_those_of_the_snapshot(
    stack: cdk.Stack, template: Synthesise, snapshot: SnapshotAssertion
) -> None:
    ReportBucket(stack, "Reports")
    assert template().to_json() == snapshot


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


def test_replaced_versions_go_when_they_are_told_to(stack: cdk.Stack, template: Synthesise) -> None:
    ReportBucket(stack, "Reports", keep_versions=cdk.Duration.days(7))
    expiry = {"NoncurrentVersionExpiration": {"NoncurrentDays": 7}}
    rules = Match.array_with([Match.object_like(expiry)])
    template().has_resource_properties("AWS::S3::Bucket", {"LifecycleConfiguration": {"Rules": rules}})


def test_reports_are_copied_by_a_role_that_can_do_nothing_else(stack: cdk.Stack, template: Synthesise) -> None:
    elsewhere = s3.Bucket.from_bucket_arn(stack, "Elsewhere", "arn:aws:s3:::reports-elsewhere")
    reports = ReportBucket(stack, "Reports", copy_to=elsewhere)
    made = template()
    rule = {
        "Destination": {"Bucket": "arn:aws:s3:::reports-elsewhere", "Metrics": {"Status": "Enabled"}},
        "DeleteMarkerReplication": {"Status": "Disabled"},
        "Filter": {"Prefix": "reports/"},
        "Status": "Enabled",
    }
    replication = {"ReplicationConfiguration": {"Rules": [Match.object_like(rule)]}}
    made.has_resource_properties("AWS::S3::Bucket", Match.object_like(replication))
    [policy] = made.find_resources("AWS::IAM::Policy").values()
    given = {
        action: statement["Resource"]
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
    own = stack.resolve(reports.bucket.bucket_arn)
    assert given == {
        "s3:GetReplicationConfiguration": own,
        "s3:ListBucket": own,
        "s3:GetObjectVersionForReplication": {"Fn::Join": ["", [own, "/*"]]},
        "s3:GetObjectVersionAcl": {"Fn::Join": ["", [own, "/*"]]},
        "s3:GetObjectVersionTagging": {"Fn::Join": ["", [own, "/*"]]},
        "s3:ReplicateObject": "arn:aws:s3:::reports-elsewhere/*",
        "s3:ReplicateDelete": "arn:aws:s3:::reports-elsewhere/*",
        "s3:ReplicateTags": "arn:aws:s3:::reports-elsewhere/*",
        "s3:ObjectOwnerOverrideToBucketOwner": "arn:aws:s3:::reports-elsewhere/*",
    }


def test_size_objects_and_failed_copies_are_metrics_of_this_bucket(stack: cdk.Stack) -> None:
    elsewhere = s3.Bucket.from_bucket_arn(stack, "Elsewhere", "arn:aws:s3:::reports-elsewhere")
    reports = ReportBucket(stack, "Reports", copy_to=elsewhere)
    name = stack.resolve(reports.bucket.bucket_name)
    found = [reports.metric_bytes(), reports.metric_objects(), reports.metric_failed_copies()]
    assert {metric.metric_name: stack.resolve(metric.dimensions) for metric in found} == {
        "BucketSizeBytes": {"BucketName": name, "StorageType": "StandardStorage"},
        "NumberOfObjects": {"BucketName": name, "StorageType": "AllStorageTypes"},
        "OperationsFailedReplication": {
            "SourceBucket": name,
            "DestinationBucket": "reports-elsewhere",
            "RuleId": "copy",
        },
    }


def test_without_a_bucket_to_copy_to_no_copy_can_fail(stack: cdk.Stack) -> None:
    with pytest.raises(ValueError, match="Stack/Reports copies nothing: give copy_to"):
        ReportBucket(stack, "Reports").metric_failed_copies()


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


def test_files_of_other_kinds_have_a_prefix_of_their_own(stack: cdk.Stack, template: Synthesise) -> None:
    bucket = ReportBucket(stack, "Files", prefix="wx_data/")
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"))
    for grant in (bucket.grant_list, bucket.grant_read, bucket.grant_delete):
        grant(role)
    (policy,) = template().find_resources("AWS::IAM::Policy").values()
    listing, *objects = policy["Properties"]["PolicyDocument"]["Statement"]
    assert listing["Action"] == "s3:ListBucket"
    assert listing["Condition"] == {"StringLike": {"s3:prefix": "wx_data/*"}}
    actions = [
        action for one in objects for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])
    ]
    assert sorted(actions) == ["s3:DeleteObject", "s3:GetObject"]
    assert all(one["Resource"]["Fn::Join"][1][-1] == "/wx_data/*" for one in objects)


@pytest.mark.parametrize("prefix", ["reports", "/reports/"])
def test_a_prefix_that_is_no_folder_is_refused(stack: cdk.Stack, prefix: str) -> None:
    with pytest.raises(ValueError, match="as in 'reports/'"):
        ReportBucket(stack, "Files", prefix=prefix)
