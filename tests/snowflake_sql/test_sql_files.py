"""The SQL files as texts: they parse, say what they make, and can be run again."""

import re

import pytest
from jinja2 import UndefinedError

from snowgate.lambdas.snowflake_deployer import api_integration, login, statements
from snowgate.lambdas.snowflake_deployer.ledger_tables import LedgerTables
from snowgate.lambdas.snowflake_deployer.request import Properties, Request
from snowgate.lambdas.snowflake_deployer.user import User
from tests import sql_lint

DEPLOYED = [path for path in sql_lint.sql_files() if path.name[0].isdigit()]
EVERY = pytest.mark.parametrize("path", sql_lint.sql_files(), ids=lambda path: path.name)
EACH = pytest.mark.parametrize("path", DEPLOYED, ids=lambda path: path.name)
CREATE = re.compile(
    r"CREATE (?:OR REPLACE |OR ALTER )?(?:EXTERNAL (?=FUNCTION))?(EXTERNAL ACCESS INTEGRATION|NETWORK RULE|[A-Z]+) "
    r"(?:IF NOT EXISTS )?(?:\w+\.)*(\w+)",
    re.IGNORECASE,
)
# What holds data or an identity that a replacement would lose, or what others name.
NEVER_REPLACED = {"TABLE", "STREAM", "SCHEMA", "TASK", "SECRET", "NETWORK RULE", "EXTERNAL ACCESS INTEGRATION"}
# No IF NOT EXISTS does for them what it should: the deploy takes "exists" for an answer, and an ALTER follows.
NO_IF_NOT_EXISTS = {"NETWORK RULE", "EXTERNAL ACCESS INTEGRATION"}

GAP_EXAMPLES = {
    "CREATE EXTERNAL ACCESS INTEGRATION": "CREATE OR REPLACE EXTERNAL ACCESS INTEGRATION E "
    "ALLOWED_NETWORK_RULES = (D.S.R) ENABLED = TRUE",
    "ALTER EXTERNAL ACCESS INTEGRATION": "ALTER EXTERNAL ACCESS INTEGRATION E SET ENABLED = FALSE",
    "DROP EXTERNAL ACCESS INTEGRATION": "DROP EXTERNAL ACCESS INTEGRATION IF EXISTS E",
    "ALTER NETWORK RULE": "ALTER NETWORK RULE D.S.R SET VALUE_LIST = ('example.com:443')",
    "DESCRIBE NETWORK RULE": "DESC NETWORK RULE D.S.R",
    "SHOW NETWORK RULES": "SHOW NETWORK RULES IN SCHEMA D.S",
    "DROP NETWORK RULE": "DROP NETWORK RULE IF EXISTS D.S.R",
    "ALTER API INTEGRATION": "ALTER API INTEGRATION A SET ENABLED = TRUE",
    "ALTER USER with WORKLOAD_IDENTITY after others": "ALTER USER U SET COMMENT = 'c' "
    "WORKLOAD_IDENTITY = (TYPE = AWS ARN = 'arn:aws:iam::111122223333:role/r')",
    "GRANT with CREATE NETWORK RULE": "GRANT CREATE NETWORK RULE, CREATE TASK ON SCHEMA D.S TO ROLE R",
}


def script(path, **names):
    return statements.parse(path.name, sql_lint.render(path.read_text(), sql_lint.NAMES | names))


def created(path):
    for statement in script(path).statements:
        if match := CREATE.match(" ".join(statement.text.split())):
            yield match[1].upper(), match[2], statement.text


@EVERY
def test_a_file_has_no_finding(path):
    assert [str(finding) for finding in sql_lint.check_file(path)] == []


def test_the_statements_that_the_deployer_writes_itself_have_no_finding():
    integration = {"Name": "A", "RoleArn": "arn:aws:iam::111122223333:role/r", "AllowedPrefixes": ["https://a.b/prod/"]}
    person = {"User": "U", "Role": "R", "Database": "D", "Schema": "S", "Warehouse": "W"}
    identity = person | {"IdentityArn": "arn:aws:iam::111122223333:role/r"}
    written = [
        api_integration.definition(Properties("Api", integration), "mark").create,
        login.creation(request(person), "MIIB"),
        login.creation(request(identity), None),
        *login.changes(request(person), User({"COMMENT": "other"}, "arn:aws:iam::111122223333:role/r"), "MIIB"),
        *login.changes(request(identity), User({"RSA_PUBLIC_KEY_FP": "x"}, None), None),
        *LedgerTables("D").definitions(),
        *("DESC INTEGRATION A", "DROP API INTEGRATION IF EXISTS A", "DROP USER IF EXISTS U"),
    ]
    assert [finding for sql in written for finding in sql_lint.check_statement(sql)] == []


def request(properties):
    stack = "arn:aws:cloudformation:eu-west-1:111122223333:stack/s/1"
    return Request("1", stack, "Create", "", Properties("Login", properties), None, None)


def test_what_a_delete_drops_has_no_finding():
    drops = [made.drop for path in DEPLOYED for made in script(path).makes if not made.kept]
    assert len(drops) > 10
    assert [finding for sql in drops for finding in sql_lint.check_statement(sql)] == []


