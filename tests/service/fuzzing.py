"""What the fuzzed tests share: how many examples, what JSON and a table can hold, and what the service may run.

Short in `make test`, the same examples each time; with SNOWGATE_SOAK=1 10,000 each, others each time.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import json
import math
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

import hypothesis
import snowflake.connector
from fleet import container_environment
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st

from report_service.queue import statements
from tests import sql_lint

SOAK = os.environ.get("SNOWGATE_SOAK") == "1"
PLACE = {"database": sql_lint.NAMES["database"], "schema": sql_lint.NAMES["config_schema"]}
USER = sql_lint.NAMES["runner_user"]
TOKEN = "a-token-for-tests-0123456789"
KEPT = 10_000  # statements that the stand-in's history holds
CANARY = "canary_5b1f"  # in the texts that would show in a statement's text, were one put together of them


def examples(short):
    """How many examples a test takes."""
    return 10_000 if SOAK else short


def fuzzed(short, *phases):
    """The settings of a fuzzed test; a failure prints what repeats it."""
    return hypothesis.settings(
        max_examples=examples(short),
        phases=phases or (Phase.explicit, Phase.generate, Phase.shrink),
        derandomize=not SOAK,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )


def collect(strategy, count):
    """Draw examples of a strategy before anything is done with them."""
    found = []

    def draw(example):
        found.append(example)

    if SOAK:
        seed = random.randrange(2**32)
        print(f"@hypothesis.seed({seed})")
        draw = hypothesis.seed(seed)(draw)
    hypothesis.settings(fuzzed(count, Phase.generate), max_examples=count)(hypothesis.given(strategy)(draw))()
    return found


# --- what JSON and a table can hold

NASTY = [
    "", " ", "\x00", "\x1b[31m\x07\r\n\t\x7f", "'", '"', "\\", "\\'", "`", ";", "--", "/*", "?", ":1", "%s", "${x}",
    "{{x}}", f"'; DROP TABLE REPORT_CONFIG; -- {CANARY}", f"' OR '{CANARY}' = '{CANARY}", f'"{CANARY}"',
    f"$${CANARY}$$", "=1+1", "@SUM(A1)", "😀", "\U0001f469\u200d" * 20, "ﷺ" * 50, "\u202eabc\u2066", "\ufeff", "\uffff",
    "\U0010ffff", "e\u0301" * 40, "İ", "ß" * 80, "ﬁ" * 40, "\uff11\uff12", "NULL", "null", "NaN", "Infinity", "-1",
    "0", "1e999", "9" * 50, "0x10", "true", "../../etc/passwd", "<b>&amp;", "password=hunter2", "0001-01-01",
    "9999-12-31", "1997-02-30", "1997-1-1",
    "\u0661\u0669\u0669\u0667-\u0660\u0661-\u0660\u0661", "1997-W01-1",
]  # fmt: skip
LONG = st.sampled_from(["x", "'", "\n", "😀", "\x00", f"{CANARY} "]).map(lambda unit: (unit * 100_000)[:100_000])

texts = st.one_of(st.sampled_from(NASTY), st.text(max_size=30))
wild_texts = (
    texts | st.text(st.characters(exclude_categories=()), max_size=10) | st.just("\ud800")
)  # as JSON may escape it
wide_integers = st.integers() | st.sampled_from([2**31, 2**53 + 1, 2**63, 2**64, 10**38, -(10**38), 10**400])
numbers = wide_integers | st.floats() | st.integers(-3, 3000)
scalars = st.none() | st.booleans() | numbers | wild_texts


def nested(leaves, keys):
    """Any JSON of these leaves, and the deep and the wide."""
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=8,
    ) | st.integers(5, 90).map(lambda depth: functools.reduce(lambda inner, _: [inner], range(depth), 0))


anything = nested(scalars, wild_texts)


def mostly(usual, odd):
    """Nineteen times of twenty what is usual."""
    return st.integers(0, 19).flatmap(lambda chance: usual if chance else odd)


def any_case(name):
    """A name as somebody may type it."""
    return st.sampled_from([name, name.upper(), name.title()])


def _dates(parameter):
    bounds = parameter.minimum, parameter.maximum
    return (
        st.dates(
            *(bound for bound in bounds if bound),
        ).map(str)
        if all(bounds)
        else st.dates().map(str)
    )


def _near(parameter):
    """Values of the right type, about its bounds and anywhere within."""
    low, high = parameter.minimum, parameter.maximum
    return {
        "date": _dates(parameter) | st.dates().map(str) | st.sampled_from([f"{low}", f"{high}", f"{low}T00:00:00"]),
        "integer": st.integers(int(low or 0), int(high or 9)) if parameter.type == "integer" else st.nothing(),
        "number": st.floats(float(low or 0), float(high or 9)) if parameter.type == "number" else st.nothing(),
        "string": st.text(max_size=parameter.max_length + 1),
        "boolean": st.booleans(),
        "choice": st.sampled_from([*parameter.choices, "x"]),
    }[parameter.type] | (
        st.sampled_from([low, high, float(low), low - 1, high + 1, math.nextafter(high, math.inf), -0.0])
        if parameter.type in ("integer", "number") and low is not None and high is not None
        else st.nothing()
    )  # fmt: skip


def given_parameters(report):
    """Parameters for a report: mostly of the right types and names, else anything."""
    declared = report.definition.parameters
    good = {parameter.name: _near(parameter) for parameter in declared}
    entries = st.fixed_dictionaries({}, optional=good)
    mixed = [st.tuples(any_case(parameter.name), _near(parameter) | anything) for parameter in declared]
    return st.one_of(
        entries,
        st.fixed_dictionaries(good),
        st.fixed_dictionaries(good),
        st.lists(st.one_of(*mixed), max_size=4).map(dict),
        st.dictionaries(wild_texts | st.sampled_from(sorted(good)), anything, max_size=4),
        st.dictionaries(wild_texts, scalars, min_size=1, max_size=1),
    )


def recipients():
    """Lists of recipients: right ones, ones with odd addresses, anything."""
    odd = st.sampled_from(
        ["a@example.com", "A@Example.COM", "ü@example.com", "a@bücher.example", '"a b"@example.com', "a@[127.0.0.1]",
         "a@b", "@", "a@example.com\nBcc: b@example.com", "a" * 64 + "@example.com", "a@b.com, b@b.com",
         "Name <a@example.com>", "😀@example.com", "a@" + "x." * 120 + "com", "点看@例え.テスト"]
    )  # fmt: skip
    good = st.sampled_from(["first@example.com", "ü@example.com", "o'neil+x@bücher.de"]) | st.emails()

    def lists(address, most):
        return st.lists(st.fixed_dictionaries({"channel": st.just("email"), "to": address}), min_size=1, max_size=most)

    return st.one_of(lists(good, 3), lists(odd, 1), lists(scalars, 1), st.lists(anything, max_size=2), anything)


# --- rows


def as_json(value):
    """JSON text as Python writes it: lone surrogates are escaped, NaN and numbers of 400 digits are there."""
    return json.dumps(value)


def rows(columns, catalogue):
    """Rows of REPORT_CONFIG by its own columns: each column is left out, of sense, or anything its type can hold.

    A list of strategies: any report, and right ones that recur, have recipients, have odd times.
    """
    any_text = texts | LONG
    # NUMBER(38, 0) holds more in Snowflake; the stand-in's holds 64 bits.
    integers = st.sampled_from([None, -(2**63), -1, 0, 1, 2, 3, 2**31, 2**63 - 1]) | st.integers(-(2**63), 2**63 - 1)
    # A text is a time, a number so many seconds from now: past and future, and the edges of what Python knows.
    edges = ["0000-01-01", "0001-01-01", "9999-12-31 23:59:59.999999", "10000-01-01", -70_000_000_000, 2**40]
    usual_times = st.one_of(
        st.none(),
        st.integers(-100_000, 100),
        st.integers(3_600, 10**9),
        st.datetimes().map(lambda moment: f"{moment:%Y-%m-%d %H:%M:%S.%f}".rjust(26, "0")),
    )
    times = st.booleans().flatmap(lambda edge: st.sampled_from(edges) if edge else usual_times)
    variants = st.none() | anything.map(as_json)
    kinds = {"TEXT": st.none() | any_text, "NUMBER": integers, "TIMESTAMP_NTZ": times, "VARIANT": variants}
    names = list(catalogue)
    cron_fields = [
        "*",
        "0",
        "*/5",
        "1-5",
        "31",
        "2",
        "L",
        "5#2",
        "MON",
        "JAN",
        "1,2",
        "60",
        "*/0",
        "5-1",
        "1/2",
        "?",
        "-1",
        "9" * 30,
    ]
    usual_crons = st.sampled_from(["0 6 * * *", "0 0 29 2 *", "*/5 * * * 1-5"])
    crons = st.sampled_from(["0 0 30 2 *", "@daily", "* * * * * *", "0 25 * * *"]) | st.lists(
        st.sampled_from(cron_fields), min_size=5, max_size=5
    ).map(" ".join)
    sensible = {
        "REPORT_NAME": st.sampled_from([*names, names[0].upper(), " Pricing_Summary "]),
        "TRIGGER_TYPE": st.sampled_from(["ADHOC", "SCHEDULED", "scheduled"]),
        "OUTPUT_FORMAT": st.sampled_from(["CSV", "CSV", "csv", "EXCEL", "PDF", None]),
        "SCHEDULE_CRON": usual_crons | crons,
        "SCHEDULE_TIMEZONE": st.sampled_from(["Europe/Berlin", "UTC", "../UTC", "Asia/Kolkata", "/etc", "Europe"]),
        "MISSED_RUNS": st.sampled_from(["SKIP", "skip", "RUN_ONCE", None]),
        "RECIPIENTS": recipients().map(as_json),
        "STATUS": st.sampled_from(["PENDING", "PROCESSING", "COMPLETED", "FAILED", "CANCELLED", "DONE", "\t", None]),
        "MAX_ATTEMPTS": st.sampled_from([None, 1, 3, 2**62]),
        "ATTEMPTS": st.sampled_from([None, 0, 1]),
        "NOT_BEFORE": st.sampled_from([None, -5, 1]),
        "LEASE_UNTIL": st.sampled_from([None, -5, 2, 2**40]),
        "RUN_AT": st.sampled_from([None, None, -5, 1, -90_000]),
    }  # fmt: skip
    recurring = ("SCHEDULE_CRON", "SCHEDULE_TIMEZONE", "MISSED_RUNS", "RUN_AT")
    reports = list(catalogue.values())
    any_report = st.sampled_from(reports).flatmap(
        lambda report: st.tuples(st.just(report), given_parameters(report).map(as_json))
    )
    need_none = [report for report in reports if all(each.default is not None for each in report.definition.parameters)]
    right_report = st.tuples(st.sampled_from(need_none), st.just("{}"))

    @st.composite
    def row(draw, asked, always, most):
        report, parameters = draw(asked)
        found = {"REPORT_NAME": report.name, "PARAMETERS": parameters, "OUTPUT_FORMAT": draw(sensible["OUTPUT_FORMAT"])}
        found |= {name: draw(sensible[name]) for name in always}
        # Of a row that is wrong all over, only its first fault would be looked at.
        for name in draw(st.lists(st.sampled_from(sorted(columns)), max_size=most, unique=True)):
            usual = sensible.get(name)
            found[name] = draw(kinds[columns[name]] if usual is None or not draw(st.integers(0, 3)) else usual)
        return found

    recurs = row(right_report, recurring, 3).map(lambda found: {"TRIGGER_TYPE": "SCHEDULED"} | found)
    of_time = [name for name, kind in columns.items() if kind == "TIMESTAMP_NTZ"]
    odd_times = st.fixed_dictionaries({}, optional=dict.fromkeys(of_time, times))
    at_odd_times = st.tuples(row(right_report, (), 1), odd_times).map(lambda two: two[0] | two[1])
    return [row(any_report, (), 6), recurs, row(right_report, ("RECIPIENTS",), 3), at_odd_times]


class Administrator:
    """The administrator's session with the table of requests, values bound."""

    def __init__(self, account):
        self._connection = snowflake.connector.connect(
            account="LOCAL", user="ADMIN", password=account.password, role="ACCOUNTADMIN", host="127.0.0.1",
            port=account.port, protocol="http", paramstyle="qmark", login_timeout=10, **PLACE,
            enable_server_session_keep_alive_auto_detection=False,
        )  # fmt: skip
        found = self.rows(
            "SELECT COLUMN_NAME, DATA_TYPE, IS_NULLABLE FROM INFORMATION_SCHEMA.COLUMNS"
            " WHERE TABLE_NAME = 'REPORT_CONFIG' AND TABLE_SCHEMA = ?",
            PLACE["schema"],
        )
        self.columns = {name: kind for name, kind, _ in found}
        self.needed = {name for name, _, nullable in found if nullable == "NO"}

    def rows(self, sql, *values):
        with self._connection.cursor() as cursor:
            return cursor.execute(sql, values or None).fetchall()

    def insert(self, row):
        """INSERT a row and tell whether the table takes it: no table holds a NULL where none is allowed, say."""
        marks = [self._mark(name, value) for name, value in row.items()]
        try:
            self.rows(f"INSERT INTO REPORT_CONFIG ({', '.join(row)}) SELECT {', '.join(marks)}", *row.values())
        except (snowflake.connector.ProgrammingError, snowflake.connector.IntegrityError):
            return False
        return True

    def _mark(self, name, value):
        kind = self.columns[name]
        if kind == "TIMESTAMP_NTZ" and isinstance(value, int):
            return "DATEADD('SECOND', ?, SYSDATE())"
        types = {"TEXT": "VARCHAR", "NUMBER": "NUMBER(38, 0)", "TIMESTAMP_NTZ": "TIMESTAMP_NTZ"}
        return "PARSE_JSON(?)" if kind == "VARIANT" else f"CAST(? AS {types[kind]})"

    def close(self):
        self._connection.close()


