"""SQL files that are run in Snowflake by the deploy."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3_assets as s3_assets
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from snowgate.acknowledgements import acknowledge_pattern
from snowgate.lambdas.snowflake_deployer.statements import read_all
from snowgate.snowflake_deployer import SnowflakeDeployer
from snowgate.sql_folder import SqlNames, render
from snowgate.tokens import is_token


class SnowflakeScripts(Construct):
    """The numbered files of ``directory``, run in order as far as they changed or drifted, and undone on delete.

    ``names`` are what the files' ``{{ placeholders }}`` stand for, ``secrets`` what their ``${secret:name}`` markers
    do; a secret's value is in no template, asset or history. The rendered files are an asset that the properties name,
    so that a rollback brings its old SQL with it. ``smoke`` are statements that end the deploy, separated by
    semicolons; they are tried again while IAM takes up what is new. ``role`` is the deployer's: it keeps the record of
    what was deployed, and the statements begin in it. A new value of ``recheck`` lets a deploy look for drift although
    nothing changed.

    ``statements`` and ``skipped`` say how many statements the last deploy ran and how many files it left alone,
    ``drift`` what it found changed by others, ``digest`` stands for all files, and ``deployment_id`` finds the deploy
    in the table DEPLOYMENT_HISTORY of the database's schema DEPLOYMENT.

    Raises:
        SqlFolderError: a file cannot be rendered or read.
        ValueError: a file names a secret that is not given.
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
        secrets: Mapping[str, secretsmanager.ISecret] | None = None,
        smoke: str | None = None,
        recheck: str | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        given = secrets or {}
        files = render(directory, names)
        _refuse_unknown_secrets(files, given)

        asset = self._asset(files)
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
                "Values": {name: value for name, value in names.items() if is_token(value)},
                "Secrets": {name: secret.secret_arn for name, secret in given.items()},
                "Smoke": smoke or "",
                "Recheck": recheck or "",
            },
        )
        self.statements = self.scripts.get_att_string("Statements")
        self.skipped = self.scripts.get_att_string("Skipped")
        self.drift = self.scripts.get_att_string("Drift")
        self.digest = self.scripts.get_att_string("Digest")
        self.deployment_id = self.scripts.get_att_string("DeploymentId")

        # All files of the bucket: a rollback reads the version before, which has another key, while the policy may
        # still be the new version's.
        objects = asset.bucket.arn_for_objects("*.zip")
        deployer.role.add_to_principal_policy(iam.PolicyStatement(actions=["s3:GetObject"], resources=[objects]))
        acknowledge_pattern(deployer.role, objects, "A rollback reads the version before, under another key.")
        for secret in given.values():
            secret.grant_read(deployer.role)

    def _asset(self, files: Mapping[str, str]) -> s3_assets.Asset:
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                (Path(folder) / name).write_text(text, encoding="utf-8")
            return s3_assets.Asset(self, "Files", path=folder)


def _refuse_unknown_secrets(files: Mapping[str, str], given: Mapping[str, secretsmanager.ISecret]) -> None:
    for script in read_all(files):
        if unknown := sorted(script.secrets - given.keys()):
            known = ", ".join(sorted(given)) or "none"
            raise ValueError(f"{script.name}: ${{secret:{unknown[0]}}} is not among the secrets; given are: {known}.")
