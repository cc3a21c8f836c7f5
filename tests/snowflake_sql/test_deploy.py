"""The deploy Lambda against the stand-in: what it makes, remakes, repairs, renames and takes away."""

import json
import os
import re

import pytest

from snowgate.lambdas.snowflake_deployer import smoke
from stacks.snowflake_bootstrap import make_key_pair

TABLES = {"REPORT_CONFIG", "REPORT_AUDIT_LOG", "REPORT_DELIVERY", "TRIGGER_LOG"}
VIEWS = {"V_QUEUE_DEMAND", "V_REPORT_STATUS", "V_REPORT_METRICS"}


def names(deployment, what, schema=None):
    return {row["name"] for row in deployment.run(f"SHOW {what} IN SCHEMA {schema or deployment.config}")}


def state(deployment):
    """All that a deploy makes, as SHOW tells it, without times and ids of the objects themselves."""
    kinds = ("TABLES", "VIEWS", "STREAMS", "TASKS", "PROCEDURES", "EXTERNAL FUNCTIONS")
    shown = {
        (kind, schema): deployment.run(f"SHOW {kind} IN SCHEMA {schema}")
        for kind in kinds
        for schema in (deployment.config, deployment.reporting)
    }
    moving = {"created_on", "last_committed_on", "last_suspended_on", "id", "rows", "bytes"}
    objects = {
        place: [{key: value for key, value in row.items() if key not in moving} for row in rows]
        for place, rows in shown.items()
    }
    return objects, grants(deployment)


def grants(deployment):
    rows = deployment.warehouse.run(f"SHOW GRANTS TO ROLE {deployment.names['runner_role']}")
    return sorted((row["privilege"], row["granted_on"], row["name"].split(".")[-1]) for row in rows)


def test_every_object_exists_after_a_deploy(system):
    assert names(system, "TABLES") >= TABLES
    assert names(system, "VIEWS") >= VIEWS
    assert names(system, "STREAMS") == {"REPORT_CONFIG_INSERT_STREAM"}
    assert names(system, "TASKS") == {"ECS_TRIGGER_TASK"}
    assert "SEND_ECS_TRIGGER" in names(system, "PROCEDURES")
    assert "TRIGGER_ECS_SERVICE" in names(system, "EXTERNAL FUNCTIONS")
    assert names(system, "PROCEDURES", system.reporting) >= {"START_ALL_TASKS", "STOP_ALL_TASKS"}


def test_the_answer_counts_the_statements_and_digests_the_files(system):
    data = system.sent["Scripts"][1]["Data"]
    assert int(data["Statements"]) > 40
    assert len(data["Digest"]) == 64
    assert system.sent["Scripts"][1]["PhysicalResourceId"] == f"scripts:{system.config}"


def test_the_integration_gives_what_the_role_must_trust(system):
    data = system.sent["ApiIntegration"][1]["Data"]
    assert data["IamUserArn"].startswith("arn:aws:iam::")
    assert data["ExternalId"]


def test_the_deploy_calls_through_the_whole_chain_and_asks_for_nobody(system):
    answer = system.update("Scripts", system.scripts_properties())
    assert answer["Status"] == "SUCCESS", answer["Reason"]
    assert system.aws.calls == [{"data": [[0, 0, 0]]}]


def test_the_runner_may_do_what_it_needs_and_no_more(system):
    assert grants(system) == sorted(
        [
            ("USAGE", "DATABASE", system.names["database"]),
            ("USAGE", "SCHEMA", "CONFIG"),
            ("USAGE", "WAREHOUSE", system.names["warehouse"]),
            *((privilege, "TABLE", "REPORT_CONFIG") for privilege in ("INSERT", "SELECT", "UPDATE")),
            *((privilege, "TABLE", "REPORT_AUDIT_LOG") for privilege in ("INSERT", "SELECT")),
            *((privilege, "TABLE", "REPORT_DELIVERY") for privilege in ("INSERT", "SELECT", "UPDATE")),
            *(("SELECT", "VIEW", view) for view in VIEWS),
        ]
    )


