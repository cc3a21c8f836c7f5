"""Runs the actions that the environment names, one after the other, and tells how they ended."""

from __future__ import annotations

import logging
import sys
import time
import traceback

from conflict_updater.connections import test_connections
from conflict_updater.errors import told
from conflict_updater.settings import Action, Settings
from conflict_updater.stopping import EXIT_CODE, Stop, Stopped
from conflict_updater.update import run_update

_LINE = "=" * 60


def run_actions(settings: Settings, stop: Stop) -> int:
    """Run them up to the first that fails; returns the exit code: 0, 1 after a failure, 143 when it was stopped."""
    _start_log(settings.log_level)
    _say(_LINE, "TASK 02 CONFLICT UPDATER - ECS CONTAINER", f"Action: {','.join(settings.action)}")
    _say(f"Environment: {settings.environment}", _LINE)
    begun = time.monotonic()
    stop.seconds, stop.last_words = settings.stop_seconds, lambda: _say_result("stopped", begun)
    try:
        for action in settings.action:
            stop.check()
            _run(action, settings, stop)
    except Stopped:
        status, code = "stopped", EXIT_CODE
    except Exception as error:  # noqa: BLE001 - the last line of a container: the error is told, and the exit code says it
        if settings.log_level == "DEBUG":
            _say(settings.without_secrets(traceback.format_exc()))
        _say(f"ERROR: {settings.without_secrets(told(error))}")
        status, code = "failed", 1
    else:
        status, code = "completed", 0
    _say_result(status, begun)
    return code


def _run(action: Action, settings: Settings, stop: Stop) -> None:
    match action:
        case Action.VALIDATE_CONFIG:
            _say("Configuration is valid:", *(f"  {line}" for line in settings.lines()))
        case Action.TEST_CONNECTIONS:
            test_connections(settings)
        case Action.UPDATE:
            outcome = run_update(settings, stop)
            _say("Conflicts: {:,} found, {:,} new or changed, {:,} resolved".format(*outcome))


def _say_result(status: str, begun: float) -> None:
    minutes, seconds = divmod(round(time.monotonic() - begun), 60)
    _say(_LINE, "EXECUTION RESULT", f"Status: {status}", f"Duration: {minutes}m {seconds}s", _LINE)


def _start_log(level: str) -> None:
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stdout, force=True)
    logging.getLogger("snowflake.connector").setLevel(logging.ERROR)  # it warns of every proxy variable at each login
    logging.getLogger("conflict_updater").setLevel(level)


def _say(*lines: str) -> None:
    print(*lines, sep="\n", flush=True)
