"""The bucket that finished reports lie in."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from snowgate.access_log_bucket import AccessLogBucket
from snowgate.acknowledgements import acknowledge_pattern
from snowgate.asked_once import days, nothing_public

_COPY = "copy"


class ReportBucket(Construct):
    """An encrypted, versioned bucket that takes TLS only and is never public; who read what is in its access log.

    Reports lie under ``prefix``, on which all grants are; an empty one is the whole bucket, for files of other kinds.

    Reports expire after ``keep`` (default: never), replaced versions after ``keep_versions`` (30 days), unfinished
    uploads after one day. ``access_logs`` is made if it is not given. With removal policy DESTROY the bucket is emptied
    before it goes.

    ``bucket_name`` is CloudFormation's own by default; who names the bucket from another region needs
    ``PhysicalName.GENERATE_IF_NEEDED``.

    New reports, and their tags, are copied into ``copy_to`` too: a versioned bucket, in another region for a disaster
    there. What is deleted here stays there, so that bucket has an expiry of its own.

    Raises:
        ValueError: the prefix is no folder.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        prefix: str = "reports/",
        bucket_name: str | None = None,
        keep: cdk.Duration | None = None,
        keep_versions: cdk.Duration | None = None,
        copy_to: s3.IBucket | None = None,
        access_logs: s3.IBucket | None = None,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    ) -> None:
        super().__init__(scope, construct_id)
        if prefix.startswith("/") or (prefix and not prefix.endswith("/")):
            raise ValueError(
                f"{self.node.path}: prefix is {prefix!r}; give a folder with a slash at its end and none before it, as "
                f"in {prefix.strip('/') + '/'!r}, or an empty text for the whole bucket."
            )

        self._prefix = prefix
        if access_logs is None:
            access_logs = AccessLogBucket(self, "AccessLogs", removal_policy=removal_policy).bucket
        self.access_logs = access_logs
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            bucket_name=bucket_name,
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=nothing_public(),
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            versioned=True,
            server_access_logs_bucket=access_logs,
            server_access_logs_prefix="report-bucket/",
            lifecycle_rules=[
                s3.LifecycleRule(
                    abort_incomplete_multipart_upload_after=days(1),
                    noncurrent_version_expiration=keep_versions or days(30),
                ),
                *([s3.LifecycleRule(prefix=prefix, expiration=keep)] if keep else []),
            ],
            replication_rules=[self._rule(copy_to)] if copy_to else None,
            removal_policy=removal_policy,
            auto_delete_objects=removal_policy is cdk.RemovalPolicy.DESTROY,
        )
        self.copy = copy_to
        if copy_to:
            self._count_copies()
            self._acknowledge_copying(copy_to)

    def grant_write(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` upload under the prefix; it can neither read nor list nor delete."""
        return self._grant(grantee, "s3:PutObject", "s3:AbortMultipartUpload")

    def grant_read(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` read what is under the prefix; it cannot list."""
        return self._grant(grantee, "s3:GetObject")

    def grant_list(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` list what is under the prefix."""
        return iam.Grant.add_to_principal(
            grantee=grantee,
            actions=["s3:ListBucket"],
            resource_arns=[self.bucket.bucket_arn],
            conditions={"StringLike": {"s3:prefix": f"{self._prefix}*"}} if self._prefix else None,
        )

    def grant_delete(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` delete what is under the prefix; versions stay for ``keep_versions``."""
        return self._grant(grantee, "s3:DeleteObject")

    def grant_read_tags(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` read the tags of what is under the prefix."""
        return self._grant(grantee, "s3:GetObjectTagging")

    def grant_tag(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` read and change the tags of what is under the prefix, and nothing else of it."""
        return self._grant(grantee, "s3:GetObjectTagging", "s3:PutObjectTagging", "s3:DeleteObjectTagging")

    def metric_bytes(self) -> cloudwatch.Metric:
        """Bytes in the bucket, once a day ("Amazon S3 CloudWatch metrics" in its User Guide)."""
        return self._metric("BucketSizeBytes", BucketName=self.bucket.bucket_name, StorageType="StandardStorage")

    def metric_objects(self) -> cloudwatch.Metric:
        """Objects in the bucket, old versions included, once a day."""
        return self._metric("NumberOfObjects", BucketName=self.bucket.bucket_name, StorageType="AllStorageTypes")

    def metric_failed_copies(self) -> cloudwatch.Metric:
        """Reports that could not be copied into ``copy_to``.

        Raises:
            ValueError: there is no ``copy_to``.
        """
        if self.copy is None:
            raise ValueError(f"{self.node.path} copies nothing: give copy_to, a bucket in another region.")
        return cloudwatch.Metric(
            namespace="AWS/S3",
            metric_name="OperationsFailedReplication",
            dimensions_map={
                "SourceBucket": self.bucket.bucket_name,
                "DestinationBucket": self.copy.bucket_name,
                "RuleId": _COPY,
            },
            statistic="Sum",
        )

    def _metric(self, name: str, **dimensions: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace="AWS/S3",
            metric_name=name,
            dimensions_map=dimensions,
            statistic="Average",
            period=days(1),
        )

    def _rule(self, copy_to: s3.IBucket) -> s3.ReplicationRule:
        return s3.ReplicationRule(
            id=_COPY,
            destination=copy_to,
            filter=s3.Filter(prefix=self._prefix),
            priority=0,
            delete_marker_replication=False,
        )

    def _count_copies(self) -> None:
        """The CDK has metrics with a threshold only, which S3 takes together with its paid time control alone."""
        resource = self.bucket.node.default_child
        assert isinstance(resource, s3.CfnBucket)
        resource.add_property_override("ReplicationConfiguration.Rules.0.Destination.Metrics", {"Status": "Enabled"})

    def _acknowledge_copying(self, copy_to: s3.IBucket) -> None:
        """The role that S3 copies with, which the CDK makes, may do that alone ("Setting up permissions")."""
        role = self.bucket.node.find_child("ReplicationRole")
        reason = "S3 copies every report, an object of its own, with this role and with nothing else."
        for bucket in (self.bucket, copy_to):
            acknowledge_pattern(role, bucket.arn_for_objects("*"), reason)

    def _grant(self, grantee: iam.IGrantable, *actions: str) -> iam.Grant:
        reports = self.bucket.arn_for_objects(f"{self._prefix}*")
        if isinstance(grantee, Construct):
            acknowledge_pattern(grantee, reports, "Every report is an object of its own under this prefix.")
        return iam.Grant.add_to_principal(grantee=grantee, actions=list(actions), resource_arns=[reports])
