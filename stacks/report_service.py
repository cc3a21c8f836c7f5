"""The stack of the report service: bucket, download links, worker and web role."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from constructs import Construct

from snowgate import DownloadLinks, ReportBucket, ScaleToZeroWorker, ServiceMonitoring, WebApi, WebService
from stacks.alarms import RUNBOOK
from stacks.environment import Environment, LinksTable, NotifyTable, WebTable
from stacks.image import ImageStack
from stacks.removal import removal_policy
from stacks.secrets import SecretsStack


class ReportServiceStack(cdk.Stack):
    """What makes reports, where they lie, and the HTTP API over both."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        vpc: ec2.IVpc,
        secrets: SecretsStack,
        image: ImageStack,
        topic: sns.ITopic,
        copies: ReportBucket | None = None,
    ) -> None:
        super().__init__(scope, construct_id, termination_protection=environment.removal == "retain")
        self._environment, self._vpc, self._secrets = environment, vpc, secrets
        self._image = image.image.container_image
        # The image is pushed with its stack, and nothing but this line says so.
        self.add_stack_dependency(image)

        self.bucket = ReportBucket(
            self,
            "Reports",
            copy_to=copies.bucket if copies else None,
            removal_policy=removal_policy(environment),
        )
        self.links: DownloadLinks | None = self._links(environment.links) if environment.links else None
        self.worker = self._worker()
        self.web_host: str | None = None
        self.web: WebService | None = self._web(environment.web) if environment.web else None
        self._watch(topic)

        cdk.CfnOutput(self, "BucketName", value=self.bucket.bucket.bucket_name)
        cdk.CfnOutput(self, "ClusterName", value=self.worker.cluster.cluster_name)
        cdk.CfnOutput(self, "WorkerServiceName", value=self.worker.service.service_name)

    def _watch(self, topic: sns.ITopic) -> None:
        monitoring = ServiceMonitoring(
            self,
            "Monitoring",
            topic=topic,
            runbook=RUNBOOK,
            with_dashboard=self._environment.alarms.dashboards,
            removal_policy=removal_policy(self._environment),
        )
        monitoring.watch_worker(self.worker)
        monitoring.watch_reports(self._environment.name)
        if self.web:
            monitoring.watch_web(self.web)
        monitoring.watch_bucket(self.bucket.bucket)
        if self.bucket.copy:
            monitoring.add_alarms([self._copies_alarm()])

    def _copies_alarm(self) -> cloudwatch.Alarm:
        return self.bucket.metric_failed_copies().create_alarm(
            self,
            "CopiesFailed",
            threshold=1,
            evaluation_periods=1,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            alarm_description="Reports could not be copied into the second region",
        )

    def _links(self, table: LinksTable) -> DownloadLinks:
        environment = self._environment
        links = DownloadLinks(
            self,
            "Links",
            bucket=self.bucket,
            deployer=self._secrets.deployer,
            valid_for=cdk.Duration.days(table.days),
            python=environment.lambdas.python_version,
            architecture=environment.built_for,
            removal_policy=removal_policy(environment),
        )
        cdk.CfnOutput(self, "LinkUrl", value=links.url)
        cdk.CfnOutput(self, "LinkKeySecretArn", value=links.secret.secret_arn)
        return links

    def _worker(self) -> ScaleToZeroWorker:
        environment, table = self._environment, self._environment.worker
        # Who holds the key can read every report: it is given only where a message may bring a link.
        links = self.links if environment.tells_recipients else None
        mail = {"MAIL_SENDER": environment.mail.sender} if environment.mail else {}
        worker = ScaleToZeroWorker(
            self,
            "Worker",
            vpc=self._vpc,
            image=self._image,
            command=["worker"],
            environment={
                **self._settings(),
                **self._secrets.worker_login.environment,
                **mail,
                **(links.environment if links else {}),
                "REPORTS_PER_TASK": str(table.reports_per_task),
                "POLL_SECONDS": f"{table.poll_seconds:g}",
                "IDLE_SECONDS": f"{table.idle_seconds:g}",
                "LEASE_SECONDS": str(table.lease_seconds),
            },
            health_check=["python", "-m", "report_service", "health"],
            size=table.size,
            architecture=environment.built_for,
            task_role_name=self._secrets.role_name(environment.worker_role_name),
            max_tasks=table.max_tasks,
            work_per_task=table.reports_per_task,
            sweep=cdk.Duration.minutes(table.sweep_minutes) if table.sweep_minutes else None,
            waker_python=environment.lambdas.python_version,
            removal_policy=removal_policy(environment),
        )

        self._secrets.worker_login.grant_login(worker.task_role)
        self.bucket.grant_write(worker.task_role)
        if environment.mail:
            self.bucket.grant_read(worker.task_role)  # to attach the file, by whichever worker sends it
            _grant_mail(worker.task_role, environment.mail.sender)
        _grant_notify(worker.task_role, environment.notify)
        if links:
            links.grant_sign(worker.task_role)
        return worker

    def _web(self, table: WebTable) -> WebService:
        environment = self._environment
        login, token = self._secrets.web_login, self._secrets.api_token
        assert login is not None, "an environment with a web role has both"
        assert token is not None, "an environment with a web role has both"
        certificate = (
            acm.Certificate.from_certificate_arn(self, "Certificate", table.certificate_arn)
            if table.certificate_arn
            else None
        )
        web = WebService(
            self,
            "Web",
            vpc=self._vpc,
            image=self._image,
            command=["web"],
            environment={
                **self._settings(),
                **login.environment,
                **token.environment,
                "WEB_REQUESTS_PER_SECOND": str(table.requests_per_second),
                "WEB_BURST": str(table.burst),
            },
            size=table.size,
            architecture=environment.built_for,
            task_role_name=self._secrets.role_name(environment.web_role_name),
            cluster=self.worker.cluster,
            certificate=certificate,
            public=certificate is not None,
            deletion_protection=environment.removal == "retain",
            access_logs=self.bucket.access_logs,
            removal_policy=removal_policy(environment),
        )

        login.grant_login(web.task_role)
        token.grant_read(web.task_role)
        # It only names the bucket in its answers; what test-connections tries is all that it may do there.
        tried = self.bucket.bucket.arn_for_objects("reports/.connection-test")
        web.task_role.add_to_principal_policy(iam.PolicyStatement(actions=["s3:PutObject"], resources=[tried]))
        # For test-connections, which either role runs.
        for task in (self.worker.task_definition, web.task_definition):
            _add_environment(task, "API_URL", _own_url(web, table))
        # What a network rule in Snowflake may name: a host with TLS.
        self.web_host = table.domain
        if table.has_http_api:
            api = WebApi(
                self,
                "WebApi",
                vpc=self._vpc,
                service=web,
                throttle_rate=table.requests_per_second,
                throttle_burst=table.burst,
                removal_policy=removal_policy(environment),
            )
            self.web_host = api.host
            cdk.CfnOutput(self, "WebApiUrl", value=api.url)

        cdk.CfnOutput(self, "WebServiceName", value=web.service.service_name)
        cdk.CfnOutput(self, "WebUrl", value=web.url)
        return web

    def _settings(self) -> dict[str, str]:
        """What both roles of the service read from their environment."""
        return {
            "ENVIRONMENT": self._environment.name,
            "LOG_LEVEL": "INFO",
            "SNOWFLAKE_DATABASE": self._environment.snowflake.database,
            "SNOWFLAKE_SCHEMA": self._environment.snowflake.config_schema,
            "REPORT_BUCKET": self.bucket.bucket.bucket_name,
            **_recipients(self._environment),
        }


