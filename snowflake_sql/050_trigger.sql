-- From the stream through API Gateway to the waker.
-- Makes and drops: FUNCTION {{ database }}.{{ config_schema }}.TRIGGER_ECS_SERVICE(NUMBER, NUMBER)
-- Makes and drops: PROCEDURE {{ database }}.{{ config_schema }}.SEND_ECS_TRIGGER()
-- Makes and drops: TASK {{ database }}.{{ config_schema }}.ECS_TRIGGER_TASK

USE ROLE {{ owner_role }};
USE SCHEMA {{ database }}.{{ config_schema }};
-- Snowflake creates a Python procedure on a warehouse only (error 391531 without), and the deployer may have no default.
USE WAREHOUSE {{ warehouse }};

-- Nothing runs while its parts change; the stream keeps what comes in meanwhile.
ALTER TASK IF EXISTS ECS_TRIGGER_TASK SUSPEND;

-- The call through API Gateway to the waker. Snowflake tells functions apart by their arguments: if these change, the
-- deploy drops the function of the old arguments after the new one works.
CREATE OR REPLACE EXTERNAL FUNCTION TRIGGER_ECS_SERVICE(PENDING NUMBER, BUSY NUMBER)
  RETURNS VARIANT
  VOLATILE
  COMMENT = 'Asks for as many workers as the queue needs'
  API_INTEGRATION = {{ api_integration }}
  MAX_BATCH_ROWS = 1
  COMPRESSION = NONE
  AS '{{ trigger_url }}';

-- The INSERT is the only DML that reads the stream, so the stream moves on with its COMMIT, after the wake-up succeeded.
-- New rows wake a worker even if none is due yet: it then sets its alarm clock for them, as a busy one does by itself.
CREATE OR REPLACE PROCEDURE SEND_ECS_TRIGGER() COPY GRANTS
  RETURNS VARIANT
  LANGUAGE PYTHON
  RUNTIME_VERSION = '3.11'
  PACKAGES = ('snowflake-snowpark-python')
  HANDLER = 'run'
  COMMENT = 'Wakes the worker for what the queue holds'
  EXECUTE AS OWNER
AS $$
import json

SCHEMA = "{{ database }}.{{ config_schema }}"
MESSAGE_CHARACTERS = 4000


def run(session):
    session.sql("BEGIN").collect()
    try:
        outcome = wake(session)
        session.sql("COMMIT").collect()
    except Exception as error:
        session.sql("ROLLBACK").collect()
        session.sql(
            f"INSERT INTO {SCHEMA}.TRIGGER_LOG (ERROR_MESSAGE) SELECT ?",
            params=[str(error)[:MESSAGE_CHARACTERS]],
        ).collect()
        raise
    return outcome


def wake(session):
    stream = f"{SCHEMA}.REPORT_CONFIG_INSERT_STREAM"
    seen = session.sql(f"SELECT COUNT(*) AS ROWS_SEEN FROM {stream}").collect()[0]["ROWS_SEEN"]
    demand = session.sql(f"SELECT PENDING, BUSY FROM {SCHEMA}.V_QUEUE_DEMAND").collect()[0]
    busy = demand["BUSY"]
    pending = max(demand["PENDING"], 1 if seen and not busy else 0)
    answer = None
    if pending:
        asked = session.sql(f"SELECT {SCHEMA}.TRIGGER_ECS_SERVICE(?, ?) AS ANSWER", params=[pending, busy])
        answer = asked.collect()[0]["ANSWER"]
    session.sql(
        f"INSERT INTO {SCHEMA}.TRIGGER_LOG (ROWS_SEEN, PENDING, BUSY, ANSWER) "
        f"SELECT COUNT(*), ?, ?, PARSE_JSON(?) FROM {stream}",
        params=[pending, busy, answer],
    ).collect()
    return {"rows_seen": seen, "pending": pending, "busy": busy, "answer": json.loads(answer) if answer else None}
$$;

-- Snowflake suspends a task after 10 failures in a row by default: a two-minute outage of the API would end all
-- wake-ups for good. A hundred still stop a trigger that is broken from keeping the warehouse up for days.
-- Altered where it is there already, never replaced: its grants and its history stay.
CREATE OR ALTER TASK ECS_TRIGGER_TASK
  WAREHOUSE = {{ warehouse }}
  USER_TASK_MINIMUM_TRIGGER_INTERVAL_IN_SECONDS = {{ trigger_interval_seconds }}
  SUSPEND_TASK_AFTER_NUM_FAILURES = 100
  COMMENT = 'Wakes the worker when requests come in'
  WHEN SYSTEM$STREAM_HAS_DATA('{{ database }}.{{ config_schema }}.REPORT_CONFIG_INSERT_STREAM')
  AS CALL {{ database }}.{{ config_schema }}.SEND_ECS_TRIGGER();
{% if tasks_enabled %}
ALTER TASK ECS_TRIGGER_TASK RESUME;
{% endif %}
