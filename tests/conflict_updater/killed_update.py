"""Do runs of the conflict updater that end with SIGKILL after a given exchange with PostgreSQL.

Each line on standard input is a job: that number, or 0 for none. One line on standard output answers it: how many
exchanges there were if the run ended by itself, else 0. What takes long to import is imported once and each job runs in
a fork; the connector's threads bear no fork, so each imports it by itself.
"""

import os
import signal
import sys

import psycopg
import pyarrow.compute  # noqa: F401
import pyarrow.csv  # noqa: F401

from conflict_updater.settings import load
from conflict_updater.stopping import Stop


def main():
    for line in sys.stdin:
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                run(int(line), writer)
            finally:
                os._exit(0)  # without the exit handlers of what was imported before the fork
        os.close(writer)
        os.waitpid(pid, 0)
        answer = os.read(reader, 64)
        os.close(reader)
        print(answer.decode() or "0", flush=True)


def run(kill_after, writer):
    exchanges, original = [], psycopg.Connection.wait

    def counted(self, *arguments, **options):
        try:
            return original(self, *arguments, **options)
        finally:
            exchanges.append(1)
            if len(exchanges) == kill_after:
                os.kill(os.getpid(), signal.SIGKILL)

    psycopg.Connection.wait = counted
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    from conflict_updater.actions import run_actions

    if run_actions(load(), Stop()) == 0:
        os.write(writer, str(len(exchanges)).encode())


if __name__ == "__main__":
    main()
