"""The process environment that ministack reads, and that the Lambdas it starts inherit."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from local.cloud.accounts import OPERATOR

ROOT = Path(__file__).resolve().parents[2]


def process_environment(
    *, port: int, state: Path, certificate: Path, key: Path, of_functions: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The whole environment of the stand-in: nothing of the caller's AWS, Python or Node settings passes through.

    Arguments: `certificate`'s folder holds ca.pem too, as `certificates.make` leaves it; `of_functions` is what leads
    the Lambdas to other stand-ins.
    """
    bundle = str(certificate.parent / "ca.pem")
    scratch = state / "tmp"
    tools = [str(ROOT / ".venv" / "bin"), str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
    return {
        "PATH": os.pathsep.join(tools),  # .venv/bin first: Node Lambdas run in the project's Node
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "NODE_PATH": str(ROOT / "local" / "cloud" / "node_modules"),
        # Where and how it answers
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "USE_SSL": "1",
        "MINISTACK_SSL_CERT": str(certificate),
        "MINISTACK_SSL_KEY": str(key),
        "IOT_MTLS_ENABLED": "0",  # else a second port opens, on all addresses
        "SFTP_ENABLED": "0",
        # Who may call
        "AUTH": "true",
        "MINISTACK_ACCOUNT_ID": OPERATOR.account_id,
        # What it keeps
        "PERSIST_STATE": "1",
        "STATE_DIR": str(state / "services"),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(state / "s3"),
        # What makes Lambdas trust it
        "AWS_CA_BUNDLE": bundle,
        "REQUESTS_CA_BUNDLE": bundle,
        "SSL_CERT_FILE": bundle,
        "NODE_EXTRA_CA_CERTS": bundle,
        **(of_functions or {}),
    }
