"""The HTTP door's own process against its OpenAPI document: Schemathesis finds nothing that is not as it says.

Half a minute in `make test`, the same requests each time; a quarter of an hour with SNOWGATE_SOAK=1, others each time.
"""

import os
import subprocess
import sys
from pathlib import Path

import fuzzing
import pytest

HERE = Path(__file__).parent
EXAMPLES = "1000" if fuzzing.SOAK else "15"  # of a route

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600 if fuzzing.SOAK else 240)]


@pytest.fixture
def door(cloud, snowflake_account, tmp_path):
    """The address of the web role's process."""
    snowflake_account.empty_tables()
    with fuzzing.web_role(cloud, snowflake_account, tmp_path) as port:
        yield f"http://127.0.0.1:{port}"
    snowflake_account.empty_tables()


def test_schemathesis_finds_nothing(door, tmp_path):
    command = [Path(sys.executable).parent / "schemathesis", "--config-file", HERE / "schemathesis.toml", "run"]
    options = ["--url", door, "--max-examples", EXAMPLES, *([] if fuzzing.SOAK else ["--seed", "1"])]
    environment = os.environ | {
        "API_TOKEN": fuzzing.TOKEN,
        "PYTHONPATH": str(HERE),
        "SCHEMATHESIS_HOOKS": "schemathesis_checks",
    }
    found = subprocess.run(
        [*command, f"{door}/openapi.json", *options], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    print(found.stdout)
    assert found.returncode == 0, found.stdout[-20_000:] + found.stderr