# --- the service's processes


@contextmanager
def service(role, cloud, account, folder, **changes):
    """A process of the service in whose log no fault may be in the end."""
    with process(role, cloud, account, folder, **changes) as started:
        yield started
    no_fault_in(started.log.read_text(errors="replace"))


@contextmanager
def process(role, cloud, account, folder, **changes):
    """A process of the service, which must end as it should; its log is in its file `log`."""
    log = folder / f"{role}.log"
    environment = container_environment(cloud, account, "fuzz") | {
        "HEALTH_FILE": str(folder / f"{role}.alive"),
        "TMPDIR": str(folder),
        "LOG_LEVEL": "DEBUG",  # at which the log has tracebacks
    }
    with log.open("w") as output:
        command = [sys.executable, "-m", "report_service", role]
        started = subprocess.Popen(command, env=environment | changes, stdout=output, stderr=subprocess.STDOUT)
    started.log = log
    try:
        yield started
        started.send_signal(signal.SIGTERM)
        assert started.wait(40) == 0, log.read_text()[-3000:]
    finally:
        started.kill()
        started.wait()


@contextmanager
def web_role(cloud, account, folder, start=service, **changes):
    """The web role's process, by its port; it lets its TOKEN come as often as it wants."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    place = {"PORT": str(port), "WEB_HOST": "127.0.0.1", "API_TOKEN": TOKEN}
    rate = {"WEB_REQUESTS_PER_SECOND": "10000", "WEB_BURST": "10000"}
    with start("web", cloud, account, folder, **(place | rate | changes)):
        end = time.monotonic() + 30
        while socket.socket().connect_ex(("127.0.0.1", port)) and time.monotonic() < end:
            time.sleep(0.1)
        yield port


def no_fault_in(log):
    """Nothing that the service calls an error, and no line that is none of its own: a traceback is both."""
    wrong = []
    for line in log.strip().split("\n"):  # not splitlines: what a row holds may end a line by Unicode
        try:
            entry = json.loads(line)
            if entry["level"] in ("ERROR", "CRITICAL") or "traceback" in entry:
                wrong.append(entry)
        except (ValueError, TypeError, KeyError):
            wrong.append(line)
    assert not wrong, f"{len(wrong)} lines of the log tell of a fault; the first:\n{_shown(wrong[0])}"


def _shown(entry):
    return entry if isinstance(entry, str) else "\n".join(f"{key}: {value}" for key, value in entry.items())


# --- statements

_PROBE = 7007  # a count that no statement holds by itself


class Statements:
    """What the service's user has run since this was made, against what it may run: constants, and functions of counts.

    `look` must be called before the stand-in's history has forgotten what came since the last look.
    """

    def __init__(self, account, administrator, catalogue):
        self._account, self._administrator = account, administrator
        public = {name: value for name, value in vars(statements).items() if not name.startswith("_")}
        # Without the white space around it, as the connector sends it.
        self._fixed = {value.strip() for value in public.values() if isinstance(value, str)}
        self._fixed |= {report.query.sql for report in catalogue.values()}
        self._fixed |= {"BEGIN", "COMMIT", "ROLLBACK"}
        self._functions = [
            value for value in public.values() if inspect.isfunction(value) and value.__module__ == statements.__name__
        ]
        self._texts = set()
        self._before = 0
        self._before = self._run()
        self._old = set(self._history(KEPT))
        self._seen = set()

    @property
    def count(self):
        """How many statements that were."""
        return len(self._seen)

    def look(self):
        """Take in what is new in the history."""
        new = self._run() - len(self._seen)
        assert new <= KEPT, f"{new} statements since the last look; the history holds {KEPT}"
        # What comes between the count and this has room too.
        found = self._history(min(new + 1000, KEPT))
        new_ones = {number: text for number, text in found.items() if number not in self._old}
        self._texts.update(new_ones.values())
        self._seen.update(new_ones)

    def check(self):
        """Every statement is one that the service is made to run."""
        self.look()
        assert self.count == self._run(), "the history has forgotten statements before they were looked at"
        assert self.count, "no statement was run at all"
        strange = [text for text in self._texts if not self._is_known(text)]
        assert not strange, f"{len(strange)} statements that no catalogue holds; one:\n{strange[0]}"
        assert not any(CANARY in text for text in self._texts)

    def _is_known(self, text):
        return text in self._fixed or any(self._made_by(function, text) for function in self._functions)

    def _made_by(self, function, text):
        """Whether numbers in the text, or the count of its question marks, make the function give exactly this text."""
        parameters = inspect.signature(function).parameters
        kinds = {name: parameter.annotation for name, parameter in parameters.items()}
        probe = function(**{name: _PROBE if kind == "int" else True for name, kind in kinds.items()})
        numbers = re.findall(r"\d+", text) if str(_PROBE) in probe else range(text.count("?") + 1)
        choices = [
            sorted({int(number) for number in numbers}) if kind == "int" else (False, True) for kind in kinds.values()
        ]
        return any(
            function(**dict(zip(kinds, values, strict=True))).strip() == text for values in itertools.product(*choices)
        )

    def _run(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self._account.port}/_warehouse/state", timeout=10) as answer:
            return json.load(answer)["statements"].get(USER, 0) - self._before

    def _history(self, limit):
        sql = (
            "SELECT QUERY_ID, QUERY_TEXT FROM TABLE(INFORMATION_SCHEMA.QUERY_HISTORY_BY_USER("
            f"USER_NAME => '{USER}', RESULT_LIMIT => {int(limit)}))"
        )
        return dict(self._administrator.rows(sql))
