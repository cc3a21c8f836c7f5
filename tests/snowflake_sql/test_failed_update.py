"""Whichever statement of an update fails: CloudFormation hears of it, and its rollback brings the old version back.

`make test` takes one statement of eight; `make soak` takes every one.
"""

import json

import pytest
from killing import SOAK

from snowgate.lambdas.snowflake_deployer import connection
from snowgate.lambdas.snowflake_deployer.connection import StatementFailed

PARTS = 4
pytestmark = [pytest.mark.soak, pytest.mark.long, pytest.mark.timeout(900)]
LOOKS = ("SELECT", "SHOW", "DESC", "USE")
MORE = """
-- Makes and drops: VIEW {{ database }}.{{ config_schema }}.V_MORE
USE ROLE {{ owner_role }};
CREATE OR REPLACE VIEW {{ database }}.{{ config_schema }}.V_MORE AS SELECT 1 AS A;
"""


def second(system):
    """Changed SQL in two files, an object added, and a file with its objects gone."""
    views, trigger = system.files["030_views.sql"], system.files["050_trigger.sql"]
    return {
        "030_views.sql": views.replace("AS PROCESSING_SECONDS", "AS PROCESSING_TIME"),
        "035_more.sql": MORE,
        "050_trigger.sql": trigger.replace("MESSAGE_CHARACTERS = 4000", "MESSAGE_CHARACTERS = 2000"),
        "060_operations.sql": None,
    }


def failing(monkeypatch, number, looks):
    """Let the statement with this number fail; the list of those counted: what changes, or looks."""
    sent, original = [], connection.Session.run

    def run(self, statement, place, **options):
        counts = statement.startswith(LOOKS) == looks
        if counts:
            sent.append(statement)
        if counts and len(sent) == number:
            raise StatementFailed(f"{place}: failed on purpose", 1)
        return original(self, statement, place, **options)

    monkeypatch.setattr(connection.Session, "run", run)
    return sent


def facts(system):
    columns = "KIND, NAME, KEPT, FILE_NAME, POSITION, FACTS"
    return system.run(f"SELECT {columns} FROM DEPLOYMENT.DEPLOYMENT_OBJECT ORDER BY FILE_NAME, POSITION")


def fail_and_roll_back(system, old, new, number, *, looks=False):
    with pytest.MonkeyPatch.context() as monkeypatch:
        sent = failing(monkeypatch, number, looks)
        answer = system.update("Scripts", new)
    # A second try releases the lock; all else that fails is a failed deploy.
    released = len(sent) >= number and "SET HOLDER = NULL" in sent[number - 1]
    assert answer["Status"] == ("FAILED" if len(sent) >= number and not released else "SUCCESS"), (number, sent[-1])
    back = system.request(
        "Update", "Scripts", old, OldResourceProperties=new, PhysicalResourceId=answer["PhysicalResourceId"]
    )
    assert back["Status"] == "SUCCESS", (number, back["Reason"])
    return len(sent) >= number


@pytest.mark.parametrize("part", range(PARTS))
def test_a_rollback_brings_the_old_version_back(deployed, part):
    new = deployed.scripts_properties(second(deployed), Smoke="")
    old = deployed.sent["Scripts"][0] | {"Smoke": ""}
    before = facts(deployed)
    number, failed, wrong = 1 + part, True, []
    while failed:
        deployed.run("INSERT INTO REPORT_CONFIG (REPORT_NAME) VALUES ('sales_report')")
        rows = deployed.run("SELECT * FROM REPORT_CONFIG ORDER BY CONFIG_ID")
        failed = fail_and_roll_back(deployed, old, new, number)
        assert deployed.run("SELECT * FROM REPORT_CONFIG ORDER BY CONFIG_ID") == rows, number
        # Each row is seen once, by the old program.
        said = json.loads(deployed.run("CALL SEND_ECS_TRIGGER()")[0]["SEND_ECS_TRIGGER"])
        assert said["rows_seen"] == 1, number
        if facts(deployed) != before:
            wrong.append(number)
        number += PARTS if SOAK else 8 * PARTS
    assert wrong == []
    assert number > 30, number


@pytest.mark.parametrize("number", [1, 5, 10, 20, 40])
def test_a_look_that_fails_is_a_failed_deploy_too(deployed, number):
    new = deployed.scripts_properties(second(deployed), Smoke="")
    old = deployed.sent["Scripts"][0] | {"Smoke": ""}
    before = facts(deployed)
    assert fail_and_roll_back(deployed, old, new, number, looks=True)
    assert facts(deployed) == before
