"""Somebody changes something by hand; a deploy with nothing changed finds, names and repairs it, and loses nothing."""

import json

import pytest

# What is changed as the objects' owner, and the sentence that the deploy says about it.
CHANGES = {
    "a view is dropped": ("DROP VIEW V_REPORT_METRICS", "VIEW {config}.V_REPORT_METRICS was missing"),
    "a view is replaced": (
        "CREATE OR REPLACE VIEW V_QUEUE_DEMAND AS SELECT 0 AS PENDING, 0 AS BUSY, NULL::TIMESTAMP_NTZ AS NEXT_DUE_AT",
        "VIEW {config}.V_QUEUE_DEMAND: definition was changed, first in line ",
    ),
    "a procedure is replaced": (
        "CREATE OR REPLACE PROCEDURE SEND_ECS_TRIGGER() RETURNS VARIANT LANGUAGE PYTHON RUNTIME_VERSION = '3.11' "
        "PACKAGES = ('snowflake-snowpark-python') HANDLER = 'run' EXECUTE AS OWNER "
        "AS $$\ndef run(session):\n    pass\n$$",
        "PROCEDURE {config}.SEND_ECS_TRIGGER(): definition was changed, first in line ",
    ),
    "a procedure is dropped": (
        "DROP PROCEDURE {reporting}.START_ALL_TASKS()",
        "PROCEDURE {reporting}.START_ALL_TASKS() was missing",
    ),
    "an external function is dropped": (
        "DROP FUNCTION TRIGGER_ECS_SERVICE(NUMBER, NUMBER)",
        "FUNCTION {config}.TRIGGER_ECS_SERVICE(NUMBER, NUMBER) was missing",
    ),
    "a column is dropped": (
        "ALTER TABLE REPORT_DELIVERY DROP COLUMN ERROR_CODE",
        "TABLE {config}.REPORT_DELIVERY: column ERROR_CODE was missing, should be VARCHAR(16777216)",
    ),
    "a grant is revoked": (
        "REVOKE SELECT ON VIEW V_QUEUE_DEMAND FROM ROLE {runner_role}",
        "{runner_role} had lost SELECT ON VIEW {config}.V_QUEUE_DEMAND",
    ),
    "the stream is dropped": (
        "DROP STREAM REPORT_CONFIG_INSERT_STREAM",
        "STREAM {config}.REPORT_CONFIG_INSERT_STREAM was missing",
    ),
    "the task is dropped": ("DROP TASK ECS_TRIGGER_TASK", "TASK {config}.ECS_TRIGGER_TASK was missing"),
    "the task gets another warehouse": (
        "ALTER TASK ECS_TRIGGER_TASK SET WAREHOUSE = COMPUTE_WH",
        "TASK {config}.ECS_TRIGGER_TASK: warehouse was COMPUTE_WH, should be {warehouse}",
    ),
    "the task gives up sooner": (
        "ALTER TASK ECS_TRIGGER_TASK SET SUSPEND_TASK_AFTER_NUM_FAILURES = 3",
        "TASK {config}.ECS_TRIGGER_TASK: parameter SUSPEND_TASK_AFTER_NUM_FAILURES was 3, should be 100",
    ),
    "the network rule leads elsewhere": (
        "ALTER NETWORK RULE SERVICE_EGRESS SET VALUE_LIST = ('elsewhere.example.com:443')",
        "NETWORK RULE {config}.SERVICE_EGRESS: value_list was elsewhere.example.com:443, should be ",
    ),
    "the integration is switched off": (
        "ALTER EXTERNAL ACCESS INTEGRATION {external_access} SET ENABLED = FALSE",
        "EXTERNAL ACCESS INTEGRATION {external_access}: enabled was false, should be true",
    ),
}


def again(system, **changes):
    """A deploy with nothing changed; it must succeed."""
    answer = system.update("Scripts", system.sent["Scripts"][0] | {"Smoke": ""} | changes)
    assert answer["Status"] == "SUCCESS", answer["Reason"]
    return answer["Data"]


