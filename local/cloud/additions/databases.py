"""RDS instances of PostgreSQL: behind each is a database of its own, in the server that the platform has started.

Source: "CreateDBInstance" in the Amazon RDS API Reference and "Password management with Amazon RDS and AWS Secrets
Manager" in its User Guide. All instances share one server here: two cannot have a database or a user of the same name.
"""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import sql

from local.cloud.additions.patching import replaces, replaces_entry, require

RESOURCE = "AWS::RDS::DBInstance"
# Kept and shown, but for the engine, the names and the protection, on which something depends here.
_KNOWN = {
    "AllocatedStorage", "AutoMinorVersionUpgrade", "BackupRetentionPeriod", "CopyTagsToSnapshot", "DBInstanceClass",
    "DBInstanceIdentifier", "DBName", "DBParameterGroupName", "DBSubnetGroupName", "DeletionProtection",
    "EnableCloudwatchLogsExports", "EnableIAMDatabaseAuthentication", "EnablePerformanceInsights", "Engine",
    "EngineVersion", "KmsKeyId", "ManageMasterUserPassword", "MasterUserPassword", "MasterUserSecret",
    "MasterUsername",
    "MaxAllocatedStorage", "MonitoringInterval", "MonitoringRoleArn", "MultiAZ",
    "PerformanceInsightsKMSKeyId", "PerformanceInsightsRetentionPeriod",
    "PreferredBackupWindow", "PreferredMaintenanceWindow", "PubliclyAccessible", "SourceDBInstanceIdentifier",
    "StorageEncrypted", "StorageType", "Tags", "VPCSecurityGroups",
}  # fmt: skip

_server_url = ""


def serve_from(url: str) -> None:
    """Name the PostgreSQL in which databases are made: the URL of its superuser, or nothing where there is none."""
    global _server_url  # noqa: PLW0603 - additions are modules, and this is their one setting from outside
    _server_url = url


def apply() -> None:
    """ministack's CloudFormation keeps only an instance's record, AWS starts a server and makes its password."""
    from ministack.services import rds, secretsmanager
    from ministack.services.cloudformation import provisioners

    require(rds, "_instances", "_error")
    require(secretsmanager, "_create_secret", "_delete_secret", "_put_secret_value", "_resolve")
    handlers = provisioners._RESOURCE_HANDLERS[RESOURCE]
    _rotate_master_passwords(rds, secretsmanager)
    _refuse_requests(rds)

    @replaces_entry(handlers, "create", "logical_id props stack_name", RESOURCE)
    def create(original: Any, logical_id: str, props: dict[str, Any], stack_name: str) -> Any:
        _check(props)
        if source := props.get("SourceDBInstanceIdentifier"):
            copied = rds._instances.get(source.rpartition(":")[2])
            if copied is None:
                raise ValueError(f"{RESOURCE}: SourceDBInstanceIdentifier {source} names no instance")
            if "MasterUserSecret" in copied:
                # "Limitations for Secrets Manager integration with Amazon RDS" in its User Guide.
                raise ValueError(
                    f"{RESOURCE}: Creating read replicas for source instance with engine postgres where "
                    "ManageMasterUserPassword is enabled is not supported"
                )
            name, attributes = original(logical_id, props, stack_name)
            _copy(rds._instances[name], copied)
        else:
            password = props.get("MasterUserPassword") or secrets.token_urlsafe(24)
            endpoint = _make_database(props["DBName"], props["MasterUsername"], password, props["EngineVersion"])
            name, attributes = original(logical_id, props, stack_name)
            rds._instances[name]["Endpoint"] |= endpoint
            if _is_managed(props):
                rds._instances[name]["MasterUserSecret"] = _make_secret(secretsmanager, props, password)
        return name, attributes | _attributes(rds._instances[name])

    parameters = "physical_id old_props new_props stack_name logical_id"

    @replaces_entry(handlers, "update", parameters, RESOURCE)
    def update(original: Any, physical_id: str, old: dict[str, Any], new: dict[str, Any], *rest: Any) -> Any:
        _check(new)
        fixed = ("EngineVersion", "ManageMasterUserPassword", "MasterUserPassword", "SourceDBInstanceIdentifier")
        for name in fixed:
            if old.get(name) != new.get(name):
                raise ValueError(f"{RESOURCE}: the local stand-in changes no {name} of an instance")
        _name, attributes = original(physical_id, old, new, *rest)
        return physical_id, attributes | _attributes(rds._instances[physical_id])

    @replaces_entry(handlers, "delete", "physical_id props", RESOURCE)
    def delete(original: Any, physical_id: str, props: dict[str, Any]) -> Any:
        record = rds._instances.get(physical_id, {})
        if record.get("DeletionProtection"):
            raise ValueError("Cannot delete protected DB Instance, please disable deletion protection and try again.")
        if record and "SourceDBInstanceIdentifier" not in props:
            _drop_all_of(record["MasterUsername"])
        if "MasterUserSecret" in record:
            arn = record["MasterUserSecret"]["SecretArn"]
            secretsmanager._delete_secret({"SecretId": arn, "ForceDeleteWithoutRecovery": True})
        return original(physical_id, props)


def _refuse_requests(rds: Any) -> None:
    """What would make a record without a database, or leave a database without a record."""
    for action in ("CreateDBInstance", "CreateDBInstanceReadReplica", "DeleteDBInstance"):

        @replaces_entry(rds._ACTION_MAP, action, "p", "rds._ACTION_MAP")
        def refuse(_original: Any, _p: dict[str, Any]) -> Any:
            message = "The local stand-in makes and deletes instances through CloudFormation only."
            return rds._error("InvalidParameterCombination", message, 400)


