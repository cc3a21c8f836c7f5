"""A folder with one object of each kind that a deploy treats in its own way, and a version after it."""

HEADER = "USE ROLE {{ owner_role }};\nUSE SCHEMA {{ database }}.{{ config_schema }};\n"
S = "{{ database }}.{{ config_schema }}"

FIRST = {
    "010_schemas.sql": f"""
-- Makes and keeps: SCHEMA {S}
USE ROLE {{{{ owner_role }}}};
CREATE SCHEMA IF NOT EXISTS {S};
""",
    "020_tables.sql": f"""
-- Makes and keeps: TABLE {S}.REQUEST
{HEADER}
CREATE TABLE IF NOT EXISTS REQUEST (ID NUMBER(38, 0), STATUS VARCHAR DEFAULT 'PENDING');
""",
    "030_views.sql": f"""
-- Makes and drops: VIEW {S}.V_REQUEST
-- Makes and drops: VIEW {S}.V_OLD
{HEADER}
CREATE OR REPLACE VIEW V_REQUEST AS SELECT ID FROM REQUEST;
CREATE OR REPLACE VIEW V_OLD AS SELECT COUNT(*) AS N FROM REQUEST;
""",
    "040_stream.sql": f"""
-- Makes and drops: STREAM {S}.NEW_REQUEST
{HEADER}
CREATE STREAM IF NOT EXISTS NEW_REQUEST ON TABLE REQUEST APPEND_ONLY = TRUE;
""",
    "050_task.sql": f"""
-- Makes and drops: PROCEDURE {S}.WAKE()
-- Makes and drops: TASK {S}.WAKE_TASK
{HEADER}
USE WAREHOUSE {{{{ warehouse }}}};
CREATE OR REPLACE PROCEDURE WAKE() RETURNS VARIANT LANGUAGE PYTHON RUNTIME_VERSION = '3.11'
  PACKAGES = ('snowflake-snowpark-python') HANDLER = 'run' EXECUTE AS OWNER
AS $$
def run(session):
    return 1
$$;
CREATE OR REPLACE TASK WAKE_TASK WAREHOUSE = {{{{ warehouse }}}} SCHEDULE = '60 MINUTE' AS CALL {S}.WAKE();
ALTER TASK WAKE_TASK RESUME;
""",
    "070_grants.sql": f"""
-- Makes and keeps: GRANTS TO ROLE {{{{ runner_role }}}}
{HEADER}
GRANT USAGE ON SCHEMA {S} TO ROLE {{{{ runner_role }}}};
GRANT SELECT, INSERT ON TABLE REQUEST TO ROLE {{{{ runner_role }}}};
GRANT SELECT ON VIEW V_REQUEST TO ROLE {{{{ runner_role }}}};
""",
}

# A column more, a view changed, one gone, one new, and another program behind the same task.
SECOND = FIRST | {
    "020_tables.sql": FIRST["020_tables.sql"].replace("'PENDING')", "'PENDING', NOTE VARCHAR)"),
    "030_views.sql": FIRST["030_views.sql"]
    .replace("SELECT ID FROM", "SELECT ID, STATUS FROM")
    .replace("V_OLD", "V_NEW"),
    "050_task.sql": FIRST["050_task.sql"].replace("return 1", "return 2").replace("60 MINUTE", "30 MINUTE"),
}
