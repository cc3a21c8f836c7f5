-- The places of all other objects, and the owner's way through the API integration.
-- Makes and keeps: SCHEMA {{ database }}.{{ config_schema }}
-- Makes and keeps: SCHEMA {{ database }}.{{ reporting_schema }}
-- Makes and keeps: GRANTS TO ROLE {{ owner_role }}

-- Roles, warehouse and database are the administrator's: bootstrap.sql makes them. The deployer owns the integration.
USE ROLE {{ deployer_role }};
GRANT USAGE ON INTEGRATION {{ api_integration }} TO ROLE {{ owner_role }};

USE ROLE {{ owner_role }};
CREATE SCHEMA IF NOT EXISTS {{ database }}.{{ config_schema }} COMMENT = 'The queue of reports and what wakes the worker';
CREATE SCHEMA IF NOT EXISTS {{ database }}.{{ reporting_schema }} COMMENT = 'Procedures for analysts and operators';
