"""The grants: docs/security.md names each of them and no other, and each of them is needed."""

import re

import pytest

from stacks import snowflake_bootstrap
from tests import sql_lint

DOCUMENT = sql_lint.ROOT / "docs" / "security.md"
SERVICE = sql_lint.ROOT / "service" / "src" / "report_service" / "queue" / "statements.py"
FILES = [sql_lint.SQL_FILES / "bootstrap.sql", *sorted(sql_lint.SQL_FILES.glob("[0-9]*.sql"))]
SETTINGS = ("public_key", "deployer_role_arn", "web_host", "private", "tasks_enabled", "daily_reports_enabled")
NAMES = {name: value if name in SETTINGS else f"<{name}>" for name, value in sql_lint.NAMES.items()}
ROLES = {"The deployer": "<deployer_role>", "The owner": "<owner_role>", "The runner": "<runner_role>"}

# Without them a deploy fails. The owner's USAGE ON DATABASE is not among them: any privilege on a database lets in, and
# CREATE SCHEMA is one; it is granted all the same, because the documentation of every statement names it.
NEEDED = [
    "CREATE INTEGRATION ON ACCOUNT FROM ROLE {deployer_role}",
    "CREATE USER ON ACCOUNT FROM ROLE {deployer_role}",
    "ROLE {owner_role} FROM ROLE {deployer_role}",
    "USAGE ON WAREHOUSE {warehouse} FROM ROLE {owner_role}",
    "CREATE SCHEMA ON DATABASE {database} FROM ROLE {owner_role}",
    "EXECUTE TASK ON ACCOUNT FROM ROLE {owner_role}",
]
DEMAND = "SELECT PENDING FROM V_QUEUE_DEMAND"
# What the service runs, by the grant that lets it; a regular expression finds such a statement in its source.
RUN = {
    "USAGE ON WAREHOUSE {warehouse}": (DEMAND, "V_QUEUE_DEMAND"),
    "USAGE ON DATABASE {database}": (DEMAND, "V_QUEUE_DEMAND"),
    "USAGE ON SCHEMA {config}": (DEMAND, "V_QUEUE_DEMAND"),
    "SELECT ON VIEW {config}.V_QUEUE_DEMAND": (DEMAND, "FROM V_QUEUE_DEMAND"),
    "SELECT ON VIEW {config}.V_REPORT_METRICS": ("SELECT METRIC FROM V_REPORT_METRICS", "FROM V_REPORT_METRICS"),
    "SELECT ON TABLE {config}.REPORT_CONFIG": ("SELECT STATUS FROM REPORT_CONFIG", "FROM REPORT_CONFIG"),
    "INSERT ON TABLE {config}.REPORT_CONFIG": (
        "INSERT INTO REPORT_CONFIG (REPORT_NAME) VALUES ('x')",
        "INSERT INTO REPORT_CONFIG",
    ),
    "UPDATE ON TABLE {config}.REPORT_CONFIG": ("UPDATE REPORT_CONFIG SET PRIORITY = 1", "UPDATE REPORT_CONFIG"),
    "INSERT ON TABLE {config}.REPORT_AUDIT_LOG": (
        "INSERT INTO REPORT_AUDIT_LOG (CONFIG_ID) VALUES (1)",
        "INSERT INTO REPORT_AUDIT_LOG",
    ),
    "SELECT ON TABLE {config}.REPORT_DELIVERY": ("SELECT STATUS FROM REPORT_DELIVERY", "FROM REPORT_DELIVERY"),
    "INSERT ON TABLE {config}.REPORT_DELIVERY": (
        "INSERT INTO REPORT_DELIVERY (CONFIG_ID) VALUES (1)",
        "INSERT INTO REPORT_DELIVERY",
    ),
    "UPDATE ON TABLE {config}.REPORT_DELIVERY": ("UPDATE REPORT_DELIVERY SET ATTEMPTS = 1", "UPDATE REPORT_DELIVERY"),
}


