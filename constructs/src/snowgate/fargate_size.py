"""The sizes that Fargate offers for a task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from snowgate.tokens import is_token

# CPU units to MiB ("Task CPU and memory" in the Amazon ECS Developer Guide).
_MEMORY: dict[int, tuple[int, ...]] = {
    256: (512, 1024, 2048),
    512: tuple(range(1024, 4096 + 1, 1024)),
    1024: tuple(range(2048, 8192 + 1, 1024)),
    2048: tuple(range(4096, 16384 + 1, 1024)),
    4096: tuple(range(8192, 30720 + 1, 1024)),
    8192: tuple(range(16384, 61440 + 1, 4096)),
    16384: tuple(range(32768, 122880 + 1, 8192)),
}
_EPHEMERAL_GIB = range(21, 200 + 1)

CPU_UNITS = tuple(_MEMORY)


@dataclass(frozen=True)
class FargateSize:
    """CPU units, memory in MiB and ephemeral storage in GiB (20 when None) of a task.

    Three sizes have names: SMALL (512 CPU units, 1024 MiB), MEDIUM (1024, 4096) and LARGE (2048, 8192).

    Raises:
        ValueError: Fargate has no such size; the message names the nearest that it has. Values that only the deploy
            knows (CDK tokens) are not checked.
    """

    cpu: int
    memory_mib: int
    ephemeral_gib: int | None = None

    SMALL: ClassVar[FargateSize]
    MEDIUM: ClassVar[FargateSize]
    LARGE: ClassVar[FargateSize]

    def __post_init__(self) -> None:
        """Refuse what Fargate does not offer."""
        if not is_token(self.cpu) and not is_token(self.memory_mib):
            _check_pair(self.cpu, self.memory_mib)
        storage = self.ephemeral_gib
        if storage is not None and not is_token(storage) and storage not in _EPHEMERAL_GIB:
            raise ValueError(
                f"Fargate has no {storage} GiB of ephemeral storage. Leave it out for 20 GiB, or give "
                f"{_EPHEMERAL_GIB.start} to {_EPHEMERAL_GIB.stop - 1}; nearest is {_nearest(storage, _EPHEMERAL_GIB)}."
            )


def nearest_cpu(cpu: int) -> int:
    """The CPU units that Fargate offers and that come nearest; of two equally near ones the larger."""
    return _nearest(cpu, CPU_UNITS)


def _check_pair(cpu: int, memory_mib: int) -> None:
    if cpu not in _MEMORY:
        near = nearest_cpu(cpu)
        raise ValueError(
            f"Fargate has no task of {cpu} CPU units. Allowed: {_listed(CPU_UNITS)}; nearest is cpu {near} with "
            f"memory_mib {_nearest(memory_mib, _MEMORY[near])}."
        )
    if memory_mib not in _MEMORY[cpu]:
        nearest = [(cpu, _nearest(memory_mib, _MEMORY[cpu]))]
        nearest += [(other, memory_mib) for other in _MEMORY if memory_mib in _MEMORY[other]][:1]
        shown = " or ".join(f"cpu {cpu} with memory_mib {memory}" for cpu, memory in nearest)
        raise ValueError(
            f"Fargate has no task of {cpu} CPU units with {memory_mib} MiB. Allowed with cpu {cpu}: "
            f"{_listed(_MEMORY[cpu])}; nearest is {shown}."
        )


def _nearest(given: int, allowed: tuple[int, ...] | range) -> int:
    return min(allowed, key=lambda size: (abs(size - given), -size))


def _listed(sizes: tuple[int, ...]) -> str:
    if len(sizes) <= 7:
        return ", ".join(map(str, sizes))
    return f"{sizes[0]} to {sizes[-1]} by {sizes[1] - sizes[0]}"


FargateSize.SMALL = FargateSize(cpu=512, memory_mib=1024)
FargateSize.MEDIUM = FargateSize(cpu=1024, memory_mib=4096)
FargateSize.LARGE = FargateSize(cpu=2048, memory_mib=8192)
