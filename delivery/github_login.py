"""Print as whom GitHub Actions logs in to an environment's account: `role-to-assume` and `aws-region`, a line each.

python -m delivery.github_login ENV deploy|diff
"""

from __future__ import annotations

import argparse
import sys

from stacks.environment import read_environment
from stacks.environment_errors import EnvironmentFileError
from stacks.snowflake_side import environment_file


def main() -> None:
    """Print the two lines, which a workflow takes as its step's outputs."""
    parser = argparse.ArgumentParser(prog="python -m delivery.github_login", description=__doc__.partition("\n")[0])
    parser.add_argument("environment", help="name of a file in environments/, without .toml")
    parser.add_argument("purpose", choices=["deploy", "diff"])
    options = parser.parse_args()
    try:
        environment = read_environment(environment_file(options.environment))
    except EnvironmentFileError as error:
        sys.exit(str(error))
    role = environment.github_deploy_role_name if options.purpose == "deploy" else environment.github_diff_role_name
    print(f"role-to-assume={environment.role_arn(role)}\naws-region={environment.region}")


if __name__ == "__main__":
    main()
