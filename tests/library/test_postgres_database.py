"""PostgresDatabase alone in a stack."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_rds as rds
from aws_cdk import aws_sns as sns
from syrupy.assertion import SnapshotAssertion

from snowgate import Cache, PostgresDatabase
from snowgate.fargate_task import FargateTask

Synthesise = Callable[[], assertions.Template]


def instances(template: assertions.Template) -> dict[str, dict[str, Any]]:
    """The RDS instances by the construct's id of theirs."""
    found = template.find_resources("AWS::RDS::DBInstance")
    return {"Replica" if "Replica" in name else "Instance": made for name, made in found.items()}


def statements(template: assertions.Template) -> list[dict[str, Any]]:
    """What all policies of the stack say."""
    policies = template.find_resources("AWS::IAM::Policy").values()
    return [statement for policy in policies for statement in policy["Properties"]["PolicyDocument"]["Statement"]]


def test_the_defaults_are_those_of_the_snapshot(
    stack: cdk.Stack, template: Synthesise, snapshot: SnapshotAssertion
) -> None:
    vpc = ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-0",
        availability_zones=["eu-west-1a", "eu-west-1b"],
        private_subnet_ids=["subnet-1", "subnet-2"],
    )
    PostgresDatabase(stack, "Database", vpc=vpc)
    assert template().to_json() == snapshot


def test_the_password_is_managed_by_rds_and_in_no_template(
    stack: cdk.Stack, vpc: ec2.IVpc, template: Synthesise
) -> None:
    PostgresDatabase(stack, "Database", vpc=vpc, username="weather_user")
    made = template()
    properties = instances(made)["Instance"]["Properties"]
    assert (properties["MasterUsername"], properties["ManageMasterUserPassword"]) == ("weather_user", True)
    assert "MasterUserPassword" not in json.dumps(made.to_json()).replace("ManageMasterUserPassword", "")
    made.resource_count_is("AWS::SecretsManager::Secret", 0)


def test_it_is_encrypted_backed_up_kept_and_not_public(stack: cdk.Stack, vpc: ec2.IVpc, template: Synthesise) -> None:
    PostgresDatabase(stack, "Database", vpc=vpc, database="weather_db")
    made = template()
    instance = instances(made)["Instance"]
    assert (instance["DeletionPolicy"], instance["UpdateReplacePolicy"]) == ("Snapshot", "Snapshot")
    expected = {
        "AllocatedStorage": "20",
        "BackupRetentionPeriod": 7,
        "DBInstanceClass": "db.t4g.micro",
        "DBName": "weather_db",
        "DeletionProtection": True,
        "EnableIAMDatabaseAuthentication": True,
        "EngineVersion": "18",
        "PreferredBackupWindow": "03:00-04:00",
        "PreferredMaintenanceWindow": "Sun:04:00-Sun:05:00",
        "PubliclyAccessible": False,
        "StorageEncrypted": True,
        "StorageType": "gp3",
    }
    assert {name: instance["Properties"].get(name) for name in expected} == expected
    parameters = {"Family": "postgres18", "Parameters": {"rds.force_ssl": "1"}}
    made.has_resource_properties("AWS::RDS::DBParameterGroup", parameters)


def test_its_logs_go_to_groups_that_end(stack: cdk.Stack, vpc: ec2.IVpc, template: Synthesise) -> None:
    PostgresDatabase(stack, "Database", vpc=vpc)
    made = template()
    instance = instances(made)["Instance"]
    name = instance["Properties"]["DBInstanceIdentifier"]
    for log in instance["Properties"]["EnableCloudwatchLogsExports"]:
        group = {"LogGroupName": f"/aws/rds/instance/{name}/{log}", "RetentionInDays": 30}
        [(logical_id, _)] = made.find_resources("AWS::Logs::LogGroup", {"Properties": group}).items()
        assert logical_id in instance["DependsOn"]


