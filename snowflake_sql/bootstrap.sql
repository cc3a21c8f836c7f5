-- Makes: role {{ deployer_role }} and user {{ deployer_user }}, with which Snowgate deploys its Snowflake side
-- Run once by an ACCOUNTADMIN; running it again changes nothing. Every other statement is run by the deploy itself.

USE ROLE ACCOUNTADMIN;
CREATE ROLE IF NOT EXISTS {{ deployer_role }} COMMENT = 'Deploys the Snowflake side of Snowgate';
-- The administrators see and own, through SYSADMIN, whatever the deployer makes.
GRANT ROLE {{ deployer_role }} TO ROLE SYSADMIN;

-- CREATE ROLE in 010_roles_and_schemas.sql, and the login's role.
GRANT CREATE ROLE ON ACCOUNT TO ROLE {{ deployer_role }};
-- CREATE USER of the containers' login (type SERVICE, key pair only).
GRANT CREATE USER ON ACCOUNT TO ROLE {{ deployer_role }};
-- CREATE WAREHOUSE in 010_roles_and_schemas.sql.
GRANT CREATE WAREHOUSE ON ACCOUNT TO ROLE {{ deployer_role }};
-- CREATE DATABASE in 010_roles_and_schemas.sql.
GRANT CREATE DATABASE ON ACCOUNT TO ROLE {{ deployer_role }};
-- CREATE API INTEGRATION, which lets Snowflake call API Gateway.
GRANT CREATE INTEGRATION ON ACCOUNT TO ROLE {{ deployer_role }};
-- GRANT EXECUTE TASK in 010_roles_and_schemas.sql: the owner of a task needs it for ALTER TASK … RESUME.
GRANT EXECUTE TASK ON ACCOUNT TO ROLE {{ deployer_role }} WITH GRANT OPTION;

-- The reports read Snowflake's sample data. Only an administrator can grant a shared database, so the role that runs
-- the reports is made here and handed over to the deployer. An older account may have to get the database first:
-- CREATE DATABASE SNOWFLAKE_SAMPLE_DATA FROM SHARE SFC_SAMPLES.SAMPLE_DATA;
CREATE ROLE IF NOT EXISTS {{ runner_role }} COMMENT = 'Runs the reports: what the containers log in as';
GRANT IMPORTED PRIVILEGES ON DATABASE SNOWFLAKE_SAMPLE_DATA TO ROLE {{ runner_role }};
GRANT OWNERSHIP ON ROLE {{ runner_role }} TO ROLE {{ deployer_role }} COPY CURRENT GRANTS;

CREATE USER IF NOT EXISTS {{ deployer_user }}
  TYPE = SERVICE
  DEFAULT_ROLE = {{ deployer_role }}
  DEFAULT_WAREHOUSE = {{ warehouse }}
  COMMENT = 'Snowgate deploys as this user';
GRANT ROLE {{ deployer_role }} TO USER {{ deployer_user }};
{% if public_key %}
ALTER USER {{ deployer_user }} SET RSA_PUBLIC_KEY = '{{ public_key }}';
{% else %}
-- Then register the public key of the deployer's key pair (its base64 text, without the BEGIN and END lines):
-- ALTER USER {{ deployer_user }} SET RSA_PUBLIC_KEY = '…';
{% endif %}
