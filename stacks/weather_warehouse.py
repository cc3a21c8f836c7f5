"""The stack of the weather warehouse: files, database, daily ingestion and API."""

from __future__ import annotations

from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sns as sns
from constructs import Construct

from snowgate import (
    BatchJob,
    Cache,
    Edge,
    PostgresDatabase,
    ReportBucket,
    ServiceImage,
    ServiceMonitoring,
    ServiceScaling,
    WebService,
)
from stacks.alarms import RUNBOOK
from stacks.environment import Environment
from stacks.environment_systems import EdgeTable, WeatherWarehouseTable
from stacks.removal import removal_policy

_SOURCE = Path(__file__).parents[1] / "weather"
PREFIX = "wx_data/"


class WeatherWarehouseStack(cdk.Stack):
    """Station files in S3, brought into PostgreSQL each day, and an HTTP API over them."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        table: WeatherWarehouseTable,
        vpc: ec2.IVpc,
        topic: sns.ITopic,
    ) -> None:
        super().__init__(scope, construct_id, termination_protection=environment.removal == "retain")
        self._environment, self._table, self._vpc = environment, table, vpc
        self._image = ServiceImage(
            self,
            "Image",
            uri=table.image,
            directory=None if table.image else _SOURCE,
            architecture=environment.built_for,
        ).container_image

        self.files = ReportBucket(self, "Files", prefix=PREFIX, removal_policy=removal_policy(environment))
        self.database = self._database()
        self.ingestion = self._ingestion()
        cache = (
            Cache(self, "Cache", vpc=vpc, alarm_topic=topic, removal_policy=removal_policy(environment))
            if table.cache
            else None
        )
        self.api = self._api(cache)
        url = self.api.url
        if table.edge:
            url = self._edge(table.edge).url

        monitoring = ServiceMonitoring(
            self,
            "Monitoring",
            topic=topic,
            runbook=RUNBOOK,
            with_dashboard=environment.alarms.dashboards,
            removal_policy=removal_policy(environment),
        )
        monitoring.watch_web(self.api, "API")
        monitoring.watch_job(self.ingestion, "Ingestion")
        monitoring.watch_metrics(_entered(environment), "Ingested")
        monitoring.watch_database(self.database, "Database")

        cdk.CfnOutput(self, "Url", value=url)
        cdk.CfnOutput(self, "BucketName", value=self.files.bucket.bucket_name)
        cdk.CfnOutput(self, "DatabaseHost", value=self.database.host)
        cdk.CfnOutput(self, "ApiServiceName", value=self.api.service.service_name)
        cdk.CfnOutput(self, "StateMachineArn", value=self.ingestion.state_machine.state_machine_arn)
        cdk.CfnOutput(self, "LogGroupName", value=self.ingestion.log_group.log_group_name)

    def _database(self) -> PostgresDatabase:
        table = self._table.database
        kept, backup = self._environment.removal == "retain", self._environment.backup
        copied = backup is not None and backup.database_key_arn is not None
        return PostgresDatabase(
            self,
            "Database",
            vpc=self._vpc,
            database="weather_db",
            username="weather_user",
            instance_type=ec2.InstanceType(table.instance_class.removeprefix("db.")),
            storage_gib=table.storage_gib,
            backup_days=table.backup_days,
            copy_backups_to=backup.region if backup and copied else None,
            copy_key=backup.database_key_arn if backup else None,
            multi_az=table.multi_az,
            replica=table.replica,
            deletion_protection=kept,
            removal_policy=cdk.RemovalPolicy.SNAPSHOT if kept else cdk.RemovalPolicy.DESTROY,
        )

    def _ingestion(self) -> BatchJob:
        schedule = scheduler.ScheduleExpression.expression(
            self._table.ingest_schedule, cdk.TimeZone.of(self._table.ingest_timezone)
        )
        job = BatchJob(
            self,
            "Ingestion",
            vpc=self._vpc,
            image=self._image,
            command=["ingest", "--source", "s3"],
            environment={
                **self._settings(),
                "WEATHER_BUCKET": self.files.bucket.bucket_name,
                "WEATHER_PREFIX": PREFIX,
            },
            size=self._table.size,
            architecture=self._environment.built_for,
            schedule=schedule,
            scheduled_at_variable="INGEST_RUN_ID",
            scheduled_at_prefix="daily-",
            removal_policy=removal_policy(self._environment),
        )
        self.files.grant_list(job.task_role)
        self.files.grant_read(job.task_role)
        self.database.allow_from(job.security_group)
        self.database.secret.grant_read(job.task_role)
        return job

    def _api(self, cache: Cache | None) -> WebService:
        table = self._table
        api = WebService(
            self,
            "Api",
            vpc=self._vpc,
            image=self._image,
            command=["web"],
            port=5000,
            health_path="/api/health",
            environment={**self._settings(), **(cache.connection_environment() if cache else {})},
            size=table.size,
            architecture=self._environment.built_for,
            cluster=self.ingestion.cluster,
            min_tasks=table.min_tasks,
            behind_edge=table.edge is not None,
            scaling=ServiceScaling(max_tasks=table.max_tasks),
            access_logs=self.files.access_logs,
            deletion_protection=self._environment.removal == "retain",
            removal_policy=removal_policy(self._environment),
        )
        self.database.allow_from(api.service)
        self.database.secret.grant_read(api.task_role)
        if cache:
            cache.allow_from(api.service)
            cache.grant_connect(api.task_role)
        return api

    def _edge(self, table: EdgeTable) -> Edge:
        certificate = zone = None
        if table.certificate_arn:
            certificate = acm.Certificate.from_certificate_arn(self, "Certificate", table.certificate_arn)
        if table.hosted_zone_id and table.domain:
            zone = route53.HostedZone.from_hosted_zone_attributes(
                self, "Zone", hosted_zone_id=table.hosted_zone_id, zone_name=table.domain.partition(".")[2]
            )
        return Edge(
            self,
            "Edge",
            service=self.api,
            domain=table.domain,
            certificate=certificate,
            hosted_zone=zone,
            web_acl_arn=table.web_acl_arn,
            waf=table.waf,
            removal_policy=removal_policy(self._environment),
        )

    def _settings(self) -> dict[str, str]:
        """What both read from their environment; the login they read themselves, for RDS exchanges it every week."""
        return {
            "ENVIRONMENT": self._environment.name,
            "DATABASE_SECRET_ARN": self.database.secret.secret_arn,
            **self.database.connection_environment(ssl_mode=self._table.database.ssl_mode),
        }


def _entered(environment: Environment) -> dict[str, list[cloudwatch.Metric]]:
    """What an ingestion enters by itself, by the title of its graph."""
    return {
        title: [
            cloudwatch.Metric(
                namespace="WeatherWarehouse",
                metric_name=name,
                dimensions_map={"Environment": environment.name},
                statistic="Sum",
                period=cdk.Duration.hours(1),
            )
        ]
        for title, name in (("Rows", "RecordsIngested"), ("Files that failed", "IngestionErrors"))
    }
