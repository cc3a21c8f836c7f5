-- Makes: what role {{ runner_role }} may do
-- On delete: keep the grants of ROLE {{ runner_role }} on the tables that stay; those on dropped objects go with them

USE ROLE {{ owner_role }};
USE SCHEMA {{ database }}.{{ config_schema }};
GRANT USAGE ON SCHEMA {{ database }}.{{ config_schema }} TO ROLE {{ runner_role }};

-- Claims, finishes and plans requests, and inserts those that come over HTTP or follow from a cron.
GRANT SELECT, INSERT, UPDATE ON TABLE REPORT_CONFIG TO ROLE {{ runner_role }};
-- Writes the history, never changes it.
GRANT SELECT, INSERT ON TABLE REPORT_AUDIT_LOG TO ROLE {{ runner_role }};
GRANT SELECT, INSERT, UPDATE ON TABLE REPORT_DELIVERY TO ROLE {{ runner_role }};
-- Decides how many workers are needed, and answers questions about jobs and metrics.
GRANT SELECT ON VIEW V_QUEUE_DEMAND TO ROLE {{ runner_role }};
GRANT SELECT ON VIEW V_REPORT_STATUS TO ROLE {{ runner_role }};
GRANT SELECT ON VIEW V_REPORT_METRICS TO ROLE {{ runner_role }};
