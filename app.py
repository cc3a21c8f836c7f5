"""The CDK app: one Stage for each file in environments/, or in the folder that the context key of that name gives."""

import gc

# Before the imports. A synth makes objects by the hundred thousand, drops few and ends: a tenth of it was the search
# for cycles among them.
gc.disable()

import os
import sys
from pathlib import Path

import aws_cdk as cdk

from snowgate.sql_folder import SqlFolderError
from stacks.environment import read_environments
from stacks.environment_errors import EnvironmentFileError
from stacks.stage import add_stages


def main() -> None:
    """Synthesise all environments, and say what each costs where the synth is one that checks."""
    app = cdk.App()
    folder = app.node.try_get_context("environments") or Path(__file__).parent / "environments"
    environments = read_environments(Path(folder))
    add_stages(app, environments)
    assembly = app.synth()
    if os.environ.get("CDK_VALIDATION") != "false":
        from cost.report import summaries

        for line in summaries(environments, Path(assembly.directory)):
            print(line, file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except (EnvironmentFileError, SqlFolderError) as error:
        sys.exit(str(error))
