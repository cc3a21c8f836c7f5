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
from report_service.queue.rows import Claim
from report_service.recipients import Recipient, check_recipients
from report_service.schedule import next_run


@dataclass(frozen=True)
class Request:
    """What is to be made, with everything checked."""

    report: Report
    output: OutputFormat
    parameters: Mapping[str, Value]
    recipients: tuple[Recipient, ...]


def check_request(claim: Claim, catalogue: Catalogue) -> Request:
    """Return the request of a claimed row; raises RequestError with the code and the message for the row."""
    _check_status(claim)
    _check_trigger(claim)
    report = catalogue.find(claim.report_name)
    output = check_format(claim.output_format, report)
    given = check_object(_json(claim.parameters, "PARAMETERS"))
    parameters = check_parameters(report.definition.parameters, given, report.name)
    recipients = check_recipients(_json(claim.recipients, "RECIPIENTS"))
    return Request(report, output, parameters, recipients)


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
    return claim.trigger_type == "SCHEDULED" and claim.schedule_cron is not None


def next_time(claim: Claim, now: datetime.datetime) -> datetime.datetime:
    """Return the next time of a recurring row after `now` and after its own; raises RequestError for a wrong schedule.

    Times that passed while nothing ran are not made up for.
    """
    return next_run(str(claim.schedule_cron), claim.schedule_timezone, max(now, claim.run_at or now))


def _check_status(claim: Claim) -> None:
    if claim.error_code == ErrorCode.INVALID_STATUS:
        raise RequestError(
            ErrorCode.INVALID_STATUS,
            f"STATUS was {claim.error_message}; a request has PENDING. Insert it again without STATUS.",
            field="STATUS",
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


def _json(value: Any, column: str) -> Any:
    """Read a VARIANT as the connector gives it: JSON text."""
    if value is None or not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):  # ValueError: also a number of thousands of digits
        message = f"{column} is not JSON: {value[:80]!r}. Give it by INSERT … SELECT …, PARSE_JSON('…')."
        raise RequestError(ErrorCode.INVALID_ROW, message, field=column) from None
