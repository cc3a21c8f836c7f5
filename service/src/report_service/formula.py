"""The one formula of waking up and going to sleep."""

from __future__ import annotations


def needed(pending: int, busy: int, *, reports_per_task: int, max_tasks: int) -> int:
    """Return how many tasks `pending` rows and `busy` tasks call for, between 0 and `max_tasks`."""
    if reports_per_task < 1 or max_tasks < 0:
        raise ValueError(
            f"reports_per_task is {reports_per_task} and max_tasks is {max_tasks}; at least 1 and 0 are allowed."
        )
    wanted = -(-max(pending, 0) // reports_per_task) + max(busy, 0)
    return min(wanted, max_tasks)
