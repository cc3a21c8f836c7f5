"""`python -m conflict_updater`: what to do, and with what, is in the environment variables of settings.py.

The exit code is 0, 1 if something is wrong, and 143 if SIGTERM stopped it.
"""

from __future__ import annotations

import sys

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


if __name__ == "__main__":
    sys.exit(main())
