"""What GitHub Actions works as, on the platform, where IAM is enforced: it is enough, and it is no more.

The stand-in checks no token of GitHub's: the roles' trust is looked at in templates, and here the operator takes them.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

from delivery.diff import Comparison, read_comparisons
from delivery.diff_summary import page
from local.platform import Platform


@pytest.fixture(scope="module")
def roles(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """ARNs of the deployed roles, by their outputs."""
    app = f"{sys.executable} -m delivery.github_roles local octo-org/octo-repo"
    output = tmp_path_factory.mktemp("github-roles")
    command = ["cdk", "deploy", "*", "--app", app, "--output", output, "--require-approval", "never"]
    subprocess.run(command, env=platform.operator_environment(), check=True, capture_output=True)
    [stack] = platform.client("cloudformation").describe_stacks(StackName="snowgate-github-local")["Stacks"]
    return {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}


def taken(platform: Platform, role: str) -> dict[str, str]:
    """The environment of somebody who has taken a role."""
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": platform.environment.account}}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    platform.client("iam").update_assume_role_policy(RoleName=role.rpartition("/")[2], PolicyDocument=policy)
    login = platform.client("sts").assume_role(RoleArn=role, RoleSessionName="GitHubActions")["Credentials"]
    return platform.operator_environment() | {
        "AWS_ACCESS_KEY_ID": login["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": login["SecretAccessKey"],
        "AWS_SESSION_TOKEN": login["SessionToken"],
    }


def refused(platform: Platform, variables: Mapping[str, str], service: str, operation: str, **request: str) -> bool:
    client = boto3.session.Session().client(
        service,
        endpoint_url=platform.aws_endpoint,
        verify=str(platform.certificate_bundle),
        region_name=platform.environment.region,
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=variables["AWS_SESSION_TOKEN"],
    )
    try:
        getattr(client, operation)(**request)
    except ClientError as error:
        return error.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException")
    return False


def compared(app: Path, variables: Mapping[str, str], folder: Path) -> Comparison:
    """What `make diff-report` keeps, run as it runs it."""
    command = [sys.executable, "-m", "delivery.diff", "local", "--app", app]
    places = {"PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run(command, cwd=folder, env={**variables, **places}, check=True, capture_output=True)
    [comparison] = read_comparisons(folder / "build" / "diff")
    return comparison


def test_a_pull_request_compares_templates_and_reads_nothing_else(
    platform: Platform, roles: dict[str, str], tmp_path: Path
) -> None:
    variables = taken(platform, roles["DiffRoleArn"])
    assert page([compared(platform.assembly, variables, tmp_path)]) == "### local: no stack changes\n"

    changed = shutil.copytree(platform.assembly, tmp_path / "changed")
    [file] = (changed / "assembly-local").glob("*Alarms*.template.json")
    template = json.loads(file.read_text())
    topics = [name for name, one in template["Resources"].items() if one["Type"] == "AWS::SNS::Topic"]
    template["Resources"][topics[0]]["Properties"]["FifoTopic"] = True
    file.write_text(json.dumps(template))
    text = page([compared(changed, variables, tmp_path)])
    assert text.startswith("### local: 1 stack changes, ")
    assert "local-Alarms" in text
    assert "FifoTopic (requires replacement)" in text

    [bucket, *_] = platform.client("s3").list_buckets()["Buckets"]
    assert refused(platform, variables, "s3", "list_objects_v2", Bucket=bucket["Name"])
    assert refused(platform, variables, "cloudformation", "describe_stacks", StackName="CDKToolkit")
    assert refused(platform, variables, "cloudformation", "delete_stack", StackName="local-Alarms")


def test_a_deploy_goes_through_the_bootstraps_roles_and_may_do_nothing_itself(
    platform: Platform, roles: dict[str, str]
) -> None:
    variables = taken(platform, roles["DeployRoleArn"])
    command = ["cdk", "deploy", "local/Alarms", "--exclusively", "--app", platform.assembly, "--ci"]
    deployed = subprocess.run(command, env=variables, check=True, capture_output=True, text=True).stdout
    assert "local-Alarms) (no changes)" in deployed
    assert "could not be used to assume" not in deployed

    [bucket, *_] = platform.client("s3").list_buckets()["Buckets"]
    assert refused(platform, variables, "s3", "list_objects_v2", Bucket=bucket["Name"])
    assert refused(platform, variables, "cloudformation", "describe_stacks", StackName="local-Alarms")
