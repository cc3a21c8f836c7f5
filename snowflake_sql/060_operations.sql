-- For operators: all tasks on, all tasks off.
-- Makes and drops: PROCEDURE {{ database }}.{{ reporting_schema }}.START_ALL_TASKS()
-- Makes and drops: PROCEDURE {{ database }}.{{ reporting_schema }}.STOP_ALL_TASKS()

USE ROLE {{ owner_role }};
USE SCHEMA {{ database }}.{{ reporting_schema }};
USE WAREHOUSE {{ warehouse }};

-- They name the tasks: what a procedure with its owner's rights may SHOW is limited. Roots come last when starting and
-- first when stopping, as Snowflake asks for graphs. The daily reports start by setting only.
CREATE OR REPLACE PROCEDURE START_ALL_TASKS() COPY GRANTS
  RETURNS VARIANT
  LANGUAGE PYTHON
  RUNTIME_VERSION = '3.11'
  PACKAGES = ('snowflake-snowpark-python')
  HANDLER = 'run'
  COMMENT = 'Resumes every task of the reports'
  EXECUTE AS OWNER
AS $$
TASKS = [
    "{{ database }}.{{ config_schema }}.ECS_TRIGGER_TASK",
{% if daily_reports_enabled %}
    "{{ database }}.{{ reporting_schema }}.DAILY_REPORTS_TASK",
{% endif %}
]


def run(session):
    for task in TASKS:
        session.sql(f"ALTER TASK {task} RESUME").collect()
    return {"started": TASKS}
$$;

CREATE OR REPLACE PROCEDURE STOP_ALL_TASKS() COPY GRANTS
  RETURNS VARIANT
  LANGUAGE PYTHON
  RUNTIME_VERSION = '3.11'
  PACKAGES = ('snowflake-snowpark-python')
  HANDLER = 'run'
  COMMENT = 'Suspends every task of the reports; requests wait in REPORT_CONFIG'
  EXECUTE AS OWNER
AS $$
TASKS = [
    "{{ database }}.{{ config_schema }}.ECS_TRIGGER_TASK",
    "{{ database }}.{{ reporting_schema }}.DAILY_REPORTS_TASK",
]
{% if daily_reports_enabled %}
STARTED = TASKS
{% else %}
STARTED = TASKS[:1]  # the other one is stopped too, should somebody have started it by hand
{% endif %}


def run(session):
    for task in TASKS:
        session.sql(f"ALTER TASK IF EXISTS {task} SUSPEND").collect()
    return {"stopped": STARTED}
$$;
