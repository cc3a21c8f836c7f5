"""An environment file with names of its own, for the commands that a user types."""

import re
import subprocess
import sys
import uuid

from tests import sql_lint

UNIQUE = (
    *("database", "warehouse", "deployer_role", "owner_role", "runner_role", "runner_user", "web_user"),
    *("api_integration", "external_access"),
)


KEY_PAIR = 'login = "key_pair"\nlogin_secret = "snowgate/local/deployer"'
WORKLOAD_IDENTITY = 'login = "workload_identity"\naccount = "LOCAL-PLATFORM"'


class OwnEnvironment:
    """environments/local.toml with other names in Snowflake, in a folder of the test's."""

    def __init__(self, folder, login=KEY_PAIR):
        self.name = f"e{uuid.uuid4().hex[:6]}"
        self.file = folder / f"{self.name}.toml"
        text = (sql_lint.ROOT / "environments" / "local.toml").read_text()
        # Whatever the file says between the table's head and its first name is the login.
        text = re.sub(r"(?<=\[snowflake\]\n).*?(?=^database = )", f"{login}\n", text, flags=re.MULTILINE | re.DOTALL)
        for key in UNIQUE:
            text = re.sub(rf'^({key} = "\w+)"$', rf'\1_{self.name.upper()}"', text, flags=re.MULTILINE)
        self.file.write_text(text)

    def command(self, module, *arguments, environment=None):
        """Run one of the stacks' commands on the file as `make` does; (exit code, output, errors)."""
        done = subprocess.run(
            [sys.executable, "-m", f"stacks.{module}", str(self.file), *map(str, arguments)],
            cwd=sql_lint.ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr
