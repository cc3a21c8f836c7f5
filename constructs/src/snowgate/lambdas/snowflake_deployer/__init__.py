"""The Lambda function behind the custom resources that deploy to Snowflake."""
