"""The stack of what is copied into a second region."""

from __future__ import annotations

import aws_cdk as cdk
from constructs import Construct

from snowgate import ReportBucket
from stacks.environment import BackupTable, Environment
from stacks.removal import removal_policy


class CopiesStack(cdk.Stack):
    """The bucket into which S3 copies every report, in the region that `[backup]` names.

    Its name is made up by the CDK: a stack in another region can name the bucket only if synth knows what it is called.
    """

    def __init__(self, scope: Construct, construct_id: str, *, environment: Environment, table: BackupTable) -> None:
        super().__init__(
            scope,
            construct_id,
            env=cdk.Environment(account=environment.account, region=table.region),
            termination_protection=environment.removal == "retain",
        )
        self.reports = ReportBucket(
            self,
            "Reports",
            bucket_name=cdk.PhysicalName.GENERATE_IF_NEEDED,
            removal_policy=removal_policy(environment),
        )

        cdk.CfnOutput(self, "BucketName", value=self.reports.bucket.bucket_name)
