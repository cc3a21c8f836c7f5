"""The deploy Lambda against the stand-in: what it makes, remakes, repairs, renames and takes away."""

import json
import os
import re
import threading
import time

import pytest
from conftest import DEPLOYER_SECRET, TOKEN, TOKEN_SECRET, Context
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from snowgate.lambdas.snowflake_deployer import connection, scripts, smoke
from stacks.snowflake_bootstrap import make_key_pair

TABLES = {"REPORT_CONFIG", "REPORT_AUDIT_LOG", "REPORT_DELIVERY", "TRIGGER_LOG"}
MORE = """
-- Makes and drops: VIEW {{ database }}.{{ config_schema }}.V_MORE
USE ROLE {{ owner_role }};
CREATE OR REPLACE VIEW {{ database }}.{{ config_schema }}.V_MORE AS SELECT 1 AS A;
"""
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
            ("INSERT", "TABLE", "REPORT_AUDIT_LOG"),
            *((privilege, "TABLE", "REPORT_DELIVERY") for privilege in ("INSERT", "SELECT", "UPDATE")),
            *(("SELECT", "VIEW", view) for view in ("V_QUEUE_DEMAND", "V_REPORT_METRICS")),
        ]
    )


@pytest.fixture
def statements(monkeypatch):
    """The statements that the deploy Lambda sends, in order."""
    sent, original = [], connection.Session.run

    def run(self, statement, place, **options):
        sent.append(statement)
        return original(self, statement, place, **options)

    monkeypatch.setattr(connection.Session, "run", run)
    return sent


def test_deploying_again_sends_no_ddl_and_changes_nothing(system, statements):
    system.run("INSERT INTO REPORT_CONFIG (REPORT_NAME) VALUES ('sales_report')")
    before, rows = state(system), system.run("SELECT * FROM REPORT_CONFIG")
    integration = system.update("ApiIntegration", system.integration_properties())
    answer = system.update("Scripts", system.scripts_properties(Smoke=""))
    assert answer["Status"] == "SUCCESS", answer["Reason"]
    first = system.sent["Scripts"][1]["Data"]
    assert answer["Data"]["Digest"] == first["Digest"]
    assert (answer["Data"]["Statements"], answer["Data"]["Drift"]) == ("0", "none")
    assert int(answer["Data"]["Skipped"]) == len(system.rendered())
    assert integration["Data"] == system.sent["ApiIntegration"][1]["Data"]
    verbs = {statement.split()[0] for statement in statements}
    assert verbs <= {"USE", "SELECT", "SHOW", "DESC", "UPDATE"}
    assert [text for text in statements if text.startswith("UPDATE") and "DEPLOYMENT_LOCK" not in text] == []
    assert state(system) == before
    assert system.run("SELECT * FROM REPORT_CONFIG") == rows
    assert system.run("SELECT COUNT(*) AS N FROM REPORT_CONFIG_INSERT_STREAM")[0]["N"] == 1


def test_a_first_and_an_unchanged_deploy_are_quick(prepared):
    system = prepared(tasks_enabled=False)
    begun = time.monotonic()
    system.deploy()
    first = time.monotonic() - begun
    begun = time.monotonic()
    answer = system.update("Scripts", system.scripts_properties())
    unchanged = time.monotonic() - begun
    assert answer["Data"]["Statements"] == "0"
    assert (first < 20, unchanged < 3) == (True, True), (first, unchanged)


def test_the_history_tells_of_every_statement(system):
    rows = system.run("SELECT * FROM DEPLOYMENT.DEPLOYMENT_HISTORY")
    data = system.sent["Scripts"][1]["Data"]
    mine = [row for row in rows if row["DEPLOYMENT_ID"] == data["DeploymentId"] and row["OUTCOME"] == "SUCCEEDED"]
    assert len(mine) == int(data["Statements"])
    assert all(row["QUERY_ID"] and row["STARTED_AT"] <= row["ENDED_AT"] and row["ERROR"] is None for row in mine)
    assert all(re.fullmatch("[0-9a-f]{64}", row["STATEMENT_DIGEST"]) for row in mine)


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
    header = f"-- Makes and drops: VIEW {system.config}.BROKEN\n"
    more = "\nSELECT 1;\n\nCREATE OR REPLACE VIEW BROKEN AS\nSELECT * FROM NOWHERE;\n"
    changed = {"030_views.sql": header + system.files["030_views.sql"] + more}
    answer = system.update("Scripts", system.scripts_properties(changed))
    assert answer["Status"] == "FAILED"
    assert re.search(r"030_views.sql statement \d+, line ", answer["Reason"])
    assert "(CREATE OR REPLACE VIEW BROKEN AS): " in answer["Reason"]
    assert "NOWHERE" in answer["Reason"].partition("): ")[2]
    assert names(system, "VIEWS") >= VIEWS


