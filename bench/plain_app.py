"""The rival of bench/synth.py: the same systems by plain L2 constructs, of the same types and as many resources.

`python plain_app.py dev prod` synthesises environments shaped like these. It is written as one writes a CDK app: each
thing that is needed is made where it is needed, with the arguments that matter, and nothing is checked or derived.
"""

from __future__ import annotations

import sys

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_apigatewayv2 as apigatewayv2
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_rds as rds
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as scheduler_targets
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_ssm as ssm
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from aws_cdk import aws_wafv2 as wafv2
from constructs import Construct

CODE = lambda_.Code.from_inline("def handler(event, context): return event")


class Part(cdk.Stack):
    """A stack, and the things that each of its systems needs in the same way."""

    def __init__(self, scope: Construct, id: str, topic: sns.ITopic | None = None) -> None:
        super().__init__(scope, id, env=cdk.Environment(account="111122223333", region="eu-west-1"))
        self.topic = topic
        self.throwaway = cdk.Stage.of(self).stage_name != "prod"  # type: ignore[union-attr]

    def function(self, id: str, **variables: str) -> lambda_.Function:
        """A function with a log group."""
        return lambda_.Function(
            self,
            id,
            runtime=lambda_.Runtime.PYTHON_3_13,
            handler="index.handler",
            code=CODE,
            architecture=lambda_.Architecture.ARM_64,
            timeout=cdk.Duration.minutes(1),
            environment=variables,
            log_group=self.log_group(f"{id}Log"),
        )

    def log_group(self, id: str) -> logs.LogGroup:
        """A log group."""
        return logs.LogGroup(
            self, id, retention=logs.RetentionDays.THREE_MONTHS, removal_policy=cdk.RemovalPolicy.DESTROY
        )

    def bucket(self, id: str, access_log: s3.IBucket | None = None) -> s3.Bucket:
        """A bucket that takes TLS alone; emptied with the stack outside of prod."""
        return s3.Bucket(
            self,
            id,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            encryption=s3.BucketEncryption.S3_MANAGED,
            removal_policy=cdk.RemovalPolicy.DESTROY if self.throwaway else cdk.RemovalPolicy.RETAIN,
            auto_delete_objects=self.throwaway,
            server_access_logs_bucket=access_log,
        )

    def queue(self, id: str) -> sqs.Queue:
        """A queue for what went wrong."""
        return sqs.Queue(self, id, enforce_ssl=True, retention_period=cdk.Duration.days(14))

    def alarm(self, id: str, metric: cloudwatch.IMetric) -> cloudwatch.Alarm:
        """An alarm that tells the topic."""
        alarm = cloudwatch.Alarm(self, id, metric=metric, threshold=1, evaluation_periods=3, alarm_description=id)
        if self.topic:
            alarm.add_alarm_action(actions.SnsAction(self.topic))
        return alarm

    def task(self, id: str, **secrets: ecs.Secret) -> ecs.FargateTaskDefinition:
        """A task of one container."""
        task = ecs.FargateTaskDefinition(self, f"{id}Task", cpu=512, memory_limit_mib=1024)
        task.add_container(
            "Container",
            image=ecs.ContainerImage.from_registry("public.ecr.aws/docker/library/python:3.13"),
            logging=ecs.LogDrivers.aws_logs(stream_prefix=id, log_group=self.log_group(f"{id}Log")),
            environment={"NAME": id},
            secrets=secrets,
            port_mappings=[ecs.PortMapping(container_port=8000)],
            readonly_root_filesystem=True,
        )
        return task

    def job(self, id: str, cluster: ecs.Cluster, task: ecs.FargateTaskDefinition, group: ec2.SecurityGroup) -> None:
        """A job on a schedule: its states, its lock, its dead letters."""
        run = tasks.EcsRunTask(
            self,
            f"{id}Run",
            integration_pattern=sfn.IntegrationPattern.RUN_JOB,
            cluster=cluster,
            task_definition=task,
            launch_target=tasks.EcsFargateLaunchTarget(platform_version=ecs.FargatePlatformVersion.LATEST),
            security_groups=[group],
            assign_public_ip=True,
        )
        run.add_retry(max_attempts=3)
        machine = sfn.StateMachine(
            self,
            f"{id}Machine",
            definition_body=sfn.DefinitionBody.from_chainable(run),
            logs=sfn.LogOptions(destination=self.log_group(f"{id}MachineLog"), level=sfn.LogLevel.ERROR),
            tracing_enabled=True,
        )
        dynamodb.Table(
            self,
            f"{id}Lock",
            partition_key=dynamodb.Attribute(name="id", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
        ).grant_read_write_data(machine)
        queue = self.queue(f"{id}Dead")
        scheduler.Schedule(
            self,
            f"{id}Schedule",
            schedule=scheduler.ScheduleExpression.cron(hour="2", minute="0"),
            target=scheduler_targets.StepFunctionsStartExecution(machine, dead_letter_queue=queue),
        )
        self.alarm(f"{id}Failed", machine.metric_failed())
        self.alarm(f"{id}TimedOut", machine.metric_timed_out())
        self.alarm(f"{id}DeadLetters", queue.metric_approximate_number_of_messages_visible())

    def service(
        self, id: str, cluster: ecs.Cluster, task: ecs.FargateTaskDefinition, group: ec2.SecurityGroup
    ) -> ecs.FargateService:
        """A service that rolls back what does not come up."""
        return ecs.FargateService(
            self,
            id,
            cluster=cluster,
            task_definition=task,
            security_groups=[group],
            assign_public_ip=True,
            circuit_breaker=ecs.DeploymentCircuitBreaker(rollback=True),
            min_healthy_percent=100,
            enable_execute_command=False,
        )

    def balanced(self, id: str, vpc: ec2.IVpc, service: ecs.FargateService) -> elbv2.ApplicationListener:
        """A load balancer before a service, and its alarms."""
        balancer = elbv2.ApplicationLoadBalancer(
            self,
            f"{id}Balancer",
            vpc=vpc,
            internet_facing=False,
            vpc_subnets=ec2.SubnetSelection(subnets=vpc.public_subnets),
        )
        listener = balancer.add_listener("Http", port=80, open=False)
        group = listener.add_targets(
            "Tasks",
            port=8000,
            protocol=elbv2.ApplicationProtocol.HTTP,
            targets=[service],
            health_check=elbv2.HealthCheck(path="/health"),
        )
        self.alarm(f"{id}Unhealthy", group.metrics.unhealthy_host_count())
        self.alarm(f"{id}TaskErrors", group.metrics.http_code_target(elbv2.HttpCodeTarget.TARGET_5XX_COUNT))
        self.alarm(f"{id}Errors", balancer.metrics.http_code_elb(elbv2.HttpCodeElb.ELB_5XX_COUNT))
        return listener

    def http_api(self, id: str) -> apigatewayv2.HttpApi:
        """An HTTP API with an access log."""
        api = apigatewayv2.HttpApi(self, f"{id}Api")
        stage = api.default_stage.node.default_child if api.default_stage else None
        assert isinstance(stage, apigatewayv2.CfnStage)
        stage.access_log_settings = apigatewayv2.CfnStage.AccessLogSettingsProperty(
            destination_arn=self.log_group(f"{id}AccessLog").log_group_arn, format="$context.requestId"
        )
        return api

    def dashboard(self, *metrics: cloudwatch.IMetric) -> None:
        """A graph for each metric."""
        cloudwatch.Dashboard(
            self, "Dashboard", widgets=[[cloudwatch.GraphWidget(title=str(i), left=[m])] for i, m in enumerate(metrics)]
        )


class NetworkPart(Part):
    """A VPC in two zones, with NAT gateways where it is private."""

    def __init__(self, scope: Construct, *, private: bool) -> None:
        super().__init__(scope, "Network")
        kinds = [ec2.SubnetConfiguration(name="Public", subnet_type=ec2.SubnetType.PUBLIC)]
        if private:
            kinds.append(ec2.SubnetConfiguration(name="Private", subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS))
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr("10.0.0.0/16"),
            availability_zones=["eu-west-1a", "eu-west-1b"],
            subnet_configuration=kinds,
            nat_gateways=2 if private else 0,
            gateway_endpoints={"S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3)},
            flow_logs={
                "Flow": ec2.FlowLogOptions(
                    destination=ec2.FlowLogDestination.to_cloud_watch_logs(self.log_group("FlowLog"))
                )
            },
        )


class AlarmsPart(Part):
    """The topic of the alarms."""

    def __init__(self, scope: Construct) -> None:
        super().__init__(scope, "Alarms")
        key = kms.Key(self, "Key", enable_key_rotation=True, alias=None)
        self.topic: sns.ITopic = sns.Topic(self, "Topic", master_key=key, enforce_ssl=True)
        key.grant_encrypt_decrypt(iam.ServicePrincipal("cloudwatch.amazonaws.com"))


class SecretsPart(Part):
    """The function that deploys, logins and a token."""

    def __init__(self, scope: Construct, *, web: bool) -> None:
        super().__init__(scope, "Secrets")
        self.deployer = self.function("Deployer")
        self.deployer.configure_async_invoke(retry_attempts=0)
        for name in ("Worker", "Web") if web else ("Worker",):
            cdk.CustomResource(
                self, f"{name}Login", service_token=self.deployer.function_arn, resource_type="Custom::SnowflakeLogin"
            )
        if web:
            rotation = self.function("Rotation")
            secret = secretsmanager.Secret(self, "Token")
            secret.add_rotation_schedule("Rotation", rotation_lambda=rotation)


class ImagePart(Part):
    """The name of an image."""

    def __init__(self, scope: Construct) -> None:
        super().__init__(scope, "Image")
        ssm.StringParameter(self, "Uri", string_value="111122223333.dkr.ecr.eu-west-1.amazonaws.com/image:tag")


class ReportPart(Part):
    """A worker, its waker, links, and a web service."""

    def __init__(self, scope: Construct, vpc: ec2.IVpc, topic: sns.ITopic, *, web: bool) -> None:
        super().__init__(scope, "ReportService", topic)
        bucket = self.bucket("Reports", self.bucket("AccessLog"))
        cluster = ecs.Cluster(self, "Cluster", vpc=vpc, enable_fargate_capacity_providers=True)
        group = ec2.SecurityGroup(self, "WorkerGroup", vpc=vpc)
        task = self.task("Worker")
        bucket.grant_put(task.task_role)
        worker = self.service("WorkerService", cluster, task, group)
        waker = self.function("Waker", SERVICE=worker.service_name)
        waker.add_to_role_policy(
            iam.PolicyStatement(actions=["ecs:UpdateService", "ecs:DescribeServices"], resources=[worker.service_arn])
        )
        for name in ("Sweep", "Watch", "Rotated"):
            events.Rule(
                self,
                name,
                schedule=events.Schedule.rate(cdk.Duration.minutes(30)),
                targets=[targets.LambdaFunction(waker)],
            )
        failures = self.queue("StartFailures")
        events.Rule(
            self,
            "Stopped",
            event_pattern=events.EventPattern(source=["aws.ecs"], detail_type=["ECS Task State Change"]),
            targets=[targets.SqsQueue(failures)],
        )
        self.alarm("StartFailed", failures.metric_approximate_number_of_messages_visible())
        self.alarm("WakerErrors", waker.metric_errors())
        self.alarm("WorkerCpu", worker.metric_cpu_utilization())
        clock = iam.Role(self, "ClockRole", assumed_by=iam.ServicePrincipal("scheduler.amazonaws.com"))
        waker.grant_invoke(clock)

        links = self.function("Links", BUCKET=bucket.bucket_name)
        bucket.grant_read(links)
        key = secretsmanager.Secret(self, "LinkKey")
        key.grant_read(links)
        key.add_rotation_schedule("Rotation", hosted_rotation=None, rotation_lambda=waker)
        api = self.http_api("Links")
        api.add_routes(path="/reports/{id}/download", integration=integrations.HttpLambdaIntegration("Links", links))
        self.alarm("LinksErrors", links.metric_errors())
        metrics: list[cloudwatch.IMetric] = [waker.metric_invocations(), links.metric_invocations()]
        if web:
            self._web(vpc, cluster)
        self.dashboard(*metrics, worker.metric_cpu_utilization(), worker.metric_memory_utilization())

    def _web(self, vpc: ec2.IVpc, cluster: ecs.Cluster) -> None:
        group = ec2.SecurityGroup(self, "WebGroup", vpc=vpc)
        task = self.task("Web")
        task.add_to_task_role_policy(iam.PolicyStatement(actions=["s3:ListAllMyBuckets"], resources=["*"]))
        service = self.service("WebService", cluster, task, group)
        listener = self.balanced("Web", vpc, service)
        link = apigatewayv2.VpcLink(self, "Link", vpc=vpc)
        api = self.http_api("Web")
        integration = integrations.HttpAlbIntegration("Web", listener, vpc_link=link)
        api.add_routes(path="/{proxy+}", integration=integration)
        api.add_routes(path="/", integration=integration)
        self.alarm("WebCpu", service.metric_cpu_utilization())


class TriggerPart(Part):
    """A REST API."""

    def __init__(self, scope: Construct, topic: sns.ITopic) -> None:
        super().__init__(scope, "Trigger", topic)
        function = self.function("Trigger")
        api = apigateway.RestApi(
            self,
            "Api",
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            deploy_options=apigateway.StageOptions(
                access_log_destination=apigateway.LogGroupLogDestination(self.log_group("AccessLog")),
                tracing_enabled=True,
            ),
            cloud_watch_role=True,
        )
        api.root.add_resource("trigger").add_method(
            "POST",
            apigateway.LambdaIntegration(function),
            authorization_type=apigateway.AuthorizationType.IAM,
            request_validator=api.add_request_validator("Validator", validate_request_body=True),
            request_models={
                "application/json": api.add_model(
                    "Model", schema=apigateway.JsonSchema(type=apigateway.JsonSchemaType.OBJECT)
                )
            },
        )


class SnowflakePart(Part):
    """A role and two custom resources."""

    def __init__(self, scope: Construct, deployer: lambda_.Function) -> None:
        super().__init__(scope, "Snowflake")
        role = iam.Role(self, "Role", assumed_by=iam.AccountPrincipal("111122223333"))
        role.add_to_policy(iam.PolicyStatement(actions=["execute-api:Invoke"], resources=["*"]))
        for name in ("ApiIntegration", "Scripts"):
            cdk.CustomResource(
                self, name, service_token=deployer.function_arn, resource_type=f"Custom::Snowflake{name}"
            )


class WeatherPart(Part):
    """A database, an ingestion, an API behind CloudFront."""

    def __init__(self, scope: Construct, vpc: ec2.IVpc, topic: sns.ITopic) -> None:
        super().__init__(scope, "WeatherWarehouse", topic)
        access_log = self.bucket("AccessLog")
        bucket = self.bucket("Files", access_log)
        database = rds.DatabaseInstance(
            self,
            "Database",
            engine=rds.DatabaseInstanceEngine.postgres(version=rds.PostgresEngineVersion.VER_17),
            instance_type=ec2.InstanceType.of(ec2.InstanceClass.T4G, ec2.InstanceSize.SMALL),
            vpc=vpc,
            vpc_subnets=ec2.SubnetSelection(subnets=vpc.public_subnets),
            storage_encrypted=True,
            multi_az=True,
            parameters={"rds.force_ssl": "1"},
            credentials=rds.Credentials.from_generated_secret("postgres"),
        )
        cluster = ecs.Cluster(self, "Cluster", vpc=vpc, enable_fargate_capacity_providers=True)
        password = {"PASSWORD": ecs.Secret.from_secrets_manager(database.secret, "password")} if database.secret else {}
        ingest_group = ec2.SecurityGroup(self, "IngestGroup", vpc=vpc)
        ingest = self.task("Ingest", **password)
        bucket.grant_read(ingest.task_role)
        self.job("Ingestion", cluster, ingest, ingest_group)
        database.connections.allow_default_port_from(ingest_group)

        api_group = ec2.SecurityGroup(self, "ApiGroup", vpc=vpc)
        api = self.task("Api", **password)
        bucket.grant_read(api.task_role)
        service = self.service("ApiService", cluster, api, api_group)
        database.connections.allow_default_port_from(api_group)
        listener = self.balanced("Api", vpc, service)
        service.auto_scale_task_count(min_capacity=2, max_capacity=4).scale_on_cpu_utilization(
            "Cpu", target_utilization_percent=60
        )
        cloudfront.Distribution(
            self,
            "Edge",
            default_behavior=cloudfront.BehaviorOptions(
                origin=origins.VpcOrigin.with_application_load_balancer(listener.load_balancer),
                cache_policy=cloudfront.CachePolicy(self, "CachePolicy", default_ttl=cdk.Duration.minutes(5)),
                viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
            ),
            log_bucket=s3.Bucket(
                self,
                "EdgeLog",
                object_ownership=s3.ObjectOwnership.OBJECT_WRITER,
                enforce_ssl=True,
                block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            ),
        )
        if cdk.Stage.of(self).stage_name == "local":  # type: ignore[union-attr]
            wafv2.CfnWebACL(
                self,
                "WebAcl",
                scope="CLOUDFRONT",
                default_action=wafv2.CfnWebACL.DefaultActionProperty(allow={}),
                visibility_config=wafv2.CfnWebACL.VisibilityConfigProperty(
                    cloud_watch_metrics_enabled=True, metric_name="WebAcl", sampled_requests_enabled=True
                ),
            )
        self.alarm("DatabaseCpu", database.metric_cpu_utilization())
        self.alarm("DatabaseStorage", database.metric_free_storage_space())
        self.alarm("DatabaseConnections", database.metric_database_connections())
        self.alarm("DatabaseCredits", database.metric("CPUCreditBalance"))
        self.alarm("ApiCpu", service.metric_cpu_utilization())
        self.dashboard(
            database.metric_cpu_utilization(), database.metric_free_storage_space(), service.metric_cpu_utilization()
        )


class ConflictPart(Part):
    """A job with two logins."""

    def __init__(self, scope: Construct, vpc: ec2.IVpc, topic: sns.ITopic) -> None:
        super().__init__(scope, "ConflictUpdater", topic)
        snowflake = secretsmanager.Secret(self, "SnowflakeLogin")
        postgres = secretsmanager.Secret(self, "PostgresLogin")
        cluster = ecs.Cluster(self, "Cluster", vpc=vpc, enable_fargate_capacity_providers=True)
        task = self.task(
            "Updater",
            SNOWFLAKE=ecs.Secret.from_secrets_manager(snowflake),
            POSTGRES=ecs.Secret.from_secrets_manager(postgres),
        )
        self.job("Updater", cluster, task, ec2.SecurityGroup(self, "Group", vpc=vpc))
        self.dashboard(cloudwatch.Metric(namespace="AWS/States", metric_name="ExecutionsFailed"))


class AgentPart(Part):
    """A service that scales."""

    def __init__(self, scope: Construct, vpc: ec2.IVpc, topic: sns.ITopic) -> None:
        super().__init__(scope, "MatillionAgent", topic)
        client = secretsmanager.Secret(self, "OAuth")
        libraries = self.bucket("Libraries", self.bucket("AccessLog"))
        cluster = ecs.Cluster(self, "Cluster", vpc=vpc, enable_fargate_capacity_providers=True)
        task = self.task("Agent", CLIENT=ecs.Secret.from_secrets_manager(client, "client_id"))
        libraries.grant_read_write(task.task_role)
        service = self.service("AgentService", cluster, task, ec2.SecurityGroup(self, "Group", vpc=vpc))
        service.auto_scale_task_count(min_capacity=3, max_capacity=10).scale_on_cpu_utilization(
            "Cpu", target_utilization_percent=60
        )
        failures = self.queue("StartFailures")
        for name in ("Stopped", "Failed"):
            events.Rule(
                self,
                name,
                event_pattern=events.EventPattern(source=["aws.ecs"], detail_type=["ECS Task State Change"]),
                targets=[targets.SqsQueue(failures)],
            )
        self.alarm("StartFailed", failures.metric_approximate_number_of_messages_visible())
        self.alarm("Busy", service.metric_cpu_utilization())
        self.alarm("Memory", service.metric_memory_utilization())
        self.dashboard(service.metric_cpu_utilization(), service.metric_memory_utilization())


def add_environment(app: cdk.App, name: str, *, all_systems: bool) -> None:
    """The ten stacks of an environment, or the seven of one that has the report's worker alone."""
    stage = cdk.Stage(app, name)
    vpc = NetworkPart(stage, private=all_systems).vpc
    topic = AlarmsPart(stage).topic
    secrets = SecretsPart(stage, web=all_systems)
    ImagePart(stage)
    ReportPart(stage, vpc, topic, web=all_systems)
    TriggerPart(stage, topic)
    SnowflakePart(stage, secrets.deployer)
    if all_systems:
        WeatherPart(stage, vpc, topic)
        ConflictPart(stage, vpc, topic)
        AgentPart(stage, vpc, topic)


if __name__ == "__main__":
    app = cdk.App()
    for name in sys.argv[1:]:
        add_environment(app, name, all_systems=name != "dev")
    app.synth()
