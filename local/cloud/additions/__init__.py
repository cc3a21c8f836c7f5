"""What ministack lacks or does otherwise than AWS, mended: one module a concern, each with a function `apply`."""

from __future__ import annotations

from local.cloud.additions import (
    api_gateway,
    buckets,
    budgets,
    capacity_providers,
    credentials,
    custom_resources,
    databases,
    ecs_authorization,
    ecs_services,
    edge,
    firewalls,
    http_apis,
    identity_providers,
    job_tasks,
    log_authorization,
    mail,
    metric_math,
    missing_objects,
    networks,
    refusals,
    rollbacks,
    rotation,
    scaling,
    schedules,
    secrets,
    state_machines,
    task_definitions,
    task_ends,
    task_protection,
    trust,
)
from local.cloud.additions.patching import check_version

# credentials first: other modules of ministack import by name what it replaces.
IN_ORDER = (
    credentials,
    trust,
    ecs_authorization,
    log_authorization,
    task_definitions,
    task_protection,
    task_ends,
    ecs_services,
    refusals,
    networks,
    buckets,
    missing_objects,
    capacity_providers,
    scaling,
    budgets,
    identity_providers,
    secrets,
    rotation,
    metric_math,
    custom_resources,
    rollbacks,
    api_gateway,
    http_apis,
    edge,
    firewalls,
    schedules,
    state_machines,
    job_tasks,
    mail,
    databases,
)


def apply() -> None:
    """Mend ministack in this process. Raises IncompatibleMinistack when it is not the version this is written for."""
    check_version()
    for addition in IN_ORDER:
        addition.apply()
