"""cfn-lint and checkov over the templates of an assembly, and the files that say what they skip."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
_BIN = ROOT / ".venv-checks" / "bin"


class Finding(NamedTuple):
    """What a check found in a template."""

    check: str
    template: str
    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.check} {self.template} {self.place}: {self.message}"


class CheckerFailed(RuntimeError):
    """A checker did not come to an end, or could not read a template."""


class Checker(NamedTuple):
    """A program that checks templates, and the file in the project's folder that lists the checks it skips."""

    name: str
    skip_file: Path
    run: Callable[[Path], list[Finding]]

    def skips(self) -> dict[str, str]:
        """The checks that are skipped, each with its reason, the comment on its line."""
        listed = re.findall(r"^ +- +(\w+)(?: +# *(.*))?$", self.skip_file.read_text(), re.MULTILINE)
        return {check: reason.strip() for check, reason in listed}

    def faults(self, assembly: Path) -> list[str]:
        """What is to be mended: findings that are not skipped, and skips without a reason or a finding."""
        found, skips = self.run(assembly), self.skips()
        needed = {finding.check for finding in found}
        name = self.skip_file.name
        return [
            *(str(finding) for finding in found if finding.check not in skips),
            *(f"{name}: {check} has no reason; write one behind it, after #" for check in skips if not skips[check]),
            *(f"{name}: {check} finds nothing any more; take it out" for check in skips if check not in needed),
        ]


def _cfn_lint(assembly: Path) -> list[Finding]:
    # Without .cfnlintrc, so that it also tells of skips that nothing needs any more. Its exit codes are sums of levels.
    options = ["--config-file", "/dev/null", "--format", "json"]
    report = _report(["cfn-lint", *options, *map(str, _templates(assembly))], assembly, range(0, 16, 2))
    return [
        Finding(
            one["Rule"]["Id"],
            Path(one["Filename"]).name,
            "/".join(map(str, one["Location"]["Path"] or [])),
            one["Message"],
        )
        for one in report
    ]


def _checkov(assembly: Path) -> list[Finding]:
    options = ["--config-file", str(Path(__file__).with_name("checkov.yaml"))]
    report = _report(["checkov", *options, "--file", *map(str, _templates(assembly))], assembly, (0, 1))
    if report["summary"]["parsing_errors"]:
        raise CheckerFailed(f"checkov could not read every template in {assembly}: {report['summary']}")
    return [
        Finding(one["check_id"], Path(one["file_path"]).name, one["resource"], one["check_name"])
        for one in report["results"]["failed_checks"]
    ]


def _templates(assembly: Path) -> list[Path]:
    found = sorted(assembly.rglob("*.template.json"))
    if not found:
        raise CheckerFailed(f"{assembly} holds no template. `make synth` writes them into cdk.out.")
    return found


def _report(command: list[str], folder: Path, expected: Container[int]) -> Any:
    """Run in ``folder``: both also take settings from the folder that they are started in."""
    program = _BIN / command[0]
    if not program.exists():
        raise CheckerFailed(f"{program} is missing. `make setup` installs it.")
    done = subprocess.run([str(program), *command[1:]], capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode not in expected:
        raise CheckerFailed(f"{command[0]} ended with {done.returncode}: {done.stderr or done.stdout}")
    return json.loads(done.stdout)


CFN_LINT = Checker("cfn-lint", ROOT / ".cfnlintrc", _cfn_lint)
CHECKOV = Checker("checkov", ROOT / ".checkov.yaml", _checkov)
