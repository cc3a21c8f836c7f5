"""`make checks`: write the audit of a synth's findings, and let cfn-lint and checkov read its templates."""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from checks import nag_audit
from checks.template_checkers import CFN_LINT, CHECKOV, ROOT

AUDIT = ROOT / "build" / "checks" / "nag-audit.csv"


def main() -> int:
    """Check one assembly; exit code 1 if there is anything to mend."""
    parser = argparse.ArgumentParser(prog="python -m checks", description=__doc__)
    parser.add_argument("assembly", type=Path, help="the folder that a synth wrote, as in cdk.out")
    assembly = parser.parse_args().assembly.resolve()

    found = nag_audit.findings(assembly)
    nag_audit.write(found, AUDIT)
    still_open = [finding for finding in found if not finding.reason]
    for finding in still_open:
        print(f"{finding.rule} {finding.environment}/{finding.resource}: no reason is recorded")
    print(f"cdk-nag: {len(found)} findings, {len(still_open)} of them without a reason; {AUDIT.relative_to(ROOT)}")

    checkers = [CFN_LINT, CHECKOV]
    with ThreadPoolExecutor() as pool:
        results = list(pool.map(lambda checker: checker.faults(assembly), checkers))
    for checker, faults in zip(checkers, results, strict=True):
        print(*faults, sep="\n", end="\n" if faults else "")
        skipped = f"{len(checker.skips())} checks are skipped ({checker.skip_file.name})"
        print(f"{checker.name}: {len(faults)} faults; {skipped}")
    return 1 if still_open or any(results) else 0


if __name__ == "__main__":
    sys.exit(main())
