"""The environment files: what a right one gives, and what is said about a wrong one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from snowgate import Architecture, FargateSize
from stacks.environment import read_environment, read_environments
from stacks.environment_errors import EnvironmentFileError

LOGIN = 'login = "workload_identity"\naccount = "MYORG-MYACCOUNT"'
# What is changed in prod.toml, and what the message says: the key, what was given, what is allowed.
WRONG = {
    "unknown key": ("max_tasks = 4", "max_task = 4", r"worker.max_task: unknown key, given 4 .*nearest is max_tasks"),
    "unknown table": ("[network]", "[netwrk]", r"netwrk: unknown key, .*nearest is network"),
    "wrong type": (
        'account = "111122223333"',
        "account = 111122223333",
        r"account: given 111122223333 \(whole number\). Allowed: an AWS account: 12 digits, in quotes",
    ),
    "copies in the own region": (
        'region = "eu-central-1"',
        'region = "eu-west-1"',
        r"backup.region: given 'eu-west-1' .*this is the environment's own. Allowed: another AWS region",
    ),
    "a key of a third region": (
        '# database_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/…"',
        'database_key_arn = "arn:aws:kms:eu-west-3:111122223333:key/1" #',
        r"backup.database_key_arn: given 'arn:aws:kms:eu-west-3.*the copies' region is eu-central-1",
    ),
    "links for too long": (
        "days = 7",
        "days = 31",
        r"links.days: given 31 \(whole number\).*Allowed: 1 to 30 days",
    ),
    "a load below nothing": (
        "reports = 20_000",
        "reports = -1",
        r"load.reports: given -1 \(whole number\).*Allowed: 0 or more reports a month",
    ),
    "text for a number": (
        "max_tasks = 4",
        'max_tasks = "4"',
        r"worker.max_tasks: given '4' \(text\). Allowed: 1 to",
    ),
    "number for a table": ("[web]\ncpu = 256\nmemory_mib = 512", "[mail]\nsender = 3", r"mail.sender: given 3"),
    "impossible size": (
        "cpu = 512\nmemory_mib = 1024",
        "cpu = 512\nmemory_mib = 700",
        r"worker.memory_mib: given 700 .*Allowed with cpu 512: 1024, 2048, 3072, 4096; nearest is cpu 512 with .* 1024",
    ),
    "impossible cpu": (
        "cpu = 512\nmemory_mib = 1024",
        "cpu = 500\nmemory_mib = 1024",
        r"worker.cpu: given 500 .*nearest is 512. Allowed: Fargate's CPU units: 256, 512",
    ),
    "no CIDR": ('"10.20.0.0/16"', '"hello"', r"network.cidr: given 'hello' .*Allowed: a private IPv4 network"),
    "host bits in the CIDR": ('"10.20.0.0/16"', '"10.20.0.1/16"', r"network.cidr: given '10.20.0.1/16' .*host bits"),
    "a network too large": ('"10.20.0.0/16"', '"10.0.0.0/8"', r"network.cidr: given '10.0.0.0/8' .*a private /8"),
    "somebody else's network": ('"10.20.0.0/16"', '"8.8.0.0/16"', r"network.cidr: .*no private /16"),
    "this machine's own network": ('"10.20.0.0/16"', '"127.0.0.0/16"', r"network.cidr: .*no private /16"),
    "the network of link-local addresses": ('"10.20.0.0/16"', '"169.254.0.0/16"', r"network.cidr: .*no private /16"),
    "an account in other digits": ('"111122223333"', '"١١١١٢٢٢٢٣٣٣٣"', r"account: given .*12 digits"),
    "a secret's name that looks like a part of an ARN": (
        LOGIN,
        'login = "key_pair"\nlogin_secret = "snowgate/prod-deploy"',
        r"snowflake.login_secret: given 'snowgate/prod-deploy' .*a hyphen and six characters",
    ),
    "a role that every account has": (
        'runner_role = "REPORTING_RUNNER"',
        'runner_role = "AccountAdmin"',
        r"snowflake.runner_role: given 'AccountAdmin' .*a role of Snowflake's own",
    ),
    "the deployer's user for the containers": (
        'runner_user = "REPORTING_SERVICE"',
        'runner_user = "snowgate_deployer"',
        r"snowflake.runner_user: given 'snowgate_deployer' .*must be three different names",
    ),
    "one user for two roles": (
        'web_user = "REPORTING_SERVICE_WEB"',
        'web_user = "reporting_service"',
        r"snowflake.runner_user: .*must be three different names",
    ),
    "one integration for two": (
        'external_access = "SNOWGATE_PROD_EGRESS"',
        'external_access = "SNOWGATE_PROD_API"',
        r"snowflake.external_access: .*two different integrations",
    ),
    "the deploy's own schema": (
        'config_schema = "CONFIG"',
        'config_schema = "deployment"',
        r"snowflake.config_schema: .*neither may be DEPLOYMENT, which holds the deploy's own history",
    ),
    "a word of SQL": (
        'database = "REPORTING_DB"',
        'database = "Order"',
        r"snowflake.database: given 'Order' \(text\): ORDER is a word of SQL, see https://docs.snowflake.com/\S+/reserved-",
    ),
    "a workload identity without an account": (
        'account = "MYORG-MYACCOUNT"',
        "",
        r'snowflake.account: given nothing: login = "workload_identity" needs it.*Allowed: .*ORGANIZATION-ACCOUNT',
    ),
    "an account that is an address": (
        'account = "MYORG-MYACCOUNT"',
        'account = "xy12345.eu-west-1"',
        r"snowflake.account: given 'xy12345.eu-west-1' .*ORGANIZATION-ACCOUNT",
    ),
    "a workload identity with a secret": (
        LOGIN,
        f'{LOGIN}\nlogin_secret = "snowgate/prod/deployer"',
        r"snowflake.login_secret: given 'snowgate/prod/deployer' .*no secret exists: leave it out",
    ),
    "a key pair without a secret": (
        'login = "workload_identity"',
        'login = "key_pair"',
        r'snowflake.login_secret: given nothing: login = "key_pair" needs it',
    ),
    "a password": (
        'login = "workload_identity"',
        'login = "password"',
        r"snowflake.login: given 'password' .*key_pair",
    ),
    "a private way without Snowflake's networks": (
        'connectivity = "public"',
        'connectivity = "private"',
        r"snowflake.vpc_ids: .*\"private\" needs them.*SYSTEM\$GET_SNOWFLAKE_PLATFORM_INFO",
    ),
    "a private way to an HTTP API": (
        'connectivity = "public"',
        'connectivity = "private"\nvpc_ids = ["vpc-0a1b2c3d"]',
        r'web.domain: given nothing: snowflake.connectivity = "private" needs it, with a certificate_arn',
    ),
    "Snowflake's networks without a private way": (
        'connectivity = "public"',
        'connectivity = "public"\nvpc_ids = ["vpc-0a1b2c3d"]',
        r"snowflake.vpc_ids: .*leave them out",
    ),
    "an endpoint for a network": (
        'connectivity = "public"',
        'connectivity = "private"\nvpc_ids = ["vpce-0a1b2c3d"]',
        r"snowflake.vpc_ids: given 'vpce-0a1b2c3d'.*the ids of Snowflake's own VPCs",
    ),
    "a domain without a certificate": (
        "[web]",
        '[web]\ndomain = "reports.example.com"',
        r"web.domain: .*certificate_arn",
    ),
    "an HTTP API before a public load balancer": (
        "[web]",
        '[web]\nhttp_api = true\ncertificate_arn = "arn:aws:acm:eu-west-1:111122223333:certificate/x"',
        r"web.http_api: given True .*leave one out",
    ),
    "no identifier": (
        'database = "REPORTING_DB"',
        'database = "REPORTING-DB"',
        r"snowflake.database: given 'REPORTING-DB' .*Allowed: an unquoted Snowflake identifier",
    ),
    "SQL in a name": (
        'warehouse = "REPORTING_WH"',
        'warehouse = "WH; DROP TABLE T"',
        r"snowflake.warehouse: .*an unquoted Snowflake identifier",
    ),
    "a zone of another region": (
        '"eu-west-1a", "eu-west-1b"',
        '"eu-west-1a", "us-east-1b"',
        r"network.availability_zones: given .*us-east-1b not in region eu-west-1",
    ),
    "one zone": ('"eu-west-1a", "eu-west-1b"', '"eu-west-1a"', r"network.availability_zones: .*fewer than two"),
    "one zone twice": ('"eu-west-1a", "eu-west-1b"', '"eu-west-1a", "eu-west-1a"', r"fewer than two, or one twice"),
    "no region": ('region = "eu-west-1"', 'region = "Ireland"', r"region: given 'Ireland' .*as in \"eu-west-1\""),
    "a missing key": ('cidr = "10.20.0.0/16"\n', "", r"network.cidr: is missing. Needed: a private IPv4 network"),
    "architecture in small letters": ('"ARM64"', '"arm64"', r"architecture: given 'arm64' .*\"ARM64\", \"X86_64\", or"),
    "a Python that is too old": ('"3.13"', '"3.10"', r"lambdas.python: given '3.10' .*\"3.11\" to \"3.14\""),
    "an interval below Snowflake's": (
        "trigger_interval_seconds = 10",
        "trigger_interval_seconds = 5",
        r"snowflake.trigger_interval_seconds: given 5 .*10 to 604800 seconds",
    ),
    "one role for two": (
        'owner_role = "REPORTING_OWNER"',
        'owner_role = "reporting_runner"',
        r"snowflake.runner_role: .*must be three different roles",
    ),
    "a certificate of another region": (
        "[web]",
        '[web]\ncertificate_arn = "arn:aws:acm:us-east-1:111122223333:certificate/x"',
        r"web.certificate_arn: .*the environment's region is eu-west-1",
    ),
    "a certificate of another account": (
        "[web]",
        '[web]\ncertificate_arn = "arn:aws:acm:eu-west-1:999999999999:certificate/x"',
        r"web.certificate_arn: .*its account 111122223333",
    ),
    "the tag latest": ("[web]", '[image]\nuri = "service:latest"\n[web]', r"image.uri: .*the tag latest"),
    "an image without a tag": ("[web]", '[image]\nuri = "localhost:5000/x"\n[web]', r"image.uri: .*has no tag"),
    "no address": ("[web]", '[mail]\nsender = "nobody"\n[web]', r"mail.sender: given 'nobody' .*an e-mail address"),
    "a domain with an @": (
        "[web]",
        '[mail]\nsender = "a@b.de"\ndomains = ["@b.de"]\n[web]',
        r"mail.domains.*a list of domains",
    ),
    "no topic": ("[web]", '[notify]\ntopic_arns = ["finance"]\n[web]', r"notify.topic_arns.*ARNs of SNS topics"),
    "a secret's name": (
        "[web]",
        '[notify]\ndestinations_secret_arn = "destinations"\n[web]',
        r"notify.destinations_secret_arn: given 'destinations' .*the whole ARN",
    ),
    "a name": ('removal = "retain"', 'removal = "retain"\nname = "x"', r"name: the file's own name"),
    "no TOML": ("[network]", "[network", r"at line 8, column"),
    "fewer tasks at most than at least": (
        "max_tasks = 4\ningest",
        "max_tasks = 1\ningest",
        r"weather_warehouse.max_tasks: given 1 .*min_tasks is 2. Allowed: 1 to 1000 tasks",
    ),
    "a schedule in words": (
        'ingest_schedule = "cron(0 2 * * ? *)"',
        'ingest_schedule = "daily"',
        r"weather_warehouse.ingest_schedule: given 'daily' .*neither cron.*Allowed: a schedule of EventBridge",
    ),
    "a time zone that there is not": (
        '"America/New_York"',
        '"America/Newyork"',
        r"conflict_updater.timezone: given 'America/Newyork' .*no such zone. Allowed: a time zone of the IANA database",
    ),
    "a database class that is not on Graviton": (
        "db.t4g.small",
        "db.t3.small",
        r"weather_warehouse.database.instance_class: given 'db.t3.small' .*Allowed: a class of Amazon RDS on Graviton",
    ),
    "a domain of an edge without a certificate": (
        "[weather_warehouse.edge]",
        '[weather_warehouse.edge]\ndomain = "weather.example.com"',
        r"weather_warehouse.edge.domain: given 'weather.example.com' .*domain and certificate_arn go together",
    ),
    "an image by a tag that moves": (
        "etl-agent@sha256:" + "0" * 64,
        "etl-agent:latest",
        r"matillion_agent.image: given .*etl-agent:latest' .*the tag latest",
    ),
    "a part of a secret's ARN": (
        'secret_prefix = "task02"',
        'snowflake_secret_arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:task02/snowflake"',
        r"conflict_updater.snowflake_secret_arn: given .*Allowed: the whole ARN of a secret",
    ),
    "a range with host bits": (
        'secret_prefix = "task02"',
        'postgres_cidr = "10.0.0.1/8"',
        r"conflict_updater.postgres_cidr: given '10.0.0.1/8' .*host bits",
    ),
    "too little storage for a task": (
        "ephemeral_gib = 50",
        "ephemeral_gib = 20",
        r"matillion_agent.ephemeral_gib: given 20 .*Allowed: 21 to 200 GiB",
    ),
    "a budget of nothing": (
        "[weather_warehouse]",
        "[alarms]\nmonthly_budget_usd = 0\n\n[weather_warehouse]",
        r"alarms.monthly_budget_usd: given 0 .*more than 0",
    ),
    "a NAT instance without its image": (
        'mode = "nat_gateways"',
        'mode = "nat_instance"',
        r"network.nat_ami: given nothing: it goes with mode = \"nat_instance\"",
    ),
    "NAT in a network that has none": (
        'mode = "nat_gateways"',
        'nat_count = 1\nmode = "public"',
        r"network.nat_count: given 1 .*mode is public, with 2 zones. Allowed: 1 to 6 with NAT",
    ),
    "a range outside of the network": (
        "[network]",
        '[network]\nprivate_cidrs = ["10.0.1.0/24", "10.0.2.0/24"]',
        r"network.private_cidrs: given .*10.0.1.0/24",
    ),
    "quiet hours of a service that does not scale": (
        "max_count = 10\n",
        "",
        r"matillion_agent.quiet.down: .*it is for a service that scales: give max_count",
    ),
    "a port that there is not": (
        "{ 5432 =",
        "{ 70000 =",
        r"matillion_agent.outbound",
    ),
    "an edge without a firewall that does not say so": (
        "waf = false\n",
        "",
        r"weather_warehouse.edge.waf: given True .*give a web_acl_arn, or say waf = false",
    ),
}


@pytest.fixture
def prod(root: Path) -> str:
    """A right file, without comments."""
    text = (root / "environments" / "prod.toml").read_text()
    return "\n".join(line.partition("  #")[0] for line in text.splitlines()) + "\n"


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_is_refused_with_key_given_and_allowed(prod: str, tmp_path: Path, case: str) -> None:
    old, new, message = WRONG[case]
    assert old in prod
    file = tmp_path / "prod.toml"
    file.write_text(prod.replace(old, new))
    with pytest.raises(EnvironmentFileError, match=f"(?s)^{file} cannot be used:.*{message}"):
        read_environment(file)


def test_all_problems_of_all_files_are_named_at_once(prod: str, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(prod.replace("max_tasks", "max_task", 1).replace('"ARM64"', '"arm"'))
    (tmp_path / "b.toml").write_text(prod.replace('"REPORTING_DB"', '"1"'))
    (tmp_path / "c.toml").write_text(prod)
    with pytest.raises(EnvironmentFileError) as raised:
        read_environments(tmp_path)
    keys = [problem.key for problem in raised.value.problems]
    assert keys == ["architecture", "worker.max_task", "snowflake.database"]
    assert [line for line in str(raised.value).splitlines() if "cannot be used" in line] == [
        f"{tmp_path / 'a.toml'} cannot be used:",
        f"{tmp_path / 'b.toml'} cannot be used:",
    ]


def test_what_does_not_fit_together_is_named_key_by_key(prod: str, tmp_path: Path) -> None:
    file = tmp_path / "prod.toml"
    wrong = prod.replace('account = "MYORG-MYACCOUNT"\n', "").replace('"SNOWGATE_PROD_EGRESS"', '"SNOWGATE_PROD_API"')
    file.write_text(wrong.replace('connectivity = "public"', 'connectivity = "private"'))
    with pytest.raises(EnvironmentFileError) as raised:
        read_environment(file)
    keys = [problem.key for problem in raised.value.problems]
    assert keys == ["snowflake.account", "snowflake.external_access", "snowflake.vpc_ids"]


def test_a_missing_region_is_the_one_problem_that_is_named(prod: str, tmp_path: Path) -> None:
    file = tmp_path / "prod.toml"
    file.write_text(prod.replace('region = "eu-west-1"\n', ""))
    with pytest.raises(EnvironmentFileError) as raised:
        read_environment(file)
    assert [problem.key for problem in raised.value.problems] == ["region"]


def test_a_file_with_a_byte_order_mark_is_read(prod: str, tmp_path: Path) -> None:
    file = tmp_path / "prod.toml"
    file.write_text(prod, encoding="utf-8-sig")
    assert read_environment(file).region == "eu-west-1"


def test_a_file_name_that_is_no_name_of_an_environment_is_refused(prod: str, tmp_path: Path) -> None:
    (tmp_path / "Prod_1.toml").write_text(prod)
    with pytest.raises(EnvironmentFileError, match="name: given 'Prod_1'.*small letters"):
        read_environments(tmp_path)


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFileError, match=r"no .toml file"):
        read_environments(tmp_path)


def test_what_is_left_out_has_its_default(prod: str, tmp_path: Path) -> None:
    file = tmp_path / "prod.toml"
    derived = ("web_user", "external_access", "login =", "daily_reports", "connectivity")
    prod = "".join(line for line in prod.splitlines(keepends=True) if not line.startswith(derived))
    kept = prod.replace('architecture = "ARM64"\n', "").replace('[lambdas]\npython = "3.13"\n', "")
    file.write_text(kept.partition("[web]")[0].replace("max_tasks = 4\n", ""))
    environment = read_environment(file)
    assert (environment.name, environment.built_for, environment.removal) == ("prod", Architecture.ARM64, "retain")
    assert environment.lambdas.python_version == "3.13"
    assert (environment.worker.max_tasks, environment.worker.size) == (4, FargateSize(cpu=512, memory_mib=1024))
    assert (environment.web, environment.mail, environment.image.uri) == (None, None, None)
    snowflake = environment.snowflake
    assert (snowflake.web_user, snowflake.external_access) == ("REPORTING_SERVICE_WEB", "SNOWGATE_PROD_API_EGRESS")
    assert (snowflake.login, snowflake.daily_reports, snowflake.connectivity) == ("workload_identity", False, "public")


def test_roles_that_snowflake_names_have_arns_of_the_regions_partition(root: Path) -> None:
    prod = read_environment(root / "environments" / "prod.toml")
    assert prod.role_arn(prod.worker_role_name) == "arn:aws:iam::111122223333:role/snowgate-prod-worker"
    china = prod.model_copy(update={"region": "cn-north-1"})
    assert china.role_arn(china.deployer_role_name) == "arn:aws-cn:iam::111122223333:role/snowgate-prod-deployer"


def test_the_local_environment_is_made_for_the_machine_that_synthesises(root: Path) -> None:
    environment = read_environment(root / "environments" / "local.toml")
    assert environment.built_for is Architecture.of_this_machine()
    assert environment.lambdas.python_version == f"{sys.version_info.major}.{sys.version_info.minor}"


def test_environments_of_one_snowflake_account_share_no_name(root: Path) -> None:
    real = [e for e in read_environments(root / "environments") if e.name != "local"]
    keys = ("database", "warehouse", "deployer_role", "owner_role", "runner_role", "runner_user", "web_user")
    keys += ("api_integration", "external_access")
    for key in keys:
        assert len({getattr(environment.snowflake, key) for environment in real}) == len(real), key


def test_the_application_says_it_in_one_message_and_exits_with_1(root: Path, prod: str, tmp_path: Path) -> None:
    shutil.copy(root / "app.py", tmp_path)
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments" / "prod.toml").write_text(prod.replace("max_tasks", "max_task"))
    environment = {**os.environ, "PYTHONPATH": str(root), "CDK_OUTDIR": str(tmp_path / "cdk.out")}
    done = subprocess.run(
        [sys.executable, "app.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"{tmp_path}/environments/prod.toml cannot be used:\n  worker.max_task: unknown key")
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
