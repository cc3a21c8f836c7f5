"""AgentService alone in a stack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sns as sns
from syrupy.assertion import SnapshotAssertion

from snowgate import AgentService, Architecture, FargateSize, QuietHours, ServiceScaling, Sidecar

Synthesise = Callable[[], assertions.Template]
Make = Callable[..., AgentService]
Match = assertions.Match

DIGEST = "sha256:" + "0" * 64
CLOUDWATCH_AGENT = f"public.ecr.aws/cloudwatch-agent/cloudwatch-agent@{DIGEST}"
ADOT = f"public.ecr.aws/aws-observability/aws-otel-collector@{DIGEST}"


@pytest.fixture
def make(stack: cdk.Stack, vpc: ec2.IVpc, image: ecs.ContainerImage) -> Make:
    def agent(**arguments: Any) -> AgentService:
        return AgentService(stack, "Agent", vpc=vpc, **({"image": image} | arguments))

    return agent


def containers(made: assertions.Template) -> list[dict[str, Any]]:
    [definition] = made.find_resources("AWS::ECS::TaskDefinition").values()
    return definition["Properties"]["ContainerDefinitions"]


def test_the_template_is_that_of_the_snapshot(make: Make, template: Synthesise, snapshot: SnapshotAssertion) -> None:
    make()
    assert template().to_json() == snapshot(name="AgentService")


def test_two_medium_tasks_without_ingress_are_rolled_over_one_by_one(make: Make, template: Synthesise) -> None:
    make()
    made = template()
    made.has_resource_properties(
        "AWS::ECS::Service",
        {
            "DesiredCount": 2,
            "CapacityProviderStrategy": [{"CapacityProvider": "FARGATE", "Weight": 100}],
            "DeploymentConfiguration": {
                "DeploymentCircuitBreaker": {"Enable": True, "Rollback": True},
                "MinimumHealthyPercent": 100,
                "MaximumPercent": 200,
            },
            "LoadBalancers": [],
        },
    )
    made.has_resource_properties("AWS::ECS::TaskDefinition", {"Cpu": "1024", "Memory": "4096"})
    made.has_resource_properties("AWS::EC2::SecurityGroup", {"SecurityGroupIngress": Match.absent()})
    made.has_resource_properties(
        "AWS::ECS::Cluster", {"ClusterSettings": [{"Name": "containerInsights", "Value": "enabled"}]}
    )


def test_the_settings_of_the_task_are_taken(make: Make, stack: cdk.Stack, vpc: ec2.IVpc, template: Synthesise) -> None:
    login = secretsmanager.Secret.from_secret_name_v2(stack, "Login", "agent/oauth")
    make(
        command=["agent"],
        environment={"AGENT_ID": "1"},
        secrets={"CLIENT_SECRET": ecs.Secret.from_secrets_manager(login, "client_secret")},
        health_check=["true"],
        size=FargateSize(cpu=2048, memory_mib=8192, ephemeral_gib=50),
        architecture=Architecture.X86_64,
        desired_count=3,
        spot_percent=40,
        cluster=ecs.Cluster.from_cluster_attributes(stack, "Shared", cluster_name="shared", vpc=vpc),
    )
    made = template()
    made.resource_count_is("AWS::ECS::Cluster", 0)
    made.has_resource_properties(
        "AWS::ECS::TaskDefinition",
        {"Cpu": "2048", "EphemeralStorage": {"SizeInGiB": 50}, "RuntimePlatform": {"CpuArchitecture": "X86_64"}},
    )
    [container] = containers(made)
    assert container["Command"] == ["agent"]
    assert {"Name": "AGENT_ID", "Value": "1"} in container["Environment"]
    assert [secret["Name"] for secret in container["Secrets"]] == ["CLIENT_SECRET"]
    assert container["HealthCheck"]["Command"] == ["CMD", "true"]
    assert container["StopTimeout"] == 120
    weights = [{"CapacityProvider": "FARGATE", "Weight": 60}, {"CapacityProvider": "FARGATE_SPOT", "Weight": 40}]
    made.has_resource_properties("AWS::ECS::Service", {"DesiredCount": 3, "CapacityProviderStrategy": weights})


def test_an_image_of_somebody_else_may_write_where_it_likes(make: Make, template: Synthesise) -> None:
    make()
    [container] = containers(template())
    assert container["ReadonlyRootFilesystem"] is False
    assert "MountPoints" not in container


@pytest.mark.parametrize("uri", ["public.ecr.aws/matillion/etl-agent:current", "public.ecr.aws/matillion/etl-agent"])
def test_an_image_without_a_digest_is_refused_with_the_way_to_get_it(make: Make, uri: str) -> None:
    said = r"as in public.ecr.aws/matillion/etl-agent@sha256:…; `docker buildx imagetools inspect " + uri + "`"
    with pytest.raises(ValueError, match=said):
        make(image=ecs.ContainerImage.from_registry(uri))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"desired_count": 0}, "desired_count is 0; the least is 1"),
        ({"spot_percent": 101}, "spot_percent is 101; allowed is 0 to 100, nearest is 100"),
        ({"spot_percent": -1}, "nearest is 0"),
        ({"scaling": ServiceScaling(max_tasks=4, requests_per_task=9)}, "requests_per_task needs a load balancer"),
        ({"scaling": ServiceScaling(max_tasks=1)}, "max_tasks is 1, below min_tasks 2"),
        (
            {"scaling": ServiceScaling(max_tasks=9, quiet_hours=QuietHours(down="20:00", up="06:00", tasks=3))},
            "3 tasks in quiet hours, above the 2 of the others",
        ),
    ],
)
def test_counts_out_of_range_are_refused(make: Make, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make(**arguments)


def test_a_service_that_scales_has_no_desired_count_that_a_deploy_would_reset(make: Make, template: Synthesise) -> None:
    hours = QuietHours(down="20:00", up="06:30", days="MON-FRI", time_zone=cdk.TimeZone.EUROPE_BERLIN)
    make(scaling=ServiceScaling(max_tasks=10, cpu_percent=60, memory_percent=75, quiet_hours=hours))
    made = template()
    made.has_resource_properties("AWS::ECS::Service", {"DesiredCount": Match.absent()})
    zone = {"Timezone": "Europe/Berlin"}
    made.has_resource_properties(
        "AWS::ApplicationAutoScaling::ScalableTarget",
        {
            "MinCapacity": 2,
            "MaxCapacity": 10,
            "ScalableDimension": "ecs:service:DesiredCount",
            "ScheduledActions": [
                {
                    "ScheduledActionName": "Down",
                    "Schedule": "cron(0 20 ? * MON-FRI *)",
                    "ScalableTargetAction": {"MinCapacity": 1, "MaxCapacity": 1},
                    **zone,
                },
                {
                    "ScheduledActionName": "Up",
                    "Schedule": "cron(30 6 ? * MON-FRI *)",
                    "ScalableTargetAction": {"MinCapacity": 2, "MaxCapacity": 10},
                    **zone,
                },
            ],
        },
    )
    tracked = {
        policy["Properties"]["TargetTrackingScalingPolicyConfiguration"]["PredefinedMetricSpecification"][
            "PredefinedMetricType"
        ]: policy["Properties"]["TargetTrackingScalingPolicyConfiguration"]["TargetValue"]
        for policy in made.find_resources("AWS::ApplicationAutoScaling::ScalingPolicy").values()
    }
    assert tracked == {"ECSServiceAverageCPUUtilization": 60, "ECSServiceAverageMemoryUtilization": 75}


@pytest.mark.parametrize(
    ("make_hours", "said"),
    [
        (lambda: QuietHours(down="8 pm", up="06:00"), "down is '8 pm'; write it as HH:MM"),
        (lambda: QuietHours(down="20:00", up="24:00"), "up is '24:00'"),
        (lambda: QuietHours(down="20:00", up="20:00"), "down and up are both 20:00"),
        (lambda: QuietHours(down="20:00", up="06:00", tasks=0), "at least 1 stays"),
    ],
)
def test_hours_that_cannot_be_meant_are_refused(make_hours: Callable[[], object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make_hours()


def test_hours_that_only_go_down_cannot_be_written() -> None:
    with pytest.raises(TypeError, match="'up'"):
        QuietHours(down="20:00")  # type: ignore[call-arg]


def egress(made: assertions.Template) -> set[tuple[str, str, int | None]]:
    [group] = made.find_resources("AWS::EC2::SecurityGroup").values()
    rules = group["Properties"]["SecurityGroupEgress"]
    return {(rule["CidrIp"], rule["IpProtocol"], rule.get("FromPort")) for rule in rules}


def test_tasks_reach_tls_and_what_the_setting_adds_and_nothing_else(make: Make, template: Synthesise) -> None:
    make(outbound={5432: ["10.0.0.0/16", "10.1.0.0/16"], 53: ["10.0.0.2/32"]})
    assert egress(template()) == {
        ("0.0.0.0/0", "tcp", 443),
        ("0.0.0.0/0", "tcp", 80),
        ("10.0.0.0/16", "tcp", 5432),
        ("10.1.0.0/16", "tcp", 5432),
        ("10.0.0.2/32", "tcp", 53),
        ("10.0.0.2/32", "udp", 53),
    }


def test_everything_is_open_only_if_it_was_said(make: Make, template: Synthesise) -> None:
    make(all_outbound=True)
    assert egress(template()) == {("0.0.0.0/0", "-1", None)}


def test_sidecars_run_beside_the_agent_with_their_own_rights_and_no_more(make: Make, template: Synthesise) -> None:
    make(
        sidecars=[
            Sidecar.cloudwatch_agent(image=CLOUDWATCH_AGENT, namespace="Agent"),
            Sidecar.adot_collector(image=ADOT, namespace="Agent"),
        ]
    )
    made = template()
    agent, *beside = containers(made)
    assert [container["Name"] for container in beside] == ["cloudwatch-agent", "adot-collector"]
    assert agent["Essential"]
    group = agent["LogConfiguration"]["Options"]["awslogs-group"]
    for container in beside:
        assert not container["Essential"]
        assert container["Memory"] == 256
        assert {"Name": "LOG_GROUP", "Value": group} in container["Environment"]
        assert container["LogConfiguration"]["Options"]["awslogs-group"] == group
    [policy] = [
        policy["Properties"]["PolicyDocument"]["Statement"]
        for name, policy in made.find_resources("AWS::IAM::Policy").items()
        if name.startswith("AgentTaskDefinitionTaskRole")
    ]
    allowed = {str(statement["Action"]): statement for statement in policy}
    assert set(allowed) == {"['logs:CreateLogStream', 'logs:PutLogEvents']", "cloudwatch:PutMetricData"}
    assert allowed["cloudwatch:PutMetricData"]["Condition"] == {"StringEquals": {"cloudwatch:namespace": "Agent"}}


def test_a_sidecar_may_have_a_configuration_of_its_own_and_needs_a_digest(make: Make) -> None:
    own = Sidecar.cloudwatch_agent(image=CLOUDWATCH_AGENT, namespace="Agent", config={"agent": {"debug": True}})
    assert own.environment == {"CW_CONFIG_CONTENT": '{"agent": {"debug": true}}'}
    with pytest.raises(ValueError, match="cloudwatch-agent: image .*:latest has no digest"):
        make(
            sidecars=[Sidecar(name="cloudwatch-agent", image="public.ecr.aws/cloudwatch-agent/cloudwatch-agent:latest")]
        )


def alarms(made: assertions.Template) -> dict[str, dict[str, Any]]:
    """The alarms by the construct that they are, without the hash of their logical ids."""
    found = made.find_resources("AWS::CloudWatch::Alarm").items()
    return {name.removeprefix("Agent")[:-8]: alarm["Properties"] for name, alarm in found}


def test_every_alarm_names_the_service_and_tells_the_topic(make: Make, stack: cdk.Stack, template: Synthesise) -> None:
    topic = sns.Topic.from_topic_arn(stack, "Topic", "arn:aws:sns:eu-west-1:111122223333:alarms")
    assert len(make(alarm_topic=topic).alarms) == 3
    made = template()
    [service] = made.find_resources("AWS::ECS::Service")
    found = alarms(made)
    name = {"Name": "ServiceName", "Value": {"Fn::GetAtt": [service, "Name"]}}
    assert name in found["Busy"]["Dimensions"]
    missing = found["Missing"]
    metrics = {entry["Id"]: entry for entry in missing["Metrics"] if "MetricStat" in entry}
    for identifier, metric in (("desired", "DesiredTaskCount"), ("running", "RunningTaskCount")):
        described = metrics[identifier]["MetricStat"]["Metric"]
        assert described["MetricName"] == metric
        assert name in described["Dimensions"]
    assert missing["TreatMissingData"] == "breaching"
    for alarm in found.values():
        assert alarm["AlarmActions"] == alarm["OKActions"] == ["arn:aws:sns:eu-west-1:111122223333:alarms"]


def test_a_task_that_fails_to_start_is_kept_with_its_reason_and_alarmed_on(make: Make, template: Synthesise) -> None:
    make()
    made = template()
    [service] = made.find_resources("AWS::ECS::Service")
    patterns = [rule["Properties"]["EventPattern"] for rule in made.find_resources("AWS::Events::Rule").values()]
    [stopped] = [pattern for pattern in patterns if pattern["detail-type"] == ["ECS Task State Change"]]
    assert stopped["detail"]["stopCode"] == ["TaskFailedToStart"]
    assert stopped["detail"]["group"] == [{"Fn::Join": ["", ["service:", {"Fn::GetAtt": [service, "Name"]}]]}]
    [impaired] = [pattern for pattern in patterns if pattern["detail-type"] == ["ECS Service Action"]]
    assert impaired["resources"] == [{"Ref": service}]
    assert "SERVICE_TASK_START_IMPAIRED" in impaired["detail"]["eventName"]
    [queue] = made.find_resources("AWS::SQS::Queue")
    made.has_resource_properties(
        "AWS::CloudWatch::Alarm",
        {
            "MetricName": "NumberOfMessagesSent",
            "Dimensions": [{"Name": "QueueName", "Value": {"Fn::GetAtt": [queue, "QueueName"]}}],
            "TreatMissingData": "notBreaching",
        },
    )


def test_who_operates_the_agent_may_change_this_service_only(
    make: Make, stack: cdk.Stack, template: Synthesise
) -> None:
    operator = iam.Role(stack, "Operator", assumed_by=iam.AccountRootPrincipal())
    make().grant_update(operator)
    made = template()
    [service] = made.find_resources("AWS::ECS::Service")
    made.has_resource_properties(
        "AWS::IAM::Policy",
        {
            "PolicyDocument": {
                "Statement": [
                    {
                        "Action": ["ecs:DescribeServices", "ecs:UpdateService"],
                        "Effect": "Allow",
                        "Resource": {"Ref": service},
                    }
                ],
                "Version": "2012-10-17",
            },
            "Roles": [Match.any_value()],
        },
    )
