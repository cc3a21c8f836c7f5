"""Fuzzed parameters: a value within its bounds or a refusal that names the parameter, and what is accepted runs."""

import datetime
import json
import math
from collections import Counter

import fuzzing
import pytest
from hypothesis import given
from hypothesis import strategies as st

from report_service.errors import MAX_MESSAGE, ErrorCode, RequestError, presentable
from report_service.parameters import check_parameters
from report_service.queue.rows import Claim
from report_service.recipients import RecipientRules
from report_service.requests import check_request
from report_service.results import open_result

pytestmark = [pytest.mark.soak, pytest.mark.timeout(2400 if fuzzing.SOAK else 240)]

# What of a row is a request.
COLUMNS = {
    "REPORT_NAME", "TRIGGER_TYPE", "PARAMETERS", "OUTPUT_FORMAT", "SCHEDULE_CRON", "MISSED_RUNS", "RECIPIENTS",
    "MAX_ATTEMPTS",
}  # fmt: skip
TYPES = {"date": datetime.date, "integer": int, "number": float, "string": str, "boolean": bool, "choice": str}


@pytest.fixture(scope="module")
def statements(snowflake_account, catalogue):
    """What the queries below come to in Snowflake's own history."""
    administrator = fuzzing.Administrator(snowflake_account)
    found = fuzzing.Statements(snowflake_account, administrator, catalogue)
    yield found
    found.check()
    print(f"{found.count} statements")
    administrator.close()


@pytest.fixture(scope="module")
def service_session(snowflake_account):
    with snowflake_account.warehouse() as opened:
        yield opened


def is_within_its_bounds(parameter, value):
    kind = type(value)
    assert kind is TYPES[parameter.type], f"{parameter.name} became {value!r}"
    if parameter.minimum is not None:
        assert value >= parameter.minimum
    if parameter.maximum is not None:
        assert value <= parameter.maximum
    if kind is str:
        assert len(value) <= parameter.max_length
        assert not parameter.choices or value in parameter.choices
    assert kind is not float or math.isfinite(value)


def is_told(error, given, names):
    """A refusal says which parameter is wrong, and its text fits into the row and into an answer."""
    assert error.code in ErrorCode
    assert error.field in names | set(given) | {name.lower() for name in given}
    text = presentable(error.message)
    assert 0 < len(text) <= MAX_MESSAGE
    assert "\n" not in text
    text.encode()
    if error.code is ErrorCode.INVALID_PARAMETER and given:
        named = {repr(name[:60]) for name in (*given, error.field) if name.lower() == error.field}
        assert f" {error.field} " in error.message or any(name in error.message for name in named)


def is_right(report, given, checked):
    declared = {parameter.name: parameter for parameter in report.definition.parameters}
    assert checked.keys() == declared.keys()
    for name, value in checked.items():
        is_within_its_bounds(declared[name], value)
        if declared[name].not_after:
            assert value <= checked[declared[name].not_after]
    # What was given is what is taken: no value turns into another one.
    for name, value in given.items():
        if value is not None:
            assert str(checked[name.lower()]) == str(value) or checked[name.lower()] == value


def test_a_parameter_is_a_value_within_its_bounds_or_refused_by_name(catalogue):
    seen = Counter()
    cases = st.sampled_from(list(catalogue.values())).flatmap(
        lambda report: st.tuples(st.just(report), fuzzing.given_parameters(report))
    )

    @fuzzing.fuzzed(600)
    @given(cases)
    def check(case):
        report, given = case
        declared = report.definition.parameters
        try:
            checked = check_parameters(declared, given, report.name)
        except RequestError as error:
            is_told(error, given, {parameter.name for parameter in declared})
            seen["refused"] += 1
        else:
            is_right(report, given, checked)
            seen["accepted"] += 1

    check()
    print(dict(seen))
    assert min(seen["refused"], seen["accepted"]) > sum(seen.values()) / 10


def claims(catalogue):
    """Rows as the queue claims them, right but for what a request says."""
    now = datetime.datetime(2026, 11, 28, 12)
    json_texts = fuzzing.anything.map(json.dumps) | st.text(max_size=20) | st.just("[" * 50_000)

    def of(report):
        return st.builds(
            Claim,
            config_id=st.just(1),
            token=st.just("token"),
            attempt=st.just(1),
            max_attempts=fuzzing.mostly(st.just(3), st.sampled_from([0, -1, 10**37])),
            report_name=fuzzing.mostly(fuzzing.any_case(report.name), fuzzing.texts),
            trigger_type=fuzzing.mostly(st.just("ADHOC"), st.sampled_from(["SCHEDULED", "x", None])),
            parameters=fuzzing.mostly(fuzzing.given_parameters(report).map(json.dumps), st.none() | json_texts),
            output_format=fuzzing.mostly(st.sampled_from(["CSV", "pdf", " Excel ", None]), fuzzing.texts),
            schedule_cron=fuzzing.mostly(st.none(), fuzzing.texts),
            schedule_timezone=st.none(),
            run_at=st.none(),
            missed_runs=fuzzing.mostly(st.sampled_from([None, "SKIP", "run_once"]), fuzzing.texts),
            recipients=fuzzing.mostly(st.none(), fuzzing.recipients().map(json.dumps) | json_texts),
            requested_by=st.none(),
            error_code=st.none(),
            error_message=st.none(),
            claimed_at=st.just(now),
        )

    return st.sampled_from(list(catalogue.values())).flatmap(of)


def test_what_a_row_asks_for_is_carried_out_or_refused_by_name(catalogue, service_session, statements):
    seen = Counter()
    declared = {parameter.name for report in catalogue.values() for parameter in report.definition.parameters}

    @fuzzing.fuzzed(250)
    @given(claims(catalogue))
    def check(claim):
        try:
            request = check_request(claim, catalogue, RecipientRules())
        except RequestError as error:
            of_one_parameter = error.code is ErrorCode.INVALID_PARAMETER and error.field != "PARAMETERS"
            names = declared if of_one_parameter else COLUMNS
            is_told(error, (json.loads(claim.parameters or "{}") or {}) if of_one_parameter else {}, names)
            seen["refused"] += 1
            return
        is_right(request.report, {}, request.parameters)
        with open_result(service_session, request, query_tag="fuzz", still_wanted=lambda: None) as result:
            rows = sum(batch.num_rows for batch in result.batches)
        assert rows <= request.report.row_limit(request.output)
        seen["carried out"] += 1
        if sum(seen.values()) % 2000 == 0:
            statements.look()

    check()
    print(dict(seen))
    assert min(seen.values()) > sum(seen.values()) / 10


def test_a_name_that_is_given_twice_is_told_as_it_is_declared(catalogue):
    declared = catalogue["pricing_summary"].definition.parameters
    with pytest.raises(RequestError, match="given twice") as told:
        check_parameters(declared, {"DELTA": 1, "Delta": 2}, "pricing_summary")
    assert told.value.field == "delta"
