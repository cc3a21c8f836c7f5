"""`make up RUNNER=container`: the same platform, its tasks real containers for a while."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from local.container_engine import Engine
from local.demo import Demo
from local.platform import Platform

MIB = 2**20


@pytest.fixture(scope="module")
def containers(platform: Platform, engine: Engine) -> Iterator[Platform]:
    changed = dataclasses.replace(platform, runner="container")
    changed.build_images()
    platform.stop_fargate()
    try:
        changed.start_fargate()
        yield changed
    finally:
        changed.stop_fargate()
        platform.start_fargate()
        until = time.monotonic() + 30
        while not answers(platform.web_url()):  # the tests that follow find all as it was
            assert time.monotonic() < until
            time.sleep(0.2)


def answers(url: str | None) -> bool:
    try:
        return url is not None and httpx.get(f"{url}/health", timeout=20).status_code == 200
    except httpx.TransportError:
        return False


def running(engine: Engine, platform: Platform) -> dict[str, dict[str, Any]]:
    """What the engine says of this platform's containers, by their tasks' ARNs."""
    found = engine.run("ps", "--quiet", "--filter", f"label=snowgate.platform={platform.folder}").stdout.split()
    described = json.loads(engine.run("inspect", *found, check=False).stdout) if found else []
    return {one["Config"]["Labels"]["snowgate.task"]: one for one in described}


def test_a_report_is_made_in_a_container_with_its_definitions_limits_that_is_gone_afterwards(
    containers: Platform, engine: Engine, requests: Any
) -> None:
    config_id = requests.insert("pricing_summary", OUTPUT_FORMAT="'CSV'")
    seen: dict[str, dict[str, Any]] = {}
    while (row := requests.row(config_id))["STATUS"] in ("PENDING", "PROCESSING"):
        seen |= running(engine, containers)
    assert (row["STATUS"], row["ERROR_MESSAGE"]) == ("COMPLETED", None)
    bucket, key = row["S3_LOCATION"].removeprefix("s3://").split("/", 1)
    assert b"37734107.00" in containers.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()

    (worker,) = [one for one in seen.values() if one["Config"]["Cmd"] == ["worker"]]
    assert worker["Config"]["User"] == "10001:10001"
    host = worker["HostConfig"]
    assert (host["Memory"], host["NanoCpus"], host["ReadonlyRootfs"]) == (512 * MIB, 250_000_000, True)
    assert len({one["Id"] for one in seen.values()}) == len(seen)

    Demo(containers, None).wait_for_sleep(60)  # type: ignore[arg-type]  # only its waiting is used
    until = time.monotonic() + 30  # the worker was told to stop, and hands its work back
    while worker["Config"]["Labels"]["snowgate.task"] in (left := running(engine, containers)):
        assert time.monotonic() < until
        time.sleep(0.2)
    assert not [one for one in left.values() if one["Config"]["Cmd"] == ["worker"]]


def test_the_web_role_answers_out_of_a_container(containers: Platform, engine: Engine) -> None:
    assert answers(containers.web_url())
    assert [one for one in running(engine, containers).values() if one["Config"]["Cmd"] == ["web"]]


def test_a_stopped_runner_leaves_no_container(containers: Platform, engine: Engine) -> None:
    assert running(engine, containers)
    containers.fargate.process().kill()  # type: ignore[union-attr]  # it runs
    containers.stop_fargate()
    assert running(engine, containers) == {}
