"""From a row of REPORT_CONFIG, which may hold anything, to a request that can be carried out."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from report_service.catalogue import Catalogue, OutputFormat, Report
from report_service.errors import ErrorCode, RequestError
from report_service.parameters import Value, check_parameters
from report_service.queue.rows import Claim, Due
from report_service.recipients import Recipient, RecipientRules
from report_service.schedule import next_run

MISSED_RUNS = ("RUN_ONCE", "SKIP")
_LATE = datetime.timedelta(hours=1)


@dataclass(frozen=True)
class Request:
    """What is to be made, with everything checked."""

    report: Report
    output: OutputFormat
    parameters: Mapping[str, Value]
    recipients: tuple[Recipient, ...]


def check_request(claim: Claim, catalogue: Catalogue, rules: RecipientRules) -> Request:
    """Return the request of a claimed row; raises RequestError with the code and the message for the row."""
    _check_status(claim)
    _check_trigger(claim)
    recipients = rules.check(_json(claim.recipients, "RECIPIENTS"))
    return _request(catalogue, claim.report_name, claim.output_format, claim.parameters, recipients)


def finished_request(due: Due, catalogue: Catalogue) -> Request:
    """Return the request of a finished row; raises RequestError if the catalogue no longer has its report as it was."""
    return _request(catalogue, due.report_name, due.output_format, due.parameters, ())


def _request(
    catalogue: Catalogue, name: Any, output: Any, parameters: Any, recipients: tuple[Recipient, ...]
) -> Request:
    report = catalogue.find(name)
    checked_format = check_format(output, report)
    given = check_object(_json(parameters, "PARAMETERS"))
    return Request(
        report, checked_format, check_parameters(report.definition.parameters, given, report.name), recipients
    )


def check_format(given: Any, report: Report) -> OutputFormat:
    """Return the format that a request names, in any case (PDF if it names none); raises RequestError."""
    name = str(given if given is not None else OutputFormat.PDF).strip().upper()
    allowed = ", ".join(report.definition.formats)
    if name not in OutputFormat.__members__:
        message = f"OUTPUT_FORMAT is {str(given)[:80]!r}; {report.name} is made as {allowed}."
        raise RequestError(ErrorCode.UNKNOWN_FORMAT, message, field="OUTPUT_FORMAT")
    output = OutputFormat[name]
    if output not in report.definition.formats:
        message = f"OUTPUT_FORMAT is {output}; {report.name} is made as {allowed} only."
        raise RequestError(ErrorCode.FORMAT_NOT_ALLOWED, message, field="OUTPUT_FORMAT")
    return output


def check_object(given: Any) -> Mapping[str, Any]:
    """Return the parameters of a request as an object; raises RequestError."""
    if given is None:
        return {}
    if not isinstance(given, dict):
        message = (
            f'PARAMETERS is {json.dumps(given)[:80]}; an object of names and values is allowed, like {{"delta": 90}}.'
        )
        raise RequestError(ErrorCode.INVALID_PARAMETER, message, field="PARAMETERS")
    return given


def is_recurring(claim: Claim) -> bool:
    """Tell whether a row is followed by another: a SCHEDULED one with a cron."""
    return (
        claim.trigger_type == "SCHEDULED"
        and claim.schedule_cron is not None
        and claim.error_code != ErrorCode.INVALID_ROW  # which of two rows it follows nobody could tell
    )


def next_time(claim: Claim, now: datetime.datetime) -> datetime.datetime:
    """Return the next time of a recurring row after `now` and after its own; raises RequestError for a wrong schedule.

    Times that passed while nothing ran, or while the row was being made, are not made up for one by one.
    """
    return next_run(str(claim.schedule_cron), claim.schedule_timezone, max(now, claim.run_at or now))


def missed_by(claim: Claim) -> datetime.timedelta | None:
    """Return by how much a recurring row missed its time, if it is to be skipped then; None if it is to be made.

    With MISSED_RUNS = SKIP a time is missed when it is an hour past, or when the time after it has come. A second
    attempt is late because of the first, and is made. Raises RequestError for a wrong schedule.
    """
    if _policy(claim) != "SKIP" or claim.run_at is None or claim.attempt > 1:
        return None
    now = claim.now()
    following = next_run(str(claim.schedule_cron), claim.schedule_timezone, claim.run_at)
    return now - claim.run_at if now >= min(claim.run_at + _LATE, following) else None


def _policy(claim: Claim) -> str:
    return str(claim.missed_runs if claim.missed_runs is not None else MISSED_RUNS[0]).strip().upper()


def _check_status(claim: Claim) -> None:
    if claim.error_code == ErrorCode.INVALID_STATUS:
        raise RequestError(
            ErrorCode.INVALID_STATUS,
            f"STATUS was {claim.error_message}; a request has PENDING. Insert it again without STATUS.",
            field="STATUS",
        )
    if claim.error_code == ErrorCode.INVALID_ROW:
        raise RequestError(
            ErrorCode.INVALID_ROW,
            f"{claim.error_message} Insert the request again without CONFIG_ID.",
            field="CONFIG_ID",
        )
    if claim.max_attempts < 1:
        raise RequestError(
            ErrorCode.INVALID_ROW,
            f"MAX_ATTEMPTS is {claim.max_attempts}; 1 or more is allowed, and without it 3 is taken.",
            field="MAX_ATTEMPTS",
        )


def _check_trigger(claim: Claim) -> None:
    if claim.trigger_type not in ("ADHOC", "SCHEDULED"):
        raise RequestError(
            ErrorCode.INVALID_TRIGGER_TYPE,
            f"TRIGGER_TYPE is {str(claim.trigger_type)[:80]!r}; ADHOC (the default) and SCHEDULED are allowed.",
            field="TRIGGER_TYPE",
        )
    if claim.trigger_type == "ADHOC" and claim.schedule_cron is not None:
        raise RequestError(
            ErrorCode.INVALID_SCHEDULE,
            f"SCHEDULE_CRON is {str(claim.schedule_cron)[:80]!r} but TRIGGER_TYPE is ADHOC; "
            "set TRIGGER_TYPE to SCHEDULED for a recurring report, or leave SCHEDULE_CRON out.",
            field="SCHEDULE_CRON",
        )
    if _policy(claim) not in MISSED_RUNS:
        raise RequestError(
            ErrorCode.INVALID_SCHEDULE,
            f"MISSED_RUNS is {str(claim.missed_runs)[:80]!r}; {' (the default) and '.join(MISSED_RUNS)} are allowed.",
            field="MISSED_RUNS",
        )


def _json(value: Any, column: str) -> Any:
    """Read a VARIANT as the connector gives it: JSON text."""
    if value is None or not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):  # ValueError: also a number of thousands of digits
        message = f"{column} is not JSON: {value[:80]!r}. Give it by INSERT … SELECT …, PARSE_JSON('…')."
        raise RequestError(ErrorCode.INVALID_ROW, message, field=column) from None
