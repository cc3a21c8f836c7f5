"""Step Functions: whose permissions a state machine has, what ends an execution, and which integrations there are."""

from __future__ import annotations

import contextvars
import json
import threading
from typing import Any

from local.cloud.additions import roles
from local.cloud.additions.patching import replaces, replaces_entry, require

STATES = "states.amazonaws.com"
RUN_TASK = "arn:aws:states:::ecs:runTask"
RUN_TASK_SYNC = f"{RUN_TASK}.sync"
RULE = "StepFunctionsGetEventsForECSTaskRule"
TABLE_ACTIONS = ("putItem", "getItem", "deleteItem", "updateItem")

# The execution whose state runs in this thread.
current: contextvars.ContextVar[dict[str, Any]] = contextvars.ContextVar("execution")


def apply() -> None:
    """ministack lets a state machine do everything and run for ever, AWS what its role may and as long as it says."""
    from ministack.services import stepfunctions

    require(stepfunctions, "_ExecutionError", "_state_machines", "_executions", "_add_event", "now_iso")
    _check_roles(stepfunctions)
    _work_as_the_role(stepfunctions)
    _time_out(stepfunctions)
    _keep_the_end(stepfunctions)
    stepfunctions._AWS_SDK_SERVICE_MAP["ecs"]["param_case"] = "lower-camel"  # as ECS itself reads them
    # The SDK's class has that name, and the integration spells errors by classes.
    stepfunctions._AWS_SDK_ERROR_CODE_OVERRIDES["sfn"] = {"ExecutionDoesNotExist": "ExecutionDoesNotExistException"}


def role_session(stepfunctions: Any) -> str:
    """The ARN of the session as which the current execution works."""
    machine = stepfunctions._state_machines[current.get()["stateMachineArn"]]
    return roles.session(machine["roleArn"], "execution")


def demand(stepfunctions: Any, action: str, resource: str, **keys: str) -> None:
    """Fail the current state unless the state machine's role allows an action, as the called service does."""
    from ministack.core.responses import get_region

    principal = role_session(stepfunctions)
    if not roles.allows(principal, action, resource, get_region(), keys):
        prefix = {"dynamodb": "DynamoDB", "states": "Sfn", "cloudwatch": "CloudWatch"}.get(
            action.partition(":")[0], "ECS"
        )
        message = f"User: {principal} is not authorized to perform: {action} on resource: {resource}"
        raise stepfunctions._ExecutionError(f"{prefix}.AccessDeniedException", message)


def _check_roles(stepfunctions: Any) -> None:
    """ministack takes any role, AWS one that Step Functions may assume, and that may make the rule that .sync needs."""
    from ministack.core.responses import error_response_json
    from ministack.services.cloudformation import provisioners

    for action in ("_create_state_machine", "_update_state_machine"):

        @replaces(stepfunctions, action, "data")
        def put(original: Any, data: dict[str, Any]) -> Any:
            role, definition = data.get("roleArn"), data.get("definition")
            if role and definition and (refused := _refusal(role, definition)):
                return error_response_json("AccessDeniedException", refused, 400)
            return original(data)

    handlers = provisioners._RESOURCE_HANDLERS["AWS::StepFunctions::StateMachine"]

    def check(props: dict[str, Any]) -> None:
        if refused := _refusal(props["RoleArn"], provisioners._sfn_definition(props)):
            raise ValueError(f"AWS::StepFunctions::StateMachine: {refused}")

    @replaces_entry(handlers, "create", "logical_id props stack_name", "AWS::StepFunctions::StateMachine")
    def create(original: Any, logical_id: str, props: dict[str, Any], stack_name: str) -> Any:
        check(props)
        return original(logical_id, props, stack_name)

    @replaces_entry(
        handlers,
        "update",
        "physical_id old_props new_props stack_name logical_id",
        "AWS::StepFunctions::StateMachine",
    )
    def update(original: Any, physical_id: str, old: dict[str, Any], new: dict[str, Any], *rest: Any) -> Any:
        check(new)
        return original(physical_id, old, new, *rest)


