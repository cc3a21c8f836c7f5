"""Compare an environment with what is deployed there, for whoever reviews a change, and keep the comparison.

    python -m delivery.diff ENV [--app FOLDER]

It compares templates alone (`cdk diff --method=template`), so that a role which may only read templates is enough. The
comparison goes to standard output and into build/diff/ENV.json. Exit code: the CDK CLI's.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = Path("build/diff")


@dataclass(frozen=True)
class Comparison:
    """What `cdk diff` said of one environment, and its exit code."""

    environment: str
    exit_code: int
    output: str

    def write(self, folder: Path) -> None:
        """Keep it as a file of its own."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{self.environment}.json").write_text(json.dumps(asdict(self), indent=2, ensure_ascii=False))


def read_comparisons(folder: Path) -> list[Comparison]:
    """Those that were kept, by the environments' names; none where there is no folder."""
    return [Comparison(**json.loads(file.read_text())) for file in sorted(folder.glob("*.json"))]


def compare(environment: str, app: str | None = None) -> Comparison:
    """Run `cdk diff`; ``app`` is the folder of an assembly, and left out the application is synthesised."""
    command = ["cdk", "diff", f"{environment}/*", "--method=template", "--ci", "--no-color"]
    done = subprocess.run(
        [*command, *(["--app", app] if app else [])],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Comparison(environment, done.returncode, done.stdout)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, show it and keep it; the CDK CLI's exit code."""
    parser = argparse.ArgumentParser(prog="python -m delivery.diff", description=__doc__.partition("\n")[0])
    parser.add_argument("environment", help="name of a file in environments/, without .toml")
    parser.add_argument("--app", metavar="FOLDER", help="an assembly, instead of a synth")
    options = parser.parse_args(arguments)
    comparison = compare(options.environment, options.app)
    print(comparison.output)
    comparison.write(FOLDER)
    return comparison.exit_code


if __name__ == "__main__":
    sys.exit(main())