def granted():
    """(file, what, to whom) of every GRANT."""
    for file in FILES:
        for statement in sql_lint.split(file.name, sql_lint.render(file.read_text(), NAMES)):
            flat = " ".join(statement.text.removesuffix(" COPY CURRENT GRANTS").split())
            if match := re.fullmatch(r"GRANT (.+) TO ((?:ROLE|USER) \S+)", flat):
                what, whom = match[1], match[2]
                yield file.name, what, whom.removeprefix("ROLE ")


def documented():
    """The same, as the tables of the document have it."""
    role = None
    for line in DOCUMENT.read_text().splitlines():
        if line.startswith("#"):
            title = line.lstrip("# ").partition(":")[0]
            role = ROLES.get(title, "" if title == "Everybody else" else None)
        elif role is not None and (match := re.match(r"\| `([^`]+)` \| (\S+\.sql) \| \S", line)):
            what, _, whom = match[1].partition(" TO ")
            yield match[2], what, role or whom.removeprefix("ROLE ")


def test_the_document_names_every_grant_and_no_other():
    assert sorted(documented()) == sorted(granted())


def test_nothing_is_granted_to_everybody():
    for _, what, whom in granted():
        assert whom not in ("PUBLIC", "ACCOUNTADMIN")
        assert not re.search(r"\bALL\b|MANAGE GRANTS|CREATE (ROLE|DATABASE|WAREHOUSE)", what)


@pytest.mark.parametrize("grant", NEEDED)
def test_a_deploy_fails_without_any_one_of_the_grants(prepared, grant):
    deployment = prepared(tasks_enabled=True)
    named = grant.format(**deployment.names)
    deployment.warehouse.run(f"REVOKE {named}")
    try:
        for kind, properties in deployment.resources():
            answer = deployment.request("Create", kind, properties)
            if answer["Status"] == "FAILED":
                break
    finally:
        # The deployer is the same one in all tests.
        deployment.warehouse.run(f"GRANT {named.replace(' FROM ROLE ', ' TO ROLE ')}")
    assert answer["Status"] == "FAILED"
    assert re.search(
        r"not authorized|Insufficient privileges|may not use it|not assigned|Cannot execute task", answer["Reason"]
    )


def test_the_service_needs_each_grant_of_the_runner(prepared):
    deployment = prepared(tasks_enabled=False).deploy()
    source = SERVICE.read_text()
    runner, names = deployment.runner(), deployment.names | {"config": deployment.config}
    for grant, (statement, sign) in RUN.items():
        assert sign in source, f"the service runs nothing that needs {grant}"
        named = grant.format(**names)
        deployment.run(statement, **runner)
        deployment.run(f"REVOKE {named} FROM ROLE {names['runner_role']}")
        with pytest.raises(Exception, match=r"not authorized|Insufficient privileges|No active warehouse|[Cc]annot"):
            deployment.run(statement, **runner)
        deployment.run(f"GRANT {named} TO ROLE {names['runner_role']}")


def test_every_grant_of_the_runner_is_taken_away_in_that_test():
    given = set()
    for _, what, whom in granted():
        if whom == "<runner_role>" and "SAMPLE_DATA" not in what:
            privileges, _, place = what.partition(" ON ")
            given |= {(privilege, place.split(".")[-1]) for privilege in privileges.split(", ")}
    tried = {tuple(grant.split(" ON ", 1)) for grant in RUN}
    short = {(privilege, re.sub(r"\{config\}\.", "", place)) for privilege, place in tried}
    names = {"DATABASE {database}": "DATABASE <database>", "WAREHOUSE {warehouse}": "WAREHOUSE <warehouse>"}
    found = {
        (privilege, names.get(place, place.replace("SCHEMA {config}", "<config_schema>"))) for privilege, place in short
    }
    assert found == given


def test_the_bootstrap_of_every_environment_has_the_same_grants():
    assert snowflake_bootstrap.TEMPLATES == sql_lint.SQL_FILES
