"""The stack of who is told of alarms, and of money."""

from __future__ import annotations

import aws_cdk as cdk
from constructs import Construct

from snowgate import AlarmTopic, MonthlyBudget
from stacks.environment import Environment
from stacks.removal import removal_policy

# Where every alarm's description sends whoever gets it.
RUNBOOK = "docs/operations.md#when-an-alarm-goes-off"


class AlarmsStack(cdk.Stack):
    """The topic of all alarms of an environment, and its budget.

    A stack of its own, before all others: their alarms name the topic, and their dashboards what they made themselves.
    """

    def __init__(self, scope: Construct, construct_id: str, *, environment: Environment) -> None:
        super().__init__(scope, construct_id)
        table = environment.alarms

        self.topic = AlarmTopic(self, "Topic", emails=table.emails, removal_policy=removal_policy(environment)).topic
        if table.monthly_budget_usd is not None:
            MonthlyBudget(self, "Budget", usd=table.monthly_budget_usd, topic=self.topic)

        cdk.CfnOutput(self, "TopicArn", value=self.topic.topic_arn)