def seen(system):
    """What an administrator sees of everything, without times and ids."""
    moving = {"created_on", "last_committed_on", "last_suspended_on", "id", "rows", "bytes", "last_suspended_reason"}
    kinds = ("TABLES", "VIEWS", "STREAMS", "TASKS", "PROCEDURES", "USER FUNCTIONS", "NETWORK RULES", "SECRETS")
    shown = {
        (kind, schema): [
            {key: value for key, value in row.items() if key not in moving}
            for row in system.run(f"SHOW {kind} IN SCHEMA {schema}")
        ]
        for kind in kinds
        for schema in (system.config, system.reporting)
    }
    for table in shown["TABLES", system.config]:
        columns = system.run(f"DESC TABLE {system.config}.{table['name']}")
        # A column that comes back stands last.
        shown[table["name"]] = sorted(columns, key=lambda row: row["name"])
    return shown


def grants_to(system, role):
    rows = system.run(f"SHOW GRANTS TO ROLE {role}")
    return sorted((row["privilege"], row["granted_on"], row["name"]) for row in rows if row["privilege"] != "OWNERSHIP")


def reader(system):
    """A role that is none of the project's, with rights on what the deploy makes."""
    role = f"READER_{system.suffix}"
    system.run(
        f"CREATE ROLE IF NOT EXISTS {role}",
        *(
            f"GRANT {privilege} {thing} TO ROLE {role}"
            for privilege, thing in (
                ("SELECT ON VIEW", "V_QUEUE_DEMAND"),
                ("SELECT ON TABLE", "REPORT_CONFIG"),
                ("USAGE ON PROCEDURE", "SEND_ECS_TRIGGER()"),
                ("SELECT ON STREAM", "REPORT_CONFIG_INSERT_STREAM"),
                ("MONITOR ON TASK", "ECS_TRIGGER_TASK"),
            )
        ),
    )
    return role


def by_hand(system, statement):
    """Run it with the rights of the role that owns the object."""
    names = system.names | {"config": system.config, "reporting": system.reporting}
    filled = statement.format(**names) if "$$" not in statement else statement
    role = names["deployer_role"] if "INTEGRATION" in filled else names["owner_role"]
    system.run(f"USE ROLE {role}", filled)
    return names


def test_an_undisturbed_second_deploy_finds_and_runs_nothing(system):
    before = seen(system)
    for recheck in ("one", "two"):
        data = again(system, Recheck=recheck)
        assert (data["Drift"] or "none", data["Statements"]) == ("none", "0")
    assert seen(system) == before


def test_work_that_goes_on_is_no_drift(system):
    system.run(
        "INSERT INTO REPORT_CONFIG (REPORT_NAME) VALUES ('sales_report')",
        "CALL SEND_ECS_TRIGGER()",
        "UPDATE REPORT_CONFIG SET STATUS = 'COMPLETED'",
        "CREATE TABLE SOMEBODYS_OWN (A NUMBER)",
        f"GRANT SELECT ON TABLE SOMEBODYS_OWN TO ROLE {system.names['runner_role']}",
    )
    assert again(system)["Statements"] == "0"
    system.run("DROP TABLE SOMEBODYS_OWN")


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_by_hand_is_found_named_and_repaired(system, change):
    role = reader(system)
    system.run("INSERT INTO REPORT_CONFIG (REPORT_NAME) VALUES ('sales_report'), ('inventory_report')")
    select = "SELECT CONFIG_ID, REPORT_NAME, STATUS, CREATED_AT FROM REPORT_CONFIG ORDER BY CONFIG_ID"
    rows, before = system.run(select), seen(system)
    runner = grants_to(system, system.names["runner_role"])
    statement, sentence = CHANGES[change]
    again(system)
    granted = grants_to(system, role)
    names = by_hand(system, statement)
    # What is dropped comes back with the grants on record; what still stands keeps those that it has now.
    granted = granted if statement.startswith("DROP") else grants_to(system, role)

    data = again(system)

    assert sentence.format(**names) in data["Drift"]
    assert seen(system) == before
    assert system.run(select) == rows
    assert grants_to(system, system.names["runner_role"]) == runner
    assert grants_to(system, role) == granted
    data = again(system, Recheck="later")
    assert (data["Drift"] or "none", data["Statements"]) == ("none", "0")


