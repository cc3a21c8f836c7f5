"""The queue over the Snowflake stand-in's real protocol."""

import datetime
import json
import threading
import time

import pytest
from service_rows import insert, row
from snowflake.connector.errors import Error as SnowflakeError

from report_service.errors import MAX_MESSAGE, ErrorCode, ReportError
from report_service.queue import NewJob, Produced, ReportQueue
from report_service.queue.outcome import completed, failed, planned, released, retried
from tests import sql_lint

PRODUCED = Produced("s3://bucket/key", 4, 1000, "ab" * 32)
AWAY = ReportError(ErrorCode.UPLOAD_FAILED, "S3 is away")


@pytest.fixture
def audit(snowflake_account):
    """The audit rows of a request as an administrator reads them: the containers' role may only add some."""

    def rows(config_id):
        place = f"{sql_lint.NAMES['database']}.{sql_lint.NAMES['config_schema']}"
        columns = "FROM_STATUS, TO_STATUS, ACTOR, ATTEMPT"
        with snowflake_account.administrator.cursor() as cursor:
            cursor.execute(
                f"SELECT {columns} FROM {place}.REPORT_AUDIT_LOG WHERE CONFIG_ID = %s ORDER BY AUDIT_ID", (config_id,)
            )
            return [tuple(row) for row in cursor.fetchall()]

    return rows


def let_lease_run_out(warehouse, config_id):
    warehouse.change(
        "UPDATE REPORT_CONFIG SET LEASE_UNTIL = DATEADD('SECOND', -1, SYSDATE()) WHERE CONFIG_ID = ?", (config_id,)
    )


def recipients(warehouse, config_id):
    statement = "SELECT CHANNEL, RECIPIENT FROM REPORT_DELIVERY WHERE CONFIG_ID = ? ORDER BY DELIVERY_ID"
    return [tuple(entry) for entry in warehouse.rows(statement, (config_id,))]


def test_an_insert_of_a_name_alone_is_claimed_with_its_defaults(warehouse, queue, audit):
    config_id = insert(warehouse, REPORT_NAME="pricing_summary")
    assert queue.demand().pending == 1
    (claim,) = queue.claim(5)
    assert (claim.config_id, claim.attempt, claim.max_attempts) == (config_id, 1, 3)
    assert (claim.trigger_type, claim.output_format, claim.parameters) == ("ADHOC", "PDF", None)
    assert queue.demand().pending == 0
    assert queue.demand().busy == 1
    assert audit(config_id) == [("PENDING", "PROCESSING", "one", 1)]


def test_adhoc_rows_come_before_scheduled_ones_then_priority_then_age(warehouse, queue):
    scheduled = insert(warehouse, REPORT_NAME="a", TRIGGER_TYPE="SCHEDULED")
    older = insert(warehouse, REPORT_NAME="b")
    younger = insert(warehouse, REPORT_NAME="c")
    urgent = insert(warehouse, REPORT_NAME="d", PRIORITY=1)
    assert [claim.config_id for claim in queue.claim(10)] == [urgent, older, younger, scheduled]


def test_every_fourth_row_may_be_a_scheduled_one_that_has_waited_for_ten_minutes(warehouse, queue):
    adhoc = [insert(warehouse, REPORT_NAME="a") for _ in range(8)]
    first, second, new = (insert(warehouse, REPORT_NAME="s", TRIGGER_TYPE="SCHEDULED") for _ in range(3))
    ago = "DATEADD('MINUTE', -11, SYSDATE())"
    warehouse.change(f"UPDATE REPORT_CONFIG SET CREATED_AT = {ago} WHERE CONFIG_ID IN (?, ?)", (first, second))
    assert [claim.config_id for _ in range(3) for claim in queue.claim(1)] == adhoc[:3]
    assert [claim.config_id for claim in queue.claim(1)] == [first]
    assert {claim.config_id for claim in queue.claim(5)} == {*adhoc[3:7], second}
    assert [claim.config_id for claim in queue.claim(5)] == [adhoc[7], new]


