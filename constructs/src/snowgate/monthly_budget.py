"""What an account may cost in a month, and who hears of more."""

from __future__ import annotations

from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_sns as sns
from constructs import Construct

_ACTUAL, _FORECASTED = 80, 100


class MonthlyBudget(Construct):
    """A budget of ``usd`` for the whole account and month.

    ``topic`` hears when 80 % are spent, and when the forecast for the month is above all of it.

    Raises:
        ValueError: ``usd`` is not above 0.
    """

    def __init__(self, scope: Construct, construct_id: str, *, usd: int, topic: sns.ITopic) -> None:
        super().__init__(scope, construct_id)
        if usd <= 0:
            raise ValueError(f"{self.node.path}: a budget of {usd} USD a month; give at least 1, or leave it out.")

        self.budget = budgets.CfnBudget(
            self,
            "Budget",
            budget=budgets.CfnBudget.BudgetDataProperty(
                budget_type="COST",
                time_unit="MONTHLY",
                budget_limit=budgets.CfnBudget.SpendProperty(amount=usd, unit="USD"),
            ),
            notifications_with_subscribers=[
                budgets.CfnBudget.NotificationWithSubscribersProperty(
                    notification=budgets.CfnBudget.NotificationProperty(
                        notification_type=kind,
                        comparison_operator="GREATER_THAN",
                        threshold=percent,
                        threshold_type="PERCENTAGE",
                    ),
                    subscribers=[
                        budgets.CfnBudget.SubscriberProperty(subscription_type="SNS", address=topic.topic_arn)
                    ],
                )
                for kind, percent in (("ACTUAL", _ACTUAL), ("FORECASTED", _FORECASTED))
            ],
        )
        # The topic has to let it in already: AWS Budgets asks when the budget is made.
        self.budget.node.add_dependency(topic)
