"""What a PostgreSQL database on Amazon RDS is watched for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_cloudwatch as cloudwatch

if TYPE_CHECKING:
    from snowgate.postgres_database import PostgresDatabase

_GIB = 1024**3


def postgres_alarms(
    database: PostgresDatabase, storage_gib: int, connections: int, *, burstable: bool
) -> list[cloudwatch.Alarm]:
    """Alarms for CPU, free storage, ``connections`` or more, credits if the type is ``burstable``, and the replica."""
    operator, missing = cloudwatch.ComparisonOperator, cloudwatch.TreatMissingData
    found = [
        database.metric_cpu_utilization().create_alarm(
            database,
            "CpuAlarm",
            alarm_description="The database's CPU is at 80 % or more for a quarter of an hour, or it is silent",
            threshold=80,
            evaluation_periods=3,
            treat_missing_data=missing.BREACHING,
        ),
        database.metric_free_storage_space().create_alarm(
            database,
            "StorageAlarm",
            alarm_description="Less than a tenth of the database's storage is free",
            threshold=storage_gib * _GIB / 10,
            comparison_operator=operator.LESS_THAN_THRESHOLD,
            evaluation_periods=3,
            treat_missing_data=missing.NOT_BREACHING,
        ),
        database.metric_database_connections().create_alarm(
            database,
            "ConnectionsAlarm",
            alarm_description="So many connections are open that new ones may soon be refused",
            threshold=connections,
            evaluation_periods=3,
            treat_missing_data=missing.NOT_BREACHING,
        ),
    ]
    if burstable:
        # A new instance starts without any, and has earned more than this after an hour of rest.
        credits = database.metric_cpu_credit_balance().create_alarm(
            database,
            "CreditsAlarm",
            alarm_description="The database has had no CPU credits for an hour: its type is too small",
            threshold=1,
            comparison_operator=operator.LESS_THAN_THRESHOLD,
            evaluation_periods=12,
            treat_missing_data=missing.NOT_BREACHING,
        )
        found.append(credits)
    if database.replica:
        lag = database.metric_replica_lag().create_alarm(
            database,
            "ReplicaAlarm",
            alarm_description="The replica is five minutes behind for a quarter of an hour, or it is silent",
            threshold=300,
            evaluation_periods=3,
            treat_missing_data=missing.BREACHING,
        )
        found.append(lag)
    return found
