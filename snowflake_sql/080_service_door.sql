{% if web_host is defined and web_host %}
{% set rule = config_schema ~ ("." ~ ("SERVICE_PRIVATE_EGRESS" if private is defined and private else "SERVICE_EGRESS")) %}
-- The second door: a function that posts a job to the report service over HTTPS.
-- Makes and drops: NETWORK RULE {{ database }}.{{ rule }}
-- Makes and drops: SECRET {{ database }}.{{ config_schema }}.SERVICE_API_TOKEN
-- Makes and drops: EXTERNAL ACCESS INTEGRATION {{ external_access }}
-- Makes and drops: FUNCTION {{ database }}.{{ reporting_schema }}.GENERATE_REPORT_VIA_ECS(VARCHAR, VARCHAR, VARIANT, VARCHAR)
-- Makes and drops: FUNCTION {{ database }}.{{ reporting_schema }}.GENERATE_SALES_REPORT_ECS(DATE, DATE, VARCHAR)
-- Makes and keeps: GRANTS TO ROLE {{ owner_role }}

USE ROLE {{ owner_role }};
USE SCHEMA {{ database }}.{{ config_schema }};
USE WAREHOUSE {{ warehouse }};

-- The one host that the functions may reach. A rule's type cannot be altered: the private one has a name of its own.
CREATE NETWORK RULE {{ database }}.{{ rule }}
  TYPE = {{ "PRIVATE_HOST_PORT" if private is defined and private else "HOST_PORT" }}
  MODE = EGRESS
  VALUE_LIST = ('{{ web_host }}:443')
  COMMENT = 'The HTTP API of the report service';
ALTER NETWORK RULE {{ database }}.{{ rule }} SET VALUE_LIST = ('{{ web_host }}:443');

-- The token that the service asks for. Its rotation changes it here too.
CREATE SECRET IF NOT EXISTS SERVICE_API_TOKEN
  TYPE = GENERIC_STRING
  SECRET_STRING = '${secret:api_token}'
  COMMENT = 'The API token of the report service';
ALTER SECRET SERVICE_API_TOKEN SET SECRET_STRING = '${secret:api_token}';

-- The deployer alone may make integrations; through the owner's role it reaches the rule and the secret.
USE ROLE {{ deployer_role }};
CREATE EXTERNAL ACCESS INTEGRATION {{ external_access }}
  ALLOWED_NETWORK_RULES = ({{ database }}.{{ rule }})
  ALLOWED_AUTHENTICATION_SECRETS = ({{ database }}.{{ config_schema }}.SERVICE_API_TOKEN)
  ENABLED = TRUE
  COMMENT = 'Lets functions call the report service';
ALTER EXTERNAL ACCESS INTEGRATION {{ external_access }} SET
  ALLOWED_NETWORK_RULES = ({{ database }}.{{ rule }})
  ALLOWED_AUTHENTICATION_SECRETS = ({{ database }}.{{ config_schema }}.SERVICE_API_TOKEN)
  ENABLED = TRUE;
GRANT USAGE ON INTEGRATION {{ external_access }} TO ROLE {{ owner_role }};

USE ROLE {{ owner_role }};
USE SCHEMA {{ database }}.{{ reporting_schema }};

