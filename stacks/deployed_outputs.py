"""The outputs of an environment's deployed stacks."""

from __future__ import annotations

from functools import cache
from typing import Any

from stacks.environment import Environment
from stacks.snowflake_side import Outputs


class OutputsError(RuntimeError):
    """The stacks cannot be asked; the message says why."""


def deployed_outputs(environment: Environment) -> Outputs:
    """Ask CloudFormation with the AWS credentials at hand; a stack that is not deployed has no outputs.

    Raises:
        OutputsError: there are no credentials, they are another account's, or CloudFormation refuses.
    """
    client = aws_session(environment).client("cloudformation")

    @cache
    def of(stack: str) -> dict[str, str]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            (described,) = client.describe_stacks(StackName=stack)["Stacks"]
        except ClientError as error:
            if "does not exist" in str(error):
                return {}
            raise OutputsError(f"Stack {stack} cannot be described: {error}") from error
        except BotoCoreError as error:
            raise OutputsError(f"Stack {stack} cannot be described: {error}") from error
        return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}

    return lambda stack, name: of(stack).get(name)


def aws_session(environment: Environment) -> Any:
    """A boto3 session in the environment's region, with credentials of its account.

    Raises:
        OutputsError: there are no credentials, or they are another account's.
    """
    import boto3  # here, because rendering alone needs no AWS
    from botocore.exceptions import BotoCoreError, ClientError

    session = boto3.session.Session(region_name=environment.region)
    try:
        account = session.client("sts").get_caller_identity()["Account"]
    except (BotoCoreError, ClientError) as error:
        raise OutputsError(f"AWS credentials of account {environment.account} are needed: {error}") from error
    if account != environment.account:
        raise OutputsError(
            f"The AWS credentials are of account {account}; environment {environment.name} is in {environment.account}."
        )
    return session
