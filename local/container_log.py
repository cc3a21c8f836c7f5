"""A container's output in CloudWatch Logs, where Fargate's log driver puts it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

LONGEST_LINE = 16 * 1024  # bytes of one event: the driver cuts longer lines ("awslogs" in Docker's documentation)
MOST_BYTES = 256 * 1024  # read at once; PutLogEvents takes up to 1 MiB with 26 bytes for each event
MOST_EVENTS = 10_000  # of one PutLogEvents
CREDENTIALS_LAST = 45 * 60  # seconds; those of a role end after an hour
log = logging.getLogger("fargate")


class ContainerLog:
    """Sends what a container writes into a file on, line by line, to its stream in the definition's log group.

    Arguments: `connect` gives a client of CloudWatch Logs with the execution role's credentials, as which the driver
    writes; `container` is the container's definition.

    Raises:
        ClientError: the stream cannot be made: the group is missing, or the role may not write to it.
    """

    def __init__(self, connect: Callable[[], Any], container: Mapping[str, Any], task_id: str, file: Path) -> None:
        options = container["logConfiguration"]["options"]
        self._place = {
            "logGroupName": options["awslogs-group"],
            "logStreamName": f"{options['awslogs-stream-prefix']}/{container['name']}/{task_id}",
        }
        self._connect, self._client, self._since = connect, connect(), time.monotonic()
        self._file, self._position = file, 0
        try:
            self._client.create_log_stream(**self._place)
        except self._client.exceptions.ResourceAlreadyExistsException:
            self._position = file.stat().st_size  # of a task that this runner's predecessor began

    def send(self, *, is_over: bool = False) -> None:
        """Send the lines that are there; the last one without its end too, when the container `is_over`."""
        while chunk := self._read():
            end, is_cut = chunk.rfind(b"\n") + 1, len(chunk) == MOST_BYTES
            if (is_over and not is_cut) or (is_cut and not end):
                end = len(chunk)
            if not end:
                return
            messages = list(_messages(chunk[:end]))
            for start in range(0, len(messages), MOST_EVENTS):
                self._put(messages[start : start + MOST_EVENTS])
            self._position += end

    def _read(self) -> bytes:
        with self._file.open("rb") as file:
            file.seek(self._position)
            return file.read(MOST_BYTES)

    def _put(self, messages: list[str]) -> None:
        if time.monotonic() - self._since > CREDENTIALS_LAST:
            self._client, self._since = self._connect(), time.monotonic()
        now = int(time.time() * 1000)
        events = [{"timestamp": now, "message": message} for message in messages]
        try:
            self._client.put_log_events(**self._place, logEvents=events)
        except ClientError as error:  # the group went with its stack: the container goes on, as on Fargate
            log.warning("%s: %d lines lost: %s", self._place["logStreamName"], len(messages), error)


def _messages(chunk: bytes) -> Iterator[str]:
    """The events of some lines; an empty line is none, for CloudWatch Logs takes no empty message."""
    for line in chunk.split(b"\n"):
        for start in range(0, len(line), LONGEST_LINE):
            yield line[start : start + LONGEST_LINE].decode(errors="replace")