def test_a_time_that_had_passed_when_the_row_came_is_no_waiting(warehouse, queue):
    scheduled = insert(warehouse, REPORT_NAME="s", TRIGGER_TYPE="SCHEDULED", RUN_AT="2020-01-01 00:00:00")
    adhoc = insert(warehouse, REPORT_NAME="a")
    assert [claim.config_id for claim in queue.claim(1)] == [adhoc]
    assert [claim.config_id for claim in queue.claim(4)] == [scheduled]


def test_a_demand_and_a_claim_bring_snowflakes_clock_along(warehouse, queue):
    config_id = insert(warehouse, REPORT_NAME="a")
    ((before,),) = warehouse.rows("SELECT SYSDATE()")
    now = queue.demand().now
    ((after,),) = warehouse.rows("SELECT SYSDATE()")
    assert before < now < after
    (claim,) = queue.claim(1)
    assert claim.claimed_at == row(warehouse, config_id)["STARTED_AT"]
    assert claim.claimed_at <= claim.now() < claim.claimed_at + datetime.timedelta(seconds=30)


def test_a_batch_takes_no_more_than_its_limit(warehouse, queue):
    for _ in range(5):
        insert(warehouse, REPORT_NAME="a")
    assert len(queue.claim(2)) == 2
    assert queue.demand().pending == 3


def test_a_row_is_not_claimed_before_it_is_due(warehouse, queue):
    soon = datetime.datetime.now(datetime.UTC).replace(tzinfo=None, microsecond=0) + datetime.timedelta(hours=1)
    insert(warehouse, REPORT_NAME="a", RUN_AT=soon)
    assert queue.claim(5) == []
    assert queue.demand().pending == 0
    assert queue.demand().next_due_at == soon