def test_settings_change_type_version_size_windows_and_protection(
    stack: cdk.Stack, vpc: ec2.IVpc, template: Synthesise
) -> None:
    PostgresDatabase(
        stack,
        "Database",
        vpc=vpc,
        version=rds.PostgresEngineVersion.VER_17,
        instance_type=ec2.InstanceType("m7i.large"),
        storage_gib=100,
        max_storage_gib=500,
        encryption_key=kms.Key(stack, "Key", enable_key_rotation=True),
        backup_days=14,
        copy_backups_to="eu-central-1",
        copy_key="arn:aws:kms:eu-central-1:111122223333:key/1",
        backup_window="01:00-02:00",
        maintenance_window="Mon:02:30-Mon:03:30",
        multi_az=True,
        deletion_protection=False,
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )
    made = template()
    instance = instances(made)["Instance"]
    key = stack.resolve(stack.node.find_child("Key").key_arn)  # type: ignore[attr-defined]
    expected = {
        "AutomaticBackupReplicationKmsKeyId": "arn:aws:kms:eu-central-1:111122223333:key/1",
        "AutomaticBackupReplicationRegion": "eu-central-1",
        "AutomaticBackupReplicationRetentionPeriod": 14,
        "BackupRetentionPeriod": 14,
        "DBInstanceClass": "db.m7i.large",
        "DeletionProtection": False,
        "EngineVersion": "17",
        "KmsKeyId": key,
        "MasterUserSecret": {"KmsKeyId": key},
        "MaxAllocatedStorage": 500,
        "MultiAZ": True,
        "PerformanceInsightsKMSKeyId": key,
        "PreferredBackupWindow": "01:00-02:00",
        "PreferredMaintenanceWindow": "Mon:02:30-Mon:03:30",
    }
    assert {name: instance["Properties"].get(name) for name in expected} == expected
    assert instance["DeletionPolicy"] == "Delete"
    made.has_resource_properties("AWS::RDS::DBParameterGroup", {"Family": "postgres17"})
    assert not made.find_resources("AWS::CloudWatch::Alarm", {"Properties": {"MetricName": "CPUCreditBalance"}})


def test_a_replica_is_beside_it_under_the_same_rules(stack: cdk.Stack, vpc: ec2.IVpc, template: Synthesise) -> None:
    database = PostgresDatabase(stack, "Database", vpc=vpc, replica=True)
    found = {name: made["Properties"] for name, made in instances(template()).items()}
    for shared in (
        "DBParameterGroupName",
        "VPCSecurityGroups",
        "PubliclyAccessible",
        "EnableIAMDatabaseAuthentication",
    ):
        assert found["Replica"][shared] == found["Instance"][shared]
    assert found["Replica"]["SourceDBInstanceIdentifier"]
    assert database.replica is not None
    lag = database.metric_replica_lag()
    of_replica = {"DBInstanceIdentifier": stack.resolve(database.replica.instance_identifier)}
    assert (lag.metric_name, stack.resolve(lag.dimensions)) == ("ReplicaLag", of_replica)
    assert len(database.alarms) == 5


def test_with_a_replica_the_deploy_makes_the_password_for_rds_would_refuse_to(
    stack: cdk.Stack, vpc: ec2.IVpc, template: Synthesise
) -> None:
    database = PostgresDatabase(stack, "Database", vpc=vpc, username="weather_user", max_storage_gib=50, replica=True)
    made = template()
    found = {name: instance["Properties"] for name, instance in instances(made).items()}
    assert not found["Instance"].get("ManageMasterUserPassword")
    secret = stack.resolve(database.secret.secret_arn)
    password = ["{{resolve:secretsmanager:", secret, ":SecretString:password::}}"]
    assert found["Instance"]["MasterUserPassword"] == {"Fn::Join": ["", password]}
    [login] = made.find_resources("AWS::SecretsManager::Secret").values()
    assert json.loads(login["Properties"]["GenerateSecretString"]["SecretStringTemplate"]) == {
        "username": "weather_user"
    }
    assert set(database.connection_secrets()) == {"DATABASE_USER", "DATABASE_PASSWORD"}
    assert found["Replica"]["MaxAllocatedStorage"] == found["Instance"]["MaxAllocatedStorage"] == 50
    assert "MasterUserPassword" not in found["Replica"]