def test_a_file_that_cannot_be_read_changes_nothing(prepared):
    system = prepared()
    unread = {"070_grants.sql": system.files["070_grants.sql"] + "\nSELECT 'open;"}
    answer = system.request("Create", "Scripts", system.scripts_properties(unread))
    assert "070_grants.sql line " in answer["Reason"]
    assert "string is not closed" in answer["Reason"]
    assert {row["name"] for row in system.run("SHOW SCHEMAS IN DATABASE")} <= {"INFORMATION_SCHEMA", "PUBLIC"}


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
    more = MORE + "SELECT NOWHERE;"
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
    assert names(deployed, "PROCEDURES", deployed.reporting).isdisjoint({"START_ALL_TASKS", "STOP_ALL_TASKS"})
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


def test_after_a_renaming_no_deploy_misses_the_grant_on_the_old_integration(deployed):
    old = deployed.names["api_integration"]
    deployed.update("ApiIntegration", deployed.integration_properties() | {"Name": f"{old}_2"})
    deployed.names["api_integration"] = f"{old}_2"
    properties = deployed.scripts_properties()
    assert deployed.update("Scripts", properties)["Data"]["Drift"] == "none"
    integration, before = deployed.sent["ApiIntegration"]
    deployed.request("Delete", "ApiIntegration", integration, PhysicalResourceId=before["PhysicalResourceId"])
    for _ in range(2):
        answer = deployed.update("Scripts", properties)
        assert (answer["Data"]["Drift"], answer["Data"]["Statements"]) == ("none", "0")


def test_what_the_new_version_drops_is_dropped_after_its_call_went_through(deployed):
    stop = f"PROCEDURE {deployed.reporting}.STOP_ALL_TASKS()"
    role = f"OPERATORS_{deployed.suffix}"
    deployed.warehouse.run(f"CREATE ROLE {role}", f"GRANT USAGE ON {stop} TO ROLE {role}")
    old = deployed.sent["Scripts"][0]
    deployed.update("Scripts", old)  # which writes the grant down
    new = deployed.scripts_properties({"060_operations.sql": None}, Smoke="SELECT NO_SUCH_COLUMN")
    answer = deployed.update("Scripts", new)
    assert (answer["Status"], "NO_SUCH_COLUMN" in answer["Reason"]) == ("FAILED", True)
    back = deployed.request(
        "Update", "Scripts", old, OldResourceProperties=new, PhysicalResourceId=answer["PhysicalResourceId"]
    )
    assert back["Status"] == "SUCCESS", back["Reason"]
    held = deployed.warehouse.run(f"SHOW GRANTS TO ROLE {role}")
    assert [(row["privilege"], "STOP_ALL_TASKS" in row["name"]) for row in held] == [("USAGE", True)]
    # Once the call goes through, they go.
    assert deployed.update("Scripts", new | {"Smoke": ""})["Status"] == "SUCCESS"
    assert "STOP_ALL_TASKS" not in names(deployed, "PROCEDURES", deployed.reporting)


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
    assert (again["Status"], again["Data"]) == (
        "SUCCESS",
        {"User": system.names["runner_user"], "Drift": "none"},
    )
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
        (403, {"message": "The request signature we calculated does not match"}, "failed at the hop signature"),
        (502, {"message": "Internal server error"}, "failed at the hop Lambda"),
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


