"""The tables of SNOWFLAKE_SAMPLE_DATA.TPCH_SF1, made by the TPC-H generator."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from local.processes import ROOT, StepFailed

TABLES = ("customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier")


def make(scale: str = "1", folder: Path = ROOT / "build" / "sample_data") -> Path:
    """Return the folder of one parquet file a table at this scale factor, generating them once (about 5 s for 1)."""
    done = folder / f"sf{scale}"
    if done.exists():
        return done
    unfinished = folder / f"sf{scale}.{os.getpid()}"
    generator = Path(sys.executable).parent / "tpchgen-cli"
    command = [generator, "parquet", "--scale-factor", scale, "--output-dir", unfinished]
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    missing = [table for table in TABLES if not (unfinished / f"{table}.parquet").exists()]
    if result.returncode or missing:
        raise StepFailed("generation of the TPC-H data", f"{result.stderr.strip()}; missing: {missing}")
    unfinished.rename(done)
    return done
