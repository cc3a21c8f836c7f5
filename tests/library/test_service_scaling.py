"""ServiceScaling, on a WebService alone in a stack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from aws_cdk import aws_applicationautoscaling as appscaling
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs

from snowgate import ScheduledTasks, ServiceScaling, WebService

Synthesise = Callable[[], assertions.Template]
MORNING = appscaling.Schedule.cron(hour="7", minute="0")
EVENING = appscaling.Schedule.cron(hour="20", minute="0")


@pytest.fixture
def made(stack: cdk.Stack, vpc: ec2.IVpc, image: ecs.ContainerImage, template: Synthesise) -> assertions.Template:
    scaling = ServiceScaling(
        max_tasks=9,
        cpu_percent=50,
        memory_percent=70,
        requests_per_task=300,
        schedules=[
            ScheduledTasks(MORNING, 4, 12, cdk.TimeZone.EUROPE_PARIS),
            ScheduledTasks(EVENING, 1, 2),
        ],
    )
    WebService(stack, "Web", vpc=vpc, image=image, min_tasks=2, scaling=scaling)
    return template()


def test_a_service_that_is_scaled_has_bounds_and_no_desired_count(made: assertions.Template) -> None:
    made.has_resource_properties("AWS::ApplicationAutoScaling::ScalableTarget", {"MinCapacity": 2, "MaxCapacity": 9})
    [service] = made.find_resources("AWS::ECS::Service").values()
    assert "DesiredCount" not in service["Properties"]


def test_each_target_is_a_policy(made: assertions.Template) -> None:
    policies = made.find_resources("AWS::ApplicationAutoScaling::ScalingPolicy").values()
    targets = [policy["Properties"]["TargetTrackingScalingPolicyConfiguration"] for policy in policies]
    assert {
        target["PredefinedMetricSpecification"]["PredefinedMetricType"]: target["TargetValue"] for target in targets
    } == {
        "ECSServiceAverageCPUUtilization": 50,
        "ECSServiceAverageMemoryUtilization": 70,
        "ALBRequestCountPerTarget": 300,
    }


def test_a_schedule_changes_the_bounds_in_its_time_zone(made: assertions.Template) -> None:
    [target] = made.find_resources("AWS::ApplicationAutoScaling::ScalableTarget").values()
    [action, back] = target["Properties"]["ScheduledActions"]
    assert action["ScalableTargetAction"] == {"MinCapacity": 4, "MaxCapacity": 12}
    assert (action["Schedule"], action["Timezone"]) == ("cron(0 7 * * ? *)", "Europe/Paris")
    assert back["ScalableTargetAction"] == {"MinCapacity": 1, "MaxCapacity": 2}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"cpu_percent": 5}, "cpu_percent is 5; allowed is 10 to 100, nearest is 10"),
        ({"memory_percent": 101}, "memory_percent is 101; allowed is 10 to 100, nearest is 100"),
        ({"requests_per_task": 0}, "the least is 1 request a minute"),
        ({"cpu_percent": None}, "Nothing would scale"),
        ({"schedules": [ScheduledTasks(MORNING, 3, 2), ScheduledTasks(EVENING, 1, 2)]}, "min_tasks 3 and max_tasks 2"),
        ({"schedules": [ScheduledTasks(EVENING, 1, 2)]}, "one alone for ever. Give its counterpart too"),
    ],
)
def test_what_cannot_scale_is_refused(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        ServiceScaling(max_tasks=4, **arguments)
