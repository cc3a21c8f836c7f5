"""The processor architecture that images, tasks and functions are made for."""

from __future__ import annotations

import platform
from enum import Enum
from functools import cache

from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_lambda as lambda_


class Architecture(Enum):
    """ARM64 (cheaper on Fargate and Lambda) or X86_64, as each service and tool spells it."""

    ARM64 = "ARM64"
    X86_64 = "X86_64"

    @classmethod
    def of_this_machine(cls) -> Architecture:
        """The architecture of the machine that synthesises.

        Raises:
            ValueError: it is one that Fargate and Lambda do not offer.
        """
        machine = platform.machine().lower()
        if machine in ("arm64", "aarch64"):
            return cls.ARM64
        if machine in ("x86_64", "amd64"):
            return cls.X86_64
        raise ValueError(f"This machine is {machine}; Fargate and Lambda offer ARM64 and X86_64.")

    @property
    @cache
    def of_task(self) -> ecs.CpuArchitecture:
        """For a Fargate task."""
        return ecs.CpuArchitecture.ARM64 if self is Architecture.ARM64 else ecs.CpuArchitecture.X86_64

    @property
    @cache
    def of_function(self) -> lambda_.Architecture:
        """For a Lambda function."""
        return lambda_.Architecture.ARM_64 if self is Architecture.ARM64 else lambda_.Architecture.X86_64

    @property
    @cache
    def of_image(self) -> ecr_assets.Platform:
        """For an image build."""
        return ecr_assets.Platform.LINUX_ARM64 if self is Architecture.ARM64 else ecr_assets.Platform.LINUX_AMD64

    @property
    def of_wheels(self) -> str:
        """For ``uv pip install --python-platform``; the Snowflake connector has wheels for manylinux_2_28 only."""
        return "aarch64-manylinux_2_28" if self is Architecture.ARM64 else "x86_64-manylinux_2_28"
