"""The clause grammar by itself: each wrong statement is refused, for the reason that is wrong with it."""

from __future__ import annotations

import pytest

from local.warehouse import kinds
from local.warehouse.errors import SnowflakeError
from local.warehouse.grammar import parse

RULE = "CREATE NETWORK RULE N MODE = EGRESS TYPE = HOST_PORT VALUE_LIST = "
EAI = "CREATE EXTERNAL ACCESS INTEGRATION E "
API = "CREATE API INTEGRATION A API_PROVIDER = aws_api_gateway API_AWS_ROLE_ARN = 'arn:aws:iam::111122223333:role/r' "
PREFIXES = "API_ALLOWED_PREFIXES = ('https://a.example.com/prod/') "
CALL = "CREATE EXTERNAL FUNCTION F(N NUMBER) RETURNS VARIANT "
PYTHON = "LANGUAGE PYTHON RUNTIME_VERSION = '3.11' HANDLER = 'run' "
FUNCTION = f"CREATE FUNCTION F(N NUMBER) RETURNS NUMBER {PYTHON}"
TASK = "CREATE TASK T WAREHOUSE = W "
HAS_DATA = "SYSTEM$STREAM_HAS_DATA('S')"

# (the statement, what its error names)
WRONG = [
    # a required option that is absent
    ("CREATE NETWORK RULE N MODE = EGRESS VALUE_LIST = ('a.example.com')", "TYPE"),
    ("CREATE NETWORK RULE N MODE = EGRESS TYPE = HOST_PORT", "VALUE_LIST"),
    ("CREATE SECRET S SECRET_STRING = 'x'", "TYPE"),
    ("CREATE SECRET S TYPE = PASSWORD USERNAME = 'u'", "PASSWORD"),
    (EAI + "ENABLED = TRUE", "ALLOWED_NETWORK_RULES"),
    (EAI + "ALLOWED_NETWORK_RULES = () ENABLED = TRUE", "ALLOWED_NETWORK_RULES"),
    (EAI + "ALLOWED_NETWORK_RULES = (N)", "ENABLED"),
    (API + PREFIXES, "ENABLED"),
    (API + "ENABLED = TRUE", "API_ALLOWED_PREFIXES"),
    (f"CREATE API INTEGRATION A API_PROVIDER = aws_api_gateway {PREFIXES}ENABLED = TRUE", "API_AWS_ROLE_ARN"),
    (CALL + "AS 'https://a.example.com/prod/f'", "API_INTEGRATION"),
    ("CREATE FUNCTION F(N NUMBER) RETURNS NUMBER LANGUAGE PYTHON RUNTIME_VERSION = '3.11' AS 'x'", "HANDLER"),
    (FUNCTION + "SECRETS = ('t' = S) AS 'x'", "EXTERNAL_ACCESS_INTEGRATIONS"),
    # parameters
    (FUNCTION.replace("N NUMBER", "N NUMBER DEFAULT (SELECT 1)") + " AS 'x'", "a query as the DEFAULT"),
    (FUNCTION.replace("N NUMBER", "N NUMBER DEFAULT 1, M NUMBER") + " AS 'x'", "arguments with a DEFAULT come after"),
    (FUNCTION.replace("N NUMBER", "N NUMBER, n VARCHAR") + " AS 'x'", "duplicate argument name"),
    # the wrong type or range of a value
    (EAI + "ALLOWED_NETWORK_RULES = ('N') ENABLED = TRUE", "unexpected ''N''"),
    (EAI + "ALLOWED_NETWORK_RULES = N ENABLED = TRUE", "unexpected 'N'"),
    (EAI + "ALLOWED_NETWORK_RULES = (N) ENABLED = 1", "TRUE or FALSE"),
    (API + PREFIXES + "ENABLED = 'yes'", "TRUE or FALSE"),
    (API.replace("arn:aws:iam::111122223333:role/r", "r") + PREFIXES + "ENABLED = TRUE", "API_AWS_ROLE_ARN"),
    (API + "API_ALLOWED_PREFIXES = ('http://a.example.com/') ENABLED = TRUE", "API_ALLOWED_PREFIXES"),
    (API + PREFIXES + "API_BLOCKED_PREFIXES = ('a.example.com') ENABLED = TRUE", "API_BLOCKED_PREFIXES"),
    (CALL + "API_INTEGRATION = A AS 'http://a.example.com/f'", "url"),
    (CALL + "API_INTEGRATION = A MAX_BATCH_ROWS = 0 AS 'https://a.example.com/f'", "MAX_BATCH_ROWS"),
    (CALL + "API_INTEGRATION = A CONTEXT_HEADERS = (CURRENT_MOOD) AS 'https://a.example.com/f'", "CURRENT_MOOD"),
    (FUNCTION + "SECRETS = (t = S) EXTERNAL_ACCESS_INTEGRATIONS = (E) AS 'x'", "unexpected 't'"),
    (FUNCTION + "SECRETS = ('t' = S, 't' = R) EXTERNAL_ACCESS_INTEGRATIONS = (E) AS 'x'", "each name once"),
    (FUNCTION + "EXTERNAL_ACCESS_INTEGRATIONS = ('E') AS 'x'", "unexpected ''E''"),
    # network rules: addresses, ports, direction
    (RULE + "('192.0.2.7:443')", "192.0.2.7"),
    (RULE + "('192.0.2.7')", "192.0.2.7"),
    (RULE + "('192.0.2.0/24')", "192.0.2.0/24"),
    (RULE + "('0.0.0.0')", "0.0.0.0"),
    (RULE + "('2001:db8::7')", "2001:db8::7"),
    (RULE + "('[2001:db8::7]:443')", "2001:db8::7"),
    (RULE + "('https://a.example.com')", "https://a.example.com"),
    (RULE + "('a.example.com/path')", "a.example.com/path"),
    (RULE + "('a.*.example.com')", "a.*.example.com"),
    (RULE + "('a.example.com:65536')", "65535"),
    (RULE + "('a.example.com:https')", "a.example.com:https"),
    (RULE + "()", "VALUE_LIST"),
    ("CREATE NETWORK RULE N TYPE = HOST_PORT VALUE_LIST = ('a.example.com')", "EGRESS"),
    ("CREATE NETWORK RULE N TYPE = PRIVATE_HOST_PORT VALUE_LIST = ('a.example.com')", "EGRESS"),
    ("CREATE NETWORK RULE N MODE = INGRESS TYPE = HOST_PORT VALUE_LIST = ('a.example.com')", "EGRESS"),
    ("CREATE NETWORK RULE N MODE = EGRESS TYPE = IPV4 VALUE_LIST = ('192.0.2.0/24')", "INGRESS"),
    ("CREATE NETWORK RULE N TYPE = IPV4 VALUE_LIST = ('a.example.com')", "IPv4"),
    (RULE.replace("HOST_PORT", "PRIVATE_HOST_PORT") + "('a.example.com', 'b.example.com')", "exactly one"),
    (RULE.replace("HOST_PORT", "PRIVATE_HOST_PORT") + "('*.example.com')", "*.example.com"),
    ("ALTER NETWORK RULE N SET MODE = INGRESS", "MODE"),
    ("ALTER NETWORK RULE N SET VALUE_LIST = ('a.example.com:443', '10.0.0.1:443')", "10.0.0.1:443"),
    # tasks: when they start, what they run on
    (TASK + "SCHEDULE = '5 MINUTES' AFTER R AS SELECT 1", "AFTER"),
    (TASK + "AFTER R SCHEDULE = '5 MINUTES' AS SELECT 1", "AFTER"),
    (TASK + "WHEN 1 = 1 AS SELECT 1", "SYSTEM$STREAM_HAS_DATA"),
    (TASK + "WHEN SYSTEM$STREAM_HAS_DATA(S) AS SELECT 1", "a string"),
    (TASK + f"WHEN {HAS_DATA} AND AS SELECT 1", "SYSTEM$STREAM_HAS_DATA"),
    (TASK + "USER_TASK_MANAGED_INITIAL_WAREHOUSE_SIZE = XSMALL SCHEDULE = '1 HOUR' AS SELECT 1", "exclude each other"),
    (TASK + "TARGET_COMPLETION_INTERVAL = '5 MINUTES' SCHEDULE = '1 HOUR' AS SELECT 1", "exclude each other"),
    (f"CREATE TASK T WHEN {HAS_DATA} AS SELECT 1", "TARGET_COMPLETION_INTERVAL"),
    (TASK + "ALLOW_OVERLAPPING_EXECUTION = TRUE AFTER R AS SELECT 1", "ALLOW_OVERLAPPING_EXECUTION"),
    (TASK + "SCHEDULE = '0 MINUTES' AS SELECT 1", "SCHEDULE"),
    (TASK + "SCHEDULE = '11521 MINUTES' AS SELECT 1", "SCHEDULE"),
    (TASK + "SCHEDULE = '9 SECONDS' AS SELECT 1", "SCHEDULE"),
    (TASK + "SCHEDULE = '5' AS SELECT 1", "SCHEDULE"),
    (TASK + "SCHEDULE = '5 MINUTES UTC' AS SELECT 1", "SCHEDULE"),
    (TASK + "SCHEDULE = 'USING CRON 0 6 * * *' AS SELECT 1", "SCHEDULE"),
    (TASK + "SCHEDULE = 'USING CRON 0 6 * * * 2026 UTC' AS SELECT 1", "SCHEDULE"),
    (TASK + "SCHEDULE = 'USING CRON 0 6 * * * Mars/Base' AS SELECT 1", "time zone"),
    (TASK + "SCHEDULE = 5 AS SELECT 1", "a string"),
    (TASK + f"USER_TASK_MINIMUM_TRIGGER_INTERVAL_IN_SECONDS = 9 WHEN {HAS_DATA} AS SELECT 1", "10 to 604800"),
    (TASK + "TASK_AUTO_RETRY_ATTEMPTS = 31 SCHEDULE = '1 HOUR' AS SELECT 1", "0 to 30"),
    (TASK + "SCHEDULE = '1 HOUR'", "AS"),
    (TASK + "SCHEDULE = '1 HOUR' AS", "a statement"),
    (TASK + "FINALIZE = R AS SELECT 1", "FINALIZE"),
    ("CREATE OR REPLACE TASK IF NOT EXISTS T SCHEDULE = '1 HOUR' AS SELECT 1", "IF NOT EXISTS"),
    ("ALTER TASK T MODIFY SCHEDULE = '1 HOUR'", "unexpected 'MODIFY'"),
    ("ALTER TASK T SET WAREHOUSE = W TARGET_COMPLETION_INTERVAL = '5 MINUTES'", "exclude each other"),
    # clauses that nothing has, that something else has, that stand twice or where they do not belong
    (EAI + "ALLOWED_NETWORK_RULES = (N) ENABLED = TRUE MODE = EGRESS", "MODE"),
    (EAI + "ALLOWED_NETWORK_RULES = (N) ENABLED = TRUE ENABLED = TRUE", "twice"),
    ("CREATE EXTERNAL ACCESS INTEGRATION IF NOT EXISTS E ALLOWED_NETWORK_RULES = (N) ENABLED = TRUE", "IF NOT EXISTS"),
    ("CREATE OR ALTER EXTERNAL ACCESS INTEGRATION E ALLOWED_NETWORK_RULES = (N) ENABLED = TRUE", "CREATE OR ALTER"),
    ("CREATE OR ALTER STREAM S ON TABLE T APPEND_ONLY = TRUE", "CREATE OR ALTER"),
    (API + PREFIXES + "ENABLED = TRUE API_ALLOWED_METHODS = ('POST')", "API_ALLOWED_METHODS"),
    ("ALTER API INTEGRATION A SET API_PROVIDER = aws_private_api_gateway", "API_PROVIDER"),
    ("ALTER EXTERNAL ACCESS INTEGRATION E UNSET ENABLED", "unexpected 'ENABLED'"),
    ("ALTER EXTERNAL ACCESS INTEGRATION E SET", "a property"),
    ("ALTER SECRET S SET TYPE = PASSWORD", "TYPE"),
    ("ALTER FUNCTION F(NUMBER) SET HANDLER = 'g'", "HANDLER"),
    ("ALTER FUNCTION F SET COMMENT = 'x'", "unexpected 'SET'"),
    ("ALTER STREAM S SET APPEND_ONLY = FALSE", "APPEND_ONLY"),
    ("CREATE STREAM S ON TABLE T APPEND_ONLY = TRUE INSERT_ONLY = TRUE", "INSERT_ONLY"),
    ("CREATE WAREHOUSE W MIN_CLUSTER_COUNT = 3 MAX_CLUSTER_COUNT = 2", "MIN_CLUSTER_COUNT"),
    ("CREATE USER U TYPE = SERVICE FIRST_NAME = 'x'", "FIRST_NAME"),
    ("CREATE USER U TYPE = SERVICE WORKLOAD_IDENTITY = (TYPE = AWS)", "ARN"),
    ("SHOW TASKS IN TASK T", "IN TASK"),
]


