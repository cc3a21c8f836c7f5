"""ImageRepository alone in a stack."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from syrupy.assertion import SnapshotAssertion

from snowgate import ImageRepository

Synthesise = Callable[[], assertions.Template]


def only(template: assertions.Template) -> dict[str, Any]:
    [found] = template.find_resources("AWS::ECR::Repository").values()
    return found


def test_the_defaults_are_those_of_the_snapshot(
    stack: cdk.Stack, template: Synthesise, snapshot: SnapshotAssertion
) -> None:
    ImageRepository(stack, "Images")
    assert template().to_json() == snapshot


def test_images_are_scanned_and_kept_as_they_were_pushed(stack: cdk.Stack, template: Synthesise) -> None:
    ImageRepository(stack, "Images", keep_images=7)
    repository = only(template())
    assert repository["DeletionPolicy"] == "RetainExceptOnCreate"
    properties = repository["Properties"]
    assert properties["ImageScanningConfiguration"] == {"ScanOnPush": True}
    assert properties["ImageTagMutability"] == "IMMUTABLE"
    rules = json.loads(properties["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
    untagged, rest = (rule["selection"] for rule in rules)
    assert (untagged["tagStatus"], untagged["countNumber"], untagged["countUnit"]) == ("untagged", 1, "days")
    assert (rest["tagStatus"], rest["countType"], rest["countNumber"]) == ("any", "imageCountMoreThan", 7)


def test_a_key_of_one_s_own_encrypts_and_a_repository_that_goes_is_emptied(
    stack: cdk.Stack, template: Synthesise
) -> None:
    key = kms.Key(stack, "Key", enable_key_rotation=True)
    ImageRepository(stack, "Images", encryption_key=key, removal_policy=cdk.RemovalPolicy.DESTROY)
    repository = only(template())
    assert repository["DeletionPolicy"] == "Delete"
    assert repository["Properties"]["EmptyOnDelete"] is True
    encryption = {"EncryptionType": "KMS", "KmsKey": stack.resolve(key.key_arn)}
    assert repository["Properties"]["EncryptionConfiguration"] == encryption


@pytest.mark.parametrize(("grant", "pushes"), [("grant_pull", False), ("grant_push", True)])
def test_who_pulls_does_not_push(stack: cdk.Stack, grant: str, pushes: bool) -> None:
    role = iam.Role(stack, "Role", assumed_by=iam.AccountPrincipal("111122223333"))
    images = ImageRepository(stack, "Images")
    getattr(images, grant)(role)
    [policy] = assertions.Template.from_stack(stack).find_resources("AWS::IAM::Policy").values()
    statements = policy["Properties"]["PolicyDocument"]["Statement"]
    given = [statement for statement in statements if statement["Resource"] != "*"]
    assert {str(statement["Resource"]) for statement in given} == {str(stack.resolve(images.repository.repository_arn))}
    assert ("ecr:PutImage" in json.dumps(given)) == pushes


@pytest.mark.parametrize(("keep", "nearest"), [(0, 1), (1001, 1000)])
def test_a_number_of_images_out_of_range_is_refused(stack: cdk.Stack, keep: int, nearest: int) -> None:
    with pytest.raises(ValueError, match=f"Stack/Images: keep_images is {keep}; .* nearest is {nearest}"):
        ImageRepository(stack, "Images", keep_images=keep)