def test_deploying_again_changes_nothing(system):
    system.run("INSERT INTO REPORT_CONFIG (REPORT_NAME) VALUES ('sales_report')")
    before, rows = state(system), system.run("SELECT * FROM REPORT_CONFIG")
    integration = system.update("ApiIntegration", system.integration_properties())
    answer = system.update("Scripts", system.scripts_properties(Smoke=""))
    assert answer["Status"] == "SUCCESS", answer["Reason"]
    assert answer["Data"] == system.sent["Scripts"][1]["Data"]
    assert integration["Data"] == system.sent["ApiIntegration"][1]["Data"]
    assert state(system) == before
    assert system.run("SELECT * FROM REPORT_CONFIG") == rows
    assert system.run("SELECT COUNT(*) AS N FROM REPORT_CONFIG_INSERT_STREAM")[0]["N"] == 1


def test_delete_takes_the_programs_and_keeps_the_data(deployed):
    deployed.run("INSERT INTO REPORT_CONFIG (REPORT_NAME) VALUES ('sales_report')")
    properties, answer = deployed.sent["Scripts"]
    for _ in range(2):  # the second time there is nothing left to drop
        gone = deployed.request("Delete", "Scripts", properties, PhysicalResourceId=answer["PhysicalResourceId"])
        assert gone["Status"] == "SUCCESS", gone["Reason"]
    assert names(deployed, "TABLES") >= TABLES
    assert deployed.run("SELECT REPORT_NAME FROM REPORT_CONFIG") == [{"REPORT_NAME": "sales_report"}]
    for kind in ("STREAMS", "TASKS", "PROCEDURES", "EXTERNAL FUNCTIONS"):
        assert names(deployed, kind) == set()
    assert names(deployed, "PROCEDURES", deployed.reporting) == set()


def test_a_delete_of_what_was_never_deployed_succeeds(prepared):
    system = prepared()
    answer = system.request("Delete", "Scripts", system.scripts_properties(), PhysicalResourceId="scripts:X.Y")
    assert answer["Status"] == "SUCCESS", answer["Reason"]


def test_a_failing_statement_is_named_and_what_ran_before_stays(system):
    more = "\nSELECT 1;\n\nCREATE OR REPLACE VIEW BROKEN AS\nSELECT * FROM NOWHERE;\n"
    changed = {"030_views.sql": system.files["030_views.sql"] + more}
    answer = system.update("Scripts", system.scripts_properties(changed))
    assert answer["Status"] == "FAILED"
    assert "030_views.sql statement 7, line " in answer["Reason"]
    assert "(CREATE OR REPLACE VIEW BROKEN AS): " in answer["Reason"]
    assert "NOWHERE" in answer["Reason"].partition("): ")[2]
    assert names(system, "VIEWS") >= VIEWS


def test_a_file_that_cannot_be_read_changes_nothing(prepared):
    system = prepared()
    unread = {"070_grants.sql": system.files["070_grants.sql"] + "\nSELECT 'open;"}
    answer = system.request("Create", "Scripts", system.scripts_properties(unread))
    assert "070_grants.sql line " in answer["Reason"]
    assert "string is not closed" in answer["Reason"]
    assert system.warehouse.run(f"SHOW DATABASES LIKE '{system.names['database']}'") == []


def test_a_rollback_from_a_version_that_could_not_be_read_brings_the_old_one_back(system):
    before = state(system)
    good, answer = system.sent["Scripts"]
    bad = system.scripts_properties({"070_grants.sql": system.files["070_grants.sql"] + "\nSELECT 'open;"})
    assert system.update("Scripts", bad)["Status"] == "FAILED"
    back = system.request(
        "Update", "Scripts", good, OldResourceProperties=bad, PhysicalResourceId=answer["PhysicalResourceId"]
    )
    assert back["Status"] == "SUCCESS", back["Reason"]
    assert state(system) == before


def test_a_rollback_drops_what_only_the_failed_version_made(system):
    good, answer = system.sent["Scripts"]
    more = (
        "-- Makes: view V_MORE\n-- On delete: DROP VIEW IF EXISTS {{ database }}.{{ config_schema }}.V_MORE\n"
        "USE ROLE {{ owner_role }};\n"
        "CREATE OR REPLACE VIEW {{ database }}.{{ config_schema }}.V_MORE AS SELECT 1 AS A;\nSELECT NOWHERE;"
    )
    bad = system.scripts_properties({"035_more.sql": more})
    assert system.update("Scripts", bad)["Status"] == "FAILED"
    assert "V_MORE" in names(system, "VIEWS")
    back = system.request(
        "Update", "Scripts", good, OldResourceProperties=bad, PhysicalResourceId=answer["PhysicalResourceId"]
    )
    assert back["Status"] == "SUCCESS", back["Reason"]
    assert names(system, "VIEWS") == VIEWS


