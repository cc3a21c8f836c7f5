-- What the containers may do; grants on objects that are dropped go with them, those on the tables stay.
-- Makes and keeps: GRANTS TO ROLE {{ runner_role }}

USE ROLE {{ owner_role }};
USE SCHEMA {{ database }}.{{ config_schema }};
GRANT USAGE ON SCHEMA {{ database }}.{{ config_schema }} TO ROLE {{ runner_role }};

-- Claims, finishes and plans requests, and inserts those that come over HTTP or follow from a cron.
GRANT SELECT, INSERT, UPDATE ON TABLE REPORT_CONFIG TO ROLE {{ runner_role }};
-- Writes the history, never reads or changes it.
GRANT INSERT ON TABLE REPORT_AUDIT_LOG TO ROLE {{ runner_role }};
-- One row for each recipient, and what became of it.
GRANT SELECT, INSERT, UPDATE ON TABLE REPORT_DELIVERY TO ROLE {{ runner_role }};
-- Decides how many workers are needed, and answers GET /metrics.
GRANT SELECT ON VIEW V_QUEUE_DEMAND TO ROLE {{ runner_role }};
GRANT SELECT ON VIEW V_REPORT_METRICS TO ROLE {{ runner_role }};
