"""The tokens of a rotated secret: the new one, the pending one and, for a day, the old one."""

import asyncio
import datetime
import threading

import pytest
from botocore.exceptions import ClientError

from report_service.web.tokens import KEPT_SECONDS, OLD_TOKEN, READ_AGAIN_SECONDS, NotReadError, TokenSecret

HOUR = 3600.0
START = datetime.datetime(2026, 11, 21, 6, tzinfo=datetime.UTC).timestamp()


class Clock:
    """A time that the test moves."""

    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now

    def pass_by(self, seconds):
        self.now += seconds


class Store:
    """Secrets Manager with one secret, and a count of the readings of its current version."""

    def __init__(self, clock):
        self.clock, self.versions, self.reads, self.tries, self.failure, self.rotated = clock, {}, 0, 0, None, {}
        self.put("AWSCURRENT", "token-1")

    def put(self, stage, text):
        made = datetime.datetime.fromtimestamp(self.clock.now, datetime.UTC)
        self.versions[stage] = {"SecretString": text, "CreatedDate": made}

    def finish(self):
        """What a rotation's last step does."""
        self.rotated = {"LastRotatedDate": datetime.datetime.fromtimestamp(self.clock.now, datetime.UTC)}
        self.versions["AWSPREVIOUS"] = self.versions["AWSCURRENT"]
        self.versions["AWSCURRENT"] = self.versions["AWSPENDING"]

    def get_secret_value(self, SecretId, VersionStage):  # noqa: N803 - as Secrets Manager's client has it
        self.tries += 1
        if self.failure:
            raise self.failure
        self.reads += VersionStage == "AWSCURRENT"
        if VersionStage not in self.versions:
            raise ClientError({"Error": {"Code": "ResourceNotFoundException", "Message": "none"}}, "GetSecretValue")
        return self.versions[VersionStage]

    def describe_secret(self, SecretId):  # noqa: N803 - as Secrets Manager's client has it
        return self.rotated


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(clock):
    return Store(clock)


@pytest.fixture
def tokens(store, clock):
    return TokenSecret("arn", store, now=clock)


def right(tokens, text):
    return asyncio.run(tokens.accepts(text))


def accepted(tokens, *texts):
    return [text for text in texts if right(tokens, text)]


def test_no_caller_meets_a_gap_while_a_token_is_rotated(tokens, store, clock):
    assert accepted(tokens, "token-1", "token-2", "other") == ["token-1"]
    clock.pass_by(10)
    store.put("AWSPENDING", "token-2")  # createSecret; setSecret lets Snowflake send it at once
    assert accepted(tokens, "token-2", "token-1") == ["token-2", "token-1"]
    store.finish()
    clock.pass_by(10)
    assert accepted(tokens, "token-2", "token-1") == ["token-2", "token-1"]


def test_the_old_token_ends_a_day_after_it_was_replaced(tokens, store, clock):
    assert accepted(tokens, "token-1") == ["token-1"]
    store.put("AWSPENDING", "token-2")
    store.finish()
    clock.pass_by(OLD_TOKEN.total_seconds() - 1)
    assert accepted(tokens, "token-1", "token-2") == ["token-1", "token-2"]
    clock.pass_by(1)
    assert accepted(tokens, "token-1", "token-2") == ["token-2"]
    clock.pass_by(30 * 24 * HOUR)
    assert accepted(tokens, "token-1", "token-2") == ["token-2"]


def test_the_old_token_has_its_day_even_if_the_rotation_took_longer(tokens, store, clock):
    store.put("AWSPENDING", "token-2")  # then setSecret fails, and is tried again for two days
    clock.pass_by(48 * HOUR)
    store.finish()
    clock.pass_by(OLD_TOKEN.total_seconds() - 1)
    assert accepted(tokens, "token-1", "token-2") == ["token-1", "token-2"]
    clock.pass_by(READ_AGAIN_SECONDS)
    assert accepted(tokens, "token-1", "token-2") == ["token-2"]


def test_a_token_that_moves_on_while_the_secret_is_read_is_not_missed(tokens, store):
    store.put("AWSPENDING", "token-2")
    read = store.get_secret_value

    def rotated_meanwhile(SecretId, VersionStage):  # noqa: N803 - as Secrets Manager's client has it
        found = read(SecretId, VersionStage)
        if "AWSPENDING" in store.versions:
            store.finish()
            del store.versions["AWSPENDING"]
        return found

    store.get_secret_value = rotated_meanwhile
    assert accepted(tokens, "token-1", "token-2") == ["token-1", "token-2"]


