"""The CDK app: one Stage for each file in environments/, or in the folder that the context key of that name gives."""

import sys
from pathlib import Path

import aws_cdk as cdk

from snowgate.sql_folder import SqlFolderError
from stacks.environment import read_environments
from stacks.environment_errors import EnvironmentFileError
from stacks.stage import add_stages


def main() -> None:
    """Synthesise all environments."""
    app = cdk.App()
    folder = app.node.try_get_context("environments") or Path(__file__).parent / "environments"
    add_stages(app, read_environments(Path(folder)))
    app.synth()


if __name__ == "__main__":
    try:
        main()
    except (EnvironmentFileError, SqlFolderError) as error:
        sys.exit(str(error))
