"""The tables of SNOWFLAKE_SAMPLE_DATA.TPCH_SF1, made by the TPC-H generator."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from local.processes import ROOT, StepFailed

TABLES = ("customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier")


def make(scale: str = "1", folder: Path = ROOT / "build" / "sample_data") -> Path:
    """Return the folder of one parquet file a table at this scale factor, generating them once (about 5 s for 1)."""
    done = folder / f"sf{scale}"
    if done.exists():
        return done
    folder.mkdir(parents=True, exist_ok=True)
    generator = Path(sys.executable).parent / "tpchgen-cli"
    with tempfile.TemporaryDirectory(dir=folder, prefix=f"sf{scale}.") as scratch:
        unfinished = Path(scratch) / "tables"
        command = [str(generator), "parquet", "--scale-factor", scale, "--output-dir", str(unfinished)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        missing = [table for table in TABLES if not (unfinished / f"{table}.parquet").exists()]
        if result.returncode or missing:
            raise StepFailed("generation of the TPC-H data", f"{result.stderr.strip()}; missing: {missing}")
        try:
            unfinished.rename(done)
        except OSError:
            if not done.exists():  # else another process was first, with the same tables
                raise
    return done