def test_a_role_that_does_not_trust_snowflake_fails_the_deploy_at_the_hop_trust(prepared, monkeypatch):
    monkeypatch.setattr(smoke, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(smoke, "FIRST_PAUSE_SECONDS", 0.05)
    system = prepared(tasks_enabled=False)
    monkeypatch.setattr(system.aws, "trusts", False)
    for resource, properties in system.resources():
        answer = system.request("Create", resource, properties)
    assert answer["Status"] == "FAILED"
    assert "failed at the hop trust: the role's trust policy must name" in answer["Reason"]


@pytest.mark.parametrize(
    ("login", "said"),
    [
        (None, "cannot be read: .*ResourceNotFoundException.*make snowflake-bootstrap"),
        (
            {"private_key": make_key_pair()[0]},
            "User SNOWGATE_DEPLOYER cannot log in to Snowflake account LOCAL by key pair: .*ACCOUNTADMIN",
        ),
        ({"user": "NOBODY"}, "User NOBODY cannot log in"),
    ],
)
def test_a_deployer_that_cannot_log_in_says_what_is_missing_and_its_rollback_succeeds(system, monkeypatch, login, said):
    right = json.loads(system.aws.secrets[os.environ["SNOWFLAKE_SECRET_ARN"]])
    monkeypatch.setenv("SNOWFLAKE_SECRET_ARN", "arn:secret:other")
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


# --- two deploys, and one that was killed


def hold_lock(system, seconds):
    system.run(
        "UPDATE DEPLOYMENT.DEPLOYMENT_LOCK SET HOLDER = 'another', STACK = 'prod-Snowflake', "
        f"ACQUIRED_AT = SYSDATE(), EXPIRES_AT = DATEADD('SECOND', {seconds}, SYSDATE())"
    )


def lock(system):
    return system.run("SELECT HOLDER FROM DEPLOYMENT.DEPLOYMENT_LOCK")


def test_a_deploy_fails_with_the_others_id_if_the_lock_is_not_free_in_time(system, statements):
    hold_lock(system, 600)
    answer = system.update("Scripts", system.scripts_properties({"035_more.sql": MORE}), context=Context(65))
    assert answer["Status"] == "FAILED"
    assert "Deployment another of prod-Snowflake has held the lock" in answer["Reason"]
    assert not [text for text in statements if text.startswith(("CREATE", "INSERT", "MERGE"))]
    hold_lock(system, -1)


def test_an_expired_lock_is_taken_and_given_back(system):
    hold_lock(system, 1)
    answer = system.update("Scripts", system.scripts_properties(Smoke=""))
    assert answer["Status"] == "SUCCESS", answer["Reason"]
    assert lock(system) == [{"HOLDER": None}]


def test_the_same_request_gets_its_lock_again(system):
    hold_lock(system, 600)
    answer = system.update("Scripts", system.scripts_properties(Smoke=""), RequestId="another", context=Context(65))
    assert answer["Status"] == "SUCCESS", answer["Reason"]


def test_two_deploys_at_once_never_interleave(deployed):
    texts = [
        {
            "035_more.sql": MORE,
            "030_views.sql": deployed.files["030_views.sql"].replace("AS LABEL", f"AS LABEL{number}"),
        }
        for number in range(2)
    ]
    asked = [deployed.scripts_properties(text, Smoke="") for text in texts]
    answers = []
    deploys = [
        threading.Thread(target=lambda properties=properties: answers.append(deployed.update("Scripts", properties)))
        for properties in asked
    ]
    for deploy in deploys:
        deploy.start()
    for deploy in deploys:
        deploy.join()
    assert [answer["Status"] for answer in answers] == ["SUCCESS", "SUCCESS"]
    rows = deployed.run(
        "SELECT DEPLOYMENT_ID FROM DEPLOYMENT.DEPLOYMENT_HISTORY WHERE STARTED_AT IS NOT NULL ORDER BY STARTED_AT"
    )
    order = [row["DEPLOYMENT_ID"] for row in rows]
    assert len([1 for one, other in zip(order, order[1:], strict=False) if one != other]) == len(set(order)) - 1


# --- secrets, and the tables of an earlier release


def test_no_secret_is_in_history_record_or_query_log(system):
    seen = [
        system.run("SELECT * FROM DEPLOYMENT.DEPLOYMENT_HISTORY"),
        system.run("SELECT * FROM DEPLOYMENT.DEPLOYMENT_OBJECT"),
        system.run(
            "SELECT QUERY_TEXT, ERROR_MESSAGE FROM TABLE(INFORMATION_SCHEMA.QUERY_HISTORY(RESULT_LIMIT => 10000))"
        ),
        [answer for _, answer in system.sent.values()],
    ]
    text = json.dumps(seen, default=str)
    assert "SERVICE_API_TOKEN" in text
    assert TOKEN not in text


def test_no_key_passphrase_or_token_is_seen_anywhere_even_when_the_deploy_fails(prepared, monkeypatch, capfd):
    system = prepared(tasks_enabled=False)
    login = json.loads(system.aws.secrets[DEPLOYER_SECRET])
    passphrase = "CANARY-passphrase-of-the-deployer"
    key = load_pem_private_key(login["private_key"].encode(), None)
    lock = BestAvailableEncryption(passphrase.encode())
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock).decode()
    login |= {"private_key": locked.replace("\n", "\\n"), "private_key_passphrase": passphrase}
    monkeypatch.setitem(system.aws.secrets, DEPLOYER_SECRET, json.dumps(login))
    system.deploy()
    wrong = "\nALTER SECRET NO_SUCH_SECRET SET SECRET_STRING = '${secret:api_token}';\n"
    changed = system.scripts_properties({"030_views.sql": system.files["030_views.sql"] + wrong})
    failed = [system.update("Scripts", changed)]
    for change in ({"private_key_passphrase": f"{passphrase}-wrong"}, {"user": "NOBODY"}):
        monkeypatch.setitem(system.aws.secrets, DEPLOYER_SECRET, json.dumps(login | change))
        failed.append(system.update("Scripts", changed))
    assert [answer["Status"] for answer in failed] == ["FAILED"] * 3
    runner = json.loads(system.aws.secrets[system.login_properties()["SecretArn"]])["private_key"]
    seen = [
        system.run("SELECT * FROM DEPLOYMENT.DEPLOYMENT_HISTORY"),
        system.run("SELECT * FROM DEPLOYMENT.DEPLOYMENT_OBJECT"),
        system.run("SELECT * FROM TABLE(INFORMATION_SCHEMA.QUERY_HISTORY(RESULT_LIMIT => 10000))"),
        [answer for _, answer in system.sent.values()],
        failed,
        list(capfd.readouterr()),
        system.warehouse.log.read_text(),
    ]
    text = json.dumps(seen, default=str)
    assert all(word in text for word in ("NO_SUCH_SECRET", "NOBODY", "passphrase", system.names["runner_user"]))
    lines = [line for pem in (locked, runner, login["private_key"]) for line in pem.splitlines() if len(line) > 60]
    plain = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode().splitlines()[1:-1]
    assert [secret for secret in (TOKEN, passphrase, *lines, *plain) if secret in text] == []


