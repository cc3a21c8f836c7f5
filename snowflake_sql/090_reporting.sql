-- For analysts and operators: ask for a report, cancel one, have one made again.
-- Makes and drops: PROCEDURE {{ database }}.{{ reporting_schema }}.REQUEST_REPORT(VARCHAR, VARIANT, VARCHAR, VARIANT, TIMESTAMP_NTZ, VARCHAR, VARCHAR, VARCHAR)
-- Makes and drops: PROCEDURE {{ database }}.{{ reporting_schema }}.CANCEL_REPORT(NUMBER)
-- Makes and drops: PROCEDURE {{ database }}.{{ reporting_schema }}.RERUN_REPORT(NUMBER)

USE ROLE {{ owner_role }};
USE SCHEMA {{ database }}.{{ reporting_schema }};
USE WAREHOUSE {{ warehouse }};

{# What all three do alike: a change and its audit row come together or not at all. #}
{% macro change() %}
SCHEMA = "{{ database }}.{{ config_schema }}"


def together(session, change, *values):
    session.sql("BEGIN").collect()
    try:
        outcome = change(session, *values)
        session.sql("COMMIT").collect()
    except Exception:
        session.sql("ROLLBACK").collect()
        raise
    return outcome


def audit(session, config_id, attempt, before, after, detail):
    session.sql(
        f"INSERT INTO {SCHEMA}.REPORT_AUDIT_LOG (CONFIG_ID, ATTEMPT, FROM_STATUS, TO_STATUS, ACTOR, DETAIL) "
        "SELECT ?, ?, ?, ?, CURRENT_USER(), ?",
        params=[config_id, attempt, before, after, detail],
    ).collect()
{% endmacro %}
-- With an IDEMPOTENCY_KEY the same request again is the same row; the same key with another request is refused.
CREATE OR REPLACE PROCEDURE REQUEST_REPORT(
    REPORT_NAME VARCHAR,
    PARAMETERS VARIANT DEFAULT NULL,
    OUTPUT_FORMAT VARCHAR DEFAULT 'PDF',
    RECIPIENTS VARIANT DEFAULT NULL,
    RUN_AT TIMESTAMP_NTZ DEFAULT NULL,
    SCHEDULE_CRON VARCHAR DEFAULT NULL,
    SCHEDULE_TIMEZONE VARCHAR DEFAULT 'UTC',
    IDEMPOTENCY_KEY VARCHAR DEFAULT NULL
) COPY GRANTS
  RETURNS VARIANT
  LANGUAGE PYTHON
  RUNTIME_VERSION = '3.11'
  PACKAGES = ('snowflake-snowpark-python')
  HANDLER = 'run'
  COMMENT = 'Asks for a report: at once, at RUN_AT (UTC), or again and again by SCHEDULE_CRON'
  EXECUTE AS OWNER
AS $$
import json
import re
import uuid

{{ change() }}
FORMATS = ("PDF", "EXCEL", "CSV", "JSON", "PARQUET")
SUBMIT = f"""
MERGE INTO {SCHEMA}.REPORT_CONFIG AS T
USING (SELECT ? AS GIVEN_KEY, ? AS GIVEN_NAME, ? AS GIVEN_TRIGGER, PARSE_JSON(?) AS GIVEN_PARAMETERS,
              ? AS GIVEN_FORMAT, PARSE_JSON(?) AS GIVEN_RECIPIENTS, TO_TIMESTAMP_NTZ(?) AS GIVEN_TIME,
              ? AS GIVEN_CRON, ? AS GIVEN_ZONE) AS S
ON T.IDEMPOTENCY_KEY = S.GIVEN_KEY
WHEN NOT MATCHED THEN INSERT (IDEMPOTENCY_KEY, REPORT_NAME, TRIGGER_TYPE, PARAMETERS, OUTPUT_FORMAT, RECIPIENTS,
                              RUN_AT, SCHEDULE_CRON, SCHEDULE_TIMEZONE, SOURCE)
VALUES (S.GIVEN_KEY, S.GIVEN_NAME, S.GIVEN_TRIGGER, S.GIVEN_PARAMETERS, S.GIVEN_FORMAT, S.GIVEN_RECIPIENTS,
        S.GIVEN_TIME, S.GIVEN_CRON, S.GIVEN_ZONE, 'REQUEST_REPORT')"""
FOUND = f"""
SELECT CONFIG_ID, STATUS, REPORT_NAME, OUTPUT_FORMAT, PARAMETERS, RECIPIENTS, SCHEDULE_CRON, SCHEDULE_TIMEZONE
FROM {SCHEMA}.REPORT_CONFIG WHERE IDEMPOTENCY_KEY = ? ORDER BY CONFIG_ID LIMIT 1"""


def run(session, report_name, parameters, output_format, recipients, run_at, cron, zone, key):
    parameters, recipients = given(parameters) or {}, given(recipients) or []
    name, output = checked(report_name, parameters, output_format, recipients, key)
    if cron is not None and len(cron.split()) != 5:
        raise ValueError(f"SCHEDULE_CRON is {cron[:80]!r}; give five fields, as in '0 6 * * *'.")
    zone = zone or "UTC"
    values = [
        key or f"request-{uuid.uuid4()}", name, "SCHEDULED" if run_at or cron else "ADHOC", json.dumps(parameters),
        output, json.dumps(recipients), None if run_at is None else str(run_at), cron, zone,
    ]
    return together(session, submit, values, [name.upper(), output, parameters, recipients, cron, cron and zone])


def given(value):
    # A VARIANT that is NULL in SQL may come as an object that says so.
    return None if getattr(value, "is_sql_null", False) else value


def checked(report_name, parameters, output_format, recipients, key):
    name, output = str(report_name or "").strip(), str(output_format or "PDF").strip().upper()
    if not re.fullmatch("[A-Za-z][A-Za-z0-9_]{0,99}", name):
        raise ValueError(f"REPORT_NAME is {report_name!r}; give a report's name, as in 'sales_report'.")
    if output not in FORMATS:
        raise ValueError(f"OUTPUT_FORMAT is {output_format!r}; allowed are {', '.join(FORMATS)}.")
    if not isinstance(parameters, dict):
        raise ValueError(f"PARAMETERS is {str(parameters)[:80]!r}; give an object, by OBJECT_CONSTRUCT or PARSE_JSON.")
    if not isinstance(recipients, list) or not all(isinstance(who, dict) for who in recipients):
        example = '[{"channel": "email", "to": "somebody@example.com"}]'
        raise ValueError(f"RECIPIENTS is {str(recipients)[:80]!r}; give an array like PARSE_JSON('{example}').")
    if key is not None and not re.fullmatch("[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}", key):
        raise ValueError(f"IDEMPOTENCY_KEY is {key[:80]!r}; allowed are 1 to 128 letters, digits, _ . : and -.")
    return name, output


def submit(session, values, wanted):
    new = session.sql(SUBMIT, params=values).collect()[0][0]
    row = session.sql(FOUND, params=[values[0]]).collect()[0]
    config_id = row["CONFIG_ID"]
    if new:
        audit(session, config_id, 0, None, "PENDING", "submitted by REQUEST_REPORT")
    elif request_of(row) != wanted:
        raise ValueError(f"IDEMPOTENCY_KEY {values[0]!r} is that of another request, CONFIG_ID {config_id}; take a new key.")
    return {"config_id": config_id, "status": row["STATUS"], "idempotency_key": values[0], "new": bool(new)}


def request_of(row):
    parameters, recipients = json.loads(row["PARAMETERS"] or "{}"), json.loads(row["RECIPIENTS"] or "[]")
    output = (row["OUTPUT_FORMAT"] or "PDF").upper()
    cron = row["SCHEDULE_CRON"]
    return [row["REPORT_NAME"].upper(), output, parameters, recipients, cron, cron and row["SCHEDULE_TIMEZONE"]]
$$;

-- A report that a worker is making is given up too: the worker finds that the row is no longer its own.
CREATE OR REPLACE PROCEDURE CANCEL_REPORT(CONFIG_ID NUMBER) COPY GRANTS
  RETURNS VARIANT
  LANGUAGE PYTHON
  RUNTIME_VERSION = '3.11'
  PACKAGES = ('snowflake-snowpark-python')
  HANDLER = 'run'
  COMMENT = 'Cancels a report that has not ended; a recurring one ends with it'
  EXECUTE AS OWNER
AS $$
{{ change() }}
CANCEL = f"""
UPDATE {SCHEMA}.REPORT_CONFIG
SET STATUS = 'CANCELLED', CLAIM_TOKEN = NULL, LEASE_UNTIL = NULL, FINISHED_AT = SYSDATE()
WHERE CONFIG_ID = ? AND STATUS = ?"""


def run(session, config_id):
    return together(session, cancel, config_id)


# A failed attempt makes PROCESSING to PENDING again, perhaps between two of these looks.
def cancel(session, config_id):
    before = next(
        (
            status
            for status in ("PENDING", "PROCESSING", "PENDING")
            if session.sql(CANCEL, params=[config_id, status]).collect()[0][0]
        ),
        None,
    )
    found = session.sql(
        f"SELECT STATUS, ATTEMPTS FROM {SCHEMA}.REPORT_CONFIG WHERE CONFIG_ID = ?", params=[config_id]
    ).collect()
    if before:
        audit(session, config_id, found[0]["ATTEMPTS"], before, "CANCELLED", "cancelled by CANCEL_REPORT")
        return {"config_id": config_id, "status": "CANCELLED", "cancelled": True}
    if not found:
        raise ValueError(f"There is no report with CONFIG_ID {config_id}; {SCHEMA}.V_REPORT_STATUS lists them.")
    if found[0]["STATUS"] == "CANCELLED":
        return {"config_id": config_id, "status": "CANCELLED", "cancelled": False}
    raise ValueError(f"Report {config_id} is {found[0]['STATUS']}; only PENDING and PROCESSING ones can be cancelled.")
$$;

-- One new row with the old one's request; a second call while it is not done answers the same row.
CREATE OR REPLACE PROCEDURE RERUN_REPORT(CONFIG_ID NUMBER) COPY GRANTS
  RETURNS VARIANT
  LANGUAGE PYTHON
  RUNTIME_VERSION = '3.11'
  PACKAGES = ('snowflake-snowpark-python')
  HANDLER = 'run'
  COMMENT = 'Has a report that ended made again, in a new row whose PARENT_ID is the old one'
  EXECUTE AS OWNER
AS $$
{{ change() }}
ENDED = ("COMPLETED", "FAILED", "CANCELLED")
# The statement itself looks whether a rerun is under way: of two callers at once one inserts.
RERUN = f"""
MERGE INTO {SCHEMA}.REPORT_CONFIG AS T
USING (
  SELECT REPORT_NAME, PARAMETERS, OUTPUT_FORMAT, PRIORITY, RECIPIENTS, MAX_ATTEMPTS, CONFIG_ID
  FROM {SCHEMA}.REPORT_CONFIG WHERE CONFIG_ID = ?
) AS S
ON T.PARENT_ID = S.CONFIG_ID AND T.SOURCE = 'RERUN_REPORT' AND T.STATUS IN ('PENDING', 'PROCESSING')
WHEN NOT MATCHED THEN INSERT (REPORT_NAME, PARAMETERS, OUTPUT_FORMAT, PRIORITY, RECIPIENTS, MAX_ATTEMPTS, PARENT_ID,
                              SOURCE)
VALUES (S.REPORT_NAME, S.PARAMETERS, S.OUTPUT_FORMAT, S.PRIORITY, S.RECIPIENTS, S.MAX_ATTEMPTS, S.CONFIG_ID,
        'RERUN_REPORT')"""
# Whatever its status: the one that was under way may have ended since.
NEWEST = f"""
SELECT CONFIG_ID, STATUS FROM {SCHEMA}.REPORT_CONFIG
WHERE PARENT_ID = ? AND SOURCE = 'RERUN_REPORT'
ORDER BY CONFIG_ID DESC LIMIT 1"""


def run(session, config_id):
    return together(session, rerun, config_id)


def rerun(session, config_id):
    found = session.sql(f"SELECT STATUS FROM {SCHEMA}.REPORT_CONFIG WHERE CONFIG_ID = ?", params=[config_id]).collect()
    if not found:
        raise ValueError(f"There is no report with CONFIG_ID {config_id}; {SCHEMA}.V_REPORT_STATUS lists them.")
    status = found[0]["STATUS"]
    if status not in ENDED:
        raise ValueError(f"Report {config_id} is {status}; only one that is {', '.join(ENDED)} can be made again.")
    new = session.sql(RERUN, params=[config_id]).collect()[0][0]
    row = session.sql(NEWEST, params=[config_id]).collect()[0]
    if new:
        audit(session, row["CONFIG_ID"], 0, None, "PENDING", f"rerun of {config_id}")
    return {"config_id": row["CONFIG_ID"], "parent_id": config_id, "status": row["STATUS"], "new": bool(new)}
$$;
