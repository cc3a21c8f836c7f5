"""`make snowflake-plan`: one file that a person can read and run, with the deploy's own outcome."""

import json
import re

import pytest
from own_environment import UNIQUE, WORKLOAD_IDENTITY, OwnEnvironment

from snowgate.lambdas.snowflake_deployer.connection import Session
from snowgate.lambdas.snowflake_deployer.deadline import Deadline
from snowgate.lambdas.snowflake_deployer.deployer_login import Login
from snowgate.lambdas.snowflake_deployer.observe import Observer
from snowgate.lambdas.snowflake_deployer.statements import read_all
from stacks.environment import read_environment
from stacks.snowflake_bootstrap import make_key_pair
from stacks.snowflake_side import Unhurried
from tests import sql_lint

URL = "https://abc123.execute-api.eu-west-1.amazonaws.com/prod/trigger"
HOST = sql_lint.NAMES["web_host"]


def values(own, key):
    users = re.findall(r'^(?:runner|web)_user = "(\w+)"', own.file.read_text(), re.MULTILINE)
    given = {"trigger_url": URL, "web_host": HOST, "deployer_public_key": key}
    given |= {f"public_key_of_{user.lower()}": key for user in users}
    return [part for name, value in given.items() for part in ("--value", f"{name}={value}")]


@pytest.fixture(scope="module")
def unfilled(tmp_path_factory):
    """A plan as it comes."""
    return planned(tmp_path_factory.mktemp("plan"), lambda own: [])


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A plan in which only the secret is left open."""
    key = make_key_pair()[1]
    return planned(tmp_path_factory.mktemp("plan"), lambda own: values(own, key))


def planned(folder, arguments):
    own, output = OwnEnvironment(folder), folder / "plan.sql"
    code, said, errors = own.command("snowflake_plan", "--output", output, *arguments(own))
    assert code == 0, errors
    return own, said, output.read_text()


def statements(text):
    return sql_lint.split("plan.sql", text.replace("<% secret_api_token %>", "the-token"))


def test_the_head_lists_every_value_to_fill_in_and_where_it_is_found(unfilled):
    own, said, text = unfilled
    head = text.partition("-- ===")[0]
    names = set(re.findall(r"<% (\w+) %>", text))
    assert {"trigger_url", "web_host", "secret_api_token", "deployer_public_key"} < names
    assert set(re.findall(r"^--   <% (\w+) %>: \S", head, re.MULTILINE)) == names
    assert f"--   <% trigger_url %>: output TriggerUrl of stack {own.name}-Trigger" in head
    assert all(name in said for name in names)


def test_every_part_of_a_deploy_is_there_in_its_order(unfilled):
    own, _, text = unfilled
    parts = re.findall(r"^-- (\d+)\. (\S+)", text, re.MULTILINE)
    files = sorted(path.name for path in sql_lint.SQL_FILES.glob("[0-9]*.sql"))
    assert [name for number, name in parts if int(number) > 3 and name.endswith(".sql,")] == [f"{f}," for f in files]
    assert text.index("CREATE USER IF NOT EXISTS REPORTING_SERVICE") < text.index("CREATE API INTEGRATION IF NOT")
    last = text.rpartition("-- What deleting the stacks does, the last made first\n")[2]
    environment = read_environment(own.file)
    assert f"-- DROP API INTEGRATION IF EXISTS {environment.snowflake.api_integration};" in last
    assert f"-- kept: TABLE {environment.snowflake.database}.CONFIG.REPORT_CONFIG" in last
    assert not [line for line in last.splitlines() if line and not line.startswith("--")]


def test_the_files_comments_are_kept(unfilled):
    text = unfilled[2]
    for file in sql_lint.SQL_FILES.glob("[0-9]*.sql"):
        comments = [line for line in file.read_text().splitlines() if line.startswith("-- ") and "{" not in line]
        assert all(comment in text for comment in comments), file.name


def test_a_filled_plan_has_only_the_secret_left_open_and_parses(filled):
    _, said, text = filled
    assert set(re.findall(r"<% (\w+) %>", text)) == {"secret_api_token"}
    assert "fill in secret_api_token, then run" in said
    found = [finding for one in statements(text) for finding in sql_lint.check_statement(one.text)]
    assert found == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--value", "trigger_ur=https://x"], "There is no value trigger_ur; the plan has"),
        (["--value", "secret_api_token=CANARY"], "secret_api_token is a secret: it never goes into a file"),
        (["--value", "trigger_url=x'; DROP DATABASE D; --"], "has a quote"),
        (["--value", "trigger_url"], "say name=value"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(tmp_path, arguments, said):
    own = OwnEnvironment(tmp_path)
    code, _, errors = own.command("snowflake_plan", "--output", tmp_path / "plan.sql", *arguments)
    assert code == 1
    assert said in errors
    assert "CANARY" not in errors
    assert "Traceback" not in errors
    assert not (tmp_path / "plan.sql").exists()


def test_without_a_key_pair_there_is_no_key_to_fill_in(tmp_path):
    own = OwnEnvironment(tmp_path, WORKLOAD_IDENTITY)
    code, said, errors = own.command("snowflake_plan", "--output", tmp_path / "plan.sql")
    assert code == 0, errors
    assert "public_key" not in said
    text = (tmp_path / "plan.sql").read_text()
    for part in ("deployer", "worker", "web"):
        arn = f"arn:aws:iam::000000000000:role/snowgate-{own.name}-{part}"
        assert f"WORKLOAD_IDENTITY = (TYPE = AWS ARN = '{arn}')" in text


def test_a_plan_run_by_hand_ends_in_the_state_of_a_deploy(filled, warehouse, prepared):
    own, _, text = filled
    warehouse.run(*(one.text for one in statements(text) if "IMPORTED PRIVILEGES" not in one.text))
    by_hand = read_environment(own.file).snowflake.model_dump()
    deployment = prepared(tasks_enabled=True).deploy()
    names = {deployment.names[key]: by_hand[key] for key in UNIQUE}

    with warehouse.connect() as connection:
        session = Session(connection, Login("LOCAL", "ADMIN", "ACCOUNTADMIN", {}, {}, {}), Deadline(Unhurried()))
        observer = Observer(session)
        deployed = {
            renamed(name, names): renamed(facts, names) for name, facts in state(observer, deployment.rendered())
        }
        found = dict(state(observer, files_of(text)))
    assert set(found) == set(deployed)
    for name, facts in found.items():
        assert facts == deployed[name], name


def state(observer, files):
    """What there is of all that the files make, as text; each integration has its own external id."""
    for script in read_all(files):
        for made in script.makes:
            facts = json.dumps(observer.observe(made), sort_keys=True)
            facts = re.sub(r"SFCRole=[\w+/=]+", "SFCRole=…", facts)
            # The tests' way of rendering leaves blank lines where the deploy's leaves none.
            yield str(made), re.sub(r"(\\n)+", r"\\n", facts)


def files_of(text):
    """The files out of a plan, by their names."""
    parts = re.split(r"^-- =+\n-- (?:\d+\. )?(.*)\n-- =+\n", text, flags=re.MULTILINE)
    pairs = zip(parts[1::2], parts[2::2], strict=True)
    return {title.partition(",")[0]: part for title, part in pairs if title.partition(",")[0].endswith(".sql")}


def renamed(text, names):
    for old, new in sorted(names.items(), key=lambda pair: -len(pair[0])):
        text = re.sub(rf"\b{re.escape(old)}\b", new, text)
    return text
