"""External functions against a double of API Gateway and STS: batches, headers, signatures, retries, refusals."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import snowflake.connector
from gateway_double import Gateway, gateway_double
from warehouse_server import Warehouse, warehouse

URL = "https://abc123.execute-api.eu-west-1.amazonaws.com/prod/trigger"
ROLE = "arn:aws:iam::111122223333:role/caller"
Run = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Warehouse, Gateway]]:
    with gateway_double() as gateway:
        environment = {"AWS_ENDPOINT_URL": gateway.endpoint}
        with warehouse(Path(tmp_path_factory.mktemp("external")), environment=environment) as account:
            account.rows("CREATE DATABASE D")
            yield account, gateway


@pytest.fixture
def gateway(running: tuple[Warehouse, Gateway]) -> Gateway:
    gateway = running[1]
    gateway.calls.clear()
    gateway.assumed.clear()
    gateway.trusted = True
    gateway.answer = Gateway().answer
    return gateway


@pytest.fixture
def run(running: tuple[Warehouse, Gateway], gateway: Gateway) -> Iterator[Run]:
    with running[0].connect(database="D", paramstyle="qmark") as connection, connection.cursor() as cursor:

        def run(sql: str, *values: Any) -> list[tuple[Any, ...]]:
            cursor.execute(sql, values or None)
            return list(cursor.fetchall())

        run(
            f"CREATE OR REPLACE API INTEGRATION API API_PROVIDER = aws_api_gateway API_AWS_ROLE_ARN = '{ROLE}' "
            "API_ALLOWED_PREFIXES = ('https://abc123.execute-api.eu-west-1.amazonaws.com/prod/') ENABLED = TRUE"
        )
        run(
            "CREATE OR REPLACE EXTERNAL FUNCTION WAKE(PENDING NUMBER, BUSY NUMBER) RETURNS VARIANT "
            "API_INTEGRATION = API HEADERS = ('app' = 'reports') CONTEXT_HEADERS = (CURRENT_USER) MAX_BATCH_ROWS = 2 "
            f"AS '{URL}'"
        )
        yield run


def test_a_call_assumes_the_role_and_posts_a_signed_batch(run: Run, gateway: Gateway) -> None:
    assert json.loads(run("SELECT WAKE(?, 2)", 5)[0][0]) == [5, 2]
    (call,) = gateway.calls
    described = {row[0]: row[2] for row in run("DESC INTEGRATION API")}
    (assumed,) = gateway.assumed
    assert (assumed["RoleArn"], assumed["ExternalId"]) == (ROLE, described["API_AWS_EXTERNAL_ID"])
    assert (call["path"], call["rows"]) == ("/prod/trigger", [[0, 5, 2]])
    headers = call["headers"]
    assert headers["host"] == "abc123.execute-api.eu-west-1.amazonaws.com"
    assert "/eu-west-1/execute-api/aws4_request" in headers["authorization"]
    assert headers["x-amz-security-token"].startswith("token")
    assert headers["sf-custom-app"] == "reports"
    assert headers["sf-context-current-user"] == "ADMIN"
    assert headers["sf-external-function-current-query-id"]
    assert headers["sf-external-function-query-batch-id"]


def test_rows_travel_in_batches_and_credentials_are_kept(run: Run, gateway: Gateway) -> None:
    run("CREATE OR REPLACE TABLE T (N NUMBER)")
    run("INSERT INTO T VALUES (1), (2), (3), (4), (5)")
    rows = run("SELECT N, WAKE(N, N * 10)[1]::NUMBER AS B FROM T WHERE N > 0 ORDER BY N")
    assert rows == [(n, n * 10) for n in range(1, 6)]
    assert [len(call["rows"]) for call in gateway.calls] == [2, 2, 1]
    assert len({call["headers"]["sf-external-function-query-batch-id"] for call in gateway.calls}) == 3
    assert len(gateway.assumed) == 1


def test_it_works_in_insert_select_and_the_answer_is_stored(run: Run, gateway: Gateway) -> None:
    run("CREATE OR REPLACE TABLE ANSWERS (A VARIANT)")
    run("INSERT INTO ANSWERS SELECT WAKE(1, 0)")
    assert json.loads(run("SELECT A FROM ANSWERS")[0][0]) == [1, 0]
    assert len(gateway.calls) == 1


def test_throttling_and_server_errors_are_retried_with_the_same_batch_id(run: Run, gateway: Gateway) -> None:
    answers = iter([(429, {}), (503, {}), (200, {"data": [[0, "done"]]})])
    gateway.answer = lambda _: next(answers)
    assert json.loads(run("SELECT WAKE(1, 0)")[0][0]) == "done"
    assert len(gateway.calls) == 3
    assert len({call["headers"]["sf-external-function-query-batch-id"] for call in gateway.calls}) == 1


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((400, {"message": "bad body"}), "remote service error: 400 .*bad body"),
        ((403, {"message": "Forbidden"}), "remote service error: 403"),
        ((202, {}), "remote service error: 202"),
        ((200, b"not json"), "Error parsing JSON response"),
        ((200, {"rows": []}), "Error parsing JSON response"),
        ((200, {"data": []}), "returned rows"),
        ((200, {"data": [[1, "x"]]}), "returned rows"),
        ((200, {"data": [[0, "x"], [0, "y"]]}), "returned rows"),
        ((200, {"data": [[0, "x" * (11 * 1024 * 1024)]]}), "more than"),
    ],
)
def test_a_wrong_answer_is_an_error(run: Run, gateway: Gateway, answer: tuple[int, Any], message: str) -> None:
    gateway.answer = lambda _: answer
    with pytest.raises(snowflake.connector.ProgrammingError, match=message):
        run("SELECT WAKE(1, 0)")
    assert len(gateway.calls) == 1


def test_a_role_that_does_not_trust_snowflake_is_an_error_and_nothing_is_kept(run: Run, gateway: Gateway) -> None:
    gateway.trusted = False
    with pytest.raises(snowflake.connector.ProgrammingError, match="Error assuming AWS_ROLE"):
        run("SELECT WAKE(1, 0)")
    assert gateway.calls == []
    gateway.trusted = True
    run("SELECT WAKE(1, 0)")


def test_refused_credentials_are_dropped(run: Run, gateway: Gateway) -> None:
    gateway.answer = lambda _: (403, {})
    with pytest.raises(snowflake.connector.ProgrammingError):
        run("SELECT WAKE(1, 0)")
    gateway.answer = Gateway().answer
    run("SELECT WAKE(1, 0)")
    assert len(gateway.assumed) == 2


def test_a_replaced_integration_has_a_new_external_id_and_an_altered_one_keeps_it(run: Run) -> None:
    def external_id() -> str:
        return str({row[0]: row[2] for row in run("DESC INTEGRATION API")}["API_AWS_EXTERNAL_ID"])

    first = external_id()
    run("ALTER API INTEGRATION API SET COMMENT = 'x', ENABLED = TRUE")
    run(
        f"CREATE API INTEGRATION IF NOT EXISTS API API_PROVIDER = aws_api_gateway API_AWS_ROLE_ARN = '{ROLE}' "
        "API_ALLOWED_PREFIXES = ('https://abc123.execute-api.eu-west-1.amazonaws.com/') ENABLED = TRUE"
    )
    assert external_id() == first
    run(
        f"CREATE OR REPLACE API INTEGRATION API API_PROVIDER = aws_api_gateway API_AWS_ROLE_ARN = '{ROLE}' "
        "API_ALLOWED_PREFIXES = ('https://abc123.execute-api.eu-west-1.amazonaws.com/') ENABLED = TRUE"
    )
    assert external_id() != first


def test_the_url_must_be_allowed_when_the_function_is_made_and_when_it_is_called(run: Run, gateway: Gateway) -> None:
    with pytest.raises(snowflake.connector.ProgrammingError, match="not allowed"):
        run(
            "CREATE EXTERNAL FUNCTION OTHER() RETURNS VARIANT API_INTEGRATION = API AS 'https://elsewhere.example.com/x'"
        )
    run(
        "ALTER API INTEGRATION API SET API_BLOCKED_PREFIXES = ('https://abc123.execute-api.eu-west-1.amazonaws.com/prod/t')"
    )
    with pytest.raises(snowflake.connector.ProgrammingError, match="not allowed"):
        run("SELECT WAKE(1, 0)")
    run("ALTER API INTEGRATION API SET API_BLOCKED_PREFIXES = (), ENABLED = FALSE")
    with pytest.raises(snowflake.connector.ProgrammingError, match="not enabled"):
        run("SELECT WAKE(1, 0)")
    assert gateway.calls == []
