"""The rotation of what CloudFront shows a load balancer: what each step asks AWS for, run once and run again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from snowgate.lambdas.origin_rotation import handler as rotation

SECRET = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:Origin-abcdef"
RULE = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:listener-rule/app/web/1/2/3"
OLD, NEW = "old" * 12, "new" * 12
V1, V2 = "version-1-" + "0" * 26, "version-2-" + "0" * 26
BEGUN = {V1: ["AWSCURRENT"], V2: ["AWSPENDING"]}
DONE = {V1: ["AWSPREVIOUS"], V2: ["AWSCURRENT", "AWSPENDING"]}


class Time:
    """Lambda's context with so many seconds left."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Stubber]]:
    """Stubbed clients that fail the test on any call that is not expected, and on any that is missing."""
    for name, value in {"HEADER": "x-origin-verify", "RULE_ARN": RULE, "DISTRIBUTION_ID": "E111"}.items():
        monkeypatch.setenv(name, value)
    stubs = {}
    for service in ("secretsmanager", "elbv2", "cloudfront"):
        keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
        client = boto3.client(service, region_name="eu-west-1", **keys)  # type: ignore[call-overload]
        monkeypatch.setitem(rotation._clients, service, client)
        stubs[service] = Stubber(client)
        stubs[service].activate()
    yield stubs
    for stub in stubs.values():
        stub.assert_no_pending_responses()
        stub.deactivate()


def begun(aws: dict[str, Stubber], stages: dict[str, list[str]] = BEGUN) -> None:
    aws["secretsmanager"].add_response("describe_secret", {"VersionIdsToStages": stages}, {"SecretId": SECRET})


def reads(aws: dict[str, Stubber], value: str, **version: str) -> None:
    aws["secretsmanager"].add_response("get_secret_value", {"SecretString": value}, {"SecretId": SECRET, **version})


def rule_takes(aws: dict[str, Stubber], *values: str) -> None:
    header = {"HttpHeaderName": "x-origin-verify", "Values": list(values)}
    conditions = [{"Field": "http-header", "HttpHeaderConfig": header}]
    aws["elbv2"].add_response("modify_rule", {"Rules": []}, {"RuleArn": RULE, "Conditions": conditions})


def config(*values: str) -> dict[str, Any]:
    """A distribution with an origin without headers, and one for each value."""
    origins: list[dict[str, Any]] = [
        {"Id": "other", "DomainName": "other.example.com", "CustomHeaders": {"Quantity": 0}}
    ]
    for value in values:
        headers = {"Quantity": 1, "Items": [{"HeaderName": "X-Origin-Verify", "HeaderValue": value}]}
        origins.append({"Id": "web", "DomainName": "web.example.com", "CustomHeaders": headers})
    behavior = {"TargetOriginId": "web", "ViewerProtocolPolicy": "redirect-to-https"}
    return {
        "CallerReference": "1",
        "Comment": "",
        "Enabled": True,
        "DefaultCacheBehavior": behavior,
        "Origins": {"Quantity": len(origins), "Items": origins},
    }


def cloudfront_has(aws: dict[str, Stubber], *values: str) -> None:
    answer = {"ETag": "etag", "DistributionConfig": config(*values)}
    aws["cloudfront"].add_response("get_distribution_config", answer, {"Id": "E111"})


def cloudfront_is(aws: dict[str, Stubber], status: str, value: str) -> None:
    found = {
        "Id": "E111",
        "ARN": "arn",
        "Status": status,
        "LastModifiedTime": "2026-01-01",
        "InProgressInvalidationBatches": 0,
        "DomainName": "d111.cloudfront.net",
        "DistributionConfig": config(value),
    }
    aws["cloudfront"].add_response("get_distribution", {"Distribution": found}, {"Id": "E111"})


def run(step: str, seconds: float = 900) -> None:
    rotation.handler({"Step": step, "SecretId": SECRET, "ClientRequestToken": V2}, Time(seconds))


