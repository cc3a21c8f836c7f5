"""The target groups of the local platform hold the tasks that answer, and nothing that is gone."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from local.processes import free_port
from local.targets import Targets, groups_of

GROUP = "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/tasks/1"


class LoadBalancing:
    """What of ELBv2 the runner uses; it remembers the registered ports."""

    class exceptions:  # noqa: N801 - boto3's own name
        class TargetGroupNotFoundException(Exception):  # noqa: N818 - boto3's own name
            """The group is gone."""

    def __init__(self, *ports: int) -> None:
        self.ports = set(ports)
        self.calls = 0

    def describe_target_groups(self) -> dict[str, Any]:
        return {"TargetGroups": [{"TargetGroupArn": GROUP}]}

    def describe_target_health(self, **_: Any) -> dict[str, Any]:
        return {"TargetHealthDescriptions": [{"Target": {"Id": "127.0.0.1", "Port": port}} for port in self.ports]}

    def register_targets(self, **request: Any) -> None:
        self.calls += 1
        self.ports |= {target["Port"] for target in request["Targets"]}

    def deregister_targets(self, **request: Any) -> None:
        self.calls += 1
        if request["TargetGroupArn"] != GROUP:
            raise self.exceptions.TargetGroupNotFoundException
        self.ports -= {target["Port"] for target in request["Targets"]}


@pytest.fixture
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def test_a_task_is_registered_once_it_listens_and_taken_off_when_it_is_gone(listening: int) -> None:
    elb = LoadBalancing()
    targets = Targets(elb)

    targets.sync({(GROUP, listening), (GROUP, free_port())})
    assert elb.ports == {listening}
    targets.sync({(GROUP, listening)})
    assert elb.calls == 1
    targets.sync(set())
    assert elb.ports == set()


def test_what_an_earlier_runner_left_goes_and_a_group_may_be_gone_with_its_stack(listening: int) -> None:
    elb = LoadBalancing(1)
    targets = Targets(elb)

    targets.sync({(GROUP, listening), ("arn:gone", listening)})
    assert elb.ports == {listening}
    targets.sync(set())
    assert elb.ports == set()


def test_a_task_that_was_run_by_itself_has_no_groups() -> None:
    assert groups_of(None, "cluster", "family:worker") == []
