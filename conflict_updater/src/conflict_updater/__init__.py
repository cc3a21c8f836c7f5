"""The conflict updater: overlapping visits of one caregiver, out of Snowflake into PostgreSQL."""
