"""What every synth is checked by, and what the checkers of its templates find: nothing without a recorded reason."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from assemblies import ENVIRONMENTS, MakeApp
from aws_cdk import aws_ecs as ecs
from turned_settings import turned

from checks import nag_audit
from checks.__main__ import AUDIT
from checks.template_checkers import CFN_LINT, CHECKOV, Checker, CheckerFailed
from stacks.environment import Environment
from stacks.rule_packs import COMPLIANCE_PACKS, PACKS, read_table

# "Actions, resources, and condition keys" in the Service Authorization Reference: no resource can be named for these.
NO_RESOURCE = {
    "ec2:DescribeManagedPrefixLists",
    "ecr:GetAuthorizationToken",
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}


# An application whose one stage has a bucket that nobody has thought about.
CARELESS = """
import aws_cdk as cdk
from aws_cdk import aws_s3 as s3

from stacks.rule_packs import add_rule_packs

app = cdk.App(builtin_cloud_formation_validation=False, analytics_reporting=False)
stage = cdk.Stage(app, "dev")
s3.Bucket(cdk.Stack(stage, "Careless"), "Open")
add_rule_packs(app, [stage])
app.synth()
"""


@pytest.fixture(scope="module")
def app(make_app: MakeApp) -> cdk.App:
    """All environments, as the CLI has them."""
    app = make_app(as_by_cli=True)
    app.synth()
    return app


@pytest.fixture(scope="module")
def checked(app: cdk.App) -> Path:
    """Their assembly."""
    return Path(app.outdir)


@pytest.fixture(scope="module")
def audit(checked: Path) -> list[nag_audit.Finding]:
    """Every finding with its reason, as the file that stays of a run has them."""
    nag_audit.write(nag_audit.findings(checked), AUDIT)
    with AUDIT.open(newline="", encoding="utf-8") as file:
        return [nag_audit.Finding(**row) for row in csv.DictReader(file)]


def statements(template: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The statements of all policies of roles."""
    for resource in template["Resources"].values():
        if resource["Type"] in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
            yield from resource["Properties"]["PolicyDocument"]["Statement"]
        for policy in resource["Properties"].get("Policies", ()) if resource["Type"] == "AWS::IAM::Role" else ():
            yield from policy["PolicyDocument"]["Statement"]


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# --- the synth ---


def test_the_built_in_validation_and_five_packs_find_nothing_that_is_not_accepted(checked: Path) -> None:
    reports = json.loads((checked / "validation-report.json").read_text())["pluginReports"]
    # The built-in validation is among the reports only if it finds something: the next test sees it do so.
    assert {report["pluginName"] for report in reports} >= set(PACKS)
    assert [violation["ruleName"] for report in reports for violation in report["violations"]] == []


def test_a_size_that_fargate_does_not_have_stops_a_synth(environments: list[Environment], make_app: MakeApp) -> None:
    app = make_app(environments[:1], as_by_cli=True)
    ecs.CfnTaskDefinition(
        cdk.Stack(app.node.find_child(environments[0].name), "Careless"),  # type: ignore[arg-type]
        "Task",
        requires_compatibilities=["FARGATE"],
        network_mode="awsvpc",
        cpu="256",
        memory="4096",
        container_definitions=[{"name": "main", "image": "public.ecr.aws/example/service:1"}],
    )
    with pytest.raises(RuntimeError, match="E3047"):
        app.synth()


@pytest.mark.parametrize(
    ("words", "in_makefile"),
    [(["synth", "--quiet", "**"], "cdk synth --quiet '**'"), (["deploy", "dev/*"], "cdk $@ '$(ENV)/*'")],
    ids=["synth", "deploy"],
)
def test_a_finding_without_a_reason_stops_the_cli_as_make_calls_it(
    words: list[str], in_makefile: str, root: Path, tmp_path: Path
) -> None:
    assert in_makefile in (root / "Makefile").read_text()
    (tmp_path / "app.py").write_text(CARELESS)
    done = subprocess.run(
        [root / "node_modules" / ".bin" / "cdk", *words, "--app", f"{sys.executable} app.py"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(root)},
    )
    assert done.returncode == 1
    for pack in ("AwsSolutions", "HIPAA.Security", "NIST.800.53.R5", "PCI.DSS.321"):
        assert f"Acknowledge with '{pack}::{pack}-S" in done.stderr


