"""The local platform's folder."""

from __future__ import annotations

import json
from pathlib import Path

from local.platform import Platform


def test_ports_and_password_stay_what_they_were_at_the_first_start(tmp_path: Path) -> None:
    first = Platform(tmp_path / "platform").connection
    assert len({first[name] for name in ("aws", "snowflake", "postgres")}) == 3
    assert Platform(tmp_path / "platform", fixed_ports=(1, 2, 3)).connection == first


def test_the_folder_of_an_older_version_gets_what_it_lacks_and_keeps_the_rest(tmp_path: Path) -> None:
    older = {"aws": 4, "snowflake": 5, "password": "kept"}
    (tmp_path / "connection.json").write_text(json.dumps(older))
    found = Platform(tmp_path, fixed_ports=(1, 2, 3)).connection
    assert found == older | {"postgres": 3}
    assert Platform(tmp_path).connection == found
