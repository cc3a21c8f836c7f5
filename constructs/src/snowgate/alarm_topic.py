"""The topic that alarms go to."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct


class AlarmTopic(Construct):
    """An SNS topic for alarms: encrypted, TLS only, and open to the alarms and budgets of this account.

    The key is the topic's own, for alarms cannot publish to a topic under the key that AWS manages for SNS ("Alarm
    actions" in the Amazon CloudWatch User Guide). A mail address gets a mail first in which it has to confirm.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        emails: Sequence[str] = (),
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.DESTROY,
    ) -> None:
        super().__init__(scope, construct_id)

        self.key = kms.Key(
            self,
            "Key",
            description="Encrypts what alarms say",
            enable_key_rotation=True,
            removal_policy=removal_policy,
        )
        self.topic = sns.Topic(self, "Topic", master_key=self.key, enforce_ssl=True)
        self.topic.apply_removal_policy(removal_policy)

        stack = cdk.Stack.of(self)
        alarm = stack.format_arn(
            service="cloudwatch", resource="alarm", resource_name="*", arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME
        )
        self._let_in("cloudwatch.amazonaws.com", {"ArnLike": {"aws:SourceArn": alarm}})
        self._let_in("budgets.amazonaws.com", {"StringEquals": {"aws:SourceAccount": stack.account}})
        for email in emails:
            self.topic.add_subscription(subscriptions.EmailSubscription(email))

    def _let_in(self, service: str, own: dict[str, dict[str, str]]) -> None:
        """Name a sender: a topic with a policy of its own is closed to its own account's alarms too."""
        self.topic.grant_publish(iam.ServicePrincipal(service, conditions=own))
        self.key.grant(iam.ServicePrincipal(service), "kms:GenerateDataKey*", "kms:Decrypt")
