"""What a look at the queue and a claim cost with a million finished rows in the table, beside an empty one."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.measure import Measurement, median
from report_service.queue import ReportQueue
from tests.service.snowflake_account import SnowflakeAccount, generate_sample, snowflake_account

ROWS, CLAIMS, BATCH = 1_000_000, 40, 10
# A year of requests: of a hundred, two failed and one was cancelled.
FINISHED = """
INSERT INTO REPORTING_DB.CONFIG.REPORT_CONFIG
    (REPORT_NAME, STATUS, ATTEMPTS, CLAIMED_BY, CLAIM_TOKEN, CREATED_AT, STARTED_AT, FINISHED_AT, S3_LOCATION)
SELECT 'order_priority', CASE MOD(N, 100) WHEN 17 THEN 'FAILED' WHEN 58 THEN 'FAILED' WHEN 71 THEN 'CANCELLED'
        ELSE 'COMPLETED' END, 1, 'task-' || MOD(N, 50), UUID_STRING(),
    DATEADD('SECOND', 31 * N - 31 * {rows}, SYSDATE()), DATEADD('SECOND', 31 * N - 31 * {rows} + 1, SYSDATE()),
    DATEADD('SECOND', 31 * N - 31 * {rows} + 5, SYSDATE()), 's3://bucket/reports/order_priority/' || N
FROM (SELECT SEQ4() AS N FROM TABLE(GENERATOR(ROWCOUNT => {rows})))"""
PENDING = "INSERT INTO REPORT_CONFIG (REPORT_NAME) SELECT 'x' FROM TABLE(GENERATOR(ROWCOUNT => %d))"


def measure() -> Iterator[Measurement]:
    """The medians of both, at most twice those of the empty table."""
    with tempfile.TemporaryDirectory() as name:
        folder, sample = Path(name), Path(name) / "sample"
        sample.mkdir()
        generate_sample(sample)
        with snowflake_account(folder, sample) as account:
            empty = _costs(account)
            account.empty_tables()
            account.administer(FINISHED.format(rows=ROWS))
            _need(account, ROWS)
            full = _costs(account)
    for what, one, other in zip(("A claim of 10 rows", "A look at the queue"), full, empty, strict=True):
        name, rival = f"{what}, {ROWS:,} finished rows", other * 1000
        yield Measurement(name, one * 1000, "ms", "with none", rival, 2 * rival)


def _costs(account: SnowflakeAccount) -> tuple[float, float]:
    """Seconds of a claim and of a look."""
    claims, looks = [], []
    with account.warehouse("bench") as session:
        queue = ReportQueue(session, actor="bench", lease_seconds=3600)
        session.change(PENDING % (BATCH * (CLAIMS + 2)))
        for number in range(CLAIMS + 2):
            looks.append(_seconds(queue.demand))
            claims.append(_seconds(lambda: _claim(queue)))
            if number == 1:  # the first ones prepare what the others find
                claims.clear()
                looks.clear()
    return median(claims), median(looks)


def _need(account: SnowflakeAccount, rows: int) -> None:
    with account.warehouse("bench") as session:
        ((found,),) = session.rows("SELECT COUNT(DISTINCT CONFIG_ID) FROM REPORT_CONFIG WHERE FINISHED_AT < SYSDATE()")
    if found != rows:
        raise RuntimeError(f"{found} finished rows are in the table in place of {rows}")


def _claim(queue: ReportQueue) -> None:
    found = len(queue.claim(BATCH))
    if found != BATCH:
        raise RuntimeError(f"{found} rows were claimed in place of {BATCH}")


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
