"""The bucket that other buckets and load balancers write their access logs to."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_s3 as s3
from constructs import Construct

from snowgate.acknowledgements import acknowledge
from snowgate.asked_once import days, nothing_public


class AccessLogBucket(Construct):
    """A bucket for access logs: encrypted with S3's own keys (a load balancer can write to no other), TLS only.

    ``keep`` is how long a log stays. ``for_cloudfront`` lets CloudFront give its files to the bucket's owner by ACL,
    the only way it has ("Standard logging (legacy)" in its Developer Guide).
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        keep: cdk.Duration | None = None,
        for_cloudfront: bool = False,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    ) -> None:
        super().__init__(scope, construct_id)

        self.bucket = s3.Bucket(
            self,
            "Bucket",
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=nothing_public(),
            enforce_ssl=True,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_PREFERRED if for_cloudfront else None,
            lifecycle_rules=[s3.LifecycleRule(expiration=keep or days(90))],
            removal_policy=removal_policy,
            auto_delete_objects=removal_policy is cdk.RemovalPolicy.DESTROY,
        )
        acknowledge(self.bucket, {"S1": "A log of who writes access logs would need a bucket of its own, and so on."})
