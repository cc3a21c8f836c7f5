"""The stack of the service's image."""

from __future__ import annotations

from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from snowgate import ServiceImage
from stacks.environment import Environment

_SERVICE = Path(__file__).parents[1] / "service"


class ImageStack(cdk.Stack):
    """The image that both roles of the report service run."""

    def __init__(self, scope: Construct, construct_id: str, *, environment: Environment) -> None:
        super().__init__(scope, construct_id)
        uri = environment.image.uri

        self.image = ServiceImage(
            self,
            "ReportService",
            uri=uri,
            directory=None if uri else _SERVICE,
            architecture=environment.built_for,
        )
        # CloudFormation takes no stack without a resource, and an image is none. So this says what runs.
        ssm.StringParameter(
            self, "Uri", string_value=self.image.uri, description="The image of the report service that is deployed"
        )

        cdk.CfnOutput(self, "ImageUri", value=self.image.uri)
