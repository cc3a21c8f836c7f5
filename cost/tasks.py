"""Tasks on Fargate: services that always run, workers that sleep, jobs that end, and their clusters."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from cost import use as assumed
from cost.price_table import CostError
from cost.schedules import HOURS, average, runs_a_month
from cost.templates import Resource, Stack
from cost.use import Estate

# A price's key and how much of it a month takes.
Amounts = Iterator[tuple[str, float]]

SERVICE, DEFINITION, FUNCTION = "AWS::ECS::Service", "AWS::ECS::TaskDefinition", "AWS::Lambda::Function"


def service(resource: Resource, estate: Estate) -> Amounts:
    """A service, by the hours that its tasks run. Spot is priced as if it were none."""
    definition, use = definition_of(resource), estate.use(resource.stack)
    network = resource.properties["NetworkConfiguration"]["AwsvpcConfiguration"]
    hours = service_hours(resource, estate)
    yield from _fargate(definition, hours, public=network.get("AssignPublicIp") == "ENABLED")
    if waker_of(resource):
        wakes = wakes_of(resource, estate)
        yield "custom_metric_month", assumed.WORKER_METRICS * _share_of_hours(wakes)
        yield "custom_metric_month", assumed.REPORT_METRICS * _share_of_hours(use.wakes)
        kilobytes = wakes * assumed.WAKE_LOG_KB + use.reports * assumed.REPORT_LOG_KB
    else:
        asked = use.requests if resource.properties.get("LoadBalancers") else 0
        kilobytes = hours * assumed.TASK_HOUR_LOG_KB + asked * assumed.REQUEST_LOG_KB
    yield from logs(resource.stack, kilobytes)
    if variables(definition).get("MAIL_SENDER"):
        yield "ses_recipient", use.emails
        yield "ses_attachment_gb", use.emails_gb


def definition(resource: Resource, estate: Estate) -> Amounts:
    """A task definition: its image, and the runs of a job; a service's tasks are priced with the service."""
    images = json.dumps([container["Image"] for container in resource.properties["ContainerDefinitions"]])
    if "container-assets" in images and resource is _first_with(resource.stack, images):
        yield "ecr_gb_month", assumed.IMAGE_GB
    machine = _machine_of(resource)
    if machine:
        use = estate.use(resource.stack)
        runs = runs_of(machine, estate)
        seconds = assumed.START_SECONDS + use.job_minutes * 60 + assumed.STOP_SECONDS
        public = "AssignPublicIp" in str(machine.properties) and '"ENABLED"' in json.dumps(
            machine.properties["DefinitionString"]
        ).replace('\\"', '"')
        yield from _fargate(resource, runs * max(assumed.LEAST_SECONDS, seconds) / 3600, public=public)
        yield "custom_metric_month", use.job_metrics * _share_of_hours(runs)
        yield from logs(resource.stack, runs * assumed.WAKE_LOG_KB)


def state_machine(resource: Resource, estate: Estate) -> Amounts:
    """A job's state machine: each run passes each state once at most, but for retries."""
    runs = runs_of(resource, estate)
    text = json.dumps(resource.properties["DefinitionString"]).replace('\\"', '"')
    yield "state_transition", runs * text.count('"Type":')
    if resource.properties.get("TracingConfiguration", {}).get("Enabled"):
        yield "xray_trace", runs


def cluster(resource: Resource, estate: Estate) -> Amounts:
    """A cluster is free; its Container Insights are custom metrics and logs."""
    settings = {one["Name"]: one["Value"] for one in resource.properties.get("ClusterSettings", [])}
    insights = settings.get("containerInsights", "disabled")
    if insights == "enhanced":
        raise CostError(
            f"{resource.stack.name}: cluster {resource.name} has Container Insights with enhanced observability, which "
            "has a price of its own: add it to cost/prices.toml and to cluster() in cost/tasks.py, or say enabled."
        )
    if insights == "enabled":
        services = [one for one in resource.stack.of_type(SERVICE) if resource.is_named_in(one.properties["Cluster"])]
        yield "custom_metric_month", assumed.CLUSTER_METRICS + assumed.SERVICE_METRICS * len(services)
        minutes = 60 * sum(service_hours(one, estate) for one in services)
        yield from logs(resource.stack, minutes * assumed.INSIGHTS_KB)


def service_hours(resource: Resource, estate: Estate) -> float:
    """Hours of all tasks of a service in a month."""
    if waker := waker_of(resource):
        awake = assumed.START_SECONDS + idle_seconds(resource) + assumed.STOP_SECONDS
        seconds = wakes_of(resource, estate) * max(assumed.LEAST_SECONDS, awake)
        most = HOURS * float(waker.properties["Environment"]["Variables"]["MAX_TASKS"])
        return min(most, (seconds + estate.use(resource.stack).work_seconds) / 3600)
    for target in resource.stack.of_type("AWS::ApplicationAutoScaling::ScalableTarget"):
        if resource.is_named_in(target.properties["ResourceId"]):
            return HOURS * _least(target)
    # CloudFormation starts one task where no count is given.
    return HOURS * float(resource.properties.get("DesiredCount", 1))


def wakes_of(resource: Resource, estate: Estate) -> float:
    """How often a worker that sleeps is woken: by its sweep, and by who asks."""
    waker = waker_of(resource)
    assert waker, "asked of a service that somebody wakes"
    sweeps = sum(runs for runs, watches in _calls(waker) if not watches)
    return sweeps + estate.use(resource.stack).wakes