@pytest.mark.parametrize("gap", sql_lint.KNOWN_GAPS)
def test_a_known_gap_is_one_and_the_clause_grammar_fills_it(gap):
    example = GAP_EXAMPLES[gap]
    assert sql_lint.known_gap(example) == gap
    assert list(sql_lint.sqlfluff_errors(example))
    assert list(sql_lint.check_statement(example)) == []


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE IF NOT EXISTS (A NUMBER)",
        "CREATE STREAM S APPEND_ONLY = TRUE",
        "CREATE TASK T WAREHOUSE = W SCHEDULE = '1 MINUTE' AFTER ROOT AS SELECT 1",
        "ALTER API INTEGRATION A SET NONSENSE = 1",
        "CREATE NETWORK RULE D.S.R TYPE = HOST_PORT VALUE_LIST = ('10.0.0.1:443') MODE = EGRESS",
        "GRANT FLY ON TABLE T TO ROLE R",
        "CREATE PROCEDURE P() RETURNS VARIANT LANGUAGE PYTHON RUNTIME_VERSION = '3.11' "
        "PACKAGES = ('snowflake-snowpark-python') HANDLER = 'run' AS $$\ndef run(session:\n  pass\n$$",
    ],
)
def test_a_wrong_statement_is_found(sql):
    assert list(sql_lint.check_statement(sql))


def test_a_finding_names_file_and_line(tmp_path, monkeypatch):
    monkeypatch.setattr(sql_lint, "ROOT", tmp_path)
    file = tmp_path / "010_wrong.sql"
    file.write_text("-- Makes and drops: STREAM D.S.S\n\n\nSELECT 1;\nCREATE STREAM\n  S ON;\n")
    findings = [str(finding) for finding in sql_lint.check_file(file)]
    assert findings
    assert all(re.match(r"010_wrong\.sql:[56]: ", finding) for finding in findings)


@EACH
def test_an_undefined_name_stops_the_rendering(path):
    with pytest.raises(UndefinedError):
        sql_lint.render(path.read_text(), {"owner_role": "X", "web_host": "h"})


@EACH
def test_a_header_names_what_is_made_and_nothing_else(path):
    named = [(made.kind, made.parts[-1]) for made in script(path).makes if made.kind != "GRANTS TO ROLE"]
    assert named == [(kind, name) for kind, name, _ in created(path)]


@EACH
def test_a_header_names_the_roles_that_are_granted_something(path):
    granted = {
        match[1]
        for statement in script(path).statements
        if (match := re.match(r"GRANT .* TO ROLE (\w+)$", statement.text, re.DOTALL))
    }
    assert granted == {made.name for made in script(path).makes if made.kind == "GRANTS TO ROLE"}


def test_only_what_holds_data_or_is_needed_to_read_them_is_kept():
    kept = {made.kind for path in DEPLOYED for made in script(path).makes if made.kept}
    assert kept == {"SCHEMA", "TABLE", "GRANTS TO ROLE"}


@EACH
def test_every_statement_can_be_run_again(path):
    texts = [" ".join(statement.text.split()) for statement in script(path).statements]
    for kind, name, text in created(path):
        again = " IF NOT EXISTS " in text.upper() or re.match(r"CREATE OR (REPLACE|ALTER) ", text.upper())
        if kind in NO_IF_NOT_EXISTS:
            again = any(re.match(rf"ALTER {kind} (\w+\.)*{name} SET ", one) for one in texts)
        assert again, f"{kind} {name} fails when it is there"
        if kind in NEVER_REPLACED:
            assert not text.upper().startswith("CREATE OR REPLACE "), f"{kind} {name} must never be replaced"


@EACH
def test_a_file_sets_its_own_role(path):
    assert script(path).statements[0].text.startswith("USE ROLE ")


@EACH
def test_python_programs_are_created_on_a_warehouse(path):
    texts = [statement.text for statement in script(path).statements]
    first = next((number for number, text in enumerate(texts) if "LANGUAGE PYTHON" in text), None)
    assert first is None or f"USE WAREHOUSE {sql_lint.NAMES['warehouse']}" in texts[:first]


@EACH
def test_times_are_utc(path):
    text = path.read_text().upper()
    assert not re.search(r"CURRENT_TIMESTAMP|CURRENT_DATE|GETDATE|LOCALTIME|TIMESTAMP_[TL]TZ", text)


def test_files_are_ordered_by_their_numbers():
    numbers = [path.name[:4] for path in DEPLOYED]
    assert all(re.fullmatch(r"\d{3}_", number) for number in numbers)
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("daily", [True, False])
def test_all_tasks_are_stopped_and_those_that_the_settings_let_run_are_started(daily):
    tasks = {name for path in DEPLOYED for kind, name, _ in created(path) if kind == "TASK"}
    assert tasks == {"ECS_TRIGGER_TASK", "DAILY_REPORTS_TASK"}
    operations = next(path for path in DEPLOYED if path.name.endswith("_operations.sql"))
    statements = script(operations, daily_reports_enabled=daily).statements
    start, stop = (
        set(re.findall(r"\.(\w+)\"", body.partition("]")[0]))
        for body in filter(None, map(sql_lint.python_body, statements))
    )
    assert stop == tasks
    assert start == (tasks if daily else {"ECS_TRIGGER_TASK"})


@pytest.mark.parametrize(("enabled", "resumed"), [(True, 1), (False, 0)])
def test_tasks_are_resumed_by_setting(enabled, resumed):
    texts = [statement.text for path in DEPLOYED for statement in script(path, tasks_enabled=enabled).statements]
    assert len([text for text in texts if text.startswith("ALTER TASK") and text.endswith("RESUME")]) == resumed