def test_no_pack_runs_where_the_cdk_is_told_not_to_validate(
    monkeypatch: pytest.MonkeyPatch, environments: list[Environment], make_app: MakeApp
) -> None:
    monkeypatch.setenv("CDK_VALIDATION", "false")
    assembly = make_app(environments[:1]).synth()
    assert not (Path(assembly.directory) / "validation-report.json").exists()


# --- the reasons ---


def test_the_audit_has_every_finding_of_every_pack_with_its_reason(
    app: cdk.App, audit: list[nag_audit.Finding]
) -> None:
    # Asked directly, a pack knows of no reason and tells all that it finds.
    asked = sorted(
        (name, violation.rule_name, resource.construct_path)
        for name, pack in PACKS.items()
        for violation in pack(app).validate_scope(app).violations
        for resource in violation.violating_resources
    )
    assert asked == sorted(
        (row.pack, row.rule, f"{row.environment}/{row.resource}") for row in audit if row.pack in PACKS
    )
    assert {row.environment for row in audit} == set(ENVIRONMENTS)
    assert {row.pack for row in audit} >= set(PACKS)
    assert [row for row in audit if len(row.reason.split()) < 6] == []


def test_every_entry_of_the_table_is_needed_by_some_setting(
    audit: list[nag_audit.Finding], environments: list[Environment], make_app: MakeApp
) -> None:
    (prod,) = [one for one in environments if one.name == "prod"]
    others = make_app(turned(prod)).synth()  # stops at a finding of theirs that has no reason
    used = {
        (row.rule.removeprefix(f"{row.pack}-"), row.reason_at.partition("/")[2])
        for row in [*audit, *nag_audit.findings(Path(others.directory))]
        if row.pack in COMPLIANCE_PACKS
    }
    table = {(accepted.rule, path) for accepted in read_table() for path in accepted.at or ("",)}
    assert table - used == set()


def test_every_resource_is_only_asked_for_by_actions_that_have_none(checked: Path) -> None:
    asked = {
        action
        for file in checked.rglob("*.template.json")
        for statement in statements(json.loads(file.read_text()))
        if "*" in listed(statement["Resource"]) and statement["Effect"] == "Allow" and "Condition" not in statement
        for action in listed(statement["Action"])
    }
    assert "xray:PutTraceSegments" in asked
    assert asked <= NO_RESOURCE


# --- the templates ---


@pytest.mark.parametrize("checker", [CFN_LINT, CHECKOV], ids=lambda checker: checker.name)
def test_a_checker_finds_nothing_but_what_its_file_skips_with_a_reason(checker: Checker, checked: Path) -> None:
    assert checker.faults(checked) == []


@pytest.fixture
def one_template(tmp_path: Path) -> Path:
    """A folder with a template of a queue that has a property which there is not, and of a bucket without anything."""
    resources = {
        "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"Nothing": 1}},
        "Bucket": {"Type": "AWS::S3::Bucket"},
    }
    (tmp_path / "bad.template.json").write_text(json.dumps({"Resources": resources}))
    return tmp_path


@pytest.mark.parametrize(
    ("checker", "finding"),
    [
        (CFN_LINT, "E3002 bad.template.json Resources/Queue/Properties/Nothing"),
        (CHECKOV, "CKV_AWS_53 bad.template.json AWS::S3::Bucket.Bucket"),
    ],
    ids=lambda value: value.name if isinstance(value, Checker) else "",
)
def test_a_bad_template_and_a_skip_that_nothing_needs_are_faults(
    checker: Checker, finding: str, one_template: Path
) -> None:
    skip_file = one_template / "skips"
    skip_file.write_text("skips:\n  - NEVER_1  # nothing is named so\n  - NEVER_2\n")
    faults = checker._replace(skip_file=skip_file).faults(one_template)
    assert any(fault.startswith(finding) for fault in faults)
    assert "skips: NEVER_1 finds nothing any more; take it out" in faults
    assert "skips: NEVER_2 has no reason; write one behind it, after #" in faults


def test_a_folder_without_templates_is_not_taken_for_a_clean_one(tmp_path: Path) -> None:
    for checker in (CFN_LINT, CHECKOV):
        with pytest.raises(CheckerFailed, match="holds no template"):
            checker.run(tmp_path)
