"""Say what the ECS services of an environment do, and how to look further.

    python -m stacks.status ENV

For each service: the counts, the running tasks, the tasks that stopped within the last hour with their reasons and
exit codes, the latest events, and the commands that follow its log, scale it and renew its tasks. It only reads. Exit
codes: 0, or 1 when the environment cannot be asked or has no service.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from stacks.deployed_outputs import OutputsError, aws_session
from stacks.environment import Environment, read_environment
from stacks.environment_errors import EnvironmentFileError
from stacks.snowflake_side import environment_file

EVENTS = 3  # of each service


def services(session: Any, environment: Environment) -> Iterator[tuple[str, str]]:
    """The stack and the ARN of every ECS service of the environment's deployed stacks, by their names."""
    pages = session.client("cloudformation").get_paginator("describe_stacks").paginate()
    names = sorted(stack["StackName"] for page in pages for stack in page["Stacks"])
    resources = session.client("cloudformation").get_paginator("list_stack_resources")
    for name in names:
        if name.startswith(f"{environment.name}-"):
            for page in resources.paginate(StackName=name):
                for resource in page["StackResourceSummaries"]:
                    if resource["ResourceType"] == "AWS::ECS::Service":
                        yield name, resource["PhysicalResourceId"]


def describe(ecs: Any, stack: str, arn: str) -> Iterator[str]:
    """The lines about one service."""
    cluster = arn.split("/")[-2]
    known = ecs.describe_services(cluster=cluster, services=[arn])["services"]
    if not known:  # deleted by hand: CloudFormation still lists it
        yield f"{stack}: ECS has no service {arn}; aws cloudformation detect-stack-drift --stack-name {stack}"
        return
    [service] = known
    name, definition = service["serviceName"], service["taskDefinition"]
    yield f"{stack}: {name}"
    yield f"  desired {service['desiredCount']}, running {service['runningCount']}, pending {service['pendingCount']}"
    yield f"  task definition {definition.rpartition('/')[2]}"
    for status in ("RUNNING", "STOPPED"):  # ECS remembers a stopped task for about an hour
        listed = ecs.list_tasks(cluster=cluster, serviceName=name, desiredStatus=status)["taskArns"]
        for task in ecs.describe_tasks(cluster=cluster, tasks=listed)["tasks"] if listed else []:
            yield f"  task {task['taskArn'].rpartition('/')[2]} {_state(task)}"
    for event in service.get("events", [])[:EVENTS]:
        yield f"  {event['createdAt']:%Y-%m-%d %H:%M} {event['message']}"
    container = ecs.describe_task_definition(taskDefinition=definition)["taskDefinition"]["containerDefinitions"][0]
    group = container["logConfiguration"]["options"]["awslogs-group"]
    yield f"  log:   aws logs tail {group} --follow"
    yield f"  scale: aws ecs update-service --cluster {cluster} --service {name} --desired-count N"
    yield f"  renew: aws ecs update-service --cluster {cluster} --service {name} --force-new-deployment"


def _state(task: dict[str, Any]) -> str:
    if task["lastStatus"] != "STOPPED":
        return str(task["lastStatus"])
    codes = [str(one["exitCode"]) for one in task["containers"] if "exitCode" in one]
    return f"STOPPED: {task.get('stoppedReason', 'no reason given')}; exit code {', '.join(codes) or 'none'}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the status of an environment; the exit codes are in this module's text."""
    from botocore.exceptions import BotoCoreError, ClientError

    parser = argparse.ArgumentParser(prog="python -m stacks.status", description=__doc__.partition("\n")[0])
    parser.add_argument("environment", help="name of a file in environments/, without .toml, or a path to one")
    try:
        environment = read_environment(environment_file(parser.parse_args(arguments).environment))
        session = aws_session(environment)
        found = list(services(session, environment))
        for stack, arn in found:
            print("\n".join(describe(session.client("ecs"), stack, arn)))
    except (OutputsError, EnvironmentFileError, BotoCoreError, ClientError) as error:
        print(error, file=sys.stderr)
        return 1
    if not found:
        print(f"{environment.name} has no ECS service: make deploy ENV={environment.name} makes them.", file=sys.stderr)
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main())
