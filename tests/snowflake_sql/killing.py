"""Deploys that are killed, and what is left in Snowflake once they have been run again."""

import json
import os
import re
import subprocess
import sys

from tests import sql_lint

RECORD = """SELECT KIND, NAME, KEPT, FILE_NAME, POSITION, FACTS, GRANTS, SETTLED FROM DEPLOYMENT.DEPLOYMENT_OBJECT
ORDER BY FILE_NAME, POSITION"""


SOAK = os.environ.get("SNOWGATE_SOAK") == "1"

# Each integration has its own.
EXTERNAL_ID = r"LOCAL_SFCRole=[^\\\"]+"


class Killer:
    """The process whose forks deploy."""

    def __init__(self, settings):
        environment = os.environ | settings | {"PYTHONPATH": f"{sql_lint.ROOT}:{sql_lint.ROOT / 'constructs' / 'src'}"}
        script = sql_lint.ROOT / "tests" / "snowflake_sql" / "killed_deploy.py"
        self._process = subprocess.Popen(
            [sys.executable, script], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, events, kill_after=None):
        """How many statements a deploy sent that do more than look, or None if it was killed before its end."""
        self._process.stdin.write(json.dumps({"events": events, "kill_after": kill_after}) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, self._process.wait(5)
        return json.loads(answer)

    def close(self):
        self._process.stdin.close()
        self._process.wait(10)


def sampled(count, every):
    """After which statements of `count` a deploy is killed: one of so many, and the last three; in a soak all."""
    return [after for after in range(1, count + 1) if SOAK or after % every == 0 or after > count - 3]


def create_events(system):
    """What CloudFormation sends for a first deploy; sent again, it has the same request ids."""
    return [system.event("Create", resource, properties) for resource, properties in system.resources()]


def deployed_after_kill(system, killer, after):
    """The state after a deploy that was killed and sent again; the system is gone then.

    How often outcomes are written down depends on the clock: a deploy may end before its last number comes.
    """
    events = create_events(system)
    killer.run(events, after)
    system.aws.answers.clear()
    killer.run(events)
    assert answers(system, events) == ["SUCCESS"] * 3, (after, system.aws.answers)
    state = end_state(system)
    system.remove()
    return state


def update_event(system, old, new):
    """What CloudFormation sends for an update of the scripts."""
    return system.event(
        "Update", "Scripts", new, OldResourceProperties=old, PhysicalResourceId=f"scripts:{system.config}"
    )


def end_state(system):
    """All that a deploy leaves, under names that all systems share."""
    asked = {
        "record": system.run(RECORD),
        "runner": grants(system, system.names["runner_role"]),
        "owner": grants(system, system.names["owner_role"]),
        "objects": sorted(
            (kind, row["name"], row.get("state"), row.get("schedule"))
            for kind in ("TABLES", "VIEWS", "STREAMS", "TASKS", "PROCEDURES", "USER FUNCTIONS")
            for row in system.run(f"SHOW {kind} IN DATABASE")
            if row["schema_name"] not in ("INFORMATION_SCHEMA", "DEPLOYMENT")
        ),
        "lock": system.run("SELECT HOLDER, EXPIRES_AT FROM DEPLOYMENT.DEPLOYMENT_LOCK"),
        "user": [
            {key: row[key] for key in ("name", "default_role", "has_rsa_public_key")}
            for row in system.warehouse.run(f"SHOW USERS LIKE '{system.names['runner_user']}'")
        ],
        "login": sorted(json.loads(system.aws.secrets[f"arn:secret:{system.names['runner_user']}"])),
    }
    text = json.dumps(asked, default=str).replace(system.suffix, "X")
    return json.loads(re.sub(EXTERNAL_ID, "an external id", text))


def grants(system, role):
    rows = system.warehouse.run(f"SHOW GRANTS TO ROLE {role}")
    return sorted((row["privilege"], row["granted_on"], row["name"]) for row in rows)


def answers(system, events):
    """What CloudFormation was told about events."""
    return [system.aws.answers.get(event["RequestId"], {}).get("Status") for event in events]