@pytest.mark.parametrize("enabled", [True, False])
def test_a_task_is_started_or_suspended_as_the_settings_say(prepared, enabled):
    system = prepared(tasks_enabled=enabled).deploy()
    should, other = ("started", "suspended") if enabled else ("suspended", "started")
    by_hand(system, f"ALTER TASK ECS_TRIGGER_TASK {'SUSPEND' if enabled else 'RESUME'}")
    data = again(system)
    assert f"TASK {system.config}.ECS_TRIGGER_TASK: state was {other}, should be {should}" in data["Drift"]
    assert [row["state"] for row in system.run("SHOW TASKS")] == [should]
    assert again(system, Recheck="later")["Statements"] == "0"
    system.run("ALTER TASK ECS_TRIGGER_TASK SUSPEND")


def test_a_stale_stream_is_replaced_and_its_loss_is_told(system):
    role, stream = reader(system), f"{system.config}.REPORT_CONFIG_INSERT_STREAM"
    [row] = system.run("SELECT GET_DDL('TABLE', 'REPORT_CONFIG') AS DDL")
    by_hand(system, row["DDL"])
    data = again(system)
    assert f"STREAM {stream}: stale was true, should be false" in data["Drift"]
    assert f"STREAM {stream} was stale and has been replaced" in data["Drift"]
    system.run("INSERT INTO REPORT_CONFIG (REPORT_NAME) VALUES ('sales_report')")
    assert system.run("SELECT COUNT(*) AS N FROM REPORT_CONFIG_INSERT_STREAM") == [{"N": 1}]
    assert ("SELECT", "STREAM", stream) in grants_to(system, role)


def test_a_dropped_integration_comes_back_with_its_grants_and_the_functions_over_it(system):
    name = system.names["api_integration"]
    system.run(f"DROP INTEGRATION {name}")
    answer = system.update("ApiIntegration", system.integration_properties() | {"Recheck": "now"})
    assert f"API INTEGRATION {name} was missing" in answer["Data"]["Drift"]
    data = again(system, Smoke=system.smoke)
    assert f"{system.names['owner_role']} had lost USAGE ON INTEGRATION {name}" in data["Drift"]
    assert "TRIGGER_ECS_SERVICE(NUMBER, NUMBER): external id of its integration was " in data["Drift"]
    assert again(system, Recheck="later")["Statements"] == "0"


def test_several_changes_are_all_named_in_one_answer_of_less_than_4_kb(system):
    by_hand(system, "DROP VIEW V_REPORT_METRICS")
    by_hand(system, "DROP VIEW V_REPORT_STATUS")
    by_hand(system, "DROP TASK ECS_TRIGGER_TASK")
    data = again(system)
    assert all(name in data["Drift"] for name in ("V_REPORT_METRICS", "V_REPORT_STATUS", "ECS_TRIGGER_TASK"))
    assert len(json.dumps(data)) < 3000


def test_a_table_of_an_earlier_release_gets_its_columns_and_keeps_its_rows(prepared):
    """The walking loop's table had fewer columns."""
    system = prepared(tasks_enabled=False)
    place, role = system.config, system.names["owner_role"]
    schema = (
        f"USE ROLE {role}",
        f"CREATE SCHEMA {place}",
        f"CREATE TABLE {place}.REPORT_CONFIG ("
        "CONFIG_ID NUMBER(38, 0) NOT NULL AUTOINCREMENT START 1 INCREMENT 1 ORDER, REPORT_NAME VARCHAR(100) NOT NULL, "
        "STATUS VARCHAR DEFAULT 'PENDING', MINE VARCHAR)",
        f"INSERT INTO {place}.REPORT_CONFIG (REPORT_NAME, STATUS, MINE) VALUES ('sales_report', 'COMPLETED', 'x')",
    )
    system.warehouse.run(*schema, warehouse=system.names["warehouse"])
    system.deploy()
    columns = {row["name"]: row["type"] for row in system.run("DESC TABLE REPORT_CONFIG")}
    assert columns["REPORT_NAME"] == "VARCHAR(16777216)"
    assert {"CREATED_AT", "PRIORITY", "LEASE_UNTIL", "MINE"} <= columns.keys()
    rows = system.run("SELECT CONFIG_ID, REPORT_NAME, STATUS, MINE, PRIORITY FROM REPORT_CONFIG")
    assert rows == [
        {"CONFIG_ID": 1, "REPORT_NAME": "sales_report", "STATUS": "COMPLETED", "MINE": "x", "PRIORITY": 100}
    ]
    assert again(system)["Statements"] == "0"
