"""The stack of the conflict updater."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sns as sns
from constructs import Construct

from snowgate import BatchJob, ManualSecret, ServiceImage, ServiceMonitoring
from stacks.alarms import RUNBOOK
from stacks.environment import Environment
from stacks.environment_systems import ConflictUpdaterTable
from stacks.removal import removal_policy

_SOURCE = Path(__file__).parents[1] / "conflict_updater"


class ConflictUpdaterStack(cdk.Stack):
    """A job that compares visits in Snowflake and keeps the pairs that conflict in PostgreSQL."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        table: ConflictUpdaterTable,
        vpc: ec2.IVpc,
        topic: sns.ITopic,
    ) -> None:
        super().__init__(scope, construct_id)
        self._environment, self._table = environment, table
        image = ServiceImage(
            self,
            "Image",
            uri=table.image,
            directory=None if table.image else _SOURCE,
            architecture=environment.built_for,
        )
        snowflake = self._secret(
            "snowflake", ["account", "user", "warehouse", "private_key"], table.snowflake_secret_arn
        )
        postgres = self._secret("postgres", ["host", "user", "password"], table.postgres_secret_arn)

        self.job = BatchJob(
            self,
            "Job",
            vpc=vpc,
            image=image.container_image,
            environment=_settings(environment, table),
            secrets={
                "SNOWFLAKE_ACCOUNT": snowflake.of("account"),
                "SNOWFLAKE_USER": snowflake.of("user"),
                "SNOWFLAKE_WAREHOUSE": snowflake.of("warehouse"),
                "SNOWFLAKE_PRIVATE_KEY": snowflake.of("private_key"),
                "POSTGRES_HOST": postgres.of("host"),
                "POSTGRES_USER": postgres.of("user"),
                "POSTGRES_PASSWORD": postgres.of("password"),
            },
            size=table.size,
            architecture=environment.built_for,
            schedule=_schedule(table),
            timeout=cdk.Duration.minutes(table.timeout_minutes),
            stop_timeout=cdk.Duration.seconds(30),
            removal_policy=removal_policy(environment),
        )
        postgres_port = ec2.Port.tcp(table.postgres_port)
        self.job.security_group.add_egress_rule(ec2.Peer.ipv4(table.postgres_cidr), postgres_port, "PostgreSQL")

        monitoring = ServiceMonitoring(
            self,
            "Monitoring",
            topic=topic,
            runbook=RUNBOOK,
            with_dashboard=environment.alarms.dashboards,
            removal_policy=removal_policy(environment),
        )
        monitoring.watch_job(self.job, "Conflict updater")

        cdk.CfnOutput(self, "StateMachineArn", value=self.job.state_machine.state_machine_arn)
        cdk.CfnOutput(self, "LogGroupName", value=self.job.log_group.log_group_name)
        cdk.CfnOutput(self, "SnowflakeSecretArn", value=snowflake.secret.secret_arn)
        cdk.CfnOutput(self, "PostgresSecretArn", value=postgres.secret.secret_arn)

    def _secret(self, name: str, keys: Sequence[str], arn: str | None) -> ManualSecret:
        existing = secretsmanager.Secret.from_secret_complete_arn(self, f"Given{name.title()}", arn) if arn else None
        return ManualSecret(
            self,
            name.title(),
            keys=keys,
            secret_name=f"{self._table.secret_prefix}/{name}",
            description=f"The conflict updater's login to {name.title()}",
            existing=existing,
            removal_policy=removal_policy(self._environment),
        )


def _schedule(table: ConflictUpdaterTable) -> scheduler.ScheduleExpression | None:
    if table.schedule is None:
        return None
    return scheduler.ScheduleExpression.expression(table.schedule, cdk.TimeZone.of(table.timezone))


def _settings(environment: Environment, table: ConflictUpdaterTable) -> dict[str, str]:
    """What a run reads from its environment, and can be told otherwise when it is started."""
    role = {"SNOWFLAKE_ROLE": table.snowflake_role} if table.snowflake_role else {}
    return role | {
        "ACTION": "task02_00_run_conflict_update",
        "ENVIRONMENT": environment.name,
        "LOG_LEVEL": "INFO",
        "SNOWFLAKE_DATABASE": table.snowflake_database,
        "SNOWFLAKE_SCHEMA": table.snowflake_schema,
        "POSTGRES_DATABASE": table.postgres_database,
        "POSTGRES_PORT": str(table.postgres_port),
        "POSTGRES_SCHEMA": table.postgres_schema,
        "POSTGRES_SSLMODE": table.postgres_sslmode,
        "LOOKBACK_HOURS": str(table.lookback_hours),
        "LOOKBACK_YEARS": str(table.lookback_years),
        "LOOKFORWARD_DAYS": str(table.lookforward_days),
        "BATCH_SIZE": str(table.batch_size),
        "ENABLE_ASYMMETRIC_JOIN": str(table.enable_asymmetric_join).lower(),
        "ENABLE_STALE_CLEANUP": str(table.enable_stale_cleanup).lower(),
    }
