"""The lock that keeps two executions of one state machine from doing their work at the same time."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from constructs import Construct

from snowgate.acknowledgements import acknowledge

States = dict[str, Any]

ME = "{% $states.context.Execution.Id %}"
UNSEEN = "Sfn.ExecutionDoesNotExistException"
TAKEN = "DynamoDB.ConditionalCheckFailedException"


class RunLock(Construct):
    """One item of a DynamoDB table that names the execution which holds it, and the states that take and release it.

    Taking it is one conditional write, so of two starts in the same instant one gets it; Step Functions'
    ListExecutions cannot tell them apart, for it is eventually consistent ("ListExecutions" in the AWS Step Functions
    API Reference). It has no lease that could be too short or too long: who finds it taken asks Step Functions whether
    its holder still runs, and takes it over from one that was killed or aborted. That is a conditional write too.
    """

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)

        self.table = dynamodb.Table(
            self,
            "Table",
            partition_key=dynamodb.Attribute(name="lock", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        self._table_name = self.table.table_name
        acknowledge(self.table, {"DDB3": "One item that says who runs now; yesterday's is worth nothing."})

    def grant_hold(self, role: iam.IRole) -> None:
        """Let ``role`` take, read and release the lock."""
        self.table.grant(role, "dynamodb:PutItem", "dynamodb:GetItem", "dynamodb:DeleteItem")

    def take(self, *, got: str, taken_over: str, busy: str) -> States:
        """The states that take the lock, the first is TakeLock: they go on to state ``got``, or to ``busy``.

        They go on to ``taken_over`` if the holder has ended without a release: what it began may still be at work.
        ``busy`` finds the execution that holds the lock in the variable ``holder``.
        """
        item = {"lock": {"S": "run"}, "held_by": {"S": ME}}
        return {
            "TakeLock": self._write(
                "putItem",
                {"Item": item},
                condition="attribute_not_exists(held_by) OR held_by = :holder",
                holder=ME,
                catch="ReadHolder",
            )
            | {"Next": got},
            "ReadHolder": {
                "Type": "Task",
                "Resource": "arn:aws:states:::dynamodb:getItem",
                "Arguments": {
                    "TableName": self._table_name,
                    "Key": {"lock": {"S": "run"}},
                    "ConsistentRead": True,
                },
                "Assign": {
                    "holder": "{% $exists($states.result.Item) ? $states.result.Item.held_by.S : '' %}",
                },
                "Retry": [_patiently()],
                "Next": "IsLockHeld",
            },
            "IsLockHeld": {
                "Type": "Choice",
                "Choices": [{"Condition": "{% $holder = '' %}", "Next": "TakeLock"}],
                "Default": "LookAtHolder",
            },
            "LookAtHolder": {
                "Type": "Task",
                "Resource": "arn:aws:states:::aws-sdk:sfn:describeExecution",
                "Arguments": {"ExecutionArn": "{% $holder %}"},
                "Assign": {"holder_runs": "{% $states.result.Status in ['RUNNING', 'PENDING_REDRIVE'] %}"},
                # One that has just begun may not be seen yet: DescribeExecution is eventually consistent too.
                "Retry": [{"ErrorEquals": [UNSEEN], "IntervalSeconds": 10, "MaxAttempts": 3}, _patiently()],
                "Catch": [{"ErrorEquals": [UNSEEN], "Next": "TakeOverLock"}],
                "Next": "DoesHolderRun",
            },
            "DoesHolderRun": {
                "Type": "Choice",
                "Choices": [{"Condition": "{% $holder_runs %}", "Next": busy}],
                "Default": "TakeOverLock",
            },
            "TakeOverLock": self._write(
                "putItem", {"Item": item}, condition="held_by = :holder", holder="{% $holder %}", catch="ReadHolder"
            )
            | {"Next": taken_over},
        }

    def release(self, *, then: str) -> States:
        """The state ReleaseLock, which goes on to ``then``: also when it fails, for the lock outlives no execution."""
        state = self._write(
            "deleteItem", {"Key": {"lock": {"S": "run"}}}, condition="held_by = :holder", holder=ME, catch=then
        )
        state["Catch"] = [{"ErrorEquals": ["States.ALL"], "Next": then}]
        return {"ReleaseLock": state | {"Next": then}}

    def _write(self, action: str, arguments: States, *, condition: str, holder: str, catch: str) -> States:
        return {
            "Type": "Task",
            "Resource": f"arn:aws:states:::dynamodb:{action}",
            "Arguments": {
                "TableName": self._table_name,
                **arguments,
                "ConditionExpression": condition,
                "ExpressionAttributeValues": {":holder": {"S": holder}},
            },
            "Retry": [_never(TAKEN), _patiently()],
            "Catch": [{"ErrorEquals": [TAKEN], "Next": catch}],
        }


def _never(error: str) -> States:
    return {"ErrorEquals": [error], "MaxAttempts": 0}


def _patiently() -> States:
    return {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "BackoffRate": 2, "MaxAttempts": 3}
