"""The generated TPC-H tables."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from local import sample_data


def test_several_that_need_the_data_at_once_get_one_whole_set(tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        folders = set(pool.map(lambda _: sample_data.make("0.001", tmp_path), range(3)))

    assert folders == {tmp_path / "sf0.001"}
    assert sorted(file.stem for file in folders.pop().iterdir()) == sorted(sample_data.TABLES)
    assert [file.name for file in tmp_path.iterdir()] == ["sf0.001"]
