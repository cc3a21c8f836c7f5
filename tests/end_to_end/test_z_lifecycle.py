"""Deploying again, stopping and starting, destroying: after all other end-to-end tests, on the same platform."""

from __future__ import annotations

from typing import Any

import snowflake.connector
from analyst import Requests

from local.platform import Platform


def count(platform: Platform) -> int:
    with platform.connect() as connection:
        found: Any = connection.cursor().execute("SELECT COUNT(*) FROM REPORT_CONFIG").fetchone()
        return int(found[0])


def test_a_second_deploy_without_a_change_updates_nothing(platform: Platform) -> None:
    platform.synth()
    platform.deploy()

    log = (platform.logs / "deploy.log").read_text()
    # Secrets and Snowflake were told to look again, and found nothing.
    assert log.count("(no changes)") == 8, log[-2000:]


def test_stopping_and_starting_keeps_the_rows_and_what_was_deployed(platform: Platform) -> None:
    before = count(platform)
    platform.stop()
    platform.start()
    platform.start_fargate()

    assert count(platform) == before
    with platform.connect() as connection:
        requests = Requests(connection.cursor(snowflake.connector.DictCursor))
        row = requests.finished(requests.insert("order_priority", OUTPUT_FORMAT="'CSV'"))
    assert (row["STATUS"], row["ERROR_MESSAGE"]) == ("COMPLETED", None)


def test_destroy_removes_the_programs_and_keeps_the_requests(platform: Platform) -> None:
    before = count(platform)
    platform.destroy()

    with platform.connect() as connection:
        cursor = connection.cursor()
        assert cursor.execute("SHOW TASKS IN SCHEMA CONFIG").fetchall() == []
        assert cursor.execute("SHOW API INTEGRATIONS").fetchall() == []
    assert count(platform) == before
    stacks = platform.client("cloudformation").list_stacks(StackStatusFilter=["CREATE_COMPLETE", "UPDATE_COMPLETE"])
    assert [s["StackName"] for s in stacks["StackSummaries"] if s["StackName"].startswith("local-")] == []


def test_destroy_leaves_nothing_of_the_systems(platform: Platform) -> None:
    """After the test above: no database, edge, job, schedule, service, task, secret or bucket is left."""

    def found(service: str, operation: str, key: str) -> Any:
        return getattr(platform.client(service), operation)()[key]

    assert found("rds", "describe_db_instances", "DBInstances") == []
    assert found("cloudfront", "list_distributions", "DistributionList")["Quantity"] == 0
    assert found("stepfunctions", "list_state_machines", "stateMachines") == []
    assert found("scheduler", "list_schedules", "Schedules") == []
    assert found("elbv2", "describe_load_balancers", "LoadBalancers") == []
    assert found("ecs", "list_clusters", "clusterArns") == []
    assert platform.tasks() == []
    assert [one["Name"] for one in found("secretsmanager", "list_secrets", "SecretList")] == []
    buckets = [one["Name"] for one in found("s3", "list_buckets", "Buckets")]
    assert [name for name in buckets if not name.startswith("cdk-")] == []
