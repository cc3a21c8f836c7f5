"""Task graphs: a root must stand still while its graph changes, and must run again afterwards."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from .connection import GONE, Session, StatementFailed
from .deadline import Deadline, OutOfTime
from .grants import give_back, held
from .ledger import Ledger, LockLost
from .objects import Made
from .observe import predecessors

# "Graph was modified": somebody else changed it at the same time, and a moment later it can be changed again.
MODIFIED = 91423
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 8.0
ATTEMPTS = 8

_RESUMES = re.compile(r"ALTER\s+TASK\s+(?:IF\s+EXISTS\s+)?([\w.$]+)\s+(RESUME|SUSPEND)\s*", re.IGNORECASE)
_STREAM = re.compile(r"CREATE\s+(?:OR\s+REPLACE\s+)?STREAM\s+(?:IF\s+NOT\s+EXISTS\s+)?", re.IGNORECASE)


class TaskGraphError(RuntimeError):
    """A task is not in the state in which it should be."""


class Task(NamedTuple):
    """One row of SHOW TASKS."""

    name: str
    started: bool
    after: tuple[str, ...]


Graph = dict[str, Task]


@contextmanager
def paused(
    session: Session, deadline: Deadline, ledger: Ledger, tasks: Sequence[Made], statements: Sequence[str]
) -> Iterator[None]:
    """Hold the graphs of a file's tasks still while the file's statements run.

    Suspends the roots that run, also for children that others attached. Afterwards those children hang on the new
    task and run as before, and what ``statements`` resumed is verified. If the file fails, all that ran runs again. If
    the process is killed, ``ledger`` has the tasks of others for the next deploy.

    Raises:
        TaskGraphError: a task that the file resumed is not started.
        StatementFailed: Snowflake refused to suspend or resume a task; the message names it.
    """
    before = suspend(session, deadline, ledger, tasks)
    ours = {task.name for task in tasks}
    others = {name: task for name, task in before.items() if name not in ours}
    try:
        yield
    except Exception as error:
        try:
            restore(session, deadline, before)
            if others:
                ledger.note_suspended({})
        except (StatementFailed, OutOfTime, LockLost) as second:
            running = ", ".join(task.name for task in before.values() if task.started)
            raise TaskGraphError(
                f"{error} Of the tasks that ran before ({running}), not all run again: {second}"
            ) from error
        raise
    restore(session, deadline, others, ours)
    if others:
        ledger.note_suspended({})
    verify(session, tasks, statements)


def suspend(session: Session, deadline: Deadline, ledger: Ledger, tasks: Sequence[Made]) -> Graph:
    """Suspend the running roots over ``tasks``, and give what their graphs were before.

    What a killed deploy left suspended counts as what it was before that.
    """
    graphs = {name: task for schema in _schemas(tasks) for name, task in show(session, schema).items()}
    ours = [task.name for task in tasks if task.name in graphs]
    roots = {root for name in ours for root in _roots(graphs, name)}
    touched = {name: task for name, task in graphs.items() if roots.intersection(_roots(graphs, name))}
    left = remembered(ledger)
    others = {name: task for name, task in touched.items() if name not in ours} | left
    if others != left:
        ledger.note_suspended({name: (task.started, task.after) for name, task in others.items()})
    for root in sorted(roots):
        if graphs[root].started:
            run_patiently(session, deadline, f"ALTER TASK {root} SUSPEND", f"suspend task {root}")
    return touched | left


def remembered(ledger: Ledger) -> Graph:
    """The tasks of others that a deploy has suspended, as they were before."""
    return {name: Task(name, started, tuple(after)) for name, (started, after) in ledger.suspended().items()}


def resume_remembered(session: Session, deadline: Deadline, ledger: Ledger) -> None:
    """Let run again what a killed deploy had suspended, if no file has since."""
    if left := remembered(ledger):
        restore(session, deadline, left)
        ledger.note_suspended({})


def restore(session: Session, deadline: Deadline, before: Graph, ours: Iterable[str] = ()) -> None:
    """Attach and resume again what hung and ran before, children first; ``ours`` keep the state they have now."""
    kept = set(ours)
    now = {name: task for schema in _schemas_of(before) for name, task in show(session, schema).items()}
    there = {name: task for name, task in before.items() if name in now}
    lost = {
        name: [one for one in task.after if one in now and one not in now[name].after] for name, task in there.items()
    }
    stopped = [name for name, task in there.items() if lost[name] or (task.started and not now[name].started)]
    if not stopped:
        return
    attached = {name: task._replace(after=tuple({*task.after, *lost.get(name, ())})) for name, task in now.items()}
    roots = {root for name in stopped for root in _roots(attached, name)}
    # A file has resumed its own root by now: its graph is closed to changes again.
    again = {root for root in roots if now[root].started}
    for root in sorted(again):
        run_patiently(session, deadline, f"ALTER TASK {root} SUSPEND", f"suspend task {root}")
    for name in stopped:
        if lost[name]:
            after = ", ".join(lost[name])
            run_patiently(session, deadline, f"ALTER TASK {name} ADD AFTER {after}", f"attach task {name} to {after}")
    wanted = {name for name in stopped if there[name].started and name not in kept} | again
    for name in sorted(wanted, key=lambda one: (-_depth(attached, one), one)):
        run_patiently(session, deadline, f"ALTER TASK {name} RESUME", f"resume task {name}")


def verify(session: Session, tasks: Sequence[Made], statements: Sequence[str]) -> None:
    """See that what a file's statements resumed is started.

    Raises:
        TaskGraphError: a task is missing or suspended.
    """
    wanted = {name for name, action in resumed(tasks, statements).items() if action == "RESUME"}
    for schema in _schemas([task for task in tasks if task.name in wanted]):
        found = show(session, schema)
        for name in sorted(name for name in wanted if name.rpartition(".")[0] == schema):
            if name not in found or not found[name].started:
                state = "suspended" if name in found else "missing"
                raise TaskGraphError(
                    f"TASK {name} was resumed, but SHOW TASKS says that it is {state}: look at TASK_HISTORY for "
                    "failures, or whether somebody suspended it just now; then deploy again."
                )


def resumed(tasks: Sequence[Made], statements: Sequence[str]) -> dict[str, str]:
    """What a file's statements did last to each of its tasks: RESUME or SUSPEND."""
    last: dict[str, str] = {}
    for statement in statements:
        if found := _RESUMES.fullmatch(statement.strip()):
            ending = "." + found[1].upper()
            last |= {task.name: found[2].upper() for task in tasks if f".{task.name}".endswith(ending)}
    return last


