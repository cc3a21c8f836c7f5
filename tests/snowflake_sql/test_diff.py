"""`make snowflake-diff`: what a deploy would change, without changing it; exit codes 0, 2 and 1."""

import io
import json
import os
import re
import urllib.request
import zipfile
from types import SimpleNamespace

import pytest
from own_environment import OwnEnvironment

from snowgate.lambdas.snowflake_deployer import handler
from stacks import snowflake_bootstrap
from stacks.environment import read_environment
from stacks.snowflake_diff import DiffError, Onlooker
from stacks.snowflake_side import read_side
from tests import sql_lint

URL = "https://abc123.execute-api.eu-west-1.amazonaws.com/prod/trigger"
TOKEN_SECRET = "arn:aws:secretsmanager:us-east-1:000000000000:secret:api-token"
LOOKS = re.compile(r"\s*(SHOW|DESC|DESCRIBE|SELECT|USE|ALTER SESSION)\b", re.IGNORECASE)


class Context:
    """What Lambda says about its time."""

    def get_remaining_time_in_millis(self):
        return 300_000


class System:
    """An environment of its own, prepared by an administrator, and deployed with what its templates say."""

    def __init__(self, folder, warehouse, aws):
        self.warehouse, self.aws = warehouse, aws
        self.own = OwnEnvironment(folder)
        self.secret = f"snowgate/{self.own.name}/deployer"
        self.change('"snowgate/local/deployer"', f'"{self.secret}"')
        pem, public_key = snowflake_bootstrap.make_key_pair()
        login = {
            "account": "LOCAL",
            "host": "127.0.0.1",
            "port": warehouse.port,
            "protocol": "http",
            "private_key": pem,
        }
        login |= {"user": self.names.deployer_role, "role": self.names.deployer_role}
        aws.secrets |= {self.secret: json.dumps(login), TOKEN_SECRET: "the-token"}
        text = snowflake_bootstrap.render(self.environment, public_key)
        warehouse.run(*(s.text for s in sql_lint.split("b", text) if "IMPORTED PRIVILEGES" not in s.text))
        self.values = {"trigger_url": URL, "web_host": "reports.example.com"}

    def change(self, old, new):
        """Change the environment's file."""
        text = self.own.file.read_text()
        assert old in text
        self.own.file.write_text(text.replace(old, new))
        self.environment = read_environment(self.own.file)
        self.names = self.environment.snowflake

    def deploy(self):
        side = read_side(self.environment, self.values, self.output)
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            for name, text in side.files.items():
                archive.writestr(name, text)
        properties = side.scripts.properties.values
        self.aws.objects[f"{properties['Bucket']}/{properties['Key']}"] = content.getvalue()
        requests = [("Login", one) for one in side.logins] + [("ApiIntegration", one) for one in side.integrations]
        for kind, request in [*requests, ("Scripts", side.scripts)]:
            self.send(kind, request)

    def send(self, kind, request):
        name = request.properties.resource
        event = {
            "RequestType": "Create",
            "ResponseURL": f"{self.aws.url}/answer",
            "StackId": request.stack_id,
            "RequestId": f"{self.own.name}-{name}",
            "LogicalResourceId": name,
            "ResourceType": f"Custom::Snowflake{kind}",
            "ResourceProperties": request.properties.values,
        }
        handler.handler(event, Context())
        answer = self.aws.answers.pop(event["RequestId"])
        assert answer["Status"] == "SUCCESS", answer["Reason"]

    def output(self, stack, name):
        """An output of the fake CloudFormation, made when it is first asked for."""
        outputs = self.aws.outputs.setdefault(stack, {})
        if name not in outputs:
            outputs[name] = TOKEN_SECRET if "ApiToken" in name else f"arn:{stack}:{name}"
            self.aws.secrets.setdefault(outputs[name], "{}")
        return outputs[name]

    def diff(self, *arguments):
        code, said, errors = self.own.command(
            "snowflake_diff",
            *(part for name, value in self.values.items() for part in ("--value", f"{name}={value}")),
            *arguments,
            environment=os.environ | {"SNOWFLAKE_HOME": str(self.own.file.parent)},
        )
        return code, said.splitlines()[1:], errors

    def objects(self):
        """Every object of the account, with its grants and owner, as the stand-in holds them."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.warehouse.port}/_warehouse/state") as answer:
            return json.load(answer)["objects"]

    def history(self):
        """The statements of the deployer's user by their ids."""
        asked = f"USER_NAME => '{self.names.deployer_role}', RESULT_LIMIT => 5000"
        found = self.run(f"SELECT QUERY_ID, QUERY_TEXT FROM TABLE(INFORMATION_SCHEMA.QUERY_HISTORY_BY_USER({asked}))")
        return {query["QUERY_ID"]: query["QUERY_TEXT"] for query in found}

    def run(self, *statements):
        return self.warehouse.run(*statements, database=self.names.database, schema=self.names.config_schema)


