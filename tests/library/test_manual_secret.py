"""Secrets that somebody fills by hand."""

from __future__ import annotations

import json
from collections.abc import Callable

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from aws_cdk import aws_secretsmanager as secretsmanager

from snowgate import ManualSecret
from snowgate.manual_secret import FILL_IN

KEYS = ["host", "password"]


def test_the_template_has_the_keys_and_no_values(stack: cdk.Stack, template: Callable[[], assertions.Template]) -> None:
    ManualSecret(stack, "Login", keys=KEYS, description="A login", secret_name="task/login")
    (secret,) = template().find_resources("AWS::SecretsManager::Secret").values()
    assert json.loads(secret["Properties"]["SecretString"]) == dict.fromkeys(KEYS, FILL_IN)
    assert secret["Properties"]["Name"] == "task/login"
    assert secret["DeletionPolicy"] == "Retain"


def test_a_container_gets_single_keys(stack: cdk.Stack) -> None:
    login = ManualSecret(stack, "Login", keys=KEYS, description="A login")
    assert ":password::" in json.dumps(stack.resolve(login.of("password").arn))


def test_an_existing_secret_is_taken_as_it_is(stack: cdk.Stack, template: Callable[[], assertions.Template]) -> None:
    arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:login-AbCdEf"
    existing = secretsmanager.Secret.from_secret_complete_arn(stack, "Existing", arn)
    login = ManualSecret(stack, "Login", keys=KEYS, description="A login", existing=existing)
    assert login.secret.secret_arn == arn
    template().resource_count_is("AWS::SecretsManager::Secret", 0)


def test_a_key_that_the_secret_has_not_is_refused_with_those_that_it_has(stack: cdk.Stack) -> None:
    login = ManualSecret(stack, "Login", keys=KEYS, description="A login")
    with pytest.raises(ValueError, match="no key 'user'; it has host, password"):
        login.of("user")


def test_a_secret_without_keys_is_refused(stack: cdk.Stack) -> None:
    with pytest.raises(ValueError, match="needs the keys"):
        ManualSecret(stack, "Login", keys=[], description="A login")
