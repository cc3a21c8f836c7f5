"""What a container writes, as it comes to CloudWatch Logs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from local import container_log
from local.container_log import ContainerLog


class ThereAlready(Exception):
    """There is such a stream."""


class Stream:
    """A log stream that keeps what is put into it."""

    exceptions = SimpleNamespace(ResourceAlreadyExistsException=ThereAlready)

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.calls = 0
        self.is_there = False

    def create_log_stream(self, **_place: str) -> None:
        if self.is_there:
            raise ThereAlready

    def put_log_events(self, **request: Any) -> None:
        events = request["logEvents"]
        assert all(event["message"] for event in events)
        self.calls += 1
        self.messages += [event["message"] for event in events]


CONTAINER = {
    "name": "Container",
    "logConfiguration": {"options": {"awslogs-group": "group", "awslogs-stream-prefix": "task"}},
}


@pytest.fixture
def stream() -> Stream:
    return Stream()


@pytest.fixture
def output(tmp_path: Path) -> Path:
    file = tmp_path / "output"
    file.touch()
    return file


def follow(stream: Stream, output: Path) -> ContainerLog:
    return ContainerLog(lambda: stream, CONTAINER, "1", output)


def write(output: Path, text: str) -> None:
    with output.open("a") as file:
        file.write(text)


def test_a_line_is_sent_once_and_not_before_its_end(stream: Stream, output: Path) -> None:
    log = follow(stream, output)
    write(output, "one\ntw")
    log.send()
    assert stream.messages == ["one"]
    write(output, "o\n\nthree")
    log.send()
    assert stream.messages == ["one", "two"]
    log.send(is_over=True)
    log.send(is_over=True)
    assert stream.messages == ["one", "two", "three"]


def test_a_long_line_is_cut_as_the_driver_cuts_it(stream: Stream, output: Path) -> None:
    write(output, "x" * (2 * container_log.LONGEST_LINE + 5) + "\n")
    follow(stream, output).send()
    assert [len(message) for message in stream.messages] == [16384, 16384, 5]


def test_a_line_that_never_ends_is_sent_all_the_same(stream: Stream, output: Path) -> None:
    write(output, "x" * container_log.MOST_BYTES + "y")
    follow(stream, output).send()
    assert "".join(stream.messages) == "x" * container_log.MOST_BYTES


def test_many_lines_go_in_several_calls_and_none_is_lost(stream: Stream, output: Path) -> None:
    lines = [str(number) for number in range(30_000)]
    write(output, "\n".join(lines))
    follow(stream, output).send(is_over=True)
    assert stream.messages == lines
    assert stream.calls >= 3


def test_a_task_that_is_started_again_does_not_send_its_old_lines_again(stream: Stream, output: Path) -> None:
    write(output, "before\n")
    stream.is_there = True
    log = follow(stream, output)
    write(output, "after\n")
    log.send()
    assert stream.messages == ["after"]
