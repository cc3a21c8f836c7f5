"""Fuzzed rows: whatever somebody inserts, a worker ends it with a reason, and goes on."""

import itertools
import re
import time

import fuzzing
import pytest
from ses_mailbox import Mailbox

from report_service.errors import ErrorCode

SHORT = 200
SECONDS = 3000 if fuzzing.SOAK else 120

pytestmark = [pytest.mark.soak, pytest.mark.timeout(SECONDS + 600 if fuzzing.SOAK else 240)]

ENDED = ("COMPLETED", "FAILED", "CANCELLED")
# For the future by one of its times.
LATER = """(STATUS = 'PENDING' AND (
    COALESCE(COALESCE(RUN_AT, CREATED_AT) > SYSDATE(), FALSE)
    OR COALESCE(COALESCE(NOT_BEFORE, CREATED_AT) > SYSDATE(), FALSE)))"""
# A status of somebody's own, between the final ones by its letters, and a time of its end: no request (docs/queue.md).
OWN_END = (
    f"COALESCE(STATUS NOT IN {ENDED} AND STATUS > 'CANCELLED' AND STATUS < 'FAILED' AND FINISHED_AT IS NOT NULL, FALSE)"
)
OPEN = f"""
SELECT (SELECT COUNT(*) FROM REPORT_CONFIG
        WHERE COALESCE(STATUS NOT IN {ENDED} AND NOT {LATER} AND NOT {OWN_END}, TRUE))
     + (SELECT COUNT(*) FROM REPORT_DELIVERY WHERE STATUS IN ('PENDING', 'SENDING'))"""


@pytest.fixture
def mailbox():
    made = Mailbox(0)
    yield made
    made.close()


def test_every_row_ends_with_a_reason(cloud, snowflake_account, catalogue, mailbox, tmp_path):
    snowflake_account.empty_tables()
    administrator = fuzzing.Administrator(snowflake_account)
    asked = fuzzing.examples(SHORT)
    started = time.monotonic()
    given = {}
    kinds = fuzzing.rows(administrator.columns, catalogue)
    drawn = [fuzzing.collect(kind, asked // len(kinds)) for kind in kinds]
    for row in itertools.chain(*drawn):
        config_id = [1, -1][len(given) % 2] * (10**9 + len(given)) * [1, 10**9][len(given) % 3 == 0]
        row["CONFIG_ID"] = config_id  # by which it is found again
        if administrator.insert(row):
            given[config_id] = row
    assert len(given) > asked / 2
    print(f"{len(given)} of {asked} rows taken by the table in {time.monotonic() - started:.0f} s")

    statements = fuzzing.Statements(snowflake_account, administrator, catalogue)
    changes = {
        "AWS_ENDPOINT_URL_SESV2": mailbox.url, "MAIL_SENDER": "reports@example.com", "REPORTS_PER_TASK": "5",
        "POLL_SECONDS": "0.1", "LEASE_SECONDS": "120", "RETRY_SECONDS": "0.1", "STOP_SECONDS": "6",
    }  # fmt: skip
    started = time.monotonic()
    with fuzzing.service("worker", cloud, snowflake_account, tmp_path, **changes) as worker:
        while (open_rows := administrator.rows(OPEN)[0][0]) and time.monotonic() - started < SECONDS:
            assert worker.poll() is None, worker.log.read_text()[-3000:]
            if '"level": "ERROR"' in worker.log.read_text():
                break  # what it is, the look at its log tells
            statements.look()
            time.sleep(0.3)
    print(f"{open_rows} open after {time.monotonic() - started:.0f} s, {len(mailbox.sent)} e-mails")
    statements.check()
    print(f"{statements.count} statements")

    rows = administrator.rows(
        f"SELECT CONFIG_ID, STATUS, ERROR_CODE, ERROR_MESSAGE, S3_LOCATION, {LATER} OR {OWN_END} FROM REPORT_CONFIG"
    )
    wrong = []
    for config_id, status, code, message, location, later in rows:
        row = given.get(config_id, {})  # or a successor
        try:
            ends_with_a_reason(row, status, code, message, location, later)
        except AssertionError as error:
            wrong.append(f"{row}\nis {status} {code} {message!r}: {error}")
    counts = administrator.rows("SELECT STATUS, ERROR_CODE, COUNT(*) FROM REPORT_CONFIG GROUP BY 1, 2 ORDER BY 1, 2")
    print(*[line for line in counts if line[1] is None or line[1] in ErrorCode.__members__], sep="\n")
    assert not wrong, f"{len(wrong)} of {len(rows)} rows; the first:\n" + "\n".join(wrong[:3])[:6000]
    deliveries = administrator.rows(
        "SELECT STATUS, ERROR_CODE, MIN(ERROR_MESSAGE), COUNT(*) FROM REPORT_DELIVERY GROUP BY 1, 2 ORDER BY 1, 2"
    )
    print(*deliveries, sep="\n")
    assert {status for status, *_ in deliveries} <= {"SENT", "FAILED"}
    assert "INTERNAL_ERROR" not in {code for _, code, *_ in deliveries}
    snowflake_account.empty_tables()
    administrator.close()


def ends_with_a_reason(row, status, code, message, location, later):
    if row.get("STATUS", "PENDING") in ENDED:
        assert status == row["STATUS"], "it had ended before"
    elif status == "FAILED":
        assert code in ErrorCode.__members__
        assert code not in ("INTERNAL_ERROR", "QUERY_FAILED", "UPLOAD_FAILED", "FILE_UNAVAILABLE")
        assert message
        assert not re.search(r"[\n\r]", message)
        assert location is None
    elif status == "COMPLETED":
        assert location
        assert (code, message) == (None, None)
    else:
        assert status == "PENDING" or status == row.get("STATUS")
        assert later
