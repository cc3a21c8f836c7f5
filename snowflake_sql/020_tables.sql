-- The queue and its history: data, so no Delete drops them; a new column is added to the table that is there.
-- Makes and keeps: TABLE {{ database }}.{{ config_schema }}.REPORT_CONFIG
-- Makes and keeps: TABLE {{ database }}.{{ config_schema }}.REPORT_AUDIT_LOG
-- Makes and keeps: TABLE {{ database }}.{{ config_schema }}.REPORT_DELIVERY
-- Makes and keeps: TABLE {{ database }}.{{ config_schema }}.TRIGGER_LOG

USE ROLE {{ owner_role }};
USE SCHEMA {{ database }}.{{ config_schema }};

-- The queue and the truth: a request is one row here. All times are UTC.
CREATE TABLE IF NOT EXISTS REPORT_CONFIG (
  CONFIG_ID NUMBER(38, 0) NOT NULL AUTOINCREMENT START 1 INCREMENT 1 ORDER,
  -- What is asked for: REPORT_NAME alone is needed, all else has a default.
  REPORT_NAME VARCHAR NOT NULL,
  TRIGGER_TYPE VARCHAR DEFAULT 'ADHOC',
  PARAMETERS VARIANT,
  OUTPUT_FORMAT VARCHAR DEFAULT 'PDF',
  SCHEDULE_CRON VARCHAR,
  SCHEDULE_TIMEZONE VARCHAR DEFAULT 'UTC',
  MISSED_RUNS VARCHAR DEFAULT 'RUN_ONCE',  -- or SKIP: a recurring report whose time passed while nothing ran
  RUN_AT TIMESTAMP_NTZ,
  PRIORITY NUMBER(38, 0) DEFAULT 100,  -- lower first
  RECIPIENTS VARIANT,
  -- Where it stands: the worker's columns.
  STATUS VARCHAR DEFAULT 'PENDING',
  ATTEMPTS NUMBER(38, 0) DEFAULT 0,
  MAX_ATTEMPTS NUMBER(38, 0) DEFAULT 3,
  NOT_BEFORE TIMESTAMP_NTZ,
  CLAIMED_BY VARCHAR,
  CLAIM_TOKEN VARCHAR,
  LEASE_UNTIL TIMESTAMP_NTZ,
  PARENT_ID NUMBER(38, 0),
  -- What came of it.
  S3_LOCATION VARCHAR,
  ROW_COUNT NUMBER(38, 0),
  FILE_BYTES NUMBER(38, 0),
  FILE_SHA256 VARCHAR,
  ERROR_CODE VARCHAR,
  ERROR_MESSAGE VARCHAR,
  -- Whose it is.
  REQUESTED_BY VARCHAR DEFAULT CURRENT_USER(),
  SOURCE VARCHAR DEFAULT 'SQL',
  IDEMPOTENCY_KEY VARCHAR,
  CREATED_AT TIMESTAMP_NTZ DEFAULT SYSDATE(),
  STARTED_AT TIMESTAMP_NTZ,
  FINISHED_AT TIMESTAMP_NTZ
) COMMENT = 'Report requests: insert a row with REPORT_NAME to ask for a report';

-- Every change of a request's status.
CREATE TABLE IF NOT EXISTS REPORT_AUDIT_LOG (
  AUDIT_ID NUMBER(38, 0) NOT NULL AUTOINCREMENT START 1 INCREMENT 1 ORDER,
  CONFIG_ID NUMBER(38, 0),
  ATTEMPT NUMBER(38, 0),
  FROM_STATUS VARCHAR,
  TO_STATUS VARCHAR,
  ACTOR VARCHAR,
  DETAIL VARCHAR,
  LOGGED_AT TIMESTAMP_NTZ DEFAULT SYSDATE()
) COMMENT = 'Every change of status of a report request';

-- One row a recipient, so that each gets a report once: PENDING, SENDING, then SENT, FAILED or UNCERTAIN (the sender
-- died or got no answer: it may have arrived, and nobody sends it again by itself).
CREATE TABLE IF NOT EXISTS REPORT_DELIVERY (
  DELIVERY_ID NUMBER(38, 0) NOT NULL AUTOINCREMENT START 1 INCREMENT 1 ORDER,
  CONFIG_ID NUMBER(38, 0),
  KIND VARCHAR DEFAULT 'REPORT',  -- or FAILURE: the requester is told that there is none, or whom it did not reach
  CHANNEL VARCHAR,
  RECIPIENT VARCHAR,
  STATUS VARCHAR DEFAULT 'PENDING',
  ATTEMPTS NUMBER(38, 0) DEFAULT 0,
  NOT_BEFORE TIMESTAMP_NTZ,
  CLAIMED_BY VARCHAR,
  CLAIM_TOKEN VARCHAR,
  LEASE_UNTIL TIMESTAMP_NTZ,
  ERROR_CODE VARCHAR,
  ERROR_MESSAGE VARCHAR,
  CREATED_AT TIMESTAMP_NTZ DEFAULT SYSDATE(),
  SENT_AT TIMESTAMP_NTZ
) COMMENT = 'Deliveries of finished reports, and of the news that one failed';

-- Every wake-up that was tried, and what the other side answered.
CREATE TABLE IF NOT EXISTS TRIGGER_LOG (
  TRIGGER_ID NUMBER(38, 0) NOT NULL AUTOINCREMENT START 1 INCREMENT 1 ORDER,
  ROWS_SEEN NUMBER(38, 0),
  PENDING NUMBER(38, 0),
  BUSY NUMBER(38, 0),
  ANSWER VARIANT,
  ERROR_MESSAGE VARCHAR,
  LOGGED_AT TIMESTAMP_NTZ DEFAULT SYSDATE()
) COMMENT = 'Wake-ups of the worker';
