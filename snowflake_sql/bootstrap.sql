-- What an administrator of the Snowflake account does for Snowgate, once; running it again changes nothing.
-- It makes three roles, a warehouse, a database and the user that deploys, and grants what only an administrator can
-- grant. Every other statement is run by the deploy, as {{ deployer_user }}. Above each grant stands what needs it.

USE ROLE ACCOUNTADMIN;
CREATE ROLE IF NOT EXISTS {{ deployer_role }} COMMENT = 'Deploys the Snowflake side of Snowgate';
CREATE ROLE IF NOT EXISTS {{ owner_role }} COMMENT = 'Owns the objects of the reports';
CREATE ROLE IF NOT EXISTS {{ runner_role }} COMMENT = 'Runs the reports: what the containers log in as';
CREATE WAREHOUSE IF NOT EXISTS {{ warehouse }}
  WAREHOUSE_SIZE = 'XSMALL'
  AUTO_SUSPEND = 60
  AUTO_RESUME = TRUE
  INITIALLY_SUSPENDED = TRUE
  COMMENT = 'Reports and their queue';
CREATE DATABASE IF NOT EXISTS {{ database }} COMMENT = 'Report requests and their programs';

-- The deployer.
-- CREATE API INTEGRATION, through which Snowflake calls API Gateway, and CREATE EXTERNAL ACCESS INTEGRATION.
GRANT CREATE INTEGRATION ON ACCOUNT TO ROLE {{ deployer_role }};
-- CREATE USER of the containers' logins (type SERVICE, without passwords).
GRANT CREATE USER ON ACCOUNT TO ROLE {{ deployer_role }};
-- USE ROLE {{ owner_role }} in the files, and SHOW and DESC of what it owns. Through it the deployer also uses warehouse
-- and database, and makes {{ database }}.DEPLOYMENT, which holds the deploy's history and lock.
GRANT ROLE {{ owner_role }} TO ROLE {{ deployer_role }};

-- The owner.
-- The tasks' runs, CREATE PROCEDURE with a Python body, which needs a warehouse, and the queries of the deploy itself.
GRANT USAGE ON WAREHOUSE {{ warehouse }} TO ROLE {{ owner_role }};
-- Everything in the database.
GRANT USAGE ON DATABASE {{ database }} TO ROLE {{ owner_role }};
-- CREATE SCHEMA in 010_schemas.sql.
GRANT CREATE SCHEMA ON DATABASE {{ database }} TO ROLE {{ owner_role }};
-- ALTER TASK … RESUME in 050_trigger.sql, and every run of a task that the role owns.
GRANT EXECUTE TASK ON ACCOUNT TO ROLE {{ owner_role }};

-- The runner.
-- The queries of the worker, and of the web role.
GRANT USAGE ON WAREHOUSE {{ warehouse }} TO ROLE {{ runner_role }};
-- The queue; 070_grants.sql says which of its tables and views.
GRANT USAGE ON DATABASE {{ database }} TO ROLE {{ runner_role }};
-- The reports' SELECTs on Snowflake's sample data. An older account may have to get the database first:
-- CREATE DATABASE SNOWFLAKE_SAMPLE_DATA FROM SHARE SFC_SAMPLES.SAMPLE_DATA;
GRANT IMPORTED PRIVILEGES ON DATABASE SNOWFLAKE_SAMPLE_DATA TO ROLE {{ runner_role }};
-- GRANT ROLE {{ runner_role }} TO USER: the deployer gives the role to the logins that it makes.
GRANT OWNERSHIP ON ROLE {{ runner_role }} TO ROLE {{ deployer_role }} COPY CURRENT GRANTS;

-- The administrators see and mend, through SYSADMIN, whatever deployer and owner make.
GRANT ROLE {{ deployer_role }} TO ROLE SYSADMIN;

-- The user that deploys.
CREATE USER IF NOT EXISTS {{ deployer_user }}
  TYPE = SERVICE
  DEFAULT_ROLE = {{ deployer_role }}
  DEFAULT_WAREHOUSE = {{ warehouse }}
  COMMENT = 'Snowgate deploys as this user';
-- Its login.
GRANT ROLE {{ deployer_role }} TO USER {{ deployer_user }};
{% if deployer_role_arn %}
-- The deploy's Lambda function logs in as the IAM role that it runs as: there is no key and no secret.
ALTER USER {{ deployer_user }} SET WORKLOAD_IDENTITY = (TYPE = AWS ARN = '{{ deployer_role_arn }}');
{% elif public_key %}
ALTER USER {{ deployer_user }} SET RSA_PUBLIC_KEY = '{{ public_key }}';
{% else %}
-- Then register the public key of the deployer's key pair (its base64 text, without the BEGIN and END lines):
-- ALTER USER {{ deployer_user }} SET RSA_PUBLIC_KEY = '…';
{% endif %}
