-- What the conflict updater reads in Snowflake. The tables may have more columns; where a site's own have other names, a
-- view of this form in front of them will do (SNOWFLAKE_VISITS_TABLE, SNOWFLAKE_EXCLUDED_SSNS_TABLE name it).
-- The updater's role needs USAGE on the warehouse, the database and the schema, and SELECT on these two; nothing more.

CREATE TABLE IF NOT EXISTS VISITS (
    VISIT_ID VARCHAR NOT NULL COMMENT 'Unique; the updater stops at one that is there twice',
    SSN VARCHAR COMMENT 'The caregiver, written in one form throughout; none means no caregiver yet, and no conflict',
    AGENCY_ID VARCHAR COMMENT 'Whose visit it is; two of one agency conflict too',
    PATIENT_ID VARCHAR,
    START_AT TIMESTAMP_NTZ COMMENT 'In the time of the place; the visit date is the day of it',
    END_AT TIMESTAMP_NTZ COMMENT 'Not part of the visit: who ends at ten and starts elsewhere at ten has no conflict',
    STATUS VARCHAR COMMENT 'CANCELLED and DELETED, in any case, do not take place; whatever else does',
    UPDATED_AT TIMESTAMP_NTZ NOT NULL DEFAULT SYSDATE() COMMENT 'UTC; moves with every change, of STATUS too',
    CONSTRAINT PK_VISITS PRIMARY KEY (VISIT_ID)
)
COMMENT = 'Planned and finished visits; a deleted one stays with STATUS DELETED, else its conflicts stay open';

CREATE TABLE IF NOT EXISTS EXCLUDED_SSNS (
    SSN VARCHAR NOT NULL
)
COMMENT = 'Caregivers who have no conflicts, whatever their visits say: test persons, numbers that many share';
