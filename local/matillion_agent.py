"""What runs here in the place of Matillion's agent, whose image and service are elsewhere: it takes no work.

It asks for the settings that the real one needs, says that it has them, and ends as one that was told to stop.
"""

from __future__ import annotations

import os
import signal
import sys
from threading import Event

NEEDED = ("ACCOUNT_ID", "AGENT_ID", "MATILLION_REGION", "OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET")


def main() -> int:
    """Run until SIGTERM; exit code 1 if a setting is missing."""
    if missing := [name for name in NEEDED if not os.environ.get(name)]:
        print(f"Not started: {', '.join(missing)} not set.", flush=True)
        return 1
    stop = Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    agent = f"agent {os.environ['AGENT_ID']} of account {os.environ['ACCOUNT_ID']} in {os.environ['MATILLION_REGION']}"
    print(f"Stand-in of {agent}: all settings are there; it is not connected and takes no work.", flush=True)
    stop.wait()
    print("Stopped.", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