def test_a_new_value_is_made_once(aws: dict[str, Stubber]) -> None:
    begun(aws)
    aws["secretsmanager"].add_client_error("get_secret_value", "ResourceNotFoundException")
    aws["secretsmanager"].add_response(
        "put_secret_value",
        {},
        {"SecretId": SECRET, "ClientRequestToken": V2, "SecretString": ANY, "VersionStages": ["AWSPENDING"]},
    )
    run("createSecret")

    begun(aws)
    reads(aws, NEW, VersionId=V2, VersionStage="AWSPENDING")
    run("createSecret")


def test_the_rule_takes_both_values_before_cloudfront_sends_the_new_one(aws: dict[str, Stubber]) -> None:
    begun(aws)
    reads(aws, NEW, VersionId=V2)
    reads(aws, OLD, VersionStage="AWSCURRENT")
    rule_takes(aws, OLD, NEW)
    cloudfront_has(aws, OLD)
    aws["cloudfront"].add_response(
        "update_distribution", {}, {"Id": "E111", "IfMatch": "etag", "DistributionConfig": config(NEW)}
    )
    run("setSecret")


def test_run_again_it_leaves_a_distribution_alone_that_sends_the_new_value(aws: dict[str, Stubber]) -> None:
    begun(aws)
    reads(aws, NEW, VersionId=V2)
    reads(aws, OLD, VersionStage="AWSCURRENT")
    rule_takes(aws, OLD, NEW)
    cloudfront_has(aws, NEW)
    run("setSecret")


def test_it_waits_until_every_edge_location_sends_the_new_value(
    aws: dict[str, Stubber], monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(rotation.time, "sleep", waited.append)
    begun(aws)
    reads(aws, NEW, VersionId=V2)
    cloudfront_is(aws, "InProgress", NEW)
    cloudfront_is(aws, "InProgress", NEW)
    cloudfront_is(aws, "Deployed", NEW)
    run("testSecret")
    assert waited == [rotation.ASK_SECONDS] * 2


def test_a_distribution_that_takes_too_long_leaves_the_old_value_current(aws: dict[str, Stubber]) -> None:
    begun(aws)
    reads(aws, NEW, VersionId=V2)
    cloudfront_is(aws, "InProgress", NEW)
    with pytest.raises(rotation.RotationFailed, match="still InProgress"):
        run("testSecret", seconds=20)


def test_a_deploy_that_came_in_between_is_noticed(aws: dict[str, Stubber]) -> None:
    begun(aws)
    reads(aws, NEW, VersionId=V2)
    cloudfront_is(aws, "Deployed", OLD)
    with pytest.raises(rotation.RotationFailed, match="Somebody changed distribution E111"):
        run("testSecret")


def test_in_the_end_the_new_value_is_current_and_the_only_one(aws: dict[str, Stubber]) -> None:
    begun(aws)
    begun(aws)
    aws["secretsmanager"].add_response(
        "update_secret_version_stage",
        {},
        {"SecretId": SECRET, "VersionStage": "AWSCURRENT", "MoveToVersionId": V2, "RemoveFromVersionId": V1},
    )
    reads(aws, NEW, VersionId=V2)
    rule_takes(aws, NEW)
    run("finishSecret")


def test_an_end_that_was_killed_before_the_rule_knew_is_run_again(aws: dict[str, Stubber]) -> None:
    begun(aws, DONE)
    begun(aws, DONE)
    reads(aws, NEW, VersionId=V2)
    rule_takes(aws, NEW)
    run("finishSecret")


def test_a_step_after_the_end_does_nothing(aws: dict[str, Stubber]) -> None:
    begun(aws, DONE)
    run("setSecret")


def test_a_distribution_without_the_header_is_told(aws: dict[str, Stubber]) -> None:
    begun(aws)
    reads(aws, NEW, VersionId=V2)
    reads(aws, OLD, VersionStage="AWSCURRENT")
    rule_takes(aws, OLD, NEW)
    cloudfront_has(aws)
    with pytest.raises(rotation.RotationFailed, match="sends no header x-origin-verify"):
        run("setSecret")


def test_unknown_steps_and_versions_are_refused(aws: dict[str, Stubber]) -> None:
    with pytest.raises(rotation.RotationFailed, match="no step 'melt'; there are createSecret"):
        run("melt")
    begun(aws, {V1: ["AWSCURRENT"]})
    with pytest.raises(rotation.RotationFailed, match="Version version-2"):
        run("setSecret")
