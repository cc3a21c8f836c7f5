"""The API integration over the real Lambda handler: made once, looked at always, changed only where it differs."""

import itertools
import uuid

import pytest

from snowgate.lambdas.snowflake_deployer import api_integration
from snowgate.lambdas.snowflake_deployer.connection import Session, StatementFailed

STACK = "arn:aws:cloudformation:eu-west-1:111122223333:stack/reports/1"
OTHER = "arn:aws:cloudformation:eu-west-1:999999999999:stack/reports/1"
MARK = "Managed by CloudFormation stack reports in 111122223333/eu-west-1"
ROLE = "arn:aws:iam::111122223333:role/snowflake-calls"
PREFIX = "https://abc123.execute-api.eu-west-1.amazonaws.com/prod/trigger"


class Integration:
    """An integration under a name of the test's own, and the statements that its requests ran."""

    def __init__(self, system, monkeypatch):
        self.system, self.ran = system, []
        self.properties = {
            "Name": f"CALLS_{uuid.uuid4().hex[:6].upper()}",
            "RoleArn": ROLE,
            "AllowedPrefixes": [PREFIX],
        }
        run = Session.run

        def note(session, statement, place, **options):
            self.ran.append(statement)
            return run(session, statement, place, **options)

        monkeypatch.setattr(Session, "run", note)

    @property
    def name(self):
        return self.properties["Name"]

    def create(self, stack=STACK, **changes):
        self.ran.clear()
        return self.system.request("Create", "ApiIntegration", self.properties | changes, StackId=stack)

    def update(self, physical_id=None, old=None, **changes):
        self.ran.clear()
        return self.system.request(
            "Update",
            "ApiIntegration",
            self.properties | changes,
            StackId=STACK,
            OldResourceProperties=old or self.properties,
            PhysicalResourceId=physical_id or self.name,
        )

    def delete(self, physical_id=None, stack=STACK):
        return self.system.request(
            "Delete",
            "ApiIntegration",
            self.properties,
            StackId=stack,
            PhysicalResourceId=physical_id or self.name,
        )

    def there(self, name=None):
        return self.system.warehouse.run(f"SHOW INTEGRATIONS LIKE '{name or self.name}'")

    def described(self, name=None):
        rows = self.system.warehouse.run(f"DESC INTEGRATION {name or self.name}")
        return {row["property"]: row["property_value"] for row in rows}

    def changes(self):
        return [statement for statement in self.ran if not statement.startswith(("SHOW", "DESC"))]


@pytest.fixture
def integration(prepared, monkeypatch):
    return Integration(prepared(), monkeypatch)


def test_a_create_gives_what_the_role_trusts_and_marks_whose_it_is(integration):
    answer = integration.create()
    assert answer["Status"] == "SUCCESS", answer["Reason"]
    found = integration.described()
    assert answer["Data"] == {
        "IamUserArn": found["API_AWS_IAM_USER_ARN"],
        "ExternalId": found["API_AWS_EXTERNAL_ID"],
        "Drift": "none",
    }
    assert [row["comment"] for row in integration.there()] == [MARK]
    assert found["API_PROVIDER"].lower() == "aws_api_gateway"


def test_the_provider_can_be_the_one_for_private_apis(integration):
    assert integration.create(Provider="aws_private_api_gateway")["Status"] == "SUCCESS"
    assert integration.described()["API_PROVIDER"].lower() == "aws_private_api_gateway"


def test_an_unchanged_deploy_only_looks(integration):
    made = integration.create()
    answer = integration.update(Recheck="2026-01-01T00:00:00Z")
    assert answer["Data"] == made["Data"]
    assert integration.changes() == []
    assert any(statement.startswith("DESC") for statement in integration.ran)


def test_a_create_that_is_tried_again_takes_up_its_own_integration(integration):
    made = integration.create()
    again = integration.create()
    assert (again["Status"], again["Data"]) == ("SUCCESS", made["Data"])
    assert integration.changes() == []


def test_new_properties_alter_what_differs_and_keep_the_external_id(integration):
    made = integration.create()
    answer = integration.update(AllowedPrefixes=["https://other.example.com/a"])
    assert answer["Data"] == made["Data"]
    [statement] = integration.changes()
    assert statement.startswith(f"ALTER API INTEGRATION {integration.name} SET API_ALLOWED_PREFIXES")
    assert "API_AWS_ROLE_ARN" not in statement