def test_two_workers_never_take_the_same_row(snowflake_account, warehouse):
    rows = 24
    for _ in range(rows):
        insert(warehouse, REPORT_NAME="a")
    taken = {"one": [], "two": []}

    def work(name):
        with snowflake_account.warehouse(name) as session:
            mine = ReportQueue(session, actor=name)
            while claims := mine.claim(3):
                taken[name] += [claim.config_id for claim in claims]

    threads = [threading.Thread(target=work, args=(name,)) for name in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    both = taken["one"] + taken["two"]
    assert len(both) == len(set(both)) == rows


def test_a_finished_row_holds_what_came_of_it_and_its_recipients(warehouse, queue, audit):
    config_id = insert(warehouse, REPORT_NAME="a")
    (claim,) = queue.claim(1)
    assert queue.settle([completed(claim, PRODUCED, recipients=[("email", f"{name}@example.com") for name in "ab"])])
    found = row(warehouse, config_id)
    assert (found["STATUS"], found["S3_LOCATION"], found["ROW_COUNT"]) == ("COMPLETED", "s3://bucket/key", 4)
    assert (found["FILE_BYTES"], found["FILE_SHA256"], found["ERROR_CODE"]) == (1000, "ab" * 32, None)
    assert found["FINISHED_AT"] >= found["STARTED_AT"] >= found["CREATED_AT"]
    assert recipients(warehouse, config_id) == [("email", "a@example.com"), ("email", "b@example.com")]
    assert audit(config_id)[-1] == ("PROCESSING", "COMPLETED", "one", 1)


@pytest.mark.parametrize(
    "late",
    [
        lambda claim: completed(claim, PRODUCED, recipients=[("email", "a@example.com")]),
        lambda claim: failed(claim, AWAY),
        lambda claim: retried(claim, AWAY, delay_seconds=1),
        lambda claim: released(claim, "late"),
        lambda claim: planned(claim, datetime.datetime(2030, 1, 1)),
    ],
)
def test_a_worker_that_lost_its_lease_changes_nothing(warehouse, queue, late, audit):
    config_id = insert(warehouse, REPORT_NAME="a")
    (claim,) = queue.claim(1)
    let_lease_run_out(warehouse, config_id)
    (taken_over,) = ReportQueue(warehouse, actor="two").claim_lost()
    assert taken_over.attempt == 2
    assert taken_over.error_code == "LEASE_LOST"
    before = row(warehouse, config_id), audit(config_id)
    outcome = late(claim)
    assert not queue.settle([outcome])
    assert (row(warehouse, config_id), audit(config_id)) == before
    assert recipients(warehouse, config_id) == []


def test_a_row_whose_worker_lost_its_lease_is_claimed_alone(warehouse, queue):
    rows = [insert(warehouse, REPORT_NAME="a") for _ in range(3)]
    assert len(queue.claim(3)) == 3
    for config_id in rows[:2]:
        let_lease_run_out(warehouse, config_id)
    new = insert(warehouse, REPORT_NAME="b")
    demand = queue.demand()
    assert (demand.pending, demand.lost, demand.deliveries) == (3, 2, 0)
    assert [claim.config_id for claim in queue.claim(10)] == [new]
    assert [claim.config_id for _ in range(3) for claim in queue.claim_lost()] == rows[:2]


def test_many_outcomes_are_entered_together_with_a_number_of_statements_that_does_not_grow(
    snowflake_account, warehouse, queue, audit
):
    for _ in range(5):
        insert(warehouse, REPORT_NAME="a")
    made, wrong, later, back, cron = queue.claim(5)
    run_at = datetime.datetime(2031, 5, 4, 6, 0)
    outcomes = [
        completed(made, PRODUCED, recipients=[("email", "a@example.com")]),
        failed(wrong, AWAY, next_run_at=run_at),
        retried(later, AWAY, delay_seconds=3600),
        released(back, "handed back"),
        planned(cron, run_at),
    ]
    asked = []
    change = warehouse.change
    warehouse.change = lambda statement, values=(): asked.append(statement) or change(statement, values)
    assert queue.settle(outcomes)
    del warehouse.change
    assert len(asked) == 6  # the rows, their audit, the ledger, the successors, their audit, COMMIT
    found = [row(warehouse, claim.config_id) for claim in (made, wrong, later, back, cron)]
    assert [entry["STATUS"] for entry in found] == ["COMPLETED", "FAILED", "PENDING", "PENDING", "PENDING"]
    assert [entry["ATTEMPTS"] for entry in found] == [1, 1, 1, 0, 0]
    assert [entry["ERROR_CODE"] for entry in found] == [None, "UPLOAD_FAILED", "UPLOAD_FAILED", None, None]
    assert [entry["FINISHED_AT"] is not None for entry in found] == [True, True, False, False, False]
    assert found[2]["NOT_BEFORE"] > found[2]["STARTED_AT"] + datetime.timedelta(minutes=59)
    assert found[4]["RUN_AT"] == run_at
    assert [audit(entry["CONFIG_ID"])[-1][:2] for entry in found] == [
        ("PROCESSING", entry["STATUS"]) for entry in found
    ]
    ((successor,),) = warehouse.rows("SELECT CONFIG_ID FROM REPORT_CONFIG WHERE PARENT_ID = ?", (wrong.config_id,))
    assert audit(int(successor)) == [(None, "PENDING", "one", 0)]


def test_outcomes_that_are_entered_together_change_nothing_if_one_of_them_is_lost(warehouse, queue, audit):
    for _ in range(3):
        insert(warehouse, REPORT_NAME="a")
    claims = queue.claim(3)
    queue.cancel(queue.job(str(claims[1].config_id)))
    outcomes = [completed(claim, PRODUCED, next_run_at=datetime.datetime(2031, 5, 4)) for claim in claims]
    before = [(row(warehouse, claim.config_id), audit(claim.config_id)) for claim in claims]
    assert not queue.settle(outcomes)
    assert [(row(warehouse, claim.config_id), audit(claim.config_id)) for claim in claims] == before
    assert [queue.settle([outcome]) for outcome in outcomes] == [True, False, True]
    assert [row(warehouse, claim.config_id)["STATUS"] for claim in claims] == ["COMPLETED", "CANCELLED", "COMPLETED"]
    assert [len(audit(claim.config_id)) for claim in claims] == [2, 2, 2]
    ((count,),) = warehouse.rows("SELECT COUNT(*) FROM REPORT_CONFIG WHERE PARENT_ID IS NOT NULL")
    assert count == 2


def test_a_transaction_that_a_dead_worker_left_open_is_ended_by_whoever_waits_for_it(snowflake_account, warehouse):
    insert(warehouse, REPORT_NAME="a")
    with snowflake_account.warehouse("dead") as dead, snowflake_account.warehouse("two", lock_seconds=1) as session:
        dead._run(lambda cursor: cursor.execute("UPDATE REPORT_CONFIG SET STATUS = 'COMPLETED'"))  # and no COMMIT
        queue = ReportQueue(session, actor="two", lease_seconds=6)
        with pytest.raises(SnowflakeError, match="lock"):
            queue.claim(1)  # it may still be at work
        time.sleep(2.5)
        with pytest.raises(SnowflakeError, match="lock"):
            queue.claim(1)
        assert len(queue.claim(1)) == 1


def test_one_heartbeat_renews_all_leases_and_tells_which_are_lost(warehouse, queue):
    for _ in range(3):
        insert(warehouse, REPORT_NAME="a")
    claims = queue.claim(2) + queue.claim(1)
    warehouse.change("UPDATE REPORT_CONFIG SET LEASE_UNTIL = DATEADD('SECOND', 1, SYSDATE())")
    assert len(queue.heartbeat(claims)) == 3
    ((soonest,),) = warehouse.rows("SELECT MIN(DATEDIFF('SECOND', SYSDATE(), LEASE_UNTIL)) FROM REPORT_CONFIG")
    assert soonest >= 50
    queue.cancel(queue.job(str(claims[0].config_id)))
    held = queue.heartbeat(claims)
    assert held == {(claim.config_id, claim.token) for claim in claims[1:]}


def test_two_rows_with_one_id_end_together_and_say_why(warehouse, queue, audit):
    """Snowflake does not enforce a primary key, and somebody may insert a CONFIG_ID of their own."""
    schedule = {"TRIGGER_TYPE": "SCHEDULED", "SCHEDULE_CRON": "0 6 * * *", "RUN_AT": "2026-01-01"}
    other = insert(warehouse, REPORT_NAME="b")
    for _ in range(2):
        insert(warehouse, CONFIG_ID=10**12, REPORT_NAME="a", **schedule)
    claims = {claim.config_id: claim for claim in queue.claim(10)}
    assert set(claims) == {other, 10**12}
    assert queue.heartbeat(list(claims.values())) == {(claim.config_id, claim.token) for claim in claims.values()}
    twice = claims[10**12]
    assert twice.error_code == "INVALID_ROW"
    assert not queue.settle([failed(twice, AWAY), completed(claims[other], PRODUCED)])
    assert queue.settle([failed(twice, AWAY)])
    assert warehouse.rows("SELECT STATUS FROM REPORT_CONFIG WHERE CONFIG_ID = ?", (10**12,)) == [("FAILED",)] * 2
    assert queue.demand().pending == 0


def test_a_retry_waits_and_then_counts_as_the_next_attempt(warehouse, queue):
    config_id = insert(warehouse, REPORT_NAME="a")
    (claim,) = queue.claim(1)
    queue.settle([retried(claim, AWAY, delay_seconds=3600)])
    assert queue.claim(1) == []
    assert row(warehouse, config_id)["ERROR_CODE"] == "UPLOAD_FAILED"
    warehouse.change("UPDATE REPORT_CONFIG SET NOT_BEFORE = SYSDATE()")
    (again,) = queue.claim(1)
    assert again.attempt == 2
    assert again.token != claim.token


def test_a_row_that_is_handed_back_has_lost_no_attempt(warehouse, queue):
    config_id = insert(warehouse, REPORT_NAME="a")
    (claim,) = queue.claim(1)
    queue.settle([released(claim, "handed back")])
    assert (row(warehouse, config_id)["STATUS"], row(warehouse, config_id)["ATTEMPTS"]) == ("PENDING", 0)
    assert queue.claim(1)[0].attempt == 1


def test_a_recurring_row_has_exactly_one_successor(warehouse, queue):
    run_at = datetime.datetime(2031, 5, 4, 6, 0)
    config_id = insert(
        warehouse, REPORT_NAME="a", TRIGGER_TYPE="SCHEDULED", SCHEDULE_CRON="0 6 * * *", PARAMETERS={"delta": 1}
    )
    (claim,) = queue.claim(1)
    outcome = completed(claim, PRODUCED, next_run_at=run_at)
    assert not queue.is_settled([outcome])
    assert queue.settle([outcome])
    assert not queue.settle([outcome])
    assert queue.is_settled(
        [outcome]
    )  # by this attempt, as it has to be told apart from another's when an answer is lost
    warehouse.change("UPDATE REPORT_CONFIG SET STATUS = 'PENDING' WHERE CONFIG_ID = ?", (config_id,))
    other = insert(warehouse, REPORT_NAME="b")
    first, second = queue.claim(2)
    assert {first.config_id, second.config_id} == {config_id, other}
    outcomes = [completed(claim, PRODUCED, next_run_at=run_at) for claim in (first, second)]
    assert not queue.settle(outcomes)
    assert all(queue.settle([outcome]) for outcome in outcomes)
    ((count,),) = warehouse.rows("SELECT COUNT(*) FROM REPORT_CONFIG WHERE PARENT_ID = ?", (config_id,))
    assert count == 1
    ((successor_id,),) = warehouse.rows("SELECT CONFIG_ID FROM REPORT_CONFIG WHERE PARENT_ID = ?", (config_id,))
    successor = queue.job(str(successor_id))
    assert (successor.status, successor.run_at, successor.attempts) == ("PENDING", run_at, 0)
    assert row(warehouse, successor.config_id)["PARAMETERS"] is not None


def test_a_key_that_a_caller_chose_never_ends_a_recurring_report(warehouse, queue):
    config_id = insert(warehouse, REPORT_NAME="a", TRIGGER_TYPE="SCHEDULED", SCHEDULE_CRON="0 6 * * *")
    (claim,) = queue.claim(1)
    queue.submit(NewJob(f"successor-of-{config_id}", "a", "CSV", "test"))
    queue.settle([completed(claim, PRODUCED, next_run_at=datetime.datetime(2031, 5, 4))])
    assert warehouse.rows("SELECT COUNT(*) FROM REPORT_CONFIG WHERE PARENT_ID = ?", (config_id,)) == [(1,)]


NONSENSE = {
    "a time after Python's years": "RUN_AT) SELECT 'x', DATEADD('YEAR', 50000, SYSDATE())",
    "the last time of all": "RUN_AT) SELECT 'x', '9999-12-31 23:59:59.999'",
    "a status with such a time": "STATUS, RUN_AT) SELECT 'x', 'FOO', DATEADD('YEAR', 50000, SYSDATE())",
    "a creation in such a year": "STATUS, CREATED_AT) SELECT 'x', 'FOO', DATEADD('YEAR', 50000, SYSDATE())",
    "an end in such a year": "STATUS, FINISHED_AT) SELECT 'x', 'FAILED', DATEADD('YEAR', 50000, SYSDATE())",
    "attempts beyond counting": "ATTEMPTS) SELECT 'x', 900000000000000000",
    "attempts below nothing": "ATTEMPTS) SELECT 'x', -900000000000000000",
    "a lease of centuries": "STATUS, LEASE_UNTIL) SELECT 'x', 'PROCESSING', DATEADD('YEAR', 900, SYSDATE())",
}


@pytest.mark.parametrize("columns", NONSENSE.values(), ids=NONSENSE)
def test_a_row_of_nonsense_keeps_no_other_row_waiting(warehouse, queue, columns):
    warehouse.change(f"INSERT INTO REPORT_CONFIG (REPORT_NAME, {columns}")
    good = insert(warehouse, REPORT_NAME="a")
    demand = queue.demand()
    assert demand.pending >= 1
    year_ahead = datetime.datetime.now() + datetime.timedelta(days=366)
    assert demand.next_due_at is None or demand.next_due_at < year_ahead
    claims = {claim.config_id: claim for claim in [*queue.claim(5), *queue.claim_lost()]}
    assert claims[good].attempt == 1
    assert all(1 <= claim.attempt <= 1_000_000 for claim in claims.values())
    assert len(claims) == demand.pending
    assert queue.demand().busy == 1
    assert len(queue.jobs(5)) == 2
    assert queue.metrics()


def test_the_same_key_again_is_the_same_job(warehouse, queue):
    job = NewJob("key-1", "pricing_summary", "CSV", "test", {"delta": 5}, [{"channel": "email", "to": "a@b.org"}])
    first, new = queue.submit(job)
    again, new_again = queue.submit(job)
    assert (new, new_again) == (True, False)
    assert first.config_id == again.config_id
    assert queue.counts() == {"PENDING": 1}
    (claim,) = queue.claim(1)
    assert claim.parameters.replace(" ", "").replace("\n", "") == '{"delta":5}'


def test_many_new_requests_are_entered_together_or_not_at_all(warehouse, queue, audit):
    to = [{"channel": "email", "to": "a@b.org"}]
    asked = [NewJob(f"key-{n}", "pricing_summary", "CSV", "test", {"delta": n}, to) for n in range(5)]
    found = queue.submit_new(asked[:4])
    assert [found[job.key].source for job in asked[:4]] == ["test"] * 4
    assert [audit(each.config_id) for each in found.values()] == [[(None, "PENDING", "one", 0)]] * 4
    assert queue.submit_new(asked[3:]) is None
    assert queue.counts() == {"PENDING": 4}
    claims = queue.claim(4)
    assert sorted(json.loads(claim.parameters)["delta"] for claim in claims) == [0, 1, 2, 3]
    assert [json.loads(claim.recipients) for claim in claims] == [to] * 4
    # As one that is entered alone: the same values, of the same kinds.
    queue.submit(asked[4])
    (alone,) = queue.claim(1)
    assert json.loads(alone.parameters) == {"delta": 4}
    assert not queue.submit(asked[0])[1]


def test_a_cancelled_row_is_never_claimed_and_cannot_be_cancelled_twice(warehouse, queue, audit):
    config_id = insert(warehouse, REPORT_NAME="a")
    job = queue.job(str(config_id))
    assert queue.cancel(job)
    assert not queue.cancel(job)
    assert queue.claim(1) == []
    assert audit(config_id) == [("PENDING", "CANCELLED", "one", 0)]


def test_a_status_that_nobody_knows_is_claimed_to_be_refused(warehouse, queue):
    insert(warehouse, REPORT_NAME="a", STATUS="whatever")
    assert queue.demand().pending == 1
    (claim,) = queue.claim(1)
    assert (claim.error_code, claim.error_message) == ("INVALID_STATUS", "'whatever'")


def test_an_error_message_has_no_secrets_and_a_sensible_length(warehouse, queue):
    config_id = insert(warehouse, REPORT_NAME="a")
    (claim,) = queue.claim(1)
    error = ReportError(ErrorCode.INTERNAL_ERROR, "password=hunter2 token: abc\n" + "x" * 5000)
    queue.settle([failed(claim, error)])
    message = row(warehouse, config_id)["ERROR_MESSAGE"]
    assert "hunter2" not in message
    assert "abc" not in message
    assert len(message) == MAX_MESSAGE


def test_a_text_with_sql_in_it_stays_a_text(warehouse, queue):
    text = "'; DROP TABLE REPORT_CONFIG; --"
    config_id = insert(warehouse, REPORT_NAME=text)
    (claim,) = queue.claim(1)
    assert claim.report_name == text
    queue.settle([failed(claim, ReportError(ErrorCode.UNKNOWN_REPORT, text))])
    assert row(warehouse, config_id)["ERROR_MESSAGE"] == text
