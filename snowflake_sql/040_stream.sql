-- The requests that have not woken anybody yet.
-- Makes and drops: STREAM {{ database }}.{{ config_schema }}.REPORT_CONFIG_INSERT_STREAM

USE ROLE {{ owner_role }};
USE SCHEMA {{ database }}.{{ config_schema }};

-- Never replaced: a new stream would forget which rows have not woken anybody yet.
CREATE STREAM IF NOT EXISTS REPORT_CONFIG_INSERT_STREAM ON TABLE REPORT_CONFIG
  APPEND_ONLY = TRUE
  COMMENT = 'Requests that have not woken the worker yet';
