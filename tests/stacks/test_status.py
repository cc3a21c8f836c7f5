"""What `make status` says of a service that only CloudFormation still knows; tests/end_to_end has the others."""

from __future__ import annotations

import boto3
from botocore.stub import Stubber

from stacks.status import describe

ARN = "arn:aws:ecs:eu-west-1:111122223333:service/cluster/worker"


def test_a_service_that_was_deleted_by_hand_is_named_and_those_after_it_are_still_told() -> None:
    ecs = boto3.client("ecs", region_name="eu-west-1", aws_access_key_id="none", aws_secret_access_key="none")
    missing = {"services": [], "failures": [{"arn": ARN, "reason": "MISSING"}]}
    with Stubber(ecs) as stub:
        stub.add_response("describe_services", missing, {"cluster": "cluster", "services": [ARN]})
        [line] = describe(ecs, "dev-ReportService", ARN)
    assert line.startswith(f"dev-ReportService: ECS has no service {ARN}; aws cloudformation detect-stack-drift")
