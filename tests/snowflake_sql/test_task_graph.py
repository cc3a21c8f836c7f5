"""Task graphs in the real stand-in: what is suspended for a change, what runs again, what is said if it does not."""

import uuid

import pytest

from snowgate.lambdas.snowflake_deployer import task_graph
from snowgate.lambdas.snowflake_deployer.connection import Session, StatementFailed
from snowgate.lambdas.snowflake_deployer.deadline import Deadline
from snowgate.lambdas.snowflake_deployer.objects import read_made
from snowgate.lambdas.snowflake_deployer.task_graph import TaskGraphError, paused, repair_stream, run_patiently


class Time:
    """Time enough."""

    def get_remaining_time_in_millis(self):
        return 600_000


class Graph:
    """A schema of the test's own with the tasks ROOT and CHILD, and what a file does to them."""

    def __init__(self, session):
        suffix = uuid.uuid4().hex[:6].upper()
        self.session, self.deadline, self.noted = session, Deadline(Time()), {}
        self.warehouse, self.schema = f"GRAPH_W_{suffix}", f"GRAPH_{suffix}.S"
        self.tasks = [read_made(f"TASK {self.schema}.{name}", False) for name in ("ROOT", "CHILD")]
        self.file = [
            self.create("ROOT", "SCHEDULE = '60 MINUTE'", "SELECT 1"),
            self.create("CHILD", f"AFTER {self.schema}.ROOT", "SELECT 1"),
            "ALTER TASK CHILD RESUME",
            "ALTER TASK ROOT RESUME",
        ]
        self.run(
            f"CREATE WAREHOUSE {self.warehouse}",
            f"CREATE DATABASE GRAPH_{suffix}",
            f"CREATE SCHEMA {self.schema}",
            f"USE SCHEMA {self.schema}",
        )

    def create(self, name, when, what):
        return f"CREATE OR REPLACE TASK {self.schema}.{name} WAREHOUSE = {self.warehouse} {when} AS {what}"

    def run(self, *statements):
        for statement in statements:
            rows = self.session.run(statement, "test")
        return rows

    def deploy(self, statements=None, *, stops_before=None):
        file = statements or self.file
        with paused(self.session, self.deadline, self, self.tasks, file):
            for statement in file:
                if statement == stops_before:
                    raise StatementFailed("the file failed", 1)
                run_patiently(self.session, self.deadline, statement, "file")

    def suspended(self):
        return self.noted

    def note_suspended(self, tasks):
        self.noted = tasks

    def states(self):
        return {row["name"]: row["state"] for row in self.run(f"SHOW TASKS IN SCHEMA {self.schema}")}

    def after(self, name):
        return task_graph.show(self.session, self.schema)[f"{self.schema}.{name}"].after


@pytest.fixture
def graph(warehouse):
    with warehouse.connect() as connection:
        yield Graph(Session(connection, None, Deadline(Time())))


def test_a_first_deploy_has_nothing_to_suspend(graph):
    graph.deploy()
    assert graph.states() == {"ROOT": "started", "CHILD": "started"}


def test_a_running_graph_is_changed_and_runs_again(graph):
    graph.deploy()
    graph.deploy([graph.create("ROOT", "SCHEDULE = '30 MINUTE'", "SELECT 2"), *graph.file[1:]])
    assert graph.states() == {"ROOT": "started", "CHILD": "started"}
    assert graph.after("CHILD") == (f"{graph.schema}.ROOT",)


def test_a_child_that_somebody_attached_hangs_and_runs_as_before(graph):
    graph.deploy()
    graph.run(
        "ALTER TASK ROOT SUSPEND",
        graph.create("MINE", f"AFTER {graph.schema}.CHILD", "SELECT 3"),
        graph.create("IDLE", f"AFTER {graph.schema}.CHILD", "SELECT 3"),
        "ALTER TASK MINE RESUME",
        "ALTER TASK ROOT RESUME",
    )
    graph.deploy()
    assert graph.states() == {"ROOT": "started", "CHILD": "started", "MINE": "started", "IDLE": "suspended"}
    assert graph.after("MINE") == graph.after("IDLE") == (f"{graph.schema}.CHILD",)


def test_a_child_that_lost_its_place_is_attached_again(graph):
    """Whatever a replaced predecessor does to the tasks after it."""
    graph.deploy()
    graph.run(
        "ALTER TASK ROOT SUSPEND",
        graph.create("MINE", f"AFTER {graph.schema}.CHILD", "SELECT 3"),
        "ALTER TASK MINE RESUME",
        "ALTER TASK ROOT RESUME",
    )
    lose = [f"ALTER TASK {graph.schema}.MINE REMOVE AFTER {graph.schema}.CHILD", "ALTER TASK MINE SUSPEND"]
    graph.deploy([*graph.file[:2], *lose, *graph.file[2:]])
    assert graph.states() == {"ROOT": "started", "CHILD": "started", "MINE": "started"}
    assert graph.after("MINE") == (f"{graph.schema}.CHILD",)


