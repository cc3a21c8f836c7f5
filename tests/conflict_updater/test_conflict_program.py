"""The program as the container runs it: what it prints, its exit codes, and how it stops."""

import contextlib
import re
import signal
import subprocess
import sys
import time

import pytest
from visit_world import Visit, at

STEPS = [
    "Step 0 (excluded SSNs)",
    "Step 1 (delta_keys)",
    "Step 2 Part A (base_visits delta)",
    "Step 2 Part B (base_visits related)",
    "Step 2d (delta pairs to PG)",
    "Step 3 (conflict detection streaming)",
    "Step 4 (stale cleanup)",
]
PAIR = [Visit("a", "111-22-3333", at(8), at(10)), Visit("b", "111-22-3333", at(9), at(11))]


def test_a_run_prints_the_banner_each_step_with_its_time_and_the_result(world):
    world.show(PAIR)
    done = world.run()
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[1:4] == [
        "TASK 02 CONFLICT UPDATER - ECS CONTAINER",
        "Action: task02_00_run_conflict_update",
        "Environment: dev",
    ]
    timed = [match[1] for line in lines if (match := re.fullmatch(r"(Step .*): \d+\.\ds(, .*)?", line))]
    assert timed == STEPS
    result = lines.index("EXECUTION RESULT")
    assert lines[result + 1] == "Status: completed"
    assert re.fullmatch(r"Duration: \d+m \d+s", lines[result + 2])
    assert "Conflicts: 1 found, 1 new or changed, 0 resolved" in lines
    assert world.open_pairs() == {("a", "b")}


def test_the_connection_test_prints_both_successes_and_the_tables(world):
    done = world.run(ACTION="test_connections")
    assert done.returncode == 0
    assert re.search(r"^Snowflake connection successful: \d+\.\d+\.\d+$", done.stdout, re.M)
    assert "\nPostgreSQL connection successful\n" in done.stdout
    assert "  Snowflake: VISITS\n  Snowflake: EXCLUDED_SSNS\n  PostgreSQL: none in conflict_dev yet" in done.stdout
    world.show(PAIR)
    done = world.run(ACTION="task02_00_run_conflict_update,test_connections")
    assert done.returncode == 0
    assert done.stdout.index("Step 4") < done.stdout.index("Snowflake connection successful")
    assert "  PostgreSQL: conflict_dev.conflictvisitmaps" in done.stdout


def test_both_connections_are_tried_although_the_first_does_not_work(world):
    done = world.run(ACTION="test_connections", SNOWFLAKE_USER="NOBODY", POSTGRES_PASSWORD="wrong-password")
    assert done.returncode == 1
    assert "Failed to connect to Snowflake: " in done.stdout
    assert "Failed to connect to PostgreSQL: " in done.stdout
    assert "Status: failed" in done.stdout
    assert "wrong-password" not in done.stdout + done.stderr


def test_visits_that_cannot_be_read_fail_the_connection_test(world):
    done = world.run(ACTION="test_connections", SNOWFLAKE_VISITS_TABLE="OTHER_VISITS")
    assert done.returncode == 1
    assert "Snowflake answers, but a run could not read the visits: " in done.stdout
    assert "OTHER_VISITS" in done.stdout
    assert "PostgreSQL connection successful" in done.stdout


def test_the_configuration_is_shown_without_secrets_and_without_any_connection(world):
    done = world.run(ACTION="validate_config", SNOWFLAKE_PORT="1", POSTGRES_PORT="1", LOOKBACK_HOURS="48")
    assert done.returncode == 0
    assert "  LOOKBACK_HOURS = 48\n" in done.stdout
    assert [secret for secret in (*world.pem.splitlines(), world.postgres.password) if secret in done.stdout] == []


def test_a_wrong_setting_ends_with_1_and_one_line(world):
    done = world.run(LOOKBACK_HOURS="many")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"LOOKBACK_HOURS is 'many'; .*integer.*\.\n", done.stderr)


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
def test_a_failed_run_tells_neither_secrets_nor_caregivers(world, level):
    world.show([PAIR[0], PAIR[0]])
    done = world.run(LOG_LEVEL=level)
    assert done.returncode == 1
    assert "ERROR: The visits in Snowflake hold one VISIT_ID twice" in done.stdout
    assert ("Traceback" in done.stdout) == (level == "DEBUG")
    text = done.stdout + done.stderr
    secrets = [line for line in world.pem.splitlines() if "KEY" not in line]
    assert [secret for secret in (*secrets, world.postgres.password, PAIR[0].ssn) if secret in text] == []


def test_an_action_after_one_that_failed_is_not_run(world):
    done = world.run(ACTION="test_connections,task02_00_run_conflict_update", POSTGRES_PORT="1")
    assert done.returncode == 1
    assert "Step 0" not in done.stdout


@contextlib.contextmanager
def running(world, **changes):
    """A run in a process of its own, which is ended if the test has not."""
    process = subprocess.Popen(
        [sys.executable, "-m", "conflict_updater"],
        env=world.process_environment(**changes),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for_lock(session):
    """Wait until the run waits for somebody else's lock."""
    until = time.monotonic() + 30
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name LIKE 'snowgate%'"
    )
    while not session.execute(waiting).fetchone()[0]:
        assert time.monotonic() < until, "the run did not come so far"
        time.sleep(0.02)


@pytest.mark.parametrize("released", [True, False], ids=["whose batch ends", "whose batch hangs"])
def test_a_run_that_is_told_to_stop(world, released):
    """The second batch waits for a lock; the first is committed, the third never comes."""
    visits = [Visit(f"v{n}{side}", "111", at(10 * n), at(10 * n + 1)) for n in range(3) for side in "ab"]
    world.show(visits)
    world.update()
    world.change("""DELETE FROM conflict_dev.conflictvisitmaps WHERE "VisitID" <> 'v1a'""")
    world.change("""UPDATE conflict_dev.conflictvisitmaps SET "StatusFlag" = 'R'""")
    with world.postgres.connect() as other, world.postgres.connect() as watcher:
        with other.transaction():
            other.execute("SELECT FROM conflict_dev.conflictvisitmaps FOR UPDATE")
            with running(world, BATCH_SIZE="1", STOP_SECONDS="60" if released else "0.2") as process:
                wait_for_lock(watcher)
                process.send_signal(signal.SIGTERM)
                process.send_signal(signal.SIGTERM)
                if not released:
                    output, _ = process.communicate(timeout=20)
                else:
                    time.sleep(0.5)
                    assert process.poll() is None, "it does not leave a batch that may still end"
                    other.execute("ROLLBACK")
                    output, _ = process.communicate(timeout=20)
        assert process.returncode == 143
        assert "Status: stopped" in output
        assert "Step 3" not in output
        until = time.monotonic() + 20
        while watcher.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone()[0]:
            assert time.monotonic() < until, "the run's session is still there"
            time.sleep(0.02)
    assert world.open_pairs() == {("v0a", "v0b")} | ({("v1a", "v1b")} if released else set())
    world.update()
    assert world.open_pairs() == {(f"v{n}a", f"v{n}b") for n in range(3)}


def test_two_runs_at_once_are_kept_apart(world):
    world.show(PAIR)
    with world.postgres.connect() as other, world.postgres.connect() as watcher:
        other.execute("SELECT pg_advisory_lock(x'7402'::int, hashtext('conflict_dev'))")
        with running(world) as process:
            wait_for_lock(watcher)
            assert world.rows() == {}
            other.close()
            process.communicate(timeout=20)
            assert process.returncode == 0
    assert world.open_pairs() == {("a", "b")}
