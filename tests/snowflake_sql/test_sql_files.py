"""The SQL files as texts: they parse, say what they make, and can be run again."""

import re

import pytest
from jinja2 import UndefinedError

from snowgate.lambdas.snowflake_deployer import api_integration, login, statements
from snowgate.lambdas.snowflake_deployer.request import Properties
from tests import sql_lint

DEPLOYED = [path for path in sql_lint.sql_files() if path.name[0].isdigit()]
EVERY = pytest.mark.parametrize("path", sql_lint.sql_files(), ids=lambda path: path.name)
EACH = pytest.mark.parametrize("path", DEPLOYED, ids=lambda path: path.name)
CREATE = re.compile(
    r"CREATE (?:OR REPLACE )?(EXTERNAL FUNCTION|[A-Z]+) (?:IF NOT EXISTS )?(?:\w+\.)*(\w+)", re.IGNORECASE
)
# What holds data or an identity that a replacement would lose.
NEVER_REPLACED = {"TABLE", "STREAM", "DATABASE", "SCHEMA", "ROLE", "USER", "WAREHOUSE", "API"}

GAP_EXAMPLES = {
    "CREATE EXTERNAL ACCESS INTEGRATION": "CREATE OR REPLACE EXTERNAL ACCESS INTEGRATION E "
    "ALLOWED_NETWORK_RULES = (D.S.R) ENABLED = TRUE",
    "ALTER EXTERNAL ACCESS INTEGRATION": "ALTER EXTERNAL ACCESS INTEGRATION E SET ENABLED = FALSE",
    "ALTER NETWORK RULE": "ALTER NETWORK RULE D.S.R SET VALUE_LIST = ('example.com:443')",
    "DESCRIBE NETWORK RULE": "DESC NETWORK RULE D.S.R",
    "SHOW NETWORK RULES": "SHOW NETWORK RULES IN SCHEMA D.S",
    "DROP NETWORK RULE": "DROP NETWORK RULE IF EXISTS D.S.R",
    "ALTER API INTEGRATION": "ALTER API INTEGRATION A SET ENABLED = TRUE",
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
    written = [
        *api_integration.definition(Properties("Api", integration))[1],
        *login.definition(Properties("Login", person), "MIIB", "DEPLOYER", "OLD"),
        *("DESC INTEGRATION A", "DROP API INTEGRATION IF EXISTS A", "DROP USER IF EXISTS U"),
    ]
    assert [finding for sql in written for finding in sql_lint.check_statement(sql)] == []


def test_every_on_delete_line_has_no_finding():
    lines = [line for path in DEPLOYED for line in script(path).drops]
    assert [finding for line in lines for finding in sql_lint.check_statement(line)] == []


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
    file.write_text("-- Makes: nothing\n-- On delete: keep nothing\n\nSELECT 1;\nCREATE STREAM\n  S ON;\n")
    findings = [str(finding) for finding in sql_lint.check_file(file)]
    assert findings
    assert all(re.match(r"010_wrong\.sql:[56]: ", finding) for finding in findings)


@EACH
def test_an_undefined_name_stops_the_rendering(path):
    with pytest.raises(UndefinedError):
        sql_lint.render(path.read_text(), {"owner_role": "X"})


@EACH
def test_a_header_names_what_is_made_and_what_becomes_of_it(path):
    read = script(path)
    for kind, name, _ in created(path):
        assert any(name in line for line in read.makes), f"{kind} {name} is missing in 'Makes'"
        assert any(name in line for line in read.drops + read.keeps), f"{kind} {name} is missing in 'On delete'"


@EACH
def test_every_statement_can_be_run_again(path):
    for kind, name, text in created(path):
        again = " IF NOT EXISTS " in text.upper() or text.upper().startswith("CREATE OR REPLACE ")
        assert again, f"{kind} {name} fails when it is there"
        if kind.split()[0] in NEVER_REPLACED:
            assert not text.upper().startswith("CREATE OR REPLACE "), f"{kind} {name} must never be replaced"


@EACH
def test_a_file_sets_its_own_role(path):
    assert script(path).statements[0].text.startswith("USE ROLE ")


def test_python_procedures_are_created_on_a_warehouse():
    texts = [statement.text for path in DEPLOYED for statement in script(path).statements]
    first = next(number for number, text in enumerate(texts) if "LANGUAGE PYTHON" in text)
    assert f"USE WAREHOUSE {sql_lint.NAMES['warehouse']}" in texts[:first]


@EACH
def test_times_are_utc(path):
    text = path.read_text().upper()
    assert not re.search(r"CURRENT_TIMESTAMP|CURRENT_DATE|GETDATE|LOCALTIME|TIMESTAMP_[TL]TZ", text)


def test_files_are_ordered_by_their_numbers():
    numbers = [path.name[:4] for path in DEPLOYED]
    assert all(re.fullmatch(r"\d{3}_", number) for number in numbers)
    assert len(set(numbers)) == len(numbers)


def test_all_tasks_are_started_and_stopped():
    tasks = {name for path in DEPLOYED for kind, name, _ in created(path) if kind == "TASK"}
    assert tasks
    operations = next(path for path in DEPLOYED if path.name.endswith("_operations.sql"))
    bodies = [sql_lint.python_body(statement) for statement in script(operations).statements]
    for body in filter(None, bodies):
        assert set(re.findall(r"CONFIG\.(\w+)", body.partition("]")[0])) == tasks


@pytest.mark.parametrize(("enabled", "resumed"), [(True, 1), (False, 0)])
def test_tasks_are_resumed_by_setting(enabled, resumed):
    texts = [statement.text for path in DEPLOYED for statement in script(path, tasks_enabled=enabled).statements]
    assert len([text for text in texts if text.startswith("ALTER TASK") and text.endswith("RESUME")]) == resumed
