"""How many reports a task makes at once: what its CPU and its memory bear."""

import pytest

from report_service.ecs import EcsTask
from report_service.worker_role import lanes


@pytest.mark.parametrize(
    ("cpu", "memory_mib", "reports_per_task", "expected"),
    [
        (0.25, 512, 5, 1),
        (0.5, 1024, 5, 2),
        (4, 1024, 50, 4),  # the memory decides
        (1, 2048, 50, 4),  # the CPU decides
        (4, 30720, 5, 5),  # what the task is for decides
        (0.25, 64, 5, 1),  # never none
        (2, None, 50, 8),
    ],
)
def test_cpu_memory_and_what_the_task_is_for_bound_the_lanes(cpu, memory_mib, reports_per_task, expected):
    assert lanes(reports_per_task, EcsTask("c", "s", "arn", cpu, memory_mib)) == expected


def test_outside_ecs_the_cpu_of_the_machine_decides(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert lanes(50, None) == 8
