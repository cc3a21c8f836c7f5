"""`python -m conflict_updater`: what to do, and with what, is in the environment variables of settings.py.

The exit code is 0, 1 if something is wrong, and 143 if SIGTERM stopped it.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from conflict_updater.settings import SettingsError, load
from conflict_updater.stopping import Stop


def main() -> int:
    """Run the program and return the exit code."""
    stop = Stop()
    stop.listen()
    try:
        settings = load()
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    from conflict_updater.actions import run_actions  # only now: wrong settings are told at once

    return run_actions(settings, stop)


def leave(code: int) -> NoReturn:
    """End the process as it is, with what it has said.

    The Snowflake connector has threads of its own, written in Rust, that call Python: one that did while the
    interpreter was being taken apart made a segmentation fault of an exit code.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    leave(main())