def show(session: Session, schema: str) -> Graph:
    """The tasks of a schema by their fully qualified names; none if there is no such schema."""
    try:
        rows = session.run(f"SHOW TASKS IN SCHEMA {schema}", f"look at the tasks in {schema}", changes=False)
    except StatementFailed as error:
        if error.errno in GONE:
            return {}
        raise
    found = (Task(f"{schema}.{row['name']}", _started(row), tuple(predecessors(row))) for row in rows)
    return {task.name: task for task in found}


def run_patiently(session: Session, deadline: Deadline, statement: str, place: str) -> list[dict[str, Any]]:
    """Run a statement on a task, and again with growing pauses while the graph is being modified (error 091423)."""
    pause = FIRST_PAUSE_SECONDS
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return session.run(statement, place)
        except StatementFailed as error:
            if error.errno != MODIFIED or attempt == ATTEMPTS or deadline.seconds_left() < 2 * pause:
                raise
        deadline.pause(pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
    raise AssertionError("not reached: the last attempt returns or raises")


def repair_stream(session: Session, made: Made, statement: str) -> str:
    """Replace a stale stream by running its CREATE with OR REPLACE, and say what that means; its grants come back.

    A stale stream cannot be read any more and its offset is lost with it, so that nothing is lost by replacing it.

    Raises:
        ValueError: the statement does not create a stream.
    """
    text, count = _STREAM.subn("CREATE OR REPLACE STREAM ", statement, count=1)
    if not count:
        raise ValueError(f"{made}: a stale stream is replaced by its CREATE STREAM; given was {statement[:80]!r}.")
    before = held(session, made) or []
    session.run(text, f"replace stale {made}")
    give_back(session, made, before)
    return f"{made} was stale and has been replaced: changes between its old offset and now are not in it"


def _started(row: dict[str, Any]) -> bool:
    return str(row["state"]).lower() == "started"


def _schemas(tasks: Sequence[Made]) -> list[str]:
    return sorted({task.name.rpartition(".")[0] for task in tasks})


def _schemas_of(graph: Graph) -> list[str]:
    return sorted({name.rpartition(".")[0] for name in graph})


def _roots(graph: Graph, name: str) -> set[str]:
    """The roots above a task, which is its own root if nothing precedes it (any more)."""
    above = [one for one in graph[name].after if one in graph]
    return {root for one in above for root in _roots(graph, one)} if above else {name}


def _depth(graph: Graph, name: str) -> int:
    above = [one for one in graph[name].after if one in graph]
    return 1 + max(_depth(graph, one) for one in above) if above else 0