{# Both functions hold this text: a Python function can call no other one. #}
{% macro client() %}
import datetime
import decimal
import hashlib
import json
import re
import time

import _snowflake
import requests

SERVICE = "https://{{ web_host }}"
TIMEOUT = (5, 27)  # seconds to connect, and to answer: API Gateway itself gives up after 30
PAUSES = (0.5, 1.5)  # seconds before the second and the third try; a job's id makes them harmless
TRY_AGAIN = (429, 502, 503, 504)
SHOWN = ("status", "job_id", "message", "tracking_id", "estimated_completion", "s3_output_location")
http = requests.Session()


def submit(job_id, job_type, input_data, source):
    if not job_type:
        raise ValueError("job_type is NULL; it names a report, as in 'SALES_REPORT'.")
    # A VARIANT that is NULL in SQL comes as an object that says so.
    data = {} if input_data is None or getattr(input_data, "is_sql_null", False) else input_data
    if not isinstance(data, dict):
        raise ValueError(f"input_data is {str(data)[:80]!r}; give an object, by OBJECT_CONSTRUCT or PARSE_JSON.")
    source = source or "SNOWFLAKE"
    answer = post({
        "job_id": job_id or id_of(job_type, data, source),
        "job_type": job_type,
        "input_data": data,
        "timestamp": datetime.datetime.now(datetime.timezone.utc).isoformat(),
        "source": source,
    })
    return {name: answer.get(name) for name in SHOWN} | {"status_url": SERVICE + answer["status_url"]}


# Snowflake may run a row again, so an id that is not given is made of the request itself and the day (UTC): the same
# request is one job a day. Give an id of your own to have it made once more.
def id_of(job_type, data, source):
    request = json.dumps([job_type.upper(), data, source], sort_keys=True, default=plain)
    name = re.sub("[^a-z0-9_]", "-", job_type.lower())[:60].lstrip("_-") or "job"
    today = datetime.datetime.now(datetime.timezone.utc)
    return f"{name}-{today:%Y%m%d}-{hashlib.sha256(request.encode()).hexdigest()[:16]}"


def post(job):
    token = _snowflake.get_generic_secret_string("token")
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    body = json.dumps(job, default=plain)
    for pause in (*PAUSES, None):
        try:
            answer = http.post(SERVICE + "/process-job", data=body, headers=headers, timeout=TIMEOUT)
        except (requests.ConnectionError, requests.Timeout) as error:
            trouble = f"{SERVICE} cannot be reached: {error}"
        else:
            if answer.status_code == 202:
                return answer.json()
            trouble = problem(answer)
            if answer.status_code not in TRY_AGAIN:
                break
        if pause is not None:
            time.sleep(pause)
    raise RuntimeError(f"The report service did not accept job {job['job_id']}: {trouble}")


def problem(answer):
    try:
        found = answer.json()
        text = found.get("detail") or found.get("message")
    except (ValueError, AttributeError):
        text = None
    return f"{answer.status_code} {answer.reason}: {text or answer.text[:200]}"


def plain(value):
    return float(value) if isinstance(value, decimal.Decimal) else str(value)
{% endmacro %}
CREATE OR REPLACE FUNCTION GENERATE_REPORT_VIA_ECS(
    JOB_ID VARCHAR, JOB_TYPE VARCHAR, INPUT_DATA VARIANT, SOURCE VARCHAR DEFAULT 'SNOWFLAKE'
) COPY GRANTS
  RETURNS VARIANT
  LANGUAGE PYTHON
  VOLATILE
  RUNTIME_VERSION = '3.11'
  PACKAGES = ('requests')
  HANDLER = 'submit'
  EXTERNAL_ACCESS_INTEGRATIONS = ({{ external_access }})
  SECRETS = ('token' = {{ database }}.{{ config_schema }}.SERVICE_API_TOKEN)
  COMMENT = 'Asks the report service for a report; the same JOB_ID again is the same job, NULL is one job a day'
AS $$
{{ client() }}$$;

CREATE OR REPLACE FUNCTION GENERATE_SALES_REPORT_ECS(
    START_DATE DATE, END_DATE DATE, JOB_ID VARCHAR DEFAULT NULL
) COPY GRANTS
  RETURNS VARIANT
  LANGUAGE PYTHON
  VOLATILE
  RUNTIME_VERSION = '3.11'
  PACKAGES = ('requests')
  HANDLER = 'submit_sales'
  EXTERNAL_ACCESS_INTEGRATIONS = ({{ external_access }})
  SECRETS = ('token' = {{ database }}.{{ config_schema }}.SERVICE_API_TOKEN)
  COMMENT = 'Asks the report service for the sales of a period; JOB_ID as in GENERATE_REPORT_VIA_ECS'
AS $$
{{ client() }}

def submit_sales(start_date, end_date, job_id):
    if start_date is None or end_date is None:
        raise ValueError(f"START_DATE is {start_date}, END_DATE is {end_date}; both dates are needed.")
    period = {"start_date": start_date.isoformat(), "end_date": end_date.isoformat()}
    return submit(job_id, "SALES_REPORT", period, None)
$$;
{% endif %}