@pytest.fixture(scope="module")
def system(tmp_path_factory, warehouse, aws):
    """A system whose Snowflake side is deployed."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        system = System(tmp_path_factory.mktemp("diff"), warehouse, aws)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "fake")
        monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("SNOWFLAKE_SECRET_ARN", system.secret)
        monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
        system.first = system.diff()
        system.deploy()
        yield system


def test_before_the_first_deploy_everything_is_new(system):
    code, lines, errors = system.first
    assert (code, errors) == (2, "")
    users = [f"+ user {name}: would be made" for name in (system.names.runner_user, system.names.web_user)]
    integration = f"+ API integration {system.names.api_integration}: would be made"
    files = [f"+ {path.name}: new, would run" for path in sorted(sql_lint.SQL_FILES.glob("[0-9]*.sql"))]
    expected = [*users, integration, *files, "Differences: exit code 2."]
    assert len(lines) == len(expected)
    assert all(line.startswith(start) for line, start in zip(lines, expected, strict=True))


def test_after_a_deploy_there_is_no_difference_and_looking_changed_nothing(system):
    objects, before = system.objects(), system.history()
    code, lines, errors = system.diff()
    assert (code, lines, errors) == (0, ["No differences."], "")
    looked = [text for query, text in system.history().items() if query not in before]
    assert len(looked) > 20
    assert [text for text in looked if not LOOKS.match(text)] == []
    assert system.objects() == objects


def test_what_somebody_changed_is_named(system):
    config = f"{system.names.database}.CONFIG"
    system.run(
        f"DROP VIEW {config}.V_REPORT_METRICS",
        f"REVOKE INSERT ON TABLE {config}.REPORT_CONFIG FROM ROLE {system.names.runner_role}",
        f"ALTER API INTEGRATION {system.names.api_integration} SET ENABLED = FALSE",
        f"ALTER API INTEGRATION {system.names.api_integration} SET API_BLOCKED_PREFIXES = ('{URL}')",
        f"ALTER USER {system.names.runner_user} SET DEFAULT_WAREHOUSE = OTHER",
    )
    try:
        code, lines, errors = system.diff()
    finally:
        system.deploy()
    assert (code, errors) == (2, "")
    said = "\n".join(lines)
    assert f"~ user {system.names.runner_user}: ALTER USER {system.names.runner_user} SET DEFAULT_WAREHOUSE =" in said
    assert f"~ API integration {system.names.api_integration}: ENABLED is false, would be TRUE" in said
    assert f"~ API integration {system.names.api_integration}: API_BLOCKED_PREFIXES is {URL}, would be empty" in said
    assert (
        f"~ 030_views.sql: drifted, would run 5 statements\n    drift: VIEW {config}.V_REPORT_METRICS was missing"
        in said
    )
    assert f"    drift: {system.names.runner_role} had lost INSERT ON TABLE {config}.REPORT_CONFIG" in said
    assert system.diff()[:2] == (0, ["No differences."])


def test_a_changed_file_is_named_with_its_statements_and_so_is_what_nothing_makes_any_more(system):
    kept = system.own.file.read_text()
    system.change("trigger_interval_seconds = 10", "trigger_interval_seconds = 20")
    system.change("[web]\ncpu = 256\nmemory_mib = 512\n", "")
    try:
        del system.values["web_host"]
        code, lines, errors = system.diff()
    finally:
        system.values["web_host"] = "reports.example.com"
        system.own.file.write_text(kept)
    assert (code, errors) == (2, "")
    assert lines[0] == "~ 050_trigger.sql: changed, would run 8 statements"
    assert re.fullmatch(r"    statement 7, line \d+: CREATE OR ALTER TASK ECS_TRIGGER_TASK", lines[1])
    assert lines[-1] == "Differences: exit code 2."
    left = [line for line in lines[2:-1] if line.endswith("no file makes it any more, would be dropped")]
    assert len(left) == len(lines) - 3
    assert f"- NETWORK RULE {system.names.database}.CONFIG.SERVICE_EGRESS: no file makes it any more" in "\n".join(left)


def test_a_connection_of_ones_own_does_as_well(system):
    file = system.own.file.parent / "connections.toml"
    file.write_text(
        f'[mine]\naccount = "LOCAL"\nhost = "127.0.0.1"\nport = {system.warehouse.port}\nprotocol = "http"\n'
        f'user = "ADMIN"\npassword = "{system.warehouse.password}"\n'
    )
    file.chmod(0o600)
    assert system.diff("--connection", "mine") == (0, ["No differences."], "")


def test_what_is_not_deployed_yet_is_an_error_that_says_so(system):
    values, system.values = system.values, {}
    outputs, system.aws.outputs = system.aws.outputs, {}
    try:
        code, lines, errors = system.diff()
    finally:
        system.values, system.aws.outputs = values, outputs
    assert (code, lines) == (1, [])
    assert re.search(rf"Not known yet: .*trigger_url \(an output of stack {system.own.name}-Trigger\)", errors)
    assert "Traceback" not in errors


def test_credentials_of_another_account_are_an_error(system):
    system.aws.account = "999999999999"
    try:
        code, lines, errors = system.diff()
    finally:
        system.aws.account = "000000000000"
    assert (code, lines) == (1, [])
    assert errors.startswith("The AWS credentials are of account 999999999999; environment")


def test_a_statement_that_does_more_than_look_is_refused():
    onlooker = Onlooker(SimpleNamespace(login=None))
    for statement in ("DROP TABLE T", "GRANT ROLE A TO ROLE B", "INSERT INTO T SELECT 1", "CALL P()"):
        with pytest.raises(DiffError, match="only looks"):
            onlooker.run(statement, "place")