def test_a_name_that_the_deploy_does_not_give_is_refused(prepared):
    system = prepared()
    answer = system.request("Create", "Scripts", system.scripts_properties(Values={}))
    assert answer["Status"] == "FAILED"
    assert "050_trigger.sql line " in answer["Reason"]
    assert "${trigger_url} has no value" in answer["Reason"]


def test_changed_arguments_drop_the_old_function_after_the_new_one_works(deployed):
    new = deployed.files["050_trigger.sql"].replace("BUSY NUMBER)", "BUSY NUMBER, NOTE VARCHAR)")
    new = new.replace("TRIGGER_ECS_SERVICE(NUMBER, NUMBER)", "TRIGGER_ECS_SERVICE(NUMBER, NUMBER, VARCHAR)")
    new = new.replace("TRIGGER_ECS_SERVICE(?, ?)", "TRIGGER_ECS_SERVICE(?, ?, 'x')")
    smoke_call = f"SELECT {deployed.config}.TRIGGER_ECS_SERVICE(0, 0, 'x')"
    answer = deployed.update("Scripts", deployed.scripts_properties({"050_trigger.sql": new}, Smoke=smoke_call))
    assert answer["Status"] == "SUCCESS", answer["Reason"]
    (function,) = deployed.run(f"SHOW EXTERNAL FUNCTIONS IN SCHEMA {deployed.config}")
    assert "VARCHAR" in function["arguments"]
    assert deployed.aws.calls[-1] == {"data": [[0, 0, 0, "x"]]}


def test_a_file_that_went_takes_its_objects_along(deployed):
    answer = deployed.update("Scripts", deployed.scripts_properties({"060_operations.sql": None}))
    assert answer["Status"] == "SUCCESS", answer["Reason"]
    assert names(deployed, "PROCEDURES", deployed.reporting) == set()
    assert "SEND_ECS_TRIGGER" in names(deployed, "PROCEDURES")


def test_a_renamed_integration_is_made_before_the_old_one_goes(deployed):
    old = deployed.names["api_integration"]
    renamed = deployed.integration_properties() | {"Name": f"{old}_2"}
    answer = deployed.update("ApiIntegration", renamed)
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", f"{old}_2"), answer["Reason"]
    there = {row["name"] for row in deployed.warehouse.run(f"SHOW INTEGRATIONS LIKE '{old}%'")}
    assert there == {old, f"{old}_2"}
    properties, before = deployed.sent["ApiIntegration"]
    deployed.request("Delete", "ApiIntegration", properties, PhysicalResourceId=before["PhysicalResourceId"])
    assert {row["name"] for row in deployed.warehouse.run(f"SHOW INTEGRATIONS LIKE '{old}%'")} == {f"{old}_2"}


def test_an_integration_with_new_prefixes_keeps_its_external_id(system):
    changed = system.integration_properties() | {"AllowedPrefixes": ["https://other.example.com/a/"]}
    answer = system.update("ApiIntegration", changed)
    assert answer["Data"] == system.sent["ApiIntegration"][1]["Data"]
    rows = system.warehouse.run(f"DESC INTEGRATION {system.names['api_integration']}")
    described = {row["property"]: row["property_value"] for row in rows}
    assert described["API_ALLOWED_PREFIXES"] == "https://other.example.com/a/"
    assert system.update("ApiIntegration", system.integration_properties())["Status"] == "SUCCESS"


def test_the_containers_can_log_in_and_the_key_stays_over_deploys(system):
    secret = f"arn:secret:{system.names['runner_user']}"
    login = json.loads(system.aws.secrets[secret])
    assert set(login) >= {"account", "user", "private_key", "database", "warehouse", "schema", "role"}
    again = system.request("Create", "Login", system.login_properties())
    assert (again["Status"], again["Data"]) == ("SUCCESS", {"User": system.names["runner_user"]})
    assert json.loads(system.aws.secrets[secret]) == login
    who = system.run("SELECT CURRENT_USER() AS U, CURRENT_ROLE() AS R", **system.runner())
    assert who == [{"U": system.names["runner_user"], "R": system.names["runner_role"]}]


