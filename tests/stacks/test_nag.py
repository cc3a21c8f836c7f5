"""cdk-nag runs at every synth and stops it."""

from __future__ import annotations

import json
from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import aws_s3 as s3

from stacks.environment import Environment
from stacks.stage import add_stages


def test_a_finding_without_a_reason_stops_synth(environments: list[Environment], tmp_path: Path) -> None:
    app = cdk.App(
        context={"aws:cdk:bundling-stacks": []},
        builtin_cloud_formation_validation=False,
        outdir=str(tmp_path),
    )
    add_stages(app, environments[:1])
    s3.Bucket(cdk.Stack(app.node.find_child("dev"), "Careless"), "Open")  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="server access logs disabled"):
        app.synth()


def test_every_accepted_finding_has_a_reason_in_the_assembly(assembly: Path) -> None:
    [report] = json.loads((assembly / "validation-report.json").read_text())["pluginReports"]
    assert (report["pluginName"], report["violations"]) == ("AwsSolutions", [])
    accepted = report["suppressedViolations"]
    assert accepted
    for finding in accepted:
        assert len(finding["reason"].split()) > 5, finding["ruleName"]
        assert finding["acknowledgedId"].startswith("AwsSolutions::")
