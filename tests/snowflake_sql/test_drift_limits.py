"""What a deploy finds and does not mend: it says so each time, never takes it for its own, and goes on."""

import pytest
from small_files import FIRST
from test_drift import again

from snowgate.lambdas.snowflake_deployer.statements import ScriptError, parse

MORE = FIRST["070_grants.sql"].replace("SELECT, INSERT ON", "SELECT, INSERT, DELETE ON")


@pytest.fixture
def small(prepared):
    system = prepared()
    system.files, system.smoke = FIRST, ""
    return system.deploy()


def send(system, files=None):
    return system.update("Scripts", system.scripts_properties(files))


def by_admin(system, *statements):
    system.run(*(one.format(**system.names, config=system.config) for one in statements), role="ACCOUNTADMIN")


def test_a_grant_of_the_administrators_that_is_gone_is_named_until_it_is_back(small):
    by_admin(small, "REVOKE USAGE ON WAREHOUSE {warehouse} FROM ROLE {runner_role}")
    lost = (
        "{runner_role} had lost USAGE ON WAREHOUSE {warehouse}, not repaired: no file gives it, an administrator runs "
        "the file of `make snowflake-bootstrap`"
    ).format(**small.names)
    for _ in range(3):
        assert again(small)["Drift"] == lost
    # Nor does another drift's repair take it off the record.
    by_admin(small, "REVOKE SELECT ON VIEW {config}.V_REQUEST FROM ROLE {runner_role}")
    said = again(small)["Drift"]
    assert lost in said
    assert f"had lost SELECT ON VIEW {small.config}.V_REQUEST, repaired" in said
    assert again(small)["Drift"] == lost
    by_admin(small, "GRANT USAGE ON WAREHOUSE {warehouse} TO ROLE {runner_role}")
    assert again(small)["Drift"] == "none"


def test_what_a_role_holds_beyond_the_files_is_named_until_it_is_revoked(small):
    by_admin(
        small,
        "GRANT DELETE ON TABLE {config}.REQUEST TO ROLE {runner_role}",
        "GRANT ROLE {owner_role} TO ROLE {runner_role}",
    )
    for files in (None, None, {"030_views.sql": FIRST["030_views.sql"] + "\n-- x\nSELECT 1;\n"}, None):
        answer = send(small, files)
        assert f"holds DELETE ON TABLE {small.config}.REQUEST, which no file gives; it stays" in answer["Data"]["Drift"]
        assert f"holds USAGE ON ROLE {small.names['owner_role']}, which no file gives" in answer["Data"]["Drift"]
    assert again(small)["Statements"] == "0"
    by_admin(small, "REVOKE ROLE {owner_role} FROM ROLE {runner_role}")
    # A file that gives it now makes it its own.
    assert send(small, {"070_grants.sql": MORE})["Data"]["Drift"] == "none"
    assert send(small, {"070_grants.sql": MORE})["Data"]["Drift"] == "none"


def test_an_object_of_another_owner_stops_its_own_file_and_no_other(small):
    by_admin(small, "CREATE OR REPLACE VIEW {config}.V_REQUEST AS SELECT 1 AS ID")
    words = f"GRANT OWNERSHIP ON VIEW {small.config}.V_REQUEST TO ROLE {small.names['owner_role']} COPY CURRENT GRANTS"
    assert words in again(small)["Drift"]
    before = small.run("SELECT KIND, NAME, FACTS FROM DEPLOYMENT.DEPLOYMENT_OBJECT ORDER BY 1, 2")
    changed = {
        "020_tables.sql": FIRST["020_tables.sql"].replace("'PENDING')", "'PENDING', NOTE VARCHAR)"),
        "030_views.sql": FIRST["030_views.sql"].replace("SELECT ID FROM", "SELECT ID, STATUS FROM"),
    }
    refused = send(small, changed)
    assert (refused["Status"], words in refused["Reason"]) == ("FAILED", True)
    assert "Nothing was changed" in refused["Reason"]
    assert small.run("SELECT KIND, NAME, FACTS FROM DEPLOYMENT.DEPLOYMENT_OBJECT ORDER BY 1, 2") == before
    back = send(small)
    assert (back["Status"], back["Data"]["Statements"]) == ("SUCCESS", "0")
    by_admin(small, words)
    assert again(small)["Statements"] != "0"
    assert again(small)["Drift"] == "none"
    assert send(small, changed)["Status"] == "SUCCESS"


