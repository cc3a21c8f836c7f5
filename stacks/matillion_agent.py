"""The stack of the Matillion agent."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sns as sns
from constructs import Construct

from snowgate import (
    AgentService,
    FargateSize,
    ManualSecret,
    QuietHours,
    ReportBucket,
    ServiceImage,
    ServiceMonitoring,
    ServiceScaling,
)
from snowgate.acknowledgements import acknowledge_pattern
from stacks.alarms import RUNBOOK
from stacks.environment import Environment
from stacks.environment_systems import MatillionAgentTable, QuietTable
from stacks.removal import removal_policy


class MatillionAgentStack(cdk.Stack):
    """An agent that asks Matillion for work, its OAuth client, and the bucket that it may stage data in."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        table: MatillionAgentTable,
        vpc: ec2.IVpc,
        topic: sns.ITopic,
    ) -> None:
        super().__init__(scope, construct_id)
        image = ServiceImage(self, "Image", uri=table.image, architecture=environment.built_for)
        login = ManualSecret(
            self,
            "OAuthClient",
            keys=["client_id", "client_secret"],
            description="The OAuth client of the Matillion agent",
            existing=_secret(self, "GivenOAuthClient", table.oauth_secret_arn),
            removal_policy=removal_policy(environment),
        )

        self.agent = AgentService(
            self,
            "Agent",
            vpc=vpc,
            image=image.container_image,
            environment=_settings(table),
            secrets={"OAUTH_CLIENT_ID": login.of("client_id"), "OAUTH_CLIENT_SECRET": login.of("client_secret")},
            size=FargateSize(cpu=table.cpu, memory_mib=table.memory_mib, ephemeral_gib=table.ephemeral_gib),
            architecture=environment.built_for,
            desired_count=table.desired_count,
            spot_percent=table.spot_percent,
            scaling=_scaling(table),
            outbound={int(port): ranges for port, ranges in table.outbound.items()},
            removal_policy=removal_policy(environment),
        )
        if table.extension_library_location and table.extension_library_protocol == "s3":
            _grant_libraries(self.agent, table.extension_library_location)
        if table.create_bucket:
            staging = ReportBucket(self, "Staging", prefix="", removal_policy=removal_policy(environment))
            for grant in (staging.grant_list, staging.grant_read, staging.grant_write, staging.grant_delete):
                grant(self.agent.task_role)
            cdk.CfnOutput(self, "BucketName", value=staging.bucket.bucket_name)

        monitoring = ServiceMonitoring(
            self,
            "Monitoring",
            topic=topic,
            runbook=RUNBOOK,
            with_dashboard=environment.alarms.dashboards,
            removal_policy=removal_policy(environment),
        )
        monitoring.watch_agent(self.agent, "Matillion agent")

        cdk.CfnOutput(self, "ClusterName", value=self.agent.cluster.cluster_name)
        cdk.CfnOutput(self, "ServiceName", value=self.agent.service.service_name)
        cdk.CfnOutput(self, "OAuthSecretArn", value=login.secret.secret_arn)


def _settings(table: MatillionAgentTable) -> dict[str, str]:
    """The agent's own variables, as Matillion's task definition names them."""
    settings = {
        "ACCOUNT_ID": table.account_id,
        "AGENT_ID": table.agent_id,
        "MATILLION_REGION": table.matillion_region,
        "EXTENSION_LIBRARY_LOCATION": table.extension_library_location or "",
        "EXTENSION_LIBRARY_PROTOCOL": table.extension_library_protocol or "",
    }
    return {name: value for name, value in settings.items() if value}


def _grant_libraries(agent: AgentService, location: str) -> None:
    """Let the tasks of ``agent`` list and read what lies at ``location``, a bucket and perhaps a folder in it."""
    name, _, folder = location.removeprefix("s3://").strip("/").partition("/")
    prefix = f"{folder}/*" if folder else "*"
    role, libraries = agent.task_role, s3.Bucket.from_bucket_name(agent, "ExtensionLibraries", name)
    listing = iam.PolicyStatement(
        actions=["s3:ListBucket"],
        resources=[libraries.bucket_arn],
        conditions={"StringLike": {"s3:prefix": [folder, prefix]}} if folder else None,
    )
    files = libraries.arn_for_objects(prefix)
    role.add_to_principal_policy(listing)
    role.add_to_principal_policy(iam.PolicyStatement(actions=["s3:GetObject"], resources=[files]))
    acknowledge_pattern(role, files, "Which libraries lie there is for whoever fills the folder.")


def _scaling(table: MatillionAgentTable) -> ServiceScaling | None:
    if table.max_count is None:
        return None
    return ServiceScaling(max_tasks=table.max_count, quiet_hours=_quiet_hours(table.quiet) if table.quiet else None)


def _quiet_hours(table: QuietTable) -> QuietHours:
    return QuietHours(down=table.down, up=table.up, days=table.days, time_zone=cdk.TimeZone.of(table.timezone))


def _secret(scope: Construct, construct_id: str, arn: str | None) -> secretsmanager.ISecret | None:
    return secretsmanager.Secret.from_secret_complete_arn(scope, construct_id, arn) if arn else None
