"""The addresses from which CloudFront reaches origins."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import custom_resources
from constructs import Construct

from snowgate.acknowledgements import acknowledge

# "Use the CloudFront managed prefix list" in the CloudFront Developer Guide.
_NAME = "com.amazonaws.global.cloudfront.origin-facing"


class CloudFrontPrefixList(Construct):
    """CloudFront's managed prefix list as a ``peer`` of a security group.

    Its id differs by region; the deploy asks for it, so that synth looks nothing up.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH,
        removal_policy: cdk.RemovalPolicy = cdk.RemovalPolicy.DESTROY,
    ) -> None:
        super().__init__(scope, construct_id)

        log_group = logs.LogGroup(self, "Log", retention=log_retention, removal_policy=removal_policy)
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        log_group.grant_write(role)
        asked = custom_resources.AwsCustomResource(
            self,
            "Lookup",
            role=role,
            log_group=log_group,
            install_latest_aws_sdk=False,
            memory_size=256,
            policy=custom_resources.AwsCustomResourcePolicy.from_statements(
                [iam.PolicyStatement(actions=["ec2:DescribeManagedPrefixLists"], resources=["*"])]
            ),
            on_update=custom_resources.AwsSdkCall(
                service="EC2",
                action="describeManagedPrefixLists",
                parameters={"Filters": [{"Name": "prefix-list-name", "Values": [_NAME]}]},
                output_paths=["PrefixLists.0.PrefixListId"],
                physical_resource_id=custom_resources.PhysicalResourceId.of(_NAME),
            ),
        )

        acknowledge(asked, {"IAM5[Resource::*]": "The lists belong to AWS, and asking for them has no resource."})
        self.peer = ec2.Peer.prefix_list(asked.get_response_field("PrefixLists.0.PrefixListId"))
