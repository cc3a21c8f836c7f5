"""A Valkey cache on Amazon ElastiCache."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticache as elasticache
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from snowgate.acknowledgements import acknowledge
from snowgate.alarm_actions import send_alarms
from snowgate.asked_once import minutes
from snowgate.data_subnets import data_subnets
from snowgate.tokens import is_token

_REPLICAS = range(6)


class Cache(Construct):
    """One node of Valkey, and ``replicas`` of it in other zones: encrypted at rest and on the way, without passwords.

    A client logs in as ``user`` with a token that its IAM role signs; ``grant_connect`` lets a role do so, and
    ``allow_from`` opens the security group. With replicas one of them takes over when the node fails. It stands in
    private subnets if ``vpc`` has such, else in isolated or public ones, and never has a public address.

    ``node_type`` is ElastiCache's, as in ``cache.t4g.micro``; ``maintenance_window`` is UTC. What is in it is not
    backed up. ``alarms`` watch CPU and memory of each node.

    Raises:
        ValueError: more than 5 replicas, or a node type that is none.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        vpc: ec2.IVpc,
        version: str = "8.1",
        node_type: str = "cache.t4g.micro",
        replicas: int = 0,
        encryption_key: kms.IKey | None = None,
        maintenance_window: str = "sun:04:00-sun:05:00",
        alarm_topic: sns.ITopic | None = None,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.DESTROY,
    ) -> None:
        super().__init__(scope, construct_id)
        self._check(node_type, replicas)
        name = cdk.Names.unique_resource_name(self, max_length=40, separator="-").lower()

        self.security_group = ec2.SecurityGroup(
            self, "SecurityGroup", vpc=vpc, allow_all_outbound=False, description="Cache: only who is allowed"
        )
        subnets = elasticache.CfnSubnetGroup(
            self,
            "Subnets",
            description="Where the cache stands",
            subnet_ids=vpc.select_subnets(subnet_type=data_subnets(vpc).subnet_type).subnet_ids,
        )
        # With IAM the name of a user is its id ("Authenticating with IAM" in the ElastiCache User Guide).
        self.user = elasticache.CfnUser(
            self,
            "User",
            engine="valkey",
            user_id=name,
            user_name=name,
            access_string="on ~* +@all",
            authentication_mode={"Type": "iam"},
        )
        users = elasticache.CfnUserGroup(self, "Users", engine="valkey", user_group_id=name, user_ids=[self.user.ref])
        self.replication_group = elasticache.CfnReplicationGroup(
            self,
            "Group",
            replication_group_description="A cache of Valkey",
            engine="valkey",
            engine_version=version,
            cache_node_type=node_type,
            num_cache_clusters=1 + replicas,
            automatic_failover_enabled=replicas > 0,
            multi_az_enabled=replicas > 0,
            cache_subnet_group_name=subnets.ref,
            security_group_ids=[self.security_group.security_group_id],
            user_group_ids=[users.ref],
            at_rest_encryption_enabled=True,
            kms_key_id=encryption_key.key_arn if encryption_key else None,
            transit_encryption_enabled=True,
            transit_encryption_mode="required",
            auto_minor_version_upgrade=True,
            preferred_maintenance_window=maintenance_window,
        )
        self.replication_group.apply_removal_policy(removal_policy)
        self._acknowledge(replicas)

        self.host = self.replication_group.attr_primary_end_point_address
        self.port = self.replication_group.attr_primary_end_point_port
        self.alarms = [alarm for node in range(1, replicas + 2) for alarm in self._alarms(node)]
        send_alarms(self.alarms, alarm_topic)

    def allow_from(self, other: ec2.IConnectable) -> None:
        """Let ``other`` open connections to the cache; the rules are made in the stack of ``other``."""
        other.connections.allow_to(self.security_group, ec2.Port.tcp(cdk.Token.as_number(self.port)))

    def connection_environment(self) -> dict[str, str]:
        """What a container reads to find the cache and to sign its token: host, port, the group's name and the user."""
        return {
            "CACHE_HOST": self.host,
            "CACHE_PORT": self.port,
            "CACHE_NAME": self.replication_group.ref,
            "CACHE_USER": self.user.ref,
        }

    def grant_connect(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` log in as the cache's user."""
        names = {"replicationgroup": self.replication_group.ref, "user": self.user.ref}
        arns = [
            cdk.Stack.of(self).format_arn(
                service="elasticache",
                resource=kind,
                resource_name=name,
                arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
            )
            for kind, name in names.items()
        ]
        return iam.Grant.add_to_principal(grantee=grantee, actions=["elasticache:Connect"], resource_arns=arns)

    def metric(self, metric_name: str, *, node: int = 1, statistic: str = "Average") -> cloudwatch.Metric:
        """A metric of one node, of five minutes ("Metrics for Valkey and Redis OSS" in the ElastiCache User Guide)."""
        return cloudwatch.Metric(
            namespace="AWS/ElastiCache",
            metric_name=metric_name,
            dimensions_map={"CacheClusterId": f"{self.replication_group.ref}-{node:03}"},
            statistic=statistic,
            period=minutes(5),
        )

    def metric_cpu_utilization(self, *, node: int = 1) -> cloudwatch.Metric:
        """Percent of a node's CPU in use."""
        return self.metric("CPUUtilization", node=node)

    def metric_memory_usage(self, *, node: int = 1) -> cloudwatch.Metric:
        """Percent of a node's memory in use."""
        return self.metric("DatabaseMemoryUsagePercentage", node=node)

    def metric_evictions(self, *, node: int = 1) -> cloudwatch.Metric:
        """Keys that had to go before their time."""
        return self.metric("Evictions", node=node, statistic="Sum")

    def _alarms(self, node: int) -> list[cloudwatch.Alarm]:
        missing = cloudwatch.TreatMissingData
        return [
            self.metric_cpu_utilization(node=node).create_alarm(
                self,
                f"Cpu{node}Alarm",
                alarm_description="A cache node's CPU is at 80 % or more for a quarter of an hour, or it is silent",
                threshold=80,
                evaluation_periods=3,
                treat_missing_data=missing.BREACHING,
            ),
            self.metric_memory_usage(node=node).create_alarm(
                self,
                f"Memory{node}Alarm",
                alarm_description="A cache node's memory is nearly full: keys are evicted, or writes refused",
                threshold=90,
                evaluation_periods=3,
                treat_missing_data=missing.NOT_BREACHING,
            ),
        ]

    def _check(self, node_type: str, replicas: int) -> None:
        if replicas not in _REPLICAS:
            nearest = min(max(replicas, _REPLICAS[0]), _REPLICAS[-1])
            raise ValueError(
                f"{self.node.path}: replicas is {replicas}; allowed is 0 to {_REPLICAS[-1]}, nearest is {nearest}."
            )
        if not is_token(node_type) and not node_type.startswith("cache."):
            raise ValueError(
                f"{self.node.path}: node_type is {node_type!r}; allowed is one of ElastiCache's, as in cache.t4g.micro."
            )

    def _acknowledge(self, replicas: int) -> None:
        reasons = {
            "AEC5": "The port is no secret: the security group decides who reaches it.",
            "AEC6": "Clients log in with tokens that their IAM role signs; there is no password.",
        }
        if not replicas:
            reasons["AEC4"] = "A cache can be filled anew; a second node doubles the price, and replicas turns it on."
        acknowledge(self.replication_group, reasons)
