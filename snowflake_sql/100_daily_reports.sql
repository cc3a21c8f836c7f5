-- Every morning the reports of the day before.
-- Makes and drops: PROCEDURE {{ database }}.{{ reporting_schema }}.GENERATE_DAILY_REPORTS()
-- Makes and drops: TASK {{ database }}.{{ reporting_schema }}.DAILY_REPORTS_TASK

USE ROLE {{ owner_role }};
USE SCHEMA {{ database }}.{{ reporting_schema }};
USE WAREHOUSE {{ warehouse }};

-- Nothing runs while its parts change.
ALTER TASK IF EXISTS DAILY_REPORTS_TASK SUSPEND;

-- A day's report has a key made of its name and the day: a second run on the same day, or a retry, adds nothing.
CREATE OR REPLACE PROCEDURE GENERATE_DAILY_REPORTS() COPY GRANTS
  RETURNS VARIANT
  LANGUAGE PYTHON
  RUNTIME_VERSION = '3.11'
  PACKAGES = ('snowflake-snowpark-python')
  HANDLER = 'run'
  COMMENT = 'Asks for the reports of yesterday (UTC), once'
  EXECUTE AS OWNER
AS $$
import datetime
import json

REPORTS = ("sales_report", "order_priority")
REQUEST = """
CALL {{ database }}.{{ reporting_schema }}.REQUEST_REPORT(?, PARSE_JSON(?), 'PDF', NULL, SYSDATE(), NULL, 'UTC', ?)"""
# These reports read Snowflake's sample data, which ends in 1998: yesterday is taken in a leap year that it has.
SAMPLE_YEAR = 1996


def run(session):
    yesterday = datetime.datetime.now(datetime.timezone.utc).date() - datetime.timedelta(days=1)
    day = yesterday.replace(year=SAMPLE_YEAR).isoformat()
    period = json.dumps({"start_date": day, "end_date": day})
    requests = {}
    for name in REPORTS:
        answer = session.sql(REQUEST, params=[name, period, f"daily-{name}-{yesterday}"]).collect()[0][0]
        requests[name] = json.loads(answer) if isinstance(answer, str) else answer
    return {"day": yesterday.isoformat(), "requests": requests}
$$;

CREATE OR ALTER TASK DAILY_REPORTS_TASK
  WAREHOUSE = {{ warehouse }}
  SCHEDULE = 'USING CRON 0 6 * * * UTC'
  COMMENT = 'Asks for the daily reports'
  AS CALL {{ database }}.{{ reporting_schema }}.GENERATE_DAILY_REPORTS();
{% if daily_reports_enabled %}
ALTER TASK DAILY_REPORTS_TASK RESUME;
{% endif %}
