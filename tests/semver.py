"""Say what part of the library's version must rise: `python -m tests.semver [REVISION]` exits 1 if it has not risen so.

Compared are the library's snapshots with those of REVISION, by default the last tag `snowgate-v…`. It is a major change
if a stack of a user would lose or replace a resource, or loses a construct; a minor one if something is new; else a
patch. Before 1.0.0 the second number rises for major changes and the third for all others ("Semantic Versioning
2.0.0"). What a change of arguments breaks stands in no template: that is for whoever reviews it.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
SNAPSHOTS = "tests/library/__snapshots__"
PROJECT = "constructs/pyproject.toml"
TAG = "snowgate-v"

# A new revision takes the place of the old one at every change, and nobody loses anything.
REVISIONS = {"AWS::ECS::TaskDefinition", "AWS::ApiGateway::Deployment", "AWS::Lambda::Version"}

Templates = Mapping[str, Mapping[str, Any]]


class Level(IntEnum):
    """How much a change asks of those who use the library."""

    PATCH = 1
    MINOR = 2
    MAJOR = 3


class Change(NamedTuple):
    """One difference between two versions of a snapshot."""

    level: Level
    text: str


def changes(before: Templates, after: Templates) -> list[Change]:
    """What became of each snapshot, the largest changes first."""
    found = [Change(Level.MAJOR, f"{name}: is gone") for name in before.keys() - after.keys()]
    found += [Change(Level.MINOR, f"{name}: is new") for name in after.keys() - before.keys()]
    for name in before.keys() & after.keys():
        found += [Change(level, f"{name}: {text}") for level, text in _of_template(before[name], after[name])]
    return sorted(found, key=lambda change: (-change.level, change.text))


def least(version: str, level: Level) -> str:
    """The least version that may follow ``version`` after a change of this level."""
    major, minor, patch = map(int, version.split("."))
    if major == 0:
        return f"0.{minor + 1}.0" if level is Level.MAJOR else f"0.{minor}.{patch + 1}"
    if level is Level.MAJOR:
        return f"{major + 1}.0.0"
    return f"{major}.{minor + 1}.0" if level is Level.MINOR else f"{major}.{minor}.{patch + 1}"


def _of_template(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    old, new = before.get("Resources", {}), after.get("Resources", {})
    for name in old.keys() - new.keys():
        level = Level.PATCH if old[name]["Type"] in REVISIONS else Level.MAJOR
        yield Change(level, f"{name} ({old[name]['Type']}) has no such logical id any more")
    for name in new.keys() - old.keys():
        yield Change(Level.MINOR, f"{name} ({new[name]['Type']}) is new")
    for name in old.keys() & new.keys():
        if old[name] != new[name]:
            yield _of_resource(name, old[name], new[name])


def _of_resource(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Change:
    shown = f"{name} ({new['Type']})"
    if old["Type"] != new["Type"]:
        return Change(Level.MAJOR, f"{shown} was {old['Type']}")
    given, now = old.get("Properties", {}), new.get("Properties", {})
    changed = {key for key in given.keys() | now.keys() if given.get(key) != now.get(key)}
    replacing = sorted(changed & replacing_properties(new["Type"]))
    if replacing and new["Type"] not in REVISIONS:
        return Change(Level.MAJOR, f"{shown} is replaced, because of {', '.join(replacing)}")
    return Change(Level.PATCH, f"{shown} changes {', '.join(sorted(changed)) or 'outside of its properties'}")


@cache
def replacing_properties(type_: str) -> frozenset[str]:
    """The properties whose change replaces a resource, or may; a custom resource decides for itself, so it has none."""
    properties = _specification().get(type_, {})
    return frozenset(name for name, told in properties.items() if told.get("causesReplacement"))


@cache
def _specification() -> dict[str, dict[str, Any]]:
    """CloudFormation's own description of its types, which the CDK CLI brings for `cdk diff`."""
    with gzip.open(ROOT / "node_modules" / "aws-cdk" / "db.json.gz") as file:
        resources = json.load(file)["schema"]["resource"]["entities"]
    return {resource["cloudFormationType"]: resource["properties"] for resource in resources}


def main(root: Path = ROOT, revision: str | None = None) -> int:
    """Print what changed since ``revision``, and whether the version has risen as it must."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, text=True).stdout

    if revision is None:
        tags = git("tag", "--list", f"{TAG}*", "--sort=-version:refname").split()
        if not tags:
            print(f"Nothing is released yet: no tag {TAG}… is there to compare with.")
            return 0
        revision = tags[0]
    files = git("ls-tree", "-r", "--name-only", revision, SNAPSHOTS).split()
    before = {file: json.loads(git("show", f"{revision}:{file}")) for file in files}
    after = {str(path.relative_to(root)): json.loads(path.read_text()) for path in (root / SNAPSHOTS).rglob("*.json")}
    was = tomllib.loads(git("show", f"{revision}:{PROJECT}"))["project"]["version"]
    now = tomllib.loads((root / PROJECT).read_text())["project"]["version"]

    found = changes(before, after)
    for change in found:
        print(f"{change.level.name:5}  {change.text.removeprefix(SNAPSHOTS + '/')}")
    needed = least(was, found[0].level) if found else was
    risen = tuple(map(int, now.split("."))) >= tuple(map(int, needed.split(".")))
    print(f"{revision} was {was}; the least that may follow is {needed}; {PROJECT} says {now}.")
    return 0 if risen else 1


if __name__ == "__main__":
    sys.exit(main(revision=sys.argv[1] if len(sys.argv) > 1 else None))