def test_a_token_that_was_rotated_twice_is_refused_within_minutes(tokens, store, clock):
    assert accepted(tokens, "token-1") == ["token-1"]
    for number in (2, 3):
        store.put("AWSPENDING", f"token-{number}")
        store.finish()
    clock.pass_by(READ_AGAIN_SECONDS)
    assert accepted(tokens, "token-1", "token-2", "token-3") == ["token-2", "token-3"]


def test_wrong_tokens_read_the_secret_once_a_second_at_most(tokens, store, clock):
    for number in range(50):
        assert not right(tokens, f"guess-{number}")
        clock.pass_by(0.1)
    assert store.reads <= 6


def test_right_tokens_read_the_secret_every_few_minutes(tokens, store, clock):
    for _ in range(60):
        assert right(tokens, "token-1")
        clock.pass_by(10)
    assert store.reads == 2


def test_what_was_read_is_good_while_secrets_manager_does_not_answer(tokens, store, clock):
    assert accepted(tokens, "token-1") == ["token-1"]
    store.failure = ClientError({"Error": {"Code": "InternalServiceError", "Message": "later"}}, "GetSecretValue")
    clock.pass_by(READ_AGAIN_SECONDS)
    assert accepted(tokens, "token-1", "guess") == ["token-1"]


def test_what_was_read_is_good_for_an_hour_and_then_nobody_is_let_in(tokens, store, clock):
    assert accepted(tokens, "token-1") == ["token-1"]
    store.failure = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "GetSecretValue")
    clock.pass_by(KEPT_SECONDS - 0.5)
    assert accepted(tokens, "token-1", "guess") == ["token-1"]
    clock.pass_by(0.5)  # no new try is made yet
    with pytest.raises(ClientError):
        right(tokens, "token-1")
    clock.pass_by(10)
    store.failure = None
    assert accepted(tokens, "token-1", "guess") == ["token-1"]


def test_a_secrets_manager_that_hangs_lets_nobody_in_after_an_hour(clock):
    store = Hanging(clock)
    tokens = TokenSecret("arn", store, now=clock, wait_seconds=0.1)

    async def ask():
        assert await tokens.accepts("token-1")
        clock.pass_by(KEPT_SECONDS)
        store.let_go.clear()
        try:
            with pytest.raises(NotReadError):
                await tokens.accepts("token-1")
        finally:
            store.let_go.set()

    asyncio.run(ask())


def test_a_secret_that_was_never_read_is_an_error_and_no_refusal(tokens, store):
    store.failure = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "GetSecretValue")
    with pytest.raises(ClientError):
        right(tokens, "token-1")


def test_callers_do_not_queue_for_a_secrets_manager_that_never_answered(tokens, store, clock):
    store.failure = ClientError({"Error": {"Code": "InternalServiceError", "Message": "later"}}, "GetSecretValue")
    for _ in range(20):
        with pytest.raises(ClientError):
            right(tokens, "token-1")
    assert store.tries == 1
    clock.pass_by(1)
    store.failure = None
    assert right(tokens, "token-1")


def test_a_token_with_half_a_surrogate_pair_is_only_wrong(tokens):
    assert not right(tokens, "\ud800")


class Hanging(Store):
    """Secrets Manager that gives no answer while `let_go` is clear."""

    def __init__(self, clock):
        super().__init__(clock)
        self.let_go = threading.Event()
        self.let_go.set()

    def get_secret_value(self, SecretId, VersionStage):  # noqa: N803 - as Secrets Manager's client has it
        self.let_go.wait(20)
        return super().get_secret_value(SecretId, VersionStage)


def test_wrong_tokens_that_wait_for_secrets_manager_keep_no_right_one_waiting(clock):
    store = Hanging(clock)
    tokens = TokenSecret("arn", store, now=clock, wait_seconds=20)

    async def ask():
        assert await tokens.accepts("token-1")
        clock.pass_by(10)
        store.let_go.clear()
        wrong = [asyncio.create_task(tokens.accepts(f"guess-{number}")) for number in range(100)]
        await asyncio.sleep(0.05)
        assert not any(task.done() for task in wrong)
        right = await asyncio.wait_for(tokens.accepts("token-1"), 5)
        store.let_go.set()
        return right, await asyncio.gather(*wrong)

    assert asyncio.run(ask()) == (True, [False] * 100)
    assert store.reads == 2


def test_while_secrets_manager_hangs_a_known_token_is_right_and_of_another_nobody_can_tell(clock):
    store = Hanging(clock)
    tokens = TokenSecret("arn", store, now=clock, wait_seconds=0.1)

    async def ask():
        assert await tokens.accepts("token-1")
        clock.pass_by(READ_AGAIN_SECONDS)
        store.let_go.clear()
        try:
            assert await tokens.accepts("token-1")
            with pytest.raises(NotReadError):
                await tokens.accepts("guess")
        finally:
            store.let_go.set()

    asyncio.run(ask())