def test_a_rotated_secret_runs_its_file_again_and_no_other(deployed, monkeypatch):
    monkeypatch.setitem(deployed.aws.secrets, TOKEN_SECRET, "another-CANARY-token")
    answer = deployed.update("Scripts", deployed.scripts_properties(Smoke=""))
    assert answer["Status"] == "SUCCESS", answer["Reason"]
    assert int(answer["Data"]["Skipped"]) == len(deployed.rendered()) - 1
    assert "CANARY" not in json.dumps(answer)


def test_a_secret_that_is_rotated_during_a_deploy_ends_up_in_snowflake(deployed, monkeypatch):
    read, seen = scripts.read_secrets, []

    def rotated_after_the_first_look(*arguments):
        found = read(*arguments)
        seen.append(found["api_token"].text)
        deployed.aws.secrets[TOKEN_SECRET] = "the-token-after-rotation"
        return found

    monkeypatch.setitem(deployed.aws.secrets, TOKEN_SECRET, "the-token-before-rotation")
    monkeypatch.setattr(scripts, "read_secrets", rotated_after_the_first_look)
    answer = deployed.update("Scripts", deployed.scripts_properties(Smoke=""))

    assert answer["Status"] == "SUCCESS", answer["Reason"]
    assert seen == ["the-token-before-rotation", "the-token-after-rotation", "the-token-after-rotation"]
    tried = "SELECT COUNT(DISTINCT FILE_DIGEST) AS N FROM DEPLOYMENT.DEPLOYMENT_HISTORY WHERE FILE_NAME LIKE '080%'"
    assert deployed.run(tried)[0]["N"] == 3


def test_a_warehouse_that_is_not_there_leads_to_the_bootstrap(system):
    answer = system.update("Scripts", system.scripts_properties(Warehouse="NOWHERE_WH"))
    assert "Warehouse NOWHERE_WH does not exist" in answer["Reason"]
    assert "make snowflake-bootstrap" in answer["Reason"]


def test_the_tables_of_the_first_release_keep_their_rows_and_get_the_new_columns(prepared):
    system = prepared(tasks_enabled=False)
    role, config = system.names["owner_role"], system.config
    system.warehouse.run(
        f"GRANT ROLE {role} TO ROLE ACCOUNTADMIN",
        f"USE ROLE {role}",
        f"CREATE SCHEMA {config}",
        f"CREATE TABLE {config}.REPORT_CONFIG (CONFIG_ID NUMBER AUTOINCREMENT, REPORT_NAME VARCHAR NOT NULL, "
        "STATUS VARCHAR DEFAULT 'PENDING', PARAMETERS VARIANT, S3_LOCATION VARCHAR)",
        f"INSERT INTO {config}.REPORT_CONFIG (REPORT_NAME) VALUES ('sales_report'), ('order_priority')",
    )
    system.deploy()
    rows = system.run("SELECT CONFIG_ID, REPORT_NAME, STATUS, LEASE_UNTIL FROM REPORT_CONFIG ORDER BY CONFIG_ID")
    assert [row["REPORT_NAME"] for row in rows] == ["sales_report", "order_priority"]
    assert {row["STATUS"] for row in rows} == {"PENDING"}
    assert "column LEASE_UNTIL was missing, was added" in system.sent["Scripts"][1]["Data"]["Drift"]
