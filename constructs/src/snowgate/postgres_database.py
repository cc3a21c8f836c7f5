"""A PostgreSQL database on Amazon RDS."""

from __future__ import annotations

import json
import re

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_rds as rds
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sns as sns
from constructs import Construct

from snowgate.acknowledgements import acknowledge
from snowgate.alarm_actions import send_alarms
from snowgate.asked_once import days, minutes
from snowgate.data_subnets import data_subnets
from snowgate.postgres_alarms import postgres_alarms
from snowgate.tokens import is_token

_MICRO = ec2.InstanceType.of(ec2.InstanceClass.T4G, ec2.InstanceSize.MICRO)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
_LOGS = ("postgresql", "upgrade")
# "Setting up and enabling Enhanced Monitoring" in the Amazon RDS User Guide.
_MONITORING = "service-role/AmazonRDSEnhancedMonitoringRole"
_ONE_MINUTE, _FIVE_MINUTES = minutes(1), minutes(5)


class PostgresDatabase(Construct):
    """One RDS instance of PostgreSQL: encrypted, backed up, TLS only, never public, with a password nobody knows.

    RDS makes the password of ``username``, keeps it in ``secret`` (JSON: username and password) and rotates it every
    seven days; ``encryption_key`` is for storage and secret, AWS's own keys by default. ``allow_from`` opens the
    security group, ``grant_connect`` lets a role log in without the password.

    ``storage_gib`` grows by itself up to ``max_storage_gib``, if that is given. Windows are UTC. ``multi_az`` keeps a
    standby in another zone, ``copy_backups_to`` a copy of the automated backups in another region, for as long and
    encrypted with ``copy_key``, the ARN of a key there ("Replicating automated backups to another AWS Region"), and
    ``replica`` makes a second instance to read from. Before it is deleted there is a last
    snapshot, and with ``deletion_protection`` it is not deleted at all.

    RDS takes no replica of an instance whose password it manages ("Limitations for Secrets Manager integration with
    Amazon RDS" in its User Guide): with ``replica`` the deploy makes the password, in a secret of the same keys, and
    nothing rotates it.

    It stands in private subnets if ``vpc`` has such, else in isolated or public ones, always without a public address.
    ``alarms`` watch CPU, free storage, connections (from ``connections_alarm`` on), the credits of a burstable type and
    how far the replica is behind.

    Raises:
        ValueError: sizes, days or names that RDS does not take ("CreateDBInstance" in its API Reference), or a
            copy of backups without its key.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        vpc: ec2.IVpc,
        database: str = "app",
        username: str = "postgres",
        version: rds.PostgresEngineVersion = rds.PostgresEngineVersion.VER_18,
        instance_type: ec2.InstanceType = _MICRO,
        storage_gib: int = 20,
        max_storage_gib: int | None = None,
        encryption_key: kms.IKey | None = None,
        backup_days: int = 7,
        copy_backups_to: str | None = None,
        copy_key: str | None = None,
        backup_window: str = "03:00-04:00",
        maintenance_window: str = "Sun:04:00-Sun:05:00",
        multi_az: bool = False,
        replica: bool = False,
        deletion_protection: bool = True,
        connections_alarm: int = 80,
        alarm_topic: sns.ITopic | None = None,
        log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.SNAPSHOT,
    ) -> None:
        super().__init__(scope, construct_id)
        _check_names(self, database=database, username=username)
        _check_sizes(self, storage_gib, max_storage_gib, backup_days)
        if (copy_backups_to is None) != (copy_key is None):
            raise ValueError(
                f"{self.node.path}: copy_backups_to is {copy_backups_to!r} and copy_key {copy_key!r}; give both or "
                "neither: an encrypted instance's backups are copied with a key of the other region."
            )
        self._database, self._multi_az, self._deletion_protection = database, multi_az, deletion_protection
        engine = rds.DatabaseInstanceEngine.postgres(version=version)
        login = self._login(username, encryption_key) if replica else None
        # RDS names the log groups after the instance: only a name that synth knows lets them have their retention.
        name = cdk.Names.unique_resource_name(self, max_length=63, separator="-").lower()

        self.security_group = ec2.SecurityGroup(
            self, "SecurityGroup", vpc=vpc, allow_all_outbound=False, description="Database: only who is allowed"
        )
        self.parameter_group = rds.ParameterGroup(
            self, "Parameters", engine=engine, parameters={"rds.force_ssl": "1"}, description="TLS only"
        )
        self.log_groups = [
            logs.LogGroup(
                self,
                f"{log.capitalize()}Log",
                log_group_name=f"/aws/rds/instance/{name}/{log}",
                retention=log_retention,
                removal_policy=cdk.RemovalPolicy.DESTROY,
            )
            for log in _LOGS
        ]
        self.instance = rds.DatabaseInstance(
            self,
            "Instance",
            engine=engine,
            instance_identifier=name,
            instance_type=instance_type,
            vpc=vpc,
            vpc_subnets=data_subnets(vpc),
            publicly_accessible=False,
            security_groups=[self.security_group],
            database_name=database,
            credentials=rds.Credentials.from_password(username, login.secret_value_from_json("password"))
            if login
            else rds.Credentials.from_username(username, encryption_key=encryption_key),
            manage_master_user_password=login is None,
            iam_authentication=True,
            parameter_group=self.parameter_group,
            storage_type=rds.StorageType.GP3,
            allocated_storage=storage_gib,
            max_allocated_storage=max_storage_gib,
            storage_encrypted=True,
            storage_encryption_key=encryption_key,
            backup_retention=days(backup_days),
            preferred_backup_window=backup_window,
            preferred_maintenance_window=maintenance_window,
            auto_minor_version_upgrade=True,
            multi_az=multi_az,
            enable_performance_insights=True,
            performance_insight_retention=rds.PerformanceInsightRetention.DEFAULT,
            performance_insight_encryption_key=encryption_key,
            monitoring_interval=_ONE_MINUTE,
            cloudwatch_logs_exports=list(_LOGS),
            deletion_protection=deletion_protection,
            removal_policy=removal_policy,
        )
        self.instance.node.add_dependency(*self.log_groups)
        if copy_backups_to:
            self._copy_backups(copy_backups_to, copy_key, backup_days)
        self.replica = self._replica(vpc, instance_type, max_storage_gib, encryption_key) if replica else None
        self._acknowledge()

        secret = login or self.instance.secret
        assert secret is not None  # RDS manages the password
        self.secret: secretsmanager.ISecret = secret
        self.host = self.instance.db_instance_endpoint_address
        self.port = self.instance.db_instance_endpoint_port
        self.alarms = postgres_alarms(self, storage_gib, connections_alarm, burstable=instance_type.is_burstable())
        send_alarms(self.alarms, alarm_topic)

    def allow_from(self, other: ec2.IConnectable) -> None:
        """Let ``other`` open connections to the database, and to its replica if there is one.

        The rules are made in the stack of ``other``: it knows the database, which must not know it.
        """
        other.connections.allow_to_default_port(self.instance)

    def connection_environment(self, *, ssl_mode: str = "require") -> dict[str, str]:
        """What a container reads to find the database; ``ssl_mode`` is libpq's.

        ``verify-full`` says more than ``require``, and needs AWS's certificate bundle in the image ("Using SSL/TLS to
        encrypt a connection to a DB instance" in the Amazon RDS User Guide).
        """
        return {
            "DATABASE_HOST": self.host,
            "DATABASE_PORT": self.port,
            "DATABASE_NAME": self._database,
            "DATABASE_SSLMODE": ssl_mode,
        }

    def connection_secrets(self) -> dict[str, ecs.Secret]:
        """Who a container logs in as. They are read when a task starts; after a rotation new tasks have new ones."""
        return {
            "DATABASE_USER": ecs.Secret.from_secrets_manager(self.secret, "username"),
            "DATABASE_PASSWORD": ecs.Secret.from_secrets_manager(self.secret, "password"),
        }

    def grant_connect(self, grantee: iam.IGrantable, user: str) -> iam.Grant:
        """Let ``grantee`` log in as the database's ``user`` with a token in the place of a password.

        The user is made in the database, with ``GRANT rds_iam TO …`` ("Creating a database account using IAM
        authentication" in the Amazon RDS User Guide).
        """
        return self.instance.grant_connect(grantee, user)

    def metric(self, metric_name: str, *, statistic: str = "Average") -> cloudwatch.Metric:
        """A metric of the instance, of five minutes ("Amazon CloudWatch metrics for Amazon RDS" in its User Guide)."""
        return self.instance.metric(metric_name, statistic=statistic, period=_FIVE_MINUTES)

    def metric_cpu_utilization(self) -> cloudwatch.Metric:
        """Percent of the CPU in use."""
        return self.metric("CPUUtilization")

    def metric_cpu_credit_balance(self) -> cloudwatch.Metric:
        """Credits that a burstable instance has left; an hour's baseline earns them, above it they are spent."""
        return self.metric("CPUCreditBalance", statistic="Minimum")

    def metric_free_storage_space(self) -> cloudwatch.Metric:
        """Free bytes of the storage."""
        return self.metric("FreeStorageSpace", statistic="Minimum")

    def metric_database_connections(self) -> cloudwatch.Metric:
        """Open connections."""
        return self.metric("DatabaseConnections", statistic="Maximum")

    def metric_replica_lag(self) -> cloudwatch.Metric:
        """Seconds that the replica is behind.

        Raises:
            ValueError: there is no replica.
        """
        if self.replica is None:
            raise ValueError(f"{self.node.path} has no replica; replica=True makes one.")
        return self.replica.metric("ReplicaLag", statistic="Maximum", period=_FIVE_MINUTES)

    def _login(self, username: str, encryption_key: kms.IKey | None) -> secretsmanager.Secret:
        secret = secretsmanager.Secret(
            self,
            "Login",
            description="The master user of a PostgreSQL database that has a replica",
            encryption_key=encryption_key,
            generate_secret_string=secretsmanager.SecretStringGenerator(
                secret_string_template=json.dumps({"username": username}),
                generate_string_key="password",
                password_length=32,
                exclude_punctuation=True,
            ),
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        acknowledge(secret, {"SMG4": "RDS manages no password of an instance with a replica, so nothing rotates it."})
        return secret

    def _copy_backups(self, region: str, key: str | None, days: int) -> None:
        """The CDK's own instance has no such property."""
        resource = self.instance.node.default_child
        assert isinstance(resource, rds.CfnDBInstance)
        resource.automatic_backup_replication_region = region
        resource.automatic_backup_replication_kms_key_id = key
        resource.automatic_backup_replication_retention_period = days

    def _replica(
        self,
        vpc: ec2.IVpc,
        instance_type: ec2.InstanceType,
        max_storage_gib: int | None,
        encryption_key: kms.IKey | None,
    ) -> rds.DatabaseInstanceReadReplica:
        """A copy holds nothing of its own: it may go, whatever becomes of the original."""
        replica = rds.DatabaseInstanceReadReplica(
            self,
            "Replica",
            source_database_instance=self.instance,
            instance_type=instance_type,
            vpc=vpc,
            vpc_subnets=data_subnets(vpc),
            publicly_accessible=False,
            security_groups=[self.security_group],
            iam_authentication=True,
            parameter_group=self.parameter_group,
            storage_type=rds.StorageType.GP3,
            # It has to take what its source has grown to.
            max_allocated_storage=max_storage_gib,
            auto_minor_version_upgrade=True,
            monitoring_interval=_ONE_MINUTE,
            enable_performance_insights=True,
            performance_insight_retention=rds.PerformanceInsightRetention.DEFAULT,
            performance_insight_encryption_key=encryption_key,
            deletion_protection=False,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        reason = "A replica is made anew from the original, which has the protection, the standby and the backups."
        encrypted = "It is encrypted as its source is, and CloudFormation refuses the property beside a source."
        acknowledge(replica, {"RDS2": encrypted, "RDS3": reason, "RDS10": reason, "RDS13": reason})
        return replica

    def _acknowledge(self) -> None:
        reason = "AWS keeps this policy for exactly this role, with which RDS writes the operating system's figures."
        reasons = {
            "RDS11": "The port is no secret: the security group decides who reaches it.",
            f"IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/{_MONITORING}]": reason,
        }
        if not self._multi_az:
            reasons["RDS3"] = "A standby doubles the price; backups are kept, and multi_az turns it on."
        if not self._deletion_protection:
            reasons["RDS10"] = "Protection was turned off by whoever wants to delete the database with its stack."
        acknowledge(self, reasons)


def _check_names(construct: Construct, **names: str) -> None:
    for what, given in names.items():
        if not is_token(given) and not _NAME.fullmatch(given):
            raise ValueError(
                f"{construct.node.path}: {what} is {given!r}; allowed is a letter and up to 62 more letters, digits "
                "and underscores."
            )


def _check_sizes(construct: Construct, storage_gib: int, max_storage_gib: int | None, backup_days: int) -> None:
    most = 65536
    least_growth = -(-storage_gib * 11 // 10)  # a tenth more, rounded up
    for what, given, allowed in (
        ("storage_gib", storage_gib, range(20, most + 1)),
        ("max_storage_gib", max_storage_gib, range(least_growth, most + 1)),
        ("backup_days", backup_days, range(1, 36)),
    ):
        if given is None or is_token(given) or given in allowed:
            continue
        nearest = allowed[0] if given < allowed[0] else allowed[-1]
        raise ValueError(
            f"{construct.node.path}: {what} is {given}; allowed is {allowed[0]} to {allowed[-1]}, nearest is {nearest}."
        )