def test_an_object_of_another_owner_stays_another_owners_when_other_files_run(small):
    by_admin(
        small,
        "GRANT OWNERSHIP ON VIEW {config}.V_OLD TO ROLE SYSADMIN COPY CURRENT GRANTS",
        "GRANT SELECT ON VIEW {config}.V_OLD TO ROLE {owner_role}",
    )
    said = f"VIEW {small.config}.V_OLD belongs to SYSADMIN, not repaired"
    more = {
        "035_more.sql": f"-- Makes and drops: VIEW {small.config}.V_MORE\nUSE ROLE {{{{ owner_role }}}};\n"
        f"CREATE OR REPLACE VIEW {small.config}.V_MORE AS SELECT 1 AS A;\n"
    }
    for files in (None, more, more, None, None):
        answer = send(small, files)
        assert answer["Status"] == "SUCCESS", answer["Reason"]
        assert said in answer["Data"]["Drift"]


def test_a_default_that_is_gone_is_named_until_it_is_back(small):
    by_admin(small, "ALTER TABLE {config}.REQUEST ALTER COLUMN STATUS DROP DEFAULT")
    said = f"TABLE {small.config}.REQUEST: column STATUS has the default NULL, the file says 'PENDING'"
    for files in (None, {"030_views.sql": FIRST["030_views.sql"] + "\n-- x\nSELECT 1;\n"}, None):
        assert send(small, files)["Data"]["Drift"].startswith(said)
    assert again(small)["Statements"] == "0"


def test_an_owner_that_can_be_seen_is_named(small):
    by_admin(
        small,
        "GRANT OWNERSHIP ON TABLE {config}.REQUEST TO ROLE SYSADMIN COPY CURRENT GRANTS",
        "GRANT SELECT ON TABLE {config}.REQUEST TO ROLE {owner_role}",
    )
    answer = again(small)
    assert f"TABLE {small.config}.REQUEST belongs to SYSADMIN, not repaired" in answer["Drift"]


def test_a_dropped_object_gets_the_grants_of_others_back_and_a_revoked_grant_stays_revoked(small):
    role = f"READER_{small.suffix}"
    by_admin(
        small,
        f"CREATE ROLE {role}",
        *(f"GRANT SELECT ON VIEW {{config}}.{v} TO ROLE {role}" for v in ("V_REQUEST", "V_OLD")),
    )
    again(small)
    by_admin(small, "DROP VIEW {config}.V_REQUEST", f"REVOKE SELECT ON VIEW {{config}}.V_OLD FROM ROLE {role}")
    assert f"V_REQUEST had lost SELECT for ROLE {role}, repaired" in again(small)["Drift"]
    assert [row["name"] for row in small.run(f"SHOW GRANTS TO ROLE {role}")] == [f"{small.config}.V_REQUEST"]


def test_a_column_of_somebody_elses_is_named_and_runs_nothing(small):
    by_admin(small, "ALTER TABLE {config}.REQUEST ADD COLUMN MINE NUMBER")
    for _ in range(2):
        answer = again(small)
        assert answer["Statements"] == "0"
        assert answer["Drift"] == f"TABLE {small.config}.REQUEST: column MINE is not in the file; it stays"


@pytest.mark.parametrize(
    ("statements", "missing"),
    [
        ("USE SCHEMA D.S;\nCREATE VIEW V AS SELECT 1;\nCREATE OR REPLACE SECURE VIEW W AS SELECT 1;", "VIEW D.S.W"),
        ("USE DATABASE D;\nUSE SCHEMA X;\nCREATE /* here */ VIEW V AS SELECT 1;", "VIEW D.X.V"),
        ("CREATE TRANSIENT TABLE IF NOT EXISTS D.S.V (A INT);", "TABLE D.S.V"),
        ("USE SCHEMA D.S;\nCREATE FUNCTION F(A INT) RETURNS INT AS 'A';", r"FUNCTION D.S.F\(argument types\)"),
    ],
)
def test_an_object_that_no_header_names_is_refused(statements, missing):
    with pytest.raises(ScriptError, match=rf"x.sql line \d: no line of the header .*'-- Makes and drops: {missing}'"):
        parse("x.sql", f"-- Makes and drops: VIEW D.S.V\n{statements}")


def test_the_header_line_of_the_test_folder_is_enough():
    assert parse("x.sql", "-- Makes and drops: VIEW D.S.V\nUSE SCHEMA D.S;\nCREATE VIEW V AS SELECT 1;").makes