def test_a_secret_made_with_something_else_gets_a_login(prepared):
    system = prepared()
    for text in ("generated by CloudFormation", '{"user": "SOMEBODY", "private_key": "x"}', "[]"):
        system.aws.secrets[system.login_properties()["SecretArn"]] = text
        answer = system.request("Create", "Login", system.login_properties())
        assert answer["Status"] == "SUCCESS", answer["Reason"]
        login = json.loads(system.aws.secrets[system.login_properties()["SecretArn"]])
        assert login["user"] == system.names["runner_user"]
        assert login["private_key"].startswith("-----BEGIN PRIVATE KEY-----")


def test_a_deleted_login_drops_its_user_and_keeps_its_role(deployed):
    properties, answer = deployed.sent["Login"]
    gone = deployed.request("Delete", "Login", properties, PhysicalResourceId=answer["PhysicalResourceId"])
    assert gone["Status"] == "SUCCESS", gone["Reason"]
    assert deployed.warehouse.run(f"SHOW USERS LIKE '{deployed.names['runner_user']}'") == []
    assert deployed.warehouse.run(f"SHOW ROLES LIKE '{deployed.names['runner_role']}'")


def test_a_refused_call_is_tried_again_while_iam_propagates(prepared, monkeypatch):
    monkeypatch.setattr(smoke, "FIRST_PAUSE_SECONDS", 0.01)
    system = prepared(tasks_enabled=False)
    refusal = {"Message": "User: arn:aws:sts::1:assumed-role/r is not authorized to perform: execute-api:Invoke"}
    system.aws.replies.extend([(403, refusal)] * 3)
    system.deploy()
    assert len(system.aws.calls) == 4


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (403, {"Message": "User: x is not authorized to perform: execute-api:Invoke"}, "failed at the hop policy"),
        (400, {"error": "The body is not JSON"}, "failed at the hop request"),
    ],
)
def test_a_call_that_stays_refused_fails_the_deploy_and_names_the_hop(system, monkeypatch, status, body, said):
    monkeypatch.setattr(smoke, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(smoke, "FIRST_PAUSE_SECONDS", 0.05)
    system.aws.replies.extend([(status, body)] * 50)
    answer = system.update("Scripts", system.scripts_properties())
    assert answer["Status"] == "FAILED"
    assert said in answer["Reason"]
    assert next(iter(body.values())) in answer["Reason"]


@pytest.mark.parametrize(
    ("login", "said"),
    [
        (None, "cannot be read: .*ResourceNotFoundException.*make snowflake-bootstrap"),
        (
            {"private_key": make_key_pair()[0]},
            "User SNOWGATE_DEPLOYER cannot log in to Snowflake account LOCAL: .*ACCOUNTADMIN",
        ),
        ({"user": "NOBODY"}, "User NOBODY cannot log in"),
    ],
)
def test_a_deployer_that_cannot_log_in_says_what_is_missing_and_its_rollback_succeeds(system, monkeypatch, login, said):
    right = json.loads(system.aws.secrets[os.environ["LOGIN_SECRET_ARN"]])
    monkeypatch.setenv("LOGIN_SECRET_ARN", "arn:secret:other")
    if login:
        monkeypatch.setitem(system.aws.secrets, "arn:secret:other", json.dumps(right | login))
    properties = system.login_properties()
    answer = system.request("Create", "Login", properties)
    assert answer["Status"] == "FAILED"
    assert re.search(said, answer["Reason"]), answer["Reason"]
    gone = system.request("Delete", "Login", properties, PhysicalResourceId=answer["PhysicalResourceId"])
    assert gone["Status"] == "SUCCESS", gone["Reason"]
    assert system.warehouse.run(f"SHOW USERS LIKE '{system.names['runner_user']}'")


def test_no_secret_is_logged_or_answered(system, monkeypatch, capfd):
    monkeypatch.setattr(smoke, "PATIENCE_SECONDS", 0)
    answers = [system.update("Login", system.login_properties())]
    system.aws.replies.append((403, {"message": "Forbidden"}))
    answers.append(system.update("Scripts", system.scripts_properties()))
    assert [answer["Status"] for answer in answers] == ["SUCCESS", "FAILED"]
    shown = "".join(capfd.readouterr()) + json.dumps(answers)
    assert "query_id" in shown
    for text in system.aws.secrets.values():
        login = json.loads(text) if text.startswith("{") else {}
        for line in login.get("private_key", "").splitlines()[1:-1]:
            assert line not in shown
