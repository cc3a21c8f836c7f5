"""RDS in the AWS stand-in: a template's instance is a database in a real PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import psycopg
import pytest
from aws_cdk import assertions
from aws_cdk import aws_ec2 as ec2
from botocore.exceptions import ClientError, WaiterError
from cloud_server import CloudServer, StackFailed, cloud_server

from local.cloud.accounts import OPERATOR
from local.postgres import Postgres, postgres
from snowgate import PostgresDatabase

Resources = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cloud")


@pytest.fixture(scope="module")
def cloud(folder: Path, server: Postgres) -> Iterator[CloudServer]:
    with cloud_server(folder, postgres_url=server.url()) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def made() -> Resources:
    """What the construct makes, with a replica."""
    stack = cdk.Stack(cdk.App(analytics_reporting=False), "Stack")
    database = PostgresDatabase(
        stack,
        "Database",
        vpc=ec2.Vpc(stack, "Vpc", nat_gateways=0, restrict_default_security_group=False),
        database="weather_db",
        username="weather_user",
        replica=True,
        deletion_protection=False,
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )
    database.allow_from(database.security_group)
    resources: Resources = assertions.Template.from_stack(stack).to_json()["Resources"]
    return resources


def instance(**properties: Any) -> Resources:
    """The least instance, with other or more properties."""
    least = {
        "DBInstanceClass": "db.t4g.micro",
        "DBName": "small",
        "Engine": "postgres",
        "EngineVersion": "18",
        "ManageMasterUserPassword": True,
        "MasterUsername": "somebody",
    }
    return {"Instance": {"Type": "AWS::RDS::DBInstance", "Properties": least | properties}}


def attribute(name: str, of: str = "Instance") -> dict[str, list[str]]:
    return {"Fn::GetAtt": [of, name]}


def log_in(cloud: CloudServer, outputs: dict[str, str], database: str) -> psycopg.Connection:
    """A session as the master user, by what a stack tells and the secret holds."""
    text = cloud.client("secretsmanager").get_secret_value(SecretId=outputs["Secret"])["SecretString"]
    login = json.loads(text)
    assert set(login) == {"username", "password"}
    return psycopg.connect(
        host=outputs["Host"],
        port=outputs["Port"],
        dbname=database,
        user=login["username"],
        password=login["password"],
        autocommit=True,
    )


WHERE = {
    "Host": attribute("Endpoint.Address"),
    "Port": attribute("Endpoint.Port"),
    "Secret": attribute("MasterUserSecret.SecretArn"),
}


def destroy(cloud: CloudServer, name: str) -> None:
    client = cloud.client("cloudformation")
    client.delete_stack(StackName=name)
    client.get_waiter("stack_delete_complete").wait(StackName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 300})


def databases(server: Postgres) -> set[str]:
    """The databases and users of the server, but for its own."""
    with server.connect() as session:
        found = session.execute("SELECT datname FROM pg_database UNION SELECT rolname FROM pg_roles").fetchall()
    return {name for (name,) in found if not name.startswith(("pg_", "template", "postgres", server.user))}


def test_the_library_s_database_is_deployed_used_and_destroyed(
    cloud: CloudServer, server: Postgres, made: Resources
) -> None:
    [name] = [key for key, value in made.items() if value["Properties"].get("DBName")]
    [copy] = [key for key, value in made.items() if "SourceDBInstanceIdentifier" in value["Properties"]]
    [login] = [key for key, value in made.items() if value["Type"] == "AWS::SecretsManager::Secret"]
    where: dict[str, Any] = {
        "Host": attribute("Endpoint.Address", name),
        "Port": attribute("Endpoint.Port", name),
        "Secret": {"Ref": login},
    }
    outputs = cloud.deploy("weather", made, CopyPort=attribute("Endpoint.Port", copy), **where)
    assert (outputs["Host"], outputs["Port"], outputs["CopyPort"]) == ("127.0.0.1", str(server.port), str(server.port))
    with log_in(cloud, outputs, "weather_db") as session:
        session.execute("CREATE ROLE reader LOGIN")
        session.execute("CREATE DATABASE more")
        session.execute("CREATE TABLE seen (day date)")
        session.execute("GRANT SELECT ON seen TO reader")
        assert session.info.server_version // 10_000 == 18
    destroy(cloud, "weather")
    assert databases(server) == set()
    secrets = cloud.client("secretsmanager").list_secrets()["SecretList"]
    assert [secret for secret in secrets if secret["ARN"] == outputs["Secret"]] == []


def test_the_password_is_read_by_whom_iam_lets_and_by_nobody_else(cloud: CloudServer) -> None:
    outputs = cloud.deploy("read", instance(), **WHERE)
    account = {"Principal": {"AWS": f"arn:aws:iam::{OPERATOR.account_id}:root"}}
    may = {"Action": "secretsmanager:GetSecretValue", "Resource": outputs["Secret"]}
    for role, allows in (("reader", [may]), ("stranger", [])):
        arn = cloud.make_role(role, account, *allows)
        who = cloud.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
        secrets = cloud.client("secretsmanager", who)
        if role == "reader":
            assert "password" in secrets.get_secret_value(SecretId=outputs["Secret"])["SecretString"]
        else:
            with pytest.raises(ClientError, match="not authorized to perform: secretsmanager:GetSecretValue"):
                secrets.get_secret_value(SecretId=outputs["Secret"])
    destroy(cloud, "read")


def test_an_update_keeps_rows_and_password(cloud: CloudServer) -> None:
    first = cloud.deploy("updated", instance(), **WHERE)
    with log_in(cloud, first, "small") as session:
        session.execute("CREATE TABLE kept AS SELECT 1 AS one")
    second = cloud.deploy("updated", instance(BackupRetentionPeriod=9), **WHERE)
    assert second == first
    with log_in(cloud, second, "small") as session:
        assert session.execute("SELECT one FROM kept").fetchall() == [(1,)]
    destroy(cloud, "updated")


def test_a_rotation_changes_the_password_and_leaves_open_sessions_alone(cloud: CloudServer) -> None:
    outputs = cloud.deploy("rotated", instance(), **WHERE)
    secrets = cloud.client("secretsmanager")
    with log_in(cloud, outputs, "small") as session:
        before = session.info.password
        secrets.rotate_secret(SecretId=outputs["Secret"])
        session.execute("SELECT 1")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(session.info.dsn, password=before)
    log_in(cloud, outputs, "small").close()
    destroy(cloud, "rotated")


def test_another_version_is_refused_and_another_name_is_another_database(cloud: CloudServer, server: Postgres) -> None:
    cloud.deploy("changed", instance())
    with pytest.raises(StackFailed, match="changes no EngineVersion of an instance"):
        cloud.deploy("changed", instance(EngineVersion="18.1"))
    cloud.deploy("changed", instance(DBName="other", MasterUsername="they"))
    assert databases(server) == {"other", "they"}
    destroy(cloud, "changed")


def test_a_protected_instance_is_not_deleted(cloud: CloudServer, server: Postgres) -> None:
    cloud.deploy("protected", instance(DeletionProtection=True))
    with pytest.raises(WaiterError):
        destroy(cloud, "protected")
    assert databases(server) == {"small", "somebody"}
    cloud.client("rds").modify_db_instance(
        DBInstanceIdentifier=cloud.client("rds").describe_db_instances()["DBInstances"][0]["DBInstanceIdentifier"],
        DeletionProtection=False,
    )
    destroy(cloud, "protected")
    assert databases(server) == set()


def test_a_login_reaches_its_own_database_alone(cloud: CloudServer) -> None:
    outputs = cloud.deploy("alone", instance(), **WHERE)
    cloud.deploy("neighbour", instance(DBName="theirs", MasterUsername="they"))
    with pytest.raises(psycopg.OperationalError, match='permission denied for database "theirs"'):
        log_in(cloud, outputs, "theirs")
    for name in ("alone", "neighbour"):
        destroy(cloud, name)


@pytest.mark.parametrize("taken", [{"DBName": "other"}, {"MasterUsername": "other"}])
def test_two_instances_cannot_have_one_name_here(cloud: CloudServer, taken: dict[str, str]) -> None:
    cloud.deploy("first", instance())
    with pytest.raises(StackFailed, match="all instances share one server here, and '(small|somebody)' is another"):
        cloud.deploy("second", instance(**taken))
    for name in ("first", "second"):
        destroy(cloud, name)


@pytest.mark.parametrize(
    ("properties", "says"),
    [
        ({"Engine": "mysql"}, "has the Engine postgres, and no mysql"),
        ({"EngineVersion": "17.2"}, "has PostgreSQL 18, and no 17.2"),
        ({"ManageMasterUserPassword": False}, "either ManageMasterUserPassword or a MasterUserPassword is needed"),
        ({"MasterUserPassword": "twice"}, "either ManageMasterUserPassword or a MasterUserPassword is needed"),
        ({"DBName": ""}, "no instance without DBName"),
        ({"Iops": 3000}, "the local stand-in has no Iops"),
    ],
)
def test_what_the_stand_in_lacks_is_refused(cloud: CloudServer, properties: dict[str, Any], says: str) -> None:
    with pytest.raises(StackFailed, match=says):
        cloud.deploy("refused", instance(**properties))
    destroy(cloud, "refused")


def test_an_instance_is_made_and_deleted_by_a_stack_alone(cloud: CloudServer) -> None:
    client = cloud.client("rds")
    properties = instance()["Instance"]["Properties"] | {"DBInstanceIdentifier": "by-hand"}
    with pytest.raises(ClientError, match="through CloudFormation only"):
        client.create_db_instance(**properties)
    with pytest.raises(ClientError, match="through CloudFormation only"):
        client.delete_db_instance(DBInstanceIdentifier="by-hand")


def test_a_replica_of_nothing_is_refused(cloud: CloudServer) -> None:
    replica = {"SourceDBInstanceIdentifier": "nobody", "DBInstanceClass": "db.t4g.micro"}
    with pytest.raises(StackFailed, match="SourceDBInstanceIdentifier nobody names no instance"):
        cloud.deploy("replica", {"Replica": {"Type": "AWS::RDS::DBInstance", "Properties": replica}})


def test_a_replica_of_an_instance_with_a_managed_password_is_refused(cloud: CloudServer) -> None:
    replica = {"SourceDBInstanceIdentifier": {"Ref": "Instance"}, "DBInstanceClass": "db.t4g.micro"}
    with pytest.raises(StackFailed, match="where ManageMasterUserPassword is enabled is not supported"):
        cloud.deploy("managed", instance() | {"Replica": {"Type": "AWS::RDS::DBInstance", "Properties": replica}})
    destroy(cloud, "managed")


def test_a_restart_keeps_the_instance(folder: Path, server: Postgres, tmp_path: Path) -> None:
    with cloud_server(tmp_path, postgres_url=server.url()) as cloud:
        before = cloud.deploy("kept", instance(), **WHERE)
    with cloud_server(tmp_path, postgres_url=server.url()) as cloud:
        [found] = cloud.client("rds").describe_db_instances()["DBInstances"]
        assert (found["DBInstanceStatus"], found["Endpoint"]["Port"]) == ("available", server.port)
        with log_in(cloud, before, "small"):
            pass
        destroy(cloud, "kept")


def test_without_a_postgresql_no_instance_is_made(tmp_path: Path) -> None:
    with cloud_server(tmp_path) as cloud, pytest.raises(StackFailed, match="was started without a PostgreSQL"):
        cloud.deploy("nothing", instance())
