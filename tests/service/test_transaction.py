"""A transaction ends with its block, whichever of its statements fails."""

import time

import pytest
from snowflake.connector.errors import DatabaseError

from report_service.warehouse import TransactionTooLongError, Warehouse


class Session(Warehouse):
    """A session whose statements are only noted; one of them fails."""

    def __init__(self, failing):
        super().__init__(None, database="D", schema="S", query_tag="test")
        self.failing, self.noted = failing, []

    def change(self, sql, values=()):
        self.noted.append(sql)
        if sql == self.failing:
            raise DatabaseError("no answer")
        return 1


@pytest.mark.parametrize("failing", ["UPDATE", "COMMIT"])
def test_a_failure_inside_or_at_the_end_rolls_back(failing):
    session = Session(failing)
    with pytest.raises(DatabaseError), session.transaction():
        session.change("UPDATE")
    assert session.noted[-2:] == [failing, "ROLLBACK"]
    assert not session._in_transaction


def test_success_commits_and_nothing_else():
    session = Session(None)
    with session.transaction():
        session.change("UPDATE")
    assert session.noted == ["UPDATE", "COMMIT"]


def test_a_transaction_that_took_too_long_is_rolled_back_in_place_of_its_commit(snowflake_account, warehouse):
    def add(seconds):
        with slow.transaction():
            slow.change("INSERT INTO REPORT_CONFIG (REPORT_NAME) SELECT 'a'")
            time.sleep(seconds)

    with snowflake_account.warehouse("slow", transaction_seconds=0.5) as slow:
        with pytest.raises(TransactionTooLongError, match=r"0\.5 s"):
            add(0.6)
        assert warehouse.rows("SELECT COUNT(*) FROM REPORT_CONFIG") == [(0,)]
        add(0)
    assert warehouse.rows("SELECT COUNT(*) FROM REPORT_CONFIG") == [(1,)]


def test_what_comes_after_somebody_ended_the_transaction_does_not_stay(snowflake_account, warehouse):
    """A statement that was long on its way would else be committed by itself, without those before it."""
    insert = "INSERT INTO REPORT_CONFIG (REPORT_NAME) SELECT 'a'"

    def add():
        with slow.transaction():
            slow.change(insert)
            ((number, *_),) = warehouse.rows("SHOW TRANSACTIONS")
            warehouse.rows(f"SELECT SYSTEM$ABORT_TRANSACTION({number})")
            time.sleep(0.6)
            slow.change(insert)

    with snowflake_account.warehouse("slow", transaction_seconds=0.5) as slow:
        with pytest.raises(TransactionTooLongError):
            add()
        assert warehouse.rows("SELECT COUNT(*) FROM REPORT_CONFIG") == [(0,)]
        slow.change(insert)  # by itself it is committed
    assert warehouse.rows("SELECT COUNT(*) FROM REPORT_CONFIG") == [(1,)]
