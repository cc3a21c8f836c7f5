"""SQL files that are run in Snowflake by the deploy."""

from __future__ import annotations

import tempfile
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from snowgate.acknowledgements import acknowledge_pattern
from snowgate.snowflake_deployer import SnowflakeDeployer
from snowgate.sql_folder import SqlNames, render


class SnowflakeScripts(Construct):
    """The numbered files of ``directory``, run in order at each change of theirs, and undone in reverse on delete.

    ``names`` are what the files' ``{{ placeholders }}`` stand for. The rendered files are an asset that the properties
    name, so that a rollback brings its old SQL with it. ``smoke`` are statements that end the deploy, separated by
    semicolons; they are tried again while IAM takes up what is new. ``role`` is what the statements begin in.

    Raises:
        SqlFolderError: a file cannot be rendered or read.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        deployer: SnowflakeDeployer,
        directory: Path,
        names: SqlNames,
        database: str,
        schema: str,
        warehouse: str,
        role: str,
        smoke: str | None = None,
    ) -> None:
        super().__init__(scope, construct_id)

        asset = self._asset(directory, names)
        self.scripts = cdk.CustomResource(
            self,
            "Scripts",
            resource_type="Custom::SnowflakeScripts",
            service_token=deployer.function.function_arn,
            service_timeout=SnowflakeDeployer.SERVICE_TIMEOUT,
            properties={
                "Bucket": asset.s3_bucket_name,
                "Key": asset.s3_object_key,
                "Database": database,
                "Schema": schema,
                "Warehouse": warehouse,
                "Role": role,
                "Values": {name: value for name, value in names.items() if cdk.Token.is_unresolved(value)},
                "Smoke": smoke or "",
            },
        )
        self.statements = self.scripts.get_att_string("Statements")

        # All files of the bucket: an update and a delete read the version before, which has another key.
        files = asset.bucket.arn_for_objects("*.zip")
        deployer.role.add_to_principal_policy(iam.PolicyStatement(actions=["s3:GetObject"], resources=[files]))
        acknowledge_pattern(deployer.role, files, "An update also reads the version before, under another key.")

    def _asset(self, directory: Path, names: SqlNames) -> s3_assets.Asset:
        with tempfile.TemporaryDirectory() as folder:
            for name, text in render(directory, names).items():
                (Path(folder) / name).write_text(text, encoding="utf-8")
            return s3_assets.Asset(self, "Files", path=folder)