def test_the_order_of_prefixes_is_no_difference(integration):
    prefixes = [PREFIX, "https://b.example.com/x/"]
    integration.create(AllowedPrefixes=prefixes)
    old = integration.properties | {"AllowedPrefixes": prefixes}
    assert integration.update(old=old, AllowedPrefixes=prefixes[::-1])["Data"]["Drift"] == "none"
    assert integration.changes() == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("SET ENABLED = FALSE", "ENABLED was false"),
        (
            "SET API_ALLOWED_PREFIXES = ('https://mine.example.com/')",
            "API_ALLOWED_PREFIXES was https://mine.example.com/",
        ),
        ("SET API_AWS_ROLE_ARN = 'arn:aws:iam::999999999999:role/x'", "API_AWS_ROLE_ARN was arn:aws:iam::999999999999"),
        (f"SET API_BLOCKED_PREFIXES = ('{PREFIX}')", f"API_BLOCKED_PREFIXES was {PREFIX}"),
    ],
)
def test_a_change_by_hand_is_repaired_and_reported(integration, change, said):
    integration.create()
    before = integration.described()
    integration.system.warehouse.run(f"ALTER API INTEGRATION {integration.name} {change}")
    answer = integration.update(Recheck="now")
    assert answer["Data"]["Drift"].startswith(f"API INTEGRATION {integration.name}: {said}")
    after = integration.described()
    assert {key: value or "" for key, value in after.items()} == {key: value or "" for key, value in before.items()}
    assert integration.update(Recheck="later")["Data"]["Drift"] == "none"
    assert integration.changes() == []


def test_drift_that_is_long_still_fits_into_the_answer(integration):
    integration.create()
    many = ", ".join(f"'https://{number}.example.com/a/rather/long/path'" for number in range(150))
    integration.system.warehouse.run(f"ALTER API INTEGRATION {integration.name} SET API_ALLOWED_PREFIXES = ({many})")
    answer = integration.update(Recheck="now")
    assert answer["Status"] == "SUCCESS", answer["Reason"]
    assert "API_ALLOWED_PREFIXES was https://0.example.com/" in answer["Data"]["Drift"]


def test_somebody_who_was_quicker_keeps_an_integration_that_bears_no_mark(integration, monkeypatch):
    look = api_integration.look

    def quicker(session, name):
        monkeypatch.setattr(api_integration, "look", look)
        found = look(session, name)
        integration.system.warehouse.run(
            f"CREATE API INTEGRATION {name} API_PROVIDER = aws_api_gateway API_AWS_ROLE_ARN = '{ROLE}' "
            "API_ALLOWED_PREFIXES = ('https://x.example.com/') ENABLED = TRUE"
        )
        grantee = integration.system.names["deployer_role"]
        integration.system.warehouse.run(f"GRANT OWNERSHIP ON INTEGRATION {name} TO ROLE {grantee}")
        return found

    monkeypatch.setattr(api_integration, "look", quicker)
    answer = integration.create()
    assert answer["Status"] == "FAILED"
    assert "is there already and it has the comment ''" in answer["Reason"]
    assert integration.delete(answer["PhysicalResourceId"])["Status"] == "SUCCESS"
    assert integration.there()


def test_a_dropped_integration_is_made_again_and_its_new_external_id_is_given(integration):
    made = integration.create()
    integration.system.warehouse.run(f"DROP INTEGRATION {integration.name}")
    answer = integration.update(Recheck="now")
    assert "was missing: a new one has a new external id" in answer["Data"]["Drift"]
    assert answer["Data"]["ExternalId"] != made["Data"]["ExternalId"]
    assert answer["Data"]["ExternalId"] == integration.described()["API_AWS_EXTERNAL_ID"]


def test_an_integration_of_an_earlier_release_gets_its_mark_without_being_called_drift(integration):
    integration.create()
    integration.system.warehouse.run(f"ALTER API INTEGRATION {integration.name} SET COMMENT = 'Made by Snowgate'")
    assert integration.update(Recheck="now")["Data"]["Drift"] == "none"
    assert [row["comment"] for row in integration.there()] == [MARK]


@pytest.mark.parametrize("owner", [OTHER, None])
def test_a_create_refuses_anothers_integration_and_its_rollback_leaves_it(integration, owner):
    if owner:
        assert integration.create(stack=owner)["Status"] == "SUCCESS"
    else:
        integration.system.warehouse.run(
            f"CREATE API INTEGRATION {integration.name} API_PROVIDER = aws_api_gateway API_AWS_ROLE_ARN = '{ROLE}' "
            "API_ALLOWED_PREFIXES = ('https://x.example.com/') ENABLED = TRUE"
        )
        grantee = integration.system.names["deployer_role"]
        integration.system.warehouse.run(f"GRANT USAGE ON INTEGRATION {integration.name} TO ROLE {grantee}")
    before = integration.described(), integration.there()
    answer = integration.create()
    assert answer["Status"] == "FAILED"
    assert f"Integration {integration.name} is there already and " in answer["Reason"]
    assert integration.changes() == []
    gone = integration.delete(answer["PhysicalResourceId"])
    assert gone["Status"] == "SUCCESS", gone["Reason"]
    assert (integration.described(), integration.there()) == before