def test_without_a_replica_none_is_behind(stack: cdk.Stack, vpc: ec2.IVpc) -> None:
    with pytest.raises(ValueError, match="Stack/Database has no replica; replica=True makes one"):
        PostgresDatabase(stack, "Database", vpc=vpc).metric_replica_lag()


@pytest.mark.parametrize(
    ("kinds", "used"),
    [
        ([ec2.SubnetType.PUBLIC, ec2.SubnetType.PRIVATE_WITH_EGRESS, ec2.SubnetType.PRIVATE_ISOLATED], "private"),
        ([ec2.SubnetType.PUBLIC, ec2.SubnetType.PRIVATE_ISOLATED], "isolated"),
        ([ec2.SubnetType.PUBLIC], "public"),
    ],
)
def test_it_stands_in_the_most_private_subnets_that_have_a_way_out_else_in_isolated_ones(
    stack: cdk.Stack, kinds: list[ec2.SubnetType], used: str
) -> None:
    name = {ec2.SubnetType.PUBLIC: "public", ec2.SubnetType.PRIVATE_WITH_EGRESS: "private"}
    subnets = [ec2.SubnetConfiguration(name=name.get(kind, "isolated"), subnet_type=kind) for kind in kinds]
    vpc = ec2.Vpc(stack, "Vpc", subnet_configuration=subnets)
    database = PostgresDatabase(stack, "Database", vpc=vpc)
    group = database.instance.node.find_child("SubnetGroup").node.default_child
    assert isinstance(group, rds.CfnDBSubnetGroup)
    assert [used in str(subnet) for subnet in stack.resolve(group.subnet_ids)] == [True, True]


def test_only_who_is_allowed_reaches_it_and_reads_its_password(
    stack: cdk.Stack, vpc: ec2.IVpc, image: ecs.ContainerImage, template: Synthesise
) -> None:
    database = PostgresDatabase(stack, "Database", vpc=vpc)
    tasks = ec2.SecurityGroup(stack, "Tasks", vpc=vpc, allow_all_outbound=False)
    database.allow_from(tasks)
    FargateTask(
        stack,
        "Task",
        image=image,
        command=["web"],
        environment=database.connection_environment(),
        secrets=database.connection_secrets(),
    )
    made = template()
    [rule] = made.find_resources("AWS::EC2::SecurityGroupIngress").values()
    assert rule["Properties"]["SourceSecurityGroupId"] == stack.resolve(tasks.security_group_id)
    assert rule["Properties"]["FromPort"] == stack.resolve(database.port)
    [way_out] = made.find_resources("AWS::EC2::SecurityGroupEgress").values()
    assert way_out["Properties"]["GroupId"] == stack.resolve(tasks.security_group_id)
    [definition] = made.find_resources("AWS::ECS::TaskDefinition").values()
    [container] = definition["Properties"]["ContainerDefinitions"]
    assert {variable["Name"]: variable["Value"] for variable in container["Environment"]} == {
        "DATABASE_HOST": stack.resolve(database.host),
        "DATABASE_PORT": stack.resolve(database.port),
        "DATABASE_NAME": "app",
        "DATABASE_SSLMODE": "require",
    }
    secret = stack.resolve(database.secret.secret_arn)
    assert {entry["Name"]: entry["ValueFrom"]["Fn::Join"][1] for entry in container["Secrets"]} == {
        "DATABASE_USER": [secret, ":username::"],
        "DATABASE_PASSWORD": [secret, ":password::"],
    }
    reads = {"secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"}
    [given] = [statement for statement in statements(made) if set(statement["Action"]) == reads]
    assert given["Resource"] == secret