def _rotate_master_passwords(rds: Any, secretsmanager: Any) -> None:
    """RotateSecret of a managed secret has RDS make a new password; sessions that are open stay open."""

    @replaces(secretsmanager, "_rotate_secret", "data")
    def rotate(original: Any, data: dict[str, Any]) -> Any:
        _key, secret = secretsmanager._resolve(data.get("SecretId"))
        arn = (secret or {}).get("ARN")
        record = next(
            (one for one in rds._instances.values() if arn and one.get("MasterUserSecret", {}).get("SecretArn") == arn),
            None,
        )
        if record is None:
            return original(data)
        login = {"username": record["MasterUsername"], "password": secrets.token_urlsafe(24)}
        change = sql.SQL("ALTER ROLE {} PASSWORD {}")
        with _connect() as session:
            session.execute(change.format(sql.Identifier(login["username"]), sql.Literal(login["password"])))
        return secretsmanager._put_secret_value({"SecretId": arn, "SecretString": json.dumps(login)})


def _check(props: Mapping[str, Any]) -> None:
    """Refuse what no database here would come of. Raises ValueError."""
    if unknown := sorted(set(props) - _KNOWN):
        raise ValueError(f"{RESOURCE}: the local stand-in has no {', '.join(unknown)}")
    if "SourceDBInstanceIdentifier" in props:
        return
    if props.get("Engine") != "postgres":
        raise ValueError(f"{RESOURCE}: the local stand-in has the Engine postgres, and no {props.get('Engine')}")
    if _is_managed(props) == bool(props.get("MasterUserPassword")):
        raise ValueError(f"{RESOURCE}: either ManageMasterUserPassword or a MasterUserPassword is needed")
    for name in ("DBName", "MasterUsername", "EngineVersion"):
        if not props.get(name):
            raise ValueError(f"{RESOURCE}: the local stand-in makes no instance without {name}")


def _is_managed(props: Mapping[str, Any]) -> bool:
    return str(props.get("ManageMasterUserPassword")).lower() == "true"


def _attributes(record: Mapping[str, Any]) -> dict[str, str]:
    """What GetAtt gives besides what ministack has, or otherwise."""
    endpoint = record["Endpoint"]
    found = {"Endpoint.Address": endpoint["Address"], "Endpoint.Port": str(endpoint["Port"])}
    secret = record.get("MasterUserSecret")
    return found | ({"MasterUserSecret.SecretArn": secret["SecretArn"]} if secret else {})


def _copy(replica: dict[str, Any], source: Mapping[str, Any]) -> None:
    """A replica is its source by another name; nothing keeps it from writing."""
    replica["Endpoint"] = dict(source["Endpoint"])
    replica |= {name: source[name] for name in ("DBName", "Engine", "EngineVersion", "MasterUsername")}


def _make_secret(secretsmanager: Any, props: Mapping[str, Any], password: str) -> dict[str, str]:
    request = {
        "Name": f"rds!db-{uuid.uuid4()}",
        "Description": "The secret of the master user of an Amazon RDS instance",
        "SecretString": json.dumps({"username": props["MasterUsername"], "password": password}),
    }
    key = (props.get("MasterUserSecret") or {}).get("KmsKeyId")
    _status, _headers, body = secretsmanager._create_secret(request | ({"KmsKeyId": key} if key else {}))
    return {"SecretArn": json.loads(body)["ARN"], "SecretStatus": "active"}


def _connect() -> psycopg.Connection:
    if not _server_url:
        raise ValueError(f"{RESOURCE}: this stand-in was started without a PostgreSQL (POSTGRES_URL)")
    return psycopg.connect(_server_url, autocommit=True)  # no database is made inside a transaction


def _make_database(database: str, user: str, password: str, version: str) -> dict[str, Any]:
    """Make the database and its owner; gives the endpoint. Raises ValueError when another instance has the name."""
    names = {"d": sql.Identifier(database), "u": sql.Identifier(user), "password": sql.Literal(password)}
    with _connect() as session:
        major = session.info.server_version // 10_000
        if version.split(".")[0] != str(major):
            raise ValueError(f"{RESOURCE}: the local stand-in has PostgreSQL {major}, and no {version}")
        taken = (
            "SELECT datname FROM pg_database WHERE datname = %s UNION SELECT rolname FROM pg_roles WHERE rolname = %s"
        )
        if found := session.execute(taken, (database, user)).fetchone():
            raise ValueError(f"{RESOURCE}: all instances share one server here, and {found[0]!r} is another one's name")
        # As rds_superuser may; nobody else's login comes in.
        session.execute(sql.SQL("CREATE ROLE {u} LOGIN CREATEDB CREATEROLE PASSWORD {password}").format(**names))
        session.execute(sql.SQL("CREATE DATABASE {d} OWNER {u}").format(**names))
        session.execute(sql.SQL("REVOKE CONNECT ON DATABASE {d} FROM PUBLIC").format(**names))
        return {"Address": session.info.host, "Port": session.info.port}


def _drop_all_of(user: str) -> None:
    """Drop what goes with an instance: its databases and users, those that its master user has made included."""
    databases = "SELECT datname FROM pg_database JOIN pg_roles AS r ON r.oid = datdba WHERE r.rolname = ANY(%s)"
    made = """SELECT made.rolname FROM pg_auth_members JOIN pg_roles AS made ON made.oid = roleid
              JOIN pg_roles AS maker ON maker.oid = member WHERE maker.rolname = %s AND admin_option"""
    with _connect() as session:
        users = [user, *(name for (name,) in session.execute(made, (user,)))]
        for (name,) in session.execute(databases, (users,)).fetchall():
            session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        for name in reversed(users):
            session.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))
