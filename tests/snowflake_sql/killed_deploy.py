"""Run deploys in processes that end with SIGKILL after a given statement.

Each line on standard input is a job: `events` for the handler and `kill_after`, a number of statements or null. One
line on standard output answers it: how many statements were sent if it ended by itself, else null. Statements that
only look do not count: a kill after one leaves what a kill after the statement before it leaves. What takes long to
import is imported once and each job runs in a fork; the connector's threads bear no fork, so each imports it by itself.
"""

import json
import os
import signal
import sys
import time

import boto3

from snowgate.lambdas.snowflake_deployer import handler

LOOKS = ("SELECT", "SHOW", "DESC", "USE")


class Context:
    """Two minutes of a Lambda invocation."""

    def __init__(self):
        self.until = time.monotonic() + 120

    def get_remaining_time_in_millis(self):
        return int((self.until - time.monotonic()) * 1000)


def main():
    for service in ("s3", "secretsmanager"):
        boto3.client(service)  # reads its description from disk, which the forks then have
    for line in sys.stdin:
        job = json.loads(line)
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                run(job, writer)
            finally:
                os._exit(0)  # without the exit handlers of what was imported before the fork
        os.close(writer)
        os.waitpid(pid, 0)
        answer = os.read(reader, 64)
        os.close(reader)
        print(answer.decode() or "null", flush=True)


def run(job, writer):
    sent = count_statements(job["kill_after"])
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for event in job["events"]:
        handler.handler(event, Context())
    os.write(writer, str(len(sent)).encode())


def count_statements(kill_after):
    from snowgate.lambdas.snowflake_deployer import connection

    sent, original = [], connection.Session.run

    def counted(self, statement, place, **options):
        try:
            return original(self, statement, place, **options)
        finally:
            if not statement.startswith(LOOKS):
                sent.append(statement)
            if len(sent) == kill_after:
                os.kill(os.getpid(), signal.SIGKILL)

    connection.Session.run = counted
    return sent


if __name__ == "__main__":
    main()