def test_a_graph_above_ours_runs_again(graph):
    graph.deploy()
    graph.run(
        "ALTER TASK ROOT SUSPEND",
        graph.create("ABOVE", "SCHEDULE = '60 MINUTE'", "SELECT 3"),
        f"ALTER TASK CHILD ADD AFTER {graph.schema}.ABOVE",
        "ALTER TASK ROOT RESUME",
        "ALTER TASK ABOVE RESUME",
    )
    graph.deploy()
    assert graph.states() == {"ROOT": "started", "CHILD": "started", "ABOVE": "started"}


def test_a_graph_that_stood_still_is_left_standing_if_the_file_resumes_nothing(graph):
    graph.deploy()
    graph.run("ALTER TASK ROOT SUSPEND")
    graph.deploy(graph.file[:2])
    assert graph.states() == {"ROOT": "suspended", "CHILD": "suspended"}


@pytest.mark.parametrize("index", range(4))
def test_what_ran_runs_again_when_the_file_fails_anywhere(graph, index):
    graph.deploy()
    with pytest.raises(StatementFailed, match="the file failed"):
        graph.deploy(stops_before=graph.file[index])
    assert graph.states() == {"ROOT": "started", "CHILD": "started"}


def test_what_cannot_be_resumed_after_a_failure_is_named_with_the_failure(graph, monkeypatch):
    graph.deploy()
    run = graph.session.run

    def refuse(statement, place, **options):
        if "RESUME" in statement:
            raise StatementFailed(f"{place}: no privilege", 3001)
        return run(statement, place, **options)

    monkeypatch.setattr(graph.session, "run", refuse)
    with pytest.raises(TaskGraphError, match=r"the file failed .*ROOT.* not all run again: resume task .*no privilege"):
        graph.deploy(stops_before=graph.file[2])


def test_a_task_that_the_file_resumed_and_somebody_suspended_meanwhile_is_named(graph, monkeypatch):
    monkeypatch.setattr(task_graph, "show", lambda session, schema, show=task_graph.show: {
        name: task._replace(started=False) for name, task in show(session, schema).items()
    })  # fmt: skip
    with pytest.raises(TaskGraphError, match=rf"TASK {graph.schema}.CHILD was resumed, but .* it is suspended"):
        graph.deploy()


def test_a_resumed_task_that_is_gone_is_named(graph):
    with pytest.raises(TaskGraphError, match=rf"TASK {graph.schema}.CHILD was resumed, but .* it is missing"):
        graph.deploy([*graph.file[:3], f"DROP TASK {graph.schema}.CHILD"])


def test_a_graph_that_is_being_modified_is_tried_again(graph, monkeypatch):
    monkeypatch.setattr(task_graph, "FIRST_PAUSE_SECONDS", 0.01)
    failures = [StatementFailed("Task graph was modified", 91423)] * 3
    run = graph.session.run

    def modified(statement, place, **options):
        if statement.startswith("ALTER") and failures:
            raise failures.pop()
        return run(statement, place, **options)

    monkeypatch.setattr(graph.session, "run", modified)
    graph.deploy()
    assert graph.states() == {"ROOT": "started", "CHILD": "started"}


def test_it_is_not_tried_for_ever_and_never_for_another_error(graph, monkeypatch):
    monkeypatch.setattr(task_graph, "FIRST_PAUSE_SECONDS", 0.001)
    tried = []

    def fail(statement, place, **options):
        tried.append(statement)
        raise StatementFailed(f"{place}: failed", int(statement))

    monkeypatch.setattr(graph.session, "run", fail)
    for errno, times in ((91423, task_graph.ATTEMPTS), (2003, 1)):
        tried.clear()
        with pytest.raises(StatementFailed, match="resume X: failed"):
            run_patiently(graph.session, graph.deadline, str(errno), "resume X")
        assert len(tried) == times


def test_a_stale_stream_is_replaced_and_that_is_said(graph):
    made = read_made(f"STREAM {graph.schema}.ST", False)
    statement = "CREATE STREAM IF NOT EXISTS ST ON TABLE T APPEND_ONLY = TRUE"
    graph.run("CREATE TABLE T (A NUMBER)", statement, "CREATE OR REPLACE TABLE T (A NUMBER)")
    said = repair_stream(graph.session, made, statement)
    assert said == f"{made} was stale and has been replaced: changes between its old offset and now are not in it"
    graph.run("INSERT INTO T VALUES (1)")
    assert graph.run("SELECT A FROM ST") == [{"A": 1}]
    with pytest.raises(ValueError, match="replaced by its CREATE STREAM"):
        repair_stream(graph.session, made, "CREATE TABLE ST (A NUMBER)")
