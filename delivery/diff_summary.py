"""Comparisons with what is deployed, as one page of Markdown.

    python -m delivery.diff_summary

It reads what `python -m delivery.diff` kept in build/diff and writes the page to standard output.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from delivery.diff import FOLDER, ROOT, Comparison, read_comparisons

ORDER = ("dev", "staging", "prod")
NOTHING = """\
Nothing was compared with AWS: the jobs that compare failed, or did not run. A pull request from a fork gets no
credentials: who has read it can push its branch into this repository. Where none is compared, delivery is not switched
on: docs/delivery.md says how."""

_STACK = re.compile(r"^Stack \S+ \((?P<name>[^)]+)\).*\n", re.MULTILINE)
_SAME = "There were no differences"
# What the CDK CLI says of a resource at the end of its line.
_LOST = re.compile(r"^\[.\] .* (replace|may be replaced|destroy|orphan)$", re.MULTILINE)
# The CLI's own words about itself, between two stacks.
_ASIDE = re.compile(
    r"^(current credentials could not be used to assume .*|Lookup role .* was not assumed\. .*|✨ .*)\n?", re.MULTILINE
)
_MARKED = re.compile(r"^([ │├└─]*)\[([-+~])\] ", re.MULTILINE)


@dataclass(frozen=True)
class StackDiff:
    """What changes in one stack."""

    name: str
    text: str

    @property
    def lost(self) -> int:
        """How many resources are replaced, may be, or go."""
        return len(_LOST.findall(self.text))

    def markdown(self) -> str:
        """A fold, coloured as a diff."""
        text = _MARKED.sub(_coloured, self.text)
        folded = _fenced(text, "diff")
        return f"<details><summary>{self.name}{_losses(self.lost)}</summary>\n\n{folded}\n\n</details>\n"


def _coloured(match: re.Match[str]) -> str:
    return f"{match[2].replace('~', '!')} {match[1]}"


def _fenced(text: str, language: str = "") -> str:
    """Text as code, whatever is in it: a fence ends at one as long ("Fenced code blocks" in GitHub's Markdown)."""
    fence = "`" * max(4, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"


def _losses(count: int) -> str:
    return f", {count} replaced or removed" if count else ""


def changed_stacks(output: str) -> list[StackDiff]:
    """What `cdk diff` says, by stack, without stacks that stay as they are."""
    pieces = _STACK.split(_ASIDE.sub("", output))[1:]
    pairs = zip(pieces[::2], pieces[1::2], strict=True)
    return [StackDiff(name, text.strip()) for name, text in pairs if not text.startswith(_SAME)]


def expected_environments() -> list[str]:
    """Those that are compared: each file in environments/ but the local platform's."""
    return [file.stem for file in (ROOT / "environments").glob("*.toml") if file.stem != "local"]


def page(comparisons: Sequence[Comparison], *, expected: Sequence[str] = (), limit: int | None = None) -> str:
    """All comparisons, in the order in which environments are deployed; no longer than ``limit`` characters.

    An ``expected`` environment without a comparison is named, since silence would look like no change. A stack that
    does not fit is named only, with the place where it is whole.
    """
    if not comparisons:
        return f"{NOTHING}\n"
    found: dict[str, Comparison | None] = dict.fromkeys(expected)
    found |= {one.environment: one for one in comparisons}
    ranks = {name: rank for rank, name in enumerate(ORDER)}
    in_order = sorted(found, key=lambda name: (ranks.get(name, len(ranks)), name))
    parts = [part for name in in_order for part in _parts(name, found[name])]
    if limit is None:
        return "\n".join(whole for whole, _ in parts)
    room = limit - len("\n".join(short for _, short in parts))
    chosen = []
    for whole, short in parts:
        fits = len(whole) - len(short) <= room
        room -= len(whole) - len(short) if fits else 0
        chosen.append(whole if fits else short)
    return "\n".join(chosen)


def _parts(environment: str, comparison: Comparison | None) -> Iterator[tuple[str, str]]:
    """Each part of the page, whole and as short as it can be."""
    if comparison is None:
        heading = f"### {environment}: not compared\n"
        yield heading, heading
        return
    if comparison.exit_code:
        heading = f"### {environment}: `cdk diff` failed with exit code {comparison.exit_code}\n"
        yield heading, heading
        yield f"{_fenced(comparison.output.strip())}\n", "The job's log says why.\n"
        return
    stacks = changed_stacks(comparison.output)
    count = {0: "no stack changes", 1: "1 stack changes"}.get(len(stacks), f"{len(stacks)} stacks change")
    heading = f"### {environment}: {count}{_losses(sum(stack.lost for stack in stacks))}\n"
    yield heading, heading
    for stack in stacks:
        yield stack.markdown(), f"{stack.name}{_losses(stack.lost)}: too long for here, whole in the job's summary.\n"


def main() -> None:
    """Print the page."""
    print(page(read_comparisons(FOLDER), expected=expected_environments()))


if __name__ == "__main__":
    main()