def _own_url(web: WebService, table: WebTable) -> str:
    """Where tasks find the web role, empty if they cannot: a certificate is not for the load balancer's own name."""
    if table.certificate_arn is None:
        return web.url
    return f"https://{table.domain}" if table.domain else ""


def _recipients(environment: Environment) -> dict[str, str]:
    """Whom reports may be sent to, as far as the environment's file says it."""
    mail, notify = environment.mail, environment.notify
    settings = {
        "MAIL_DOMAINS": ",".join(mail.domains) if mail else "",
        "MAIL_FAILURES_TO": (mail.failures_to if mail else None) or "",
        "SNS_TOPIC_ARNS": ",".join(notify.topic_arns),
        "DESTINATIONS_SECRET_ARN": notify.destinations_secret_arn or "",
    }
    return {name: value for name, value in settings.items() if value}


def _grant_notify(role: iam.IRole, notify: NotifyTable) -> None:
    """Let ``role`` publish to these topics, and read where the other destinations are."""
    if notify.topic_arns:
        role.add_to_principal_policy(
            iam.PolicyStatement(actions=["sns:Publish", "sns:GetTopicAttributes"], resources=notify.topic_arns)
        )
    if notify.destinations_secret_arn:
        role.add_to_principal_policy(
            iam.PolicyStatement(actions=["secretsmanager:GetSecretValue"], resources=[notify.destinations_secret_arn])
        )


def _grant_mail(role: iam.IRole, sender: str) -> None:
    """Let ``role`` send as ``sender`` and as nobody else."""
    role.add_to_principal_policy(
        iam.PolicyStatement(
            actions=["ses:SendEmail", "ses:SendRawEmail"],
            resources=[
                cdk.Stack.of(role).format_arn(service="ses", resource="identity", resource_name=identity)
                for identity in (sender, sender.partition("@")[2])
            ],
            conditions={"StringEquals": {"ses:FromAddress": sender}},
        )
    )


def _add_environment(task: ecs.FargateTaskDefinition, name: str, value: str) -> None:
    """A setting that is known only after the definition was made."""
    assert task.default_container
    task.default_container.add_environment(name, value)
