"""All stacks of an environment, and all environments."""

from __future__ import annotations

import os
from collections.abc import Iterable

import aws_cdk as cdk
from constructs import Construct

from stacks.alarms import AlarmsStack
from stacks.conflict_updater import ConflictUpdaterStack
from stacks.copies import CopiesStack
from stacks.environment import Environment
from stacks.image import ImageStack
from stacks.matillion_agent import MatillionAgentStack
from stacks.network import NetworkStack
from stacks.report_service import ReportServiceStack
from stacks.secrets import SecretsStack
from stacks.snowflake import SnowflakeStack
from stacks.trigger import TriggerStack
from stacks.weather_warehouse import WeatherWarehouseStack


def add_stages(app: cdk.App, environments: Iterable[Environment]) -> None:
    """Put all environments into the app, and let each synth check them against cdk-nag's rule packs.

    ``CDK_VALIDATION=false`` turns that off, as it does the CDK's own validation.
    """
    stages = [SnowgateStage(app, environment=environment) for environment in environments]
    if os.environ.get("CDK_VALIDATION") != "false":
        # Here, because the import of cdk-nag is a tenth of a synth that does not check.
        from stacks.rule_packs import add_rule_packs

        add_rule_packs(app, stages)


class SnowgateStage(cdk.Stage):
    """The whole system in one environment.

    References between its stacks are weak (``defaultCrossStackReferences`` in cdk.json): no stack locks another, but a
    stack whose template stays as it was is not told that what it refers to was replaced. After a replacement, deploy
    once with ``--force``.
    """

    def __init__(self, scope: Construct, *, environment: Environment) -> None:
        super().__init__(
            scope, environment.name, env=cdk.Environment(account=environment.account, region=environment.region)
        )

        network = NetworkStack(self, "Network", environment=environment)
        alarms = AlarmsStack(self, "Alarms", environment=environment)
        secrets = SecretsStack(self, "Secrets", environment=environment)
        image = ImageStack(self, "Image", environment=environment)
        copies = (
            CopiesStack(self, "Copies", environment=environment, table=environment.backup)
            if environment.backup
            else None
        )
        service = ReportServiceStack(
            self,
            "ReportService",
            environment=environment,
            vpc=network.vpc,
            secrets=secrets,
            image=image,
            topic=alarms.topic,
            copies=copies.reports if copies else None,
        )
        if copies:
            service.add_stack_dependency(copies)  # it names the bucket, and S3 wants it to be there
        trigger = TriggerStack(self, "Trigger", environment=environment, waker=service.worker.waker)
        SnowflakeStack(
            self,
            "Snowflake",
            environment=environment,
            deployer=secrets.deployer,
            api=trigger.api,
            web_host=service.web_host,
            api_token=secrets.api_token.secret if secrets.api_token else None,
        )
        self._add_systems(environment, network, alarms)

    def _add_systems(self, environment: Environment, network: NetworkStack, alarms: AlarmsStack) -> None:
        """The systems beside the report service, as far as the environment's file names them."""
        if environment.weather_warehouse:
            WeatherWarehouseStack(
                self,
                "WeatherWarehouse",
                environment=environment,
                table=environment.weather_warehouse,
                vpc=network.vpc,
                topic=alarms.topic,
            )
        if environment.conflict_updater:
            ConflictUpdaterStack(
                self,
                "ConflictUpdater",
                environment=environment,
                table=environment.conflict_updater,
                vpc=network.vpc,
                topic=alarms.topic,
            )
        if environment.matillion_agent:
            MatillionAgentStack(
                self,
                "MatillionAgent",
                environment=environment,
                table=environment.matillion_agent,
                vpc=network.vpc,
                topic=alarms.topic,
            )
