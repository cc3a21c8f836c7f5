"""What an ingestion did as CloudWatch metrics: a line of the log in embedded metric format.

CloudWatch takes them out of the log by itself. Source of the format: Amazon CloudWatch User Guide, "Specification:
Embedded metric format".
"""

from __future__ import annotations

from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

from weather_warehouse import log

_NAMESPACE = "WeatherWarehouse"


def enter(environment: str, *, records_ingested: int, ingestion_errors: int) -> None:
    """Enter one run, with the dimension Environment: the rows that it wrote, and the files that failed."""
    line = AmazonCloudWatchEMFProvider(namespace=_NAMESPACE, metric_set={}, dimension_set={}, metadata_set={})
    line.add_dimension("Environment", environment)
    line.add_metric("RecordsIngested", "Count", records_ingested)
    line.add_metric("IngestionErrors", "Count", ingestion_errors)
    log.info("metrics", **line.serialize_metric_set())
