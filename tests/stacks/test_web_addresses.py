"""What the tasks and Snowflake take for the web role's address, whom they may tell, and rights with key pairs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from stacks.environment import Environment
from stacks.stage import add_stages

CERTIFICATE = "arn:aws:acm:eu-west-1:111122223333:certificate/12345678"


@pytest.fixture
def synthesised(environments: list[Environment], root: Path, tmp_path: Path) -> Any:
    """Synthesises the production environment with changes of its tables; cdk-nag must find nothing."""

    def synthesise(**changes: dict[str, Any]) -> dict[str, Any]:
        (prod,) = [one for one in environments if one.name == "prod"]
        tables = {name: getattr(prod, name).model_copy(update=change) for name, change in changes.items()}
        app = cdk.App(
            context={**json.loads((root / "cdk.json").read_text())["context"], "aws:cdk:bundling-stacks": []},
            builtin_cloud_formation_validation=False,
            outdir=str(tmp_path),
        )
        add_stages(app, [prod.model_copy(update=tables)])
        app.synth()
        return {
            file.name[4:].split(".")[0][:-8]: json.loads(file.read_text())["Resources"]
            for file in tmp_path.glob("assembly-prod/*.template.json")
        }

    return synthesise


def _variables(resources: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {one["Name"]: one["Value"] for one in resource["Properties"]["ContainerDefinitions"][0]["Environment"]}
        for resource in resources.values()
        if resource["Type"] == "AWS::ECS::TaskDefinition"
    ]


@pytest.mark.parametrize(("domain", "url"), [("reports.example.com", "https://reports.example.com"), (None, "")])
def test_the_api_is_tried_at_the_name_that_its_certificate_is_for(
    synthesised: Any, domain: str | None, url: str
) -> None:
    tasks = _variables(synthesised(web={"certificate_arn": CERTIFICATE, "domain": domain})["ReportService"])
    assert [task.get("API_URL") for task in tasks] == [url, url]


def test_without_a_host_with_tls_snowflake_gets_no_token(synthesised: Any) -> None:
    made = synthesised(web={"certificate_arn": CERTIFICATE, "domain": None})
    assert "snowgate:snowflake-secret" not in json.dumps(made["Secrets"])
    (scripts,) = [one for one in made["Snowflake"].values() if one["Type"] == "Custom::SnowflakeScripts"]
    assert scripts["Properties"]["Secrets"] == {}


def test_the_worker_may_tell_the_topics_and_destinations_of_its_file_and_no_others(synthesised: Any) -> None:
    topic = "arn:aws:sns:eu-west-1:111122223333:finance"
    secret = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:destinations-AbCdEf"
    made = synthesised(notify={"topic_arns": [topic], "destinations_secret_arn": secret})["ReportService"]
    assert [(task["SNS_TOPIC_ARNS"], task["DESTINATIONS_SECRET_ARN"]) for task in _variables(made)] == [
        (topic, secret)
    ] * 2
    (policy,) = [one for name, one in made.items() if name.startswith("WorkerTaskRoleDefaultPolicy")]
    statements = policy["Properties"]["PolicyDocument"]["Statement"]
    allowed = {json.dumps(one["Resource"]): one["Action"] for one in statements}
    assert allowed[json.dumps(topic)] == ["sns:GetTopicAttributes", "sns:Publish"]
    assert allowed[json.dumps(secret)] == "secretsmanager:GetSecretValue"


def test_a_rate_holds_for_the_service_and_for_its_http_api(synthesised: Any) -> None:
    made = synthesised(web={"requests_per_second": 7, "burst": 9})["ReportService"]
    web = _variables(made)[-1]
    assert (web["WEB_REQUESTS_PER_SECOND"], web["WEB_BURST"]) == ("7", "9")
    stages = [one["Properties"] for one in made.values() if one["Type"] == "AWS::ApiGatewayV2::Stage"]
    rates = [stage["DefaultRouteSettings"] for stage in stages]
    assert {"ThrottlingRateLimit": 7, "ThrottlingBurstLimit": 9} in [
        {key: value for key, value in rate.items() if key.startswith("Throttling")} for rate in rates
    ]
