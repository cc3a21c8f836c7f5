"""Values of the CDK that many constructs need, asked for once: each question goes to the CDK's process and back."""

from __future__ import annotations

from functools import cache

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_s3 as s3


@cache
def seconds(number: int) -> cdk.Duration:
    """So many seconds."""
    return cdk.Duration.seconds(number)


@cache
def minutes(number: int) -> cdk.Duration:
    """So many minutes."""
    return cdk.Duration.minutes(number)


@cache
def hours(number: int) -> cdk.Duration:
    """So many hours."""
    return cdk.Duration.hours(number)


@cache
def days(number: int) -> cdk.Duration:
    """So many days."""
    return cdk.Duration.days(number)


@cache
def anywhere() -> ec2.IPeer:
    """All IPv4 addresses."""
    return ec2.Peer.any_ipv4()


@cache
def tcp(port: int) -> ec2.Port:
    """One TCP port."""
    return ec2.Port.tcp(port)


@cache
def linux() -> ecs.OperatingSystemFamily:
    """The operating system of all tasks."""
    return ecs.OperatingSystemFamily.LINUX


@cache
def nothing_public() -> s3.BlockPublicAccess:
    """That no policy and no ACL of a bucket makes anything public."""
    return s3.BlockPublicAccess.BLOCK_ALL