def _refusal(role: str, definition: str) -> str | None:
    from ministack.core.responses import get_account_id, get_region

    if not roles.trusts(role, STATES):
        return f"Neither the global service principal {STATES}, nor the regional one is authorized to assume {role}"
    rule = f"arn:aws:events:{get_region()}:{get_account_id()}:rule/{RULE}"
    principal = roles.session(role, "execution")
    actions = ("events:PutRule", "events:PutTargets", "events:DescribeRule")
    if RUN_TASK_SYNC in definition and not all(roles.allows(principal, one, rule, get_region()) for one in actions):
        return f"'{role}' is not authorized to create managed-rule."
    return None


def _work_as_the_role(stepfunctions: Any) -> None:
    """ministack calls services whatever the role may do; what it has no permission for here, it refuses to call."""

    @replaces(stepfunctions, "_execute_task", "state_def raw_input execution ctx")
    def execute_task(original: Any, state_def: Any, raw_input: Any, execution: Any, ctx: Any) -> Any:
        token = current.set(execution)
        try:
            return original(state_def, raw_input, execution, ctx)
        finally:
            current.reset(token)

    @replaces(stepfunctions, "_invoke_resource", "resource input_data")
    def invoke_resource(original: Any, resource: str, input_data: dict[str, Any]) -> Any:
        _demand_for(stepfunctions, resource, input_data)
        return original(resource, input_data)


def _demand_for(stepfunctions: Any, resource: str, request: dict[str, Any]) -> None:
    from ministack.core.responses import get_account_id, get_region

    service, _, action = resource.removeprefix("arn:aws:states:::").rpartition(":")
    if resource in (RUN_TASK, RUN_TASK_SYNC):
        return  # job_tasks knows what it needs
    if service == "dynamodb" and action in TABLE_ACTIONS:
        table = f"arn:aws:dynamodb:{get_region()}:{get_account_id()}:table/{request['TableName'].rpartition('/')[2]}"
        demand(stepfunctions, f"dynamodb:{action[0].upper()}{action[1:]}", table)
    elif (service, action) == ("aws-sdk:sfn", "describeExecution"):
        demand(stepfunctions, "states:DescribeExecution", request["ExecutionArn"])
    elif (service, action) == ("aws-sdk:ecs", "listTasks"):
        demand(stepfunctions, "ecs:ListTasks", "*", **{"ecs:cluster": request["Cluster"]})
    elif (service, action) == ("aws-sdk:cloudwatch", "putMetricData"):
        demand(stepfunctions, "cloudwatch:PutMetricData", "*", **{"cloudwatch:namespace": request["Namespace"]})
    elif (service, action) == ("aws-sdk:ecs", "stopTask"):
        demand(stepfunctions, "ecs:StopTask", request["Task"])
    else:
        raise stepfunctions._ExecutionError(
            "States.Runtime",
            f"This stand-in does not know which permission {resource} needs: additions/state_machines.py",
        )


def _time_out(stepfunctions: Any) -> None:
    """ministack reads no TimeoutSeconds of a state machine, AWS ends its executions as TIMED_OUT."""

    def expire(execution: dict[str, Any]) -> None:
        if execution["status"] == "RUNNING":
            execution |= {"status": "TIMED_OUT", "stopDate": stepfunctions.now_iso()}
            stepfunctions._add_event(execution, "ExecutionTimedOut")
            stepfunctions._emit_execution_status_event(execution)

    @replaces(stepfunctions, "_run_execution", "exec_arn")
    def run_execution(original: Any, arn: str) -> None:
        execution = stepfunctions._executions[arn]
        definition = json.loads(stepfunctions._state_machines[execution["stateMachineArn"]]["definition"])
        seconds = definition.get("TimeoutSeconds", threading.TIMEOUT_MAX)
        timer = threading.Timer(seconds, contextvars.copy_context().run, (expire, execution))
        timer.daemon = True
        timer.start()
        try:
            original(arn)
        finally:
            timer.cancel()


def _keep_the_end(stepfunctions: Any) -> None:
    """ministack fails an execution that was aborted meanwhile, on AWS it stays aborted."""

    @replaces(stepfunctions, "_fail_execution", "execution error cause")
    def fail_execution(original: Any, execution: dict[str, Any], error: str, cause: str) -> None:
        if execution["status"] == "RUNNING":
            original(execution, error, cause)