def test_an_update_refuses_to_take_over_what_became_anothers(integration):
    integration.create()
    mark = MARK.replace("111122223333", "999999999999")
    integration.system.warehouse.run(f"ALTER API INTEGRATION {integration.name} SET COMMENT = '{mark}'")
    answer = integration.update(AllowedPrefixes=["https://other.example.com/"])
    assert answer["Status"] == "FAILED"
    assert integration.changes() == []
    assert integration.delete()["Status"] == "SUCCESS"
    assert integration.there()


def test_a_renamed_integration_is_made_before_the_old_one_goes(integration):
    made = integration.create()
    renamed = integration.update(Name=f"{integration.name}_2")
    assert (renamed["Status"], renamed["PhysicalResourceId"]) == ("SUCCESS", f"{integration.name}_2")
    assert renamed["Data"]["ExternalId"] != made["Data"]["ExternalId"]
    assert renamed["Data"]["Drift"] == "none"
    assert integration.there()
    assert integration.there(f"{integration.name}_2")
    assert integration.delete()["Status"] == "SUCCESS"
    assert not integration.there()
    assert integration.there(f"{integration.name}_2")


def test_another_provider_is_refused_with_the_way_out_and_works_under_a_new_name(integration):
    integration.create()
    answer = integration.update(Provider="aws_private_api_gateway")
    assert answer["Status"] == "FAILED"
    assert "Snowflake cannot change it. Give the integration a new name" in answer["Reason"]
    assert (integration.changes(), answer["PhysicalResourceId"]) == ([], integration.name)
    renamed = integration.update(Provider="aws_private_api_gateway", Name=f"{integration.name}_P")
    assert renamed["Status"] == "SUCCESS", renamed["Reason"]
    assert integration.described(f"{integration.name}_P")["API_PROVIDER"].lower() == "aws_private_api_gateway"


def _fail(monkeypatch, index, after):
    """Let the statement at ``index`` fail, before or after Snowflake ran it."""
    run, number = Session.run, itertools.count()

    def failing(session, statement, place, **options):
        at = next(number)
        if at == index and not after:
            session._deadline.begin(place, changes=options.get("changes", True))
            raise StatementFailed(f"{place}: connection lost", 250001)
        rows = run(session, statement, place, **options)
        if at == index:
            raise StatementFailed(f"{place}: connection lost", 250001)
        return rows

    monkeypatch.setattr(Session, "run", failing)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("index", range(4))
def test_a_create_that_fails_at_any_statement_leaves_nothing_behind(integration, index, after):
    with pytest.MonkeyPatch.context() as patched:
        _fail(patched, index, after)
        answer = integration.create()
    if answer["Status"] == "SUCCESS":
        assert len(integration.ran) <= index, "there was no such statement"
        return
    gone = integration.delete(answer["PhysicalResourceId"])
    assert gone["Status"] == "SUCCESS", gone["Reason"]
    assert integration.there() == []
    assert integration.create()["Status"] == "SUCCESS"


def test_a_create_has_no_more_statements_than_are_made_to_fail(integration):
    integration.create()
    assert len(integration.ran) == 4


def test_a_delete_of_what_is_gone_succeeds(integration):
    integration.create()
    for _ in range(2):
        assert integration.delete()["Status"] == "SUCCESS"
    assert integration.there() == []


def test_a_create_that_never_answered_is_cleaned_up_under_the_id_that_cloudformation_makes_up(integration):
    integration.create()
    assert integration.delete("reports-ApiIntegration-1ABCDEF")["Status"] == "SUCCESS"
    assert integration.there() == []
    integration.create(stack=OTHER)
    assert integration.delete("reports-ApiIntegration-1ABCDEF")["Status"] == "SUCCESS"
    assert integration.there()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"AllowedPrefixes": ["http://x"]}, "must begin with https://"),
        ({"Provider": "azure_api_management"}, "Provider must be aws_api_gateway or aws_private_api_gateway"),
        ({"Name": "no name"}, "no unquoted Snowflake name"),
    ],
)
def test_wrong_properties_are_refused_before_anything_runs(integration, changes, said):
    answer = integration.create(**changes)
    assert answer["Status"] == "FAILED"
    assert said in answer["Reason"]
    assert integration.ran == []


def test_prefixes_are_compared_without_the_slash_that_snowflake_may_add():
    wanted = api_integration.Wanted("X", "aws_api_gateway", ROLE, ("https://a.example.com/x",), MARK)
    found = {"API_AWS_ROLE_ARN": ROLE, "API_ALLOWED_PREFIXES": "https://a.example.com/x/", "ENABLED": "TRUE"}
    assert wanted.changes(found | {"COMMENT": MARK}) == {}
