"""FargateSize: the table, and what is said about a size that is not in it."""

from __future__ import annotations

import aws_cdk as cdk
import pytest

from snowgate import FargateSize
from snowgate.fargate_size import CPU_UNITS, nearest_cpu

# "Task CPU and memory" in the Amazon ECS Developer Guide: CPU units, least MiB, most MiB, step.
RANGES = [
    (512, 1024, 4096, 1024),
    (1024, 2048, 8192, 1024),
    (2048, 4096, 16384, 1024),
    (4096, 8192, 30720, 1024),
    (8192, 16384, 61440, 4096),
    (16384, 32768, 122880, 8192),
]


def offered() -> set[tuple[int, int]]:
    sizes = {(256, 512), (256, 1024), (256, 2048)}
    return sizes | {(cpu, memory) for cpu, low, high, step in RANGES for memory in range(low, high + 1, step)}


def test_every_size_of_the_table_is_taken_and_no_other_step_between() -> None:
    for cpu in CPU_UNITS:
        for memory in range(512, 131072 + 1, 512):
            if (cpu, memory) in offered():
                FargateSize(cpu=cpu, memory_mib=memory)
            else:
                with pytest.raises(ValueError, match="Fargate has no task of"):
                    FargateSize(cpu=cpu, memory_mib=memory)


@pytest.mark.parametrize(
    ("cpu", "memory", "nearest"),
    [
        (512, 700, "cpu 512 with memory_mib 1024"),
        (256, 4096, "cpu 256 with memory_mib 2048 or cpu 512 with memory_mib 4096"),
        (500, 1024, "cpu 512 with memory_mib 1024"),
        (100_000, 1, "cpu 16384 with memory_mib 32768"),
        (8192, 18000, "cpu 8192 with memory_mib 16384"),
        (0, 0, "cpu 256 with memory_mib 512"),
        (-1, 512, "cpu 256 with memory_mib 512"),
    ],
)
def test_a_size_that_fargate_lacks_is_refused_with_the_nearest(cpu: int, memory: int, nearest: str) -> None:
    with pytest.raises(ValueError, match=f"nearest is {nearest}"):
        FargateSize(cpu=cpu, memory_mib=memory)


@pytest.mark.parametrize(("storage", "nearest"), [(20, 21), (0, 21), (201, 200)])
def test_ephemeral_storage_is_21_to_200_gib(storage: int, nearest: int) -> None:
    FargateSize(cpu=256, memory_mib=512, ephemeral_gib=21)
    FargateSize(cpu=256, memory_mib=512, ephemeral_gib=200)
    with pytest.raises(ValueError, match=f"nearest is {nearest}"):
        FargateSize(cpu=256, memory_mib=512, ephemeral_gib=storage)


def test_values_that_only_the_deploy_knows_are_let_through() -> None:
    token = cdk.Token.as_number(cdk.Fn.ref("Parameter"))
    assert FargateSize(cpu=token, memory_mib=700).memory_mib == 700
    assert FargateSize(cpu=256, memory_mib=512, ephemeral_gib=token).cpu == 256


def test_three_sizes_have_names() -> None:
    assert FargateSize(cpu=512, memory_mib=1024) == FargateSize.SMALL
    assert FargateSize(cpu=1024, memory_mib=4096) == FargateSize.MEDIUM
    assert FargateSize(cpu=2048, memory_mib=8192) == FargateSize.LARGE


def test_of_two_equally_near_sizes_the_larger_is_named() -> None:
    assert nearest_cpu(384) == 512
