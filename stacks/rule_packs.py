"""cdk-nag's rule packs, which stop a synth, and the table of the compliance packs' findings that are accepted."""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import aws_cdk as cdk
from cdk_nag import (
    AwsSolutionsChecks,
    HIPAASecurityChecks,
    NagPack,
    NIST80053R5Checks,
    PCIDSS321Checks,
    ServerlessChecks,
)
from constructs import IConstruct

TABLE = Path(__file__).parent / "accepted_findings.toml"
# By the names that their findings bear. The reasons of AwsSolutions lie beside the constructs, the others' in TABLE.
COMPLIANCE_PACKS: dict[str, type[NagPack]] = {
    "HIPAA.Security": HIPAASecurityChecks,
    "NIST.800.53.R5": NIST80053R5Checks,
    "PCI.DSS.321": PCIDSS321Checks,
    "Serverless": ServerlessChecks,
}
PACKS: dict[str, type[NagPack]] = {"AwsSolutions": AwsSolutionsChecks, **COMPLIANCE_PACKS}


@dataclass(frozen=True)
class Accepted:
    """A rule that may find something: anywhere, or in the constructs ``at``, paths below an environment."""

    rule: str
    reason: str
    at: tuple[str, ...] = ()

    @property
    def acknowledgments(self) -> list[cdk.Acknowledgment]:
        """One for each pack: they share their rules."""
        return [cdk.Acknowledgment(id=f"{pack}::{pack}-{self.rule}", reason=self.reason) for pack in COMPLIANCE_PACKS]


def add_rule_packs(app: cdk.App, stages: Iterable[cdk.Stage]) -> None:
    """Let each synth of ``app`` check ``stages``, and stop at a finding without a reason."""
    everywhere: list[cdk.Acknowledgment] = []
    by_path: dict[str, list[cdk.Acknowledgment]] = defaultdict(list)
    for accepted in read_table():
        acknowledgments = accepted.acknowledgments
        for reasons in [by_path[path] for path in accepted.at] or [everywhere]:
            reasons += acknowledgments
    cdk.Validations.of(app).acknowledge(*everywhere)
    for stage in stages:
        for path, reasons in by_path.items():
            if construct := _below(stage, path):
                cdk.Validations.of(construct).acknowledge(*reasons)
    cdk.Validations.of(app).add_plugins(*(pack(app) for pack in PACKS.values()))


def read_table(file: Path = TABLE) -> list[Accepted]:
    """The accepted findings: under each rule a list of tables with ``reason`` and, if not everywhere, ``at``."""
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    return [
        Accepted(rule, entry["reason"], tuple(entry.get("at", ())))
        for rule, entries in table.items()
        for entry in entries
    ]


def _below(stage: cdk.Stage, path: str) -> IConstruct | None:
    """The construct at a path, which an environment need not have."""
    found: IConstruct | None = stage
    for name in path.split("/"):
        found = found.node.try_find_child(name) if found else None
    return found