def idle_seconds(resource: Resource) -> float:
    """For how long a worker that was woken looks for work before it sleeps again."""
    settings = variables(definition_of(resource))
    if "IDLE_SECONDS" not in settings:
        raise CostError(
            f"{resource.stack.name}: service {resource.name} is woken, and its container has no IDLE_SECONDS that says "
            "how long it stays awake. Set it, or price such a service in cost/tasks.py."
        )
    return float(settings["IDLE_SECONDS"])


def waker_of(resource: Resource) -> Resource | None:
    """The function that raises the service's count, where there is one."""
    for function in resource.stack.of_type(FUNCTION):
        settings = function.properties.get("Environment", {}).get("Variables", {})
        if "MAX_TASKS" in settings and resource.is_named_in(settings.get("SERVICE")):
            return function
    return None


def function(resource: Resource, estate: Estate) -> Amounts:
    """A function, by its calls: of rules, of who wakes and of downloads. What a deploy calls is left out."""
    use, calls = estate.use(resource.stack), sum(runs for runs, _ in _calls(resource))
    if any(waker_of(one) is resource for one in resource.stack.of_type(SERVICE)):
        calls += use.wakes
        yield "custom_metric_month", assumed.PENDING_METRICS * _share_of_hours(use.wakes)
    if any(resource.is_named_in(one.properties) for one in resource.stack.of_type("AWS::ApiGatewayV2::Integration")):
        calls += use.downloads
    if any(watches for _, watches in _calls(resource)):
        yield "custom_metric_month", assumed.WATCH_METRICS
    architecture = resource.properties.get("Architectures", ["x86_64"])[0]
    memory_gb = resource.properties.get("MemorySize", 128) / 1024
    yield "lambda_request", calls
    # X-Ray takes a request a second of each function, and so all that come here; an API's trace is its function's.
    if resource.properties.get("TracingConfig", {}).get("Mode") == "Active":
        yield "xray_trace", calls
    yield f"lambda_{architecture}_gb_second", calls * memory_gb * assumed.LAMBDA_SECONDS
    yield from logs(resource.stack, calls * assumed.LAMBDA_LOG_KB)


def runs_of(machine: Resource, estate: Estate) -> float:
    """How often a job runs in a month: by its schedules, and by hand."""
    schedules = machine.stack.of_type("AWS::Scheduler::Schedule")
    scheduled = sum(
        runs_a_month(one.properties["ScheduleExpression"])
        for one in schedules
        if machine.is_named_in(one.properties["Target"])
    )
    return scheduled + estate.use(machine.stack).job_runs


def definition_of(resource: Resource) -> Resource:
    """The task definition of a service."""
    named = resource.properties["TaskDefinition"]
    found = next((one for one in resource.stack.of_type(DEFINITION) if one.is_named_in(named)), None)
    if found is None:
        raise CostError(
            f"{resource.stack.name}: the task definition of service {resource.name} is not in its stack, where "
            "cost/tasks.py looks for it."
        )
    return found


def variables(definition: Resource) -> Mapping[str, Any]:
    """The variables of its containers, by their names."""
    containers = definition.properties["ContainerDefinitions"]
    return {one["Name"]: one["Value"] for container in containers for one in container.get("Environment", [])}


def logs(stack: Stack, kilobytes: float) -> Amounts:
    """What goes into the stack's logs, and stays for as long as the longest is kept, as if it were not compressed."""
    gigabytes = kilobytes / assumed.KB
    yield "log_gb", gigabytes
    yield "log_gb_month", gigabytes * stack.log_days * 24 / HOURS


def _fargate(definition: Resource, hours: float, *, public: bool) -> Amounts:
    properties = definition.properties
    architecture = properties.get("RuntimePlatform", {}).get("CpuArchitecture", "X86_64").lower()
    yield f"fargate_{architecture}_vcpu_hour", hours * int(properties["Cpu"]) / 1024
    yield f"fargate_{architecture}_gb_hour", hours * int(properties["Memory"]) / 1024
    storage = properties.get("EphemeralStorage", {}).get("SizeInGiB", 20)
    yield "fargate_storage_gb_hour", hours * (storage - 20)
    if public:
        yield "public_ipv4_hour", hours


def _least(target: Resource) -> float:
    """The least number of tasks that a service scales to, on average where schedules change it."""
    changes = [
        (action["Schedule"], float(action["ScalableTargetAction"]["MinCapacity"]))
        for action in target.properties.get("ScheduledActions", [])
    ]
    return average(changes) if changes else float(target.properties["MinCapacity"])


def _calls(resource: Resource) -> Iterator[tuple[float, bool]]:
    """How often each rule calls a function in a month, and whether it is to watch only."""
    for rule in resource.stack.of_type("AWS::Events::Rule"):
        for target in rule.properties.get("Targets", []):
            if "ScheduleExpression" in rule.properties and resource.is_named_in(target["Arn"]):
                yield runs_a_month(rule.properties["ScheduleExpression"]), "watch" in target.get("Input", "")


def _machine_of(definition: Resource) -> Resource | None:
    machines = definition.stack.of_type("AWS::StepFunctions::StateMachine")
    return next((one for one in machines if definition.is_named_in(one.properties["DefinitionString"])), None)


def _first_with(stack: Stack, images: str) -> Resource:
    return next(
        one
        for one in stack.of_type(DEFINITION)
        if json.dumps([container["Image"] for container in one.properties["ContainerDefinitions"]]) == images
    )


def _share_of_hours(times: float) -> float:
    """The share of a month's hours in which something happens that comes so often: a metric is billed by the hour."""
    return min(1.0, times / HOURS)