@pytest.mark.parametrize(("sql", "named"), WRONG)
def test_a_wrong_statement_is_refused_for_what_is_wrong_with_it(sql: str, named: str) -> None:
    with pytest.raises(SnowflakeError) as caught:
        parse(sql)
    assert named in caught.value.message


@pytest.mark.parametrize(
    "sql",
    [
        RULE + "('a.example.com', 'b.example.com:0', '*.example.com:8443', 'c.example.com:65535')",
        RULE.replace("HOST_PORT", "PRIVATE_HOST_PORT") + "('a.example.com:443')",
        "CREATE NETWORK RULE N TYPE = IPV4 VALUE_LIST = ('192.0.2.0/24')",
        TASK + "SCHEDULE = '11520 MINUTES' AS SELECT 1",
        TASK + "SCHEDULE = '10 SECONDS' AS SELECT 1",
        TASK + "SCHEDULE = 'USING CRON 0 6 * * MON-FRI Europe/Berlin' AS SELECT 1",
        TASK + f"AFTER R, Q WHEN NOT {HAS_DATA} OR ({HAS_DATA} AND {HAS_DATA}) AS SELECT 1",
        TASK + "AS SELECT 1",
        f"CREATE TASK T TARGET_COMPLETION_INTERVAL = '5 M' WHEN {HAS_DATA} AS SELECT 1",
        "CREATE OR ALTER TASK T WAREHOUSE = W SCHEDULE = '1 HOUR' AS SELECT 1",
        "ALTER FUNCTION F(NUMBER) SET EXTERNAL_ACCESS_INTEGRATIONS = (E) SECRETS = ('t' = D.S.T)",
        "ALTER PROCEDURE IF EXISTS P() UNSET COMMENT",
        "ALTER STREAM S SET COMMENT = 'x'",
        "SHOW PARAMETERS LIKE 'USER_TASK%' IN TASK D.S.T",
    ],
)
def test_their_right_neighbours_are_read(sql: str) -> None:
    assert parse(sql) is not None


def test_every_kind_of_object_names_the_pages_its_clauses_come_from() -> None:
    assert set(kinds.PAGES) == set(kinds.KINDS)
