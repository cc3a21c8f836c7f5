-- Makes: roles {{ owner_role }} and {{ runner_role }}; warehouse {{ warehouse }}; database {{ database }}; schemas {{ config_schema }} and {{ reporting_schema }}
-- On delete: keep DATABASE {{ database }} with SCHEMA {{ config_schema }} and SCHEMA {{ reporting_schema }} (they hold the requests)
-- On delete: keep WAREHOUSE {{ warehouse }}, ROLE {{ owner_role }} and ROLE {{ runner_role }} (whoever reads the kept data needs them)

USE ROLE {{ deployer_role }};

-- The owner holds every object of the reports; the runner is what the containers log in as.
CREATE ROLE IF NOT EXISTS {{ owner_role }} COMMENT = 'Owns the objects of the reports';
CREATE ROLE IF NOT EXISTS {{ runner_role }} COMMENT = 'Runs the reports: what the containers log in as';
GRANT ROLE {{ owner_role }} TO ROLE {{ deployer_role }};
GRANT ROLE {{ runner_role }} TO ROLE {{ owner_role }};

CREATE WAREHOUSE IF NOT EXISTS {{ warehouse }}
  WAREHOUSE_SIZE = 'XSMALL'
  AUTO_SUSPEND = 60
  AUTO_RESUME = TRUE
  INITIALLY_SUSPENDED = TRUE
  COMMENT = 'Reports and their queue';
GRANT USAGE ON WAREHOUSE {{ warehouse }} TO ROLE {{ owner_role }};
GRANT USAGE ON WAREHOUSE {{ warehouse }} TO ROLE {{ runner_role }};
-- Snowflake creates a Python procedure on a warehouse only (error 391531 without), and the deployer may have no default.
USE WAREHOUSE {{ warehouse }};

CREATE DATABASE IF NOT EXISTS {{ database }} COMMENT = 'Report requests and their programs';
GRANT USAGE ON DATABASE {{ database }} TO ROLE {{ owner_role }};
GRANT CREATE SCHEMA ON DATABASE {{ database }} TO ROLE {{ owner_role }};
GRANT USAGE ON DATABASE {{ database }} TO ROLE {{ runner_role }};

-- What the owner's external function and task need beside the schema.
GRANT USAGE ON INTEGRATION {{ api_integration }} TO ROLE {{ owner_role }};
GRANT EXECUTE TASK ON ACCOUNT TO ROLE {{ owner_role }};

USE ROLE {{ owner_role }};
CREATE SCHEMA IF NOT EXISTS {{ database }}.{{ config_schema }} COMMENT = 'The queue of reports and what wakes the worker';
CREATE SCHEMA IF NOT EXISTS {{ database }}.{{ reporting_schema }} COMMENT = 'Procedures for analysts and operators';
