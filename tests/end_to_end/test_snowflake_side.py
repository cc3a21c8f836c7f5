"""The Snowflake side on a deployed platform: looked at, repaired, rolled back; and no secret in what is left."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from analyst import Requests

from local.platform import Platform
from local.processes import ROOT

DDL = ("CREATE", "ALTER", "DROP", "GRANT", "REVOKE")
SENT = """SELECT QUERY_TEXT FROM TABLE(INFORMATION_SCHEMA.QUERY_HISTORY(RESULT_LIMIT => 10000))
          WHERE USER_NAME = 'SNOWGATE_DEPLOYER'"""


def diff(platform: Platform) -> subprocess.CompletedProcess[str]:
    """`make snowflake-diff ENV=local`, for this platform."""
    command = [sys.executable, "-m", "stacks.snowflake_diff", "local", "--connection", "local"]
    environment = platform.tools_environment()
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)


def drift(platform: Platform) -> str:
    return platform.outputs("Snowflake")["Drift"]


def test_a_deploy_that_finds_nothing_new_issues_no_ddl(platform: Platform, cursor: Any) -> None:
    before = len(cursor.execute(SENT).fetchall())
    platform.deploy()
    sent = [row["QUERY_TEXT"] for row in cursor.execute(SENT).fetchall()]

    assert len(sent) > before  # it did look
    assert [text for text in sent[: len(sent) - before] if text.lstrip().upper().startswith(DDL)] == []
    assert drift(platform) == "none"


def test_what_somebody_changed_by_hand_is_shown_and_repaired(platform: Platform, cursor: Any) -> None:
    same = diff(platform)
    assert same.returncode == 0, same.stdout + same.stderr
    cursor.execute("USE ROLE REPORTING_OWNER")
    cursor.execute("DROP VIEW CONFIG.V_REPORT_METRICS")
    cursor.execute("ALTER TASK CONFIG.ECS_TRIGGER_TASK SUSPEND")
    cursor.execute("REVOKE SELECT ON VIEW CONFIG.V_QUEUE_DEMAND FROM ROLE REPORTING_RUNNER")

    changed = diff(platform)
    assert changed.returncode == 2, changed.stdout + changed.stderr
    for named in ("V_REPORT_METRICS", "ECS_TRIGGER_TASK", "V_QUEUE_DEMAND"):
        assert named in changed.stdout
    platform.deploy()

    assert "ECS_TRIGGER_TASK" in drift(platform)
    assert "V_REPORT_METRICS" in drift(platform)
    assert diff(platform).returncode == 0
    requests = Requests(cursor)
    assert requests.finished(requests.insert("order_priority", OUTPUT_FORMAT="'CSV'"))["STATUS"] == "COMPLETED"


def test_a_failed_update_is_rolled_back_and_the_old_version_works(
    platform: Platform, cursor: Any, tmp_path: Path
) -> None:
    rows = cursor.execute("SELECT * FROM REPORT_CONFIG ORDER BY CONFIG_ID").fetchall()
    with pytest.raises(subprocess.CalledProcessError):
        deploy_changed(platform, tmp_path)

    assert cursor.execute("SELECT * FROM REPORT_CONFIG ORDER BY CONFIG_ID").fetchall() == rows
    stack = platform.client("cloudformation").describe_stacks(StackName="local-Snowflake")["Stacks"][0]
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    views = [row["name"] for row in cursor.execute("SHOW VIEWS IN SCHEMA CONFIG").fetchall()]
    assert "V_REPORT_STATUS" in views
    assert "V_NEW" not in views
    failed = "SELECT ERROR FROM DEPLOYMENT.DEPLOYMENT_HISTORY WHERE OUTCOME = 'FAILED' ORDER BY ENDED_AT DESC LIMIT 1"
    assert "NO_SUCH_TABLE" in cursor.execute(failed).fetchone()["ERROR"]
    assert diff(platform).returncode == 0
    requests = Requests(cursor)
    assert requests.finished(requests.insert("order_priority", OUTPUT_FORMAT="'CSV'"))["STATUS"] == "COMPLETED"


def deploy_changed(platform: Platform, folder: Path) -> None:
    """Deploy a version whose second new view cannot be made; raises CalledProcessError as the CDK CLI fails."""
    for name in ("stacks", "cost", "environments", "snowflake_sql"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("app.py", "cdk.json"):
        shutil.copy(ROOT / name, folder)
    for name in ("service", "weather", "conflict_updater"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "snowflake_sql" / "035_new.sql").write_text(
        "-- Makes and drops: VIEW {{ database }}.{{ config_schema }}.V_NEW\n"
        "-- Makes and drops: VIEW {{ database }}.{{ config_schema }}.V_WRONG\n"
        "USE ROLE {{ owner_role }};\nUSE SCHEMA {{ database }}.{{ config_schema }};\n"
        "CREATE OR REPLACE VIEW V_NEW AS SELECT CONFIG_ID FROM REPORT_CONFIG;\n"
        "CREATE OR REPLACE VIEW V_WRONG AS SELECT A FROM NO_SUCH_TABLE;\n"
    )
    command = ["cdk", "deploy", "local/Snowflake", "--exclusively", "--require-approval", "never", "--no-validation"]
    subprocess.run(
        command, cwd=folder, env=platform.operator_environment(), check=True, capture_output=True, timeout=200
    )


def test_no_secret_value_is_in_anything_that_a_deploy_leaves(platform: Platform, cursor: Any) -> None:
    secrets = platform.client("secretsmanager")
    token = secrets.get_secret_value(SecretId=platform.outputs("Secrets")["ApiTokenSecretArn"])["SecretString"]
    assert len(token) >= 32
    places = [platform.assembly, platform.logs]
    texts = {str(file): file.read_bytes() for place in places for file in place.rglob("*") if file.is_file()}
    for table in ("DEPLOYMENT.DEPLOYMENT_HISTORY", "DEPLOYMENT.DEPLOYMENT_OBJECT", "CONFIG.TRIGGER_LOG"):
        texts[table] = repr(cursor.execute(f"SELECT * FROM {table}").fetchall()).encode()
    texts["query log"] = repr(
        cursor.execute("SELECT * FROM TABLE(INFORMATION_SCHEMA.QUERY_HISTORY())").fetchall()
    ).encode()
    stacks = platform.client("cloudformation")
    for name in ("Secrets", "ReportService", "Trigger", "Snowflake"):
        texts[name] = repr(stacks.describe_stack_events(StackName=f"local-{name}")["StackEvents"]).encode()
        texts[f"{name} template"] = repr(stacks.get_template(StackName=f"local-{name}")["TemplateBody"]).encode()
    logs = platform.client("logs")
    for group in logs.describe_log_groups()["logGroups"]:
        events = logs.filter_log_events(logGroupName=group["logGroupName"])["events"]
        texts[group["logGroupName"]] = repr([event["message"] for event in events]).encode()

    assert any("DEPLOYMENT" in name for name in texts)
    assert [name for name, text in texts.items() if token.encode() in text] == []
