"""The deployer and the three constructs that call it, each alone in a stack."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from aws_cdk import aws_secretsmanager as secretsmanager

from snowgate import (
    Architecture,
    SnowflakeApiIntegration,
    SnowflakeDeployer,
    SnowflakeScripts,
)
from snowgate.sql_folder import SqlFolderError

Synthesise = Callable[[], assertions.Template]
Match = assertions.Match
HEADER = "-- A table\n-- Makes and keeps: TABLE DB.CONFIG.T\n"
VIEW = "-- A view\n-- Makes and drops: VIEW DB.CONFIG.V\n"
PLACE = {"database": "DB", "schema": "CONFIG", "warehouse": "WH", "role": "DEPLOYER"}


@pytest.fixture
def sql(tmp_path: Path) -> Path:
    folder = tmp_path / "sql"
    folder.mkdir()
    (folder / "010_table.sql").write_text(HEADER + "CREATE TABLE IF NOT EXISTS {{ database }}.CONFIG.T (ID NUMBER);\n")
    return folder


def policy_of(made: assertions.Template, logical_id: str) -> list[dict[str, object]]:
    policies = made.find_resources("AWS::IAM::Policy")
    [found] = [policy for name, policy in policies.items() if name.startswith(logical_id)]
    return found["Properties"]["PolicyDocument"]["Statement"]


def test_the_deployer_reads_its_login_and_writes_its_log_and_may_nothing_else(
    stack: cdk.Stack, template: Synthesise
) -> None:
    secret = secretsmanager.Secret.from_secret_name_v2(stack, "DeployerLogin", "snowgate/test/deployer")
    SnowflakeDeployer(stack, "Deployer", login=secret, python="3.12", architecture=Architecture.X86_64)
    made = template()
    made.has_resource_properties(
        "AWS::Lambda::Function",
        {"Runtime": "python3.12", "Architectures": ["x86_64"], "Handler": "snowflake_deployer.handler.handler"},
    )
    logs, traces, read = policy_of(made, "DeployerLambdaRole")
    assert traces["Action"] == ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
    assert logs["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert read["Action"] == ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
    assert str(read["Resource"]).endswith(":secret:snowgate/test/deployer-??????")


def test_the_asset_is_named_by_sources_lock_python_and_architecture(stack: cdk.Stack) -> None:
    secret = secretsmanager.Secret.from_secret_name_v2(stack, "DeployerLogin", "snowgate/test/deployer")
    for number, (python, architecture) in enumerate(
        [("3.12", Architecture.ARM64), ("3.13", Architecture.ARM64), ("3.13", Architecture.X86_64)]
    ):
        SnowflakeDeployer(stack, f"Deployer{number}", login=secret, python=python, architecture=architecture)
    functions = assertions.Template.from_stack(stack).find_resources("AWS::Lambda::Function").values()
    assert len({function["Properties"]["Code"]["S3Key"] for function in functions}) == 3


def test_the_role_trusts_exactly_what_the_integration_tells(
    stack: cdk.Stack, deployer: SnowflakeDeployer, template: Synthesise
) -> None:
    SnowflakeApiIntegration(
        stack,
        "ApiIntegration",
        deployer=deployer,
        name="REPORTS_API",
        role_name="reports-snowflake",
        allowed_prefixes=["https://x.execute-api.eu-west-1.amazonaws.com/prod/trigger"],
    )
    made = template()
    [integration] = made.find_resources("Custom::SnowflakeApiIntegration")
    made.has_resource_properties(
        "Custom::SnowflakeApiIntegration",
        {
            "Name": "REPORTS_API",
            "RoleArn": "arn:aws:iam::111122223333:role/reports-snowflake",
            "AllowedPrefixes": ["https://x.execute-api.eu-west-1.amazonaws.com/prod/trigger"],
        },
    )
    made.has_resource_properties(
        "AWS::IAM::Role",
        {
            "RoleName": "reports-snowflake",
            "AssumeRolePolicyDocument": {
                "Statement": [
                    {
                        "Action": "sts:AssumeRole",
                        "Effect": "Allow",
                        "Principal": {"AWS": {"Fn::GetAtt": [integration, "IamUserArn"]}},
                        "Condition": {"StringEquals": {"sts:ExternalId": {"Fn::GetAtt": [integration, "ExternalId"]}}},
                    }
                ],
                "Version": "2012-10-17",
            },
        },
    )


def test_an_integration_without_a_prefix_is_refused(stack: cdk.Stack, deployer: SnowflakeDeployer) -> None:
    with pytest.raises(ValueError, match="at least one URL prefix"):
        SnowflakeApiIntegration(
            stack, "ApiIntegration", deployer=deployer, name="A", role_name="r", allowed_prefixes=[]
        )


def test_scripts_are_rendered_at_synth_and_what_the_deploy_knows_travels_as_a_value(
    stack: cdk.Stack, deployer: SnowflakeDeployer, sql: Path, template: Synthesise, app: cdk.App
) -> None:
    (sql / "020_url.sql").write_text(VIEW + "SELECT '{{ url }}' FROM {{ database }}.T;\n")
    (sql / "bootstrap.sql").write_text("not numbered, so not deployed: {{ unknown }}")
    url = cdk.Fn.get_att("Api", "Url").to_string()
    SnowflakeScripts(
        stack,
        "Scripts",
        deployer=deployer,
        directory=sql,
        names={"database": "DB", "url": url},
        smoke="CALL DB.CONFIG.P()",
        **PLACE,
    )
    made = template()
    made.has_resource_properties(
        "Custom::SnowflakeScripts",
        {
            "Database": "DB",
            "Schema": "CONFIG",
            "Warehouse": "WH",
            "Role": "DEPLOYER",
            "Values": {"url": {"Fn::GetAtt": ["Api", "Url"]}},
            "Smoke": "CALL DB.CONFIG.P()",
        },
    )
    texts = {file.name: file.read_text() for file in Path(app.outdir).rglob("*.sql")}
    assert texts == {
        "010_table.sql": HEADER + "CREATE TABLE IF NOT EXISTS DB.CONFIG.T (ID NUMBER);\n",
        "020_url.sql": VIEW + "SELECT '${url}' FROM DB.T;\n",
    }


def test_a_changed_file_is_another_asset(stack: cdk.Stack, deployer: SnowflakeDeployer, sql: Path) -> None:
    def key(name: str) -> str:
        scripts = SnowflakeScripts(stack, name, deployer=deployer, directory=sql, names={"database": "DB"}, **PLACE)
        return scripts.node.find_child("Files").s3_object_key  # type: ignore[attr-defined]

    first, same = key("First"), key("Same")
    (sql / "010_table.sql").write_text(HEADER + "SELECT 1;\n")
    assert first == same != key("Changed")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            HEADER + "SELECT 1;\nSELECT {{ datbase }};\n",
            r"010_table.sql line 4: 'datbase' is undefined; names are database",
        ),
        (HEADER + "SELECT {{ database ;\n", r"010_table.sql line 3: "),
        (HEADER + "SELECT 'open;\n", r"010_table.sql line 3: this string is not closed"),
        ("SELECT 1;\n", r"010_table.sql: a line '-- Makes and drops: KIND NAME' or"),
    ],
)
def test_a_file_that_cannot_be_used_stops_synth_with_its_place(
    stack: cdk.Stack, deployer: SnowflakeDeployer, sql: Path, text: str, message: str
) -> None:
    (sql / "010_table.sql").write_text(text)
    with pytest.raises(SqlFolderError, match=message):
        SnowflakeScripts(stack, "Scripts", deployer=deployer, directory=sql, names={"database": "DB"}, **PLACE)


def test_all_wrong_files_are_named_at_once(stack: cdk.Stack, deployer: SnowflakeDeployer, sql: Path) -> None:
    (sql / "010_table.sql").write_text(HEADER + "SELECT {{ a }};\n")
    (sql / "020_table.sql").write_text(HEADER + "SELECT {{ b }};\n")
    with pytest.raises(SqlFolderError, match=r"(?s)'a' is undefined.*'b' is undefined"):
        SnowflakeScripts(stack, "Scripts", deployer=deployer, directory=sql, names={}, **PLACE)


def test_a_folder_without_numbered_files_is_refused(
    stack: cdk.Stack, deployer: SnowflakeDeployer, tmp_path: Path
) -> None:
    (tmp_path / "tables.sql").write_text(HEADER)
    with pytest.raises(SqlFolderError, match="no SQL file"):
        SnowflakeScripts(stack, "Scripts", deployer=deployer, directory=tmp_path, names={}, **PLACE)


def test_the_deployer_may_read_the_assets_of_every_version(
    stack: cdk.Stack, deployer: SnowflakeDeployer, sql: Path, template: Synthesise
) -> None:
    SnowflakeScripts(stack, "Scripts", deployer=deployer, directory=sql, names={"database": "DB"}, **PLACE)
    read = [s for s in policy_of(template(), "DeployerLambdaRole") if s["Action"] == "s3:GetObject"]
    assert [str(s["Resource"]) for s in read] == [
        f"arn:aws:s3:::cdk-hnb659fds-assets-{stack.account}-{stack.region}/*.zip"
    ]


def test_no_archive_of_a_stack_without_bundling_holds_wheels(
    stack: cdk.Stack, deployer: SnowflakeDeployer, app: cdk.App
) -> None:
    assert not stack.bundling_required
    app.synth()
    assert [file for file in Path(app.outdir).rglob("*.zip") if zipfile.is_zipfile(file)] == []


def test_what_fails_in_the_deployer_and_in_rotations_are_metrics_of_their_functions(
    stack: cdk.Stack, deployer: SnowflakeDeployer
) -> None:
    found = {
        ("Errors", "Sum"): (deployer.metric_errors(), deployer.function),
        ("Duration", "Maximum"): (deployer.metric_duration(), deployer.function),
    }
    for (name, statistic), (metric, function) in found.items():
        assert (metric.namespace, metric.metric_name, metric.statistic) == ("AWS/Lambda", name, statistic)
        assert stack.resolve(metric.dimensions) == {"FunctionName": stack.resolve(function.function_name)}
    rotation = deployer.metric_rotation_errors()
    assert rotation.metric_name == "Errors"
    assert stack.resolve(rotation.dimensions) == {"FunctionName": stack.resolve(deployer.rotation.function_name)}
