"""The local platform: stand-ins for AWS and Snowflake, a runner for ECS tasks, and the demo. For development only."""