def test_services_of_another_stack_are_let_in_there(
    app: cdk.App, stack: cdk.Stack, vpc: ec2.IVpc, image: ecs.ContainerImage, template: Synthesise
) -> None:
    database = PostgresDatabase(stack, "Database", vpc=vpc)
    cache = Cache(stack, "Cache", vpc=vpc)
    other = cdk.Stack(app, "Other", env=cdk.Environment(account=stack.account, region=stack.region))
    tasks = ec2.SecurityGroup(other, "Tasks", vpc=vpc, allow_all_outbound=False)
    for data in (database, cache):
        data.allow_from(tasks)
    FargateTask(
        other,
        "Task",
        image=image,
        command=["web"],
        environment=database.connection_environment() | cache.connection_environment(),
        secrets=database.connection_secrets(),
    )
    template().resource_count_is("AWS::EC2::SecurityGroupIngress", 0)
    assertions.Template.from_stack(other).resource_count_is("AWS::EC2::SecurityGroupIngress", 2)


def test_a_role_may_log_in_as_one_user_without_a_password(
    stack: cdk.Stack, vpc: ec2.IVpc, template: Synthesise
) -> None:
    role = iam.Role(stack, "Reader", assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"))
    PostgresDatabase(stack, "Database", vpc=vpc).grant_connect(role, "reader")
    [given] = [statement for statement in statements(template()) if statement["Action"] == "rds-db:connect"]
    assert given["Resource"]["Fn::Join"][1][-1] == "/reader"


def test_every_alarm_watches_this_instance_and_tells_the_topic(
    stack: cdk.Stack, vpc: ec2.IVpc, template: Synthesise
) -> None:
    topic = sns.Topic.from_topic_arn(stack, "Topic", "arn:aws:sns:eu-west-1:111122223333:alarms")
    database = PostgresDatabase(stack, "Database", vpc=vpc, storage_gib=50, connections_alarm=40, alarm_topic=topic)
    found = {
        alarm["Properties"]["MetricName"]: alarm["Properties"]
        for alarm in template().find_resources("AWS::CloudWatch::Alarm").values()
    }
    assert {name: (alarm["Threshold"], alarm["TreatMissingData"]) for name, alarm in found.items()} == {
        "CPUUtilization": (80, "breaching"),
        "FreeStorageSpace": (5 * 1024**3, "notBreaching"),
        "DatabaseConnections": (40, "notBreaching"),
        "CPUCreditBalance": (1, "notBreaching"),
    }
    of_instance = [{"Name": "DBInstanceIdentifier", "Value": stack.resolve(database.instance.instance_identifier)}]
    for alarm in found.values():
        assert alarm["Dimensions"] == of_instance
        assert alarm["AlarmActions"] == alarm["OKActions"] == [topic.topic_arn]
    assert len(database.alarms) == 4


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"storage_gib": 19}, "storage_gib is 19; allowed is 20 to 65536, nearest is 20"),
        ({"storage_gib": 70000}, "storage_gib is 70000; .* nearest is 65536"),
        ({"max_storage_gib": 21}, "max_storage_gib is 21; allowed is 22 to 65536, nearest is 22"),
        ({"backup_days": 0}, "backup_days is 0; allowed is 1 to 35, nearest is 1"),
        ({"backup_days": 36}, "backup_days is 36; allowed is 1 to 35, nearest is 35"),
        ({"copy_backups_to": "eu-central-1"}, "copy_backups_to is 'eu-central-1' and copy_key None; give both"),
        ({"username": "7up"}, "username is '7up'; allowed is a letter"),
        ({"database": "weather-db"}, "database is 'weather-db'; allowed is a letter"),
        ({"database": "d" * 64}, "up to 62 more"),
    ],
)
def test_what_rds_would_not_take_is_refused(
    stack: cdk.Stack, vpc: ec2.IVpc, settings: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValueError, match=f"Stack/Database: .*{says}"):
        PostgresDatabase(stack, "Database", vpc=vpc, **settings)
