"""What each environment's stacks are: their snapshots, and what holds for all of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from assemblies import ALL, ENVIRONMENTS, SYSTEMS, MakeApp
from syrupy.assertion import SnapshotAssertion

from snowgate.manual_secret import FILL_IN
from tests.library.template_snapshot import TemplateSnapshot

Templates = dict[tuple[str, str], dict[str, Any]]

OUTPUTS = {
    "ReportService": {"BucketName", "ClusterName", "WorkerServiceName"},
    "Trigger": {"TriggerUrl"},
    "Secrets": set(),
    "Snowflake": {
        "IamUserArn",
        "ExternalId",
        "Statements",
        "SkippedFiles",
        "Drift",
        "IntegrationDrift",
        "DeploymentId",
    },
    "Image": {"ImageUri"},
    "Network": {"VpcId"},
    "Copies": {"BucketName"},
    "Alarms": {"TopicArn"},
    "WeatherWarehouse": {"Url", "BucketName", "DatabaseHost", "ApiServiceName", "StateMachineArn", "LogGroupName"},
    "ConflictUpdater": {"StateMachineArn", "LogGroupName", "SnowflakeSecretArn", "PostgresSecretArn"},
    "MatillionAgent": {"ClusterName", "ServiceName", "OAuthSecretArn"},
}


@pytest.fixture
def snapshot(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    return snapshot.use_extension(TemplateSnapshot)


@pytest.mark.parametrize(("environment", "stack"), ALL)
def test_the_template_is_that_of_the_snapshot(
    templates: Templates, snapshot: SnapshotAssertion, environment: str, stack: str
) -> None:
    assert templates[environment, stack] == snapshot(name=f"{environment}-{stack}")


def test_every_environment_but_dev_has_all_systems(templates: Templates) -> None:
    assert set(templates) == set(ALL)


def test_people_find_what_they_need_in_the_outputs(templates: Templates) -> None:
    of_web = {"ReportService": {"WebServiceName", "WebUrl"}, "Secrets": {"ApiTokenSecretArn"}}
    for (environment, stack), template in templates.items():
        web = of_web.get(stack, set()) if environment != "dev" else set()
        assert OUTPUTS[stack] | web <= set(template["Outputs"]), (environment, stack)


def test_only_dev_leaves_the_web_role_out(templates: Templates) -> None:
    for environment in ENVIRONMENTS:
        resources = templates[environment, "ReportService"]["Resources"].values()
        services = [resource for resource in resources if resource["Type"] == "AWS::ECS::Service"]
        counts = sorted(str(service["Properties"].get("DesiredCount")) for service in services)
        assert counts == (["None"] if environment == "dev" else ["1", "None"]), environment


def test_nothing_is_looked_up_in_an_account(assembly: Path) -> None:
    for manifest in assembly.rglob("manifest.json"):
        assert json.loads(manifest.read_text()).get("missing", []) == []


def test_a_second_synth_gives_the_same_templates(assembly: Path, make_app: MakeApp) -> None:
    again = Path(make_app().synth().directory)
    for file in assembly.rglob("*.template.json"):
        assert (again / file.relative_to(assembly)).read_text() == file.read_text(), file.name


def test_stacks_are_deployed_in_the_order_of_what_they_need(assembly: Path) -> None:
    wanted = {
        "Network": set(),
        "Alarms": set(),
        "Secrets": set(),
        "Image": set(),
        "Copies": set(),
        "ReportService": {"Network", "Alarms", "Secrets", "Image"},
        **dict.fromkeys(SYSTEMS, {"Network", "Alarms"}),
        "Trigger": {"ReportService"},
        "Snowflake": {"Secrets", "Trigger"},
    }
    for environment in ENVIRONMENTS:
        artifacts = json.loads((assembly / f"assembly-{environment}" / "manifest.json").read_text())["artifacts"]
        names = {
            identifier: artifact["properties"]["stackName"].partition("-")[2]
            for identifier, artifact in artifacts.items()
            if artifact["type"] == "aws:cloudformation:stack"
        }
        for identifier, name in names.items():
            needed = {names[other] for other in artifacts[identifier]["dependencies"] if other in names}
            # The second door names the web service's host.
            door = {"ReportService"} if name == "Snowflake" and environment != "dev" else set()
            copies = {"Copies"} if name == "ReportService" and environment == "prod" else set()
            assert needed == wanted[name] | door | copies, (environment, name)


def test_the_weather_dashboard_shows_requests_errors_and_what_was_ingested(templates: Templates) -> None:
    resources = templates["prod", "WeatherWarehouse"]["Resources"].values()
    [dashboard] = [one for one in resources if one["Type"] == "AWS::CloudWatch::Dashboard"]
    body = "".join(map(str, dashboard["Properties"]["DashboardBody"]["Fn::Join"][1]))
    for name in ("RequestCount", "TargetResponseTime", "HTTPCode_Target_5XX_Count"):
        assert f'"AWS/ApplicationELB","{name}"' in body
    for name in ("RecordsIngested", "IngestionErrors"):
        assert f'"WeatherWarehouse","{name}","Environment","prod"' in body


def test_no_template_holds_a_secret(templates: Templates) -> None:
    for key, template in templates.items():
        assert "PRIVATE KEY" not in json.dumps(template), key
        for resource in template["Resources"].values():
            if resource["Type"] == "AWS::SecretsManager::Secret":
                held = json.loads(resource["Properties"].get("SecretString", "{}"))
                assert set(held.values()) <= {FILL_IN}, key


def test_data_stays_where_the_environment_says_retain(templates: Templates) -> None:
    kept = {"AWS::S3::Bucket", "AWS::SecretsManager::Secret", "AWS::Logs::LogGroup"}
    for (environment, _), template in templates.items():
        data = [r for r in template["Resources"].values() if r["Type"] in kept]
        # A database's logs have names that RDS gives: kept ones would be in the way of the next database.
        data = [r for r in data if "/aws/rds/" not in str(r["Properties"].get("LogGroupName"))]
        policies = {r["DeletionPolicy"] for r in data}
        assert policies <= ({"RetainExceptOnCreate"} if environment == "prod" else {"Delete"}), environment


def test_every_log_group_says_how_long_it_keeps(templates: Templates) -> None:
    for (environment, stack), template in templates.items():
        for name, resource in template["Resources"].items():
            if resource["Type"] == "AWS::Logs::LogGroup":
                assert resource["Properties"]["RetentionInDays"] > 0, (environment, stack, name)


def test_reports_are_copied_into_the_second_region_and_failed_copies_are_told(templates: Templates) -> None:
    copies, service = templates["prod", "Copies"], templates["prod", "ReportService"]
    name = next(
        one["Properties"]["BucketName"]
        for one in copies["Resources"].values()
        if one["Type"] == "AWS::S3::Bucket" and "BucketName" in one["Properties"]
    )
    [replicated] = [
        one["Properties"]["ReplicationConfiguration"]
        for one in service["Resources"].values()
        if one["Type"] == "AWS::S3::Bucket" and "ReplicationConfiguration" in one["Properties"]
    ]
    assert name in json.dumps(replicated["Rules"][0]["Destination"])
    [alarm] = [one for one in service["Resources"].values() if "OperationsFailedReplication" in json.dumps(one)]
    assert alarm["Properties"]["AlarmActions"]


def test_stacks_with_data_cannot_be_deleted_by_mistake(assembly: Path) -> None:
    protected = {}
    for environment in ENVIRONMENTS:
        manifest = json.loads((assembly / f"assembly-{environment}" / "manifest.json").read_text())["artifacts"]
        protected[environment] = {
            one["properties"]["stackName"].removeprefix(f"{environment}-")
            for one in manifest.values()
            if one["type"] == "aws:cloudformation:stack" and one["properties"].get("terminationProtection")
        }
    assert protected["prod"] == {"ReportService", "WeatherWarehouse", "Copies"}
    assert protected["local"] == set()
