"""How tasks in a network reach what is outside of it."""

from __future__ import annotations

import enum


class NetworkMode(enum.Enum):
    """The way out of a network: what it costs differs, that nothing comes in does not.

    PUBLIC: tasks have public addresses, which change; free. NAT_INSTANCE: private subnets behind EC2 instances that run
    fck-nat. NAT_GATEWAYS: private subnets behind NAT gateways. Both of these leave from addresses that stay. PRIVATE:
    no way to the internet; the AWS services that tasks need are reached by VPC endpoints.
    """

    PUBLIC = "public"
    NAT_INSTANCE = "nat_instance"
    NAT_GATEWAYS = "nat_gateways"
    PRIVATE = "private"

    @property
    def has_nat(self) -> bool:
        """Whether there are both public and private subnets, and network address translation between them."""
        return self in (NetworkMode.NAT_INSTANCE, NetworkMode.NAT_GATEWAYS)
