"""Fuzzed requests at the HTTP door's own process: no 5xx, no traceback, no statement that is none of its own."""

import http.client
import json
import re
import select
import socket
import urllib.parse

import fuzzing
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

LIMIT = 65536  # bytes of a body

pytestmark = [pytest.mark.soak, pytest.mark.timeout(2400 if fuzzing.SOAK else 240)]


class Door:
    """The HTTP door's process, with odd rows in its table; requests go to it byte by byte."""

    def __init__(self, port, ids, statements):
        self.port, self.ids, self.statements = port, ids, statements
        self.answers = []

    def ask(self, raw, method="GET", *, hang_up=False):
        """Send a request as it is, and return status, headers and body; None if there is no answer.

        To one that is not whole none may come before the caller hangs up.
        """
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            try:
                connection.sendall(raw)
                if hang_up and not select.select([connection], [], [], 0.05)[0]:
                    connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # it was refused before its end
            answer = http.client.HTTPResponse(connection, method=method)
            try:
                answer.begin()
                found = answer.status, answer.headers, answer.read()
            except (http.client.BadStatusLine, ConnectionError):
                found = None
        self.answers.append(found and found[0])
        if len(self.answers) % 500 == 0:
            self.statements.look()
        return found


@pytest.fixture(scope="module")
def door(cloud, snowflake_account, catalogue, tmp_path_factory):
    snowflake_account.empty_tables()
    administrator = fuzzing.Administrator(snowflake_account)
    for kind in fuzzing.rows(administrator.columns, catalogue):
        for row in fuzzing.collect(kind, 20):
            administrator.insert(row)
    ids = [config_id for (config_id,) in administrator.rows("SELECT CONFIG_ID FROM REPORT_CONFIG")]
    statements = fuzzing.Statements(snowflake_account, administrator, catalogue)
    folder = tmp_path_factory.mktemp("door")
    with fuzzing.web_role(cloud, snowflake_account, folder, BODY_BYTES=str(LIMIT)) as port:
        found = Door(port, [str(config_id) for config_id in ids], statements)
        yield found
        statements.check()
    print(f"{len(found.answers)} requests, {statements.count} statements")
    snowflake_account.empty_tables()
    administrator.close()


def request(method, target, body=b"", headers=(), *, length=True):
    """The bytes of a request that ends the connection."""
    lines = [method + b" " + target + b" HTTP/1.1", b"Host: 127.0.0.1", b"Connection: close", *headers]
    if length and (body or method in (b"POST", b"PUT")):
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


RIGHT = b"Authorization: Bearer " + fuzzing.TOKEN.encode()
header_bytes = st.binary(max_size=40).map(lambda value: re.sub(rb"[\x00-\x08\x0a-\x1f\x7f]", b"", value).strip())
tokens = st.one_of(
    st.just(RIGHT),
    st.sampled_from(
        [
            b"Authorization: Bearer", b"Authorization: bearer " + fuzzing.TOKEN.encode(), b"Authorization: Basic YTpi",
            RIGHT + b"x", b"Authorization: Bearer \xff\xfe", b"Authorization: " + fuzzing.TOKEN.encode(),
            RIGHT + b"\r\n" + RIGHT, b"X-Nothing: 1",
        ]
    ),
    header_bytes.map(lambda value: b"Authorization: Bearer " + value),
    header_bytes.map(lambda value: b"Authorization: " + value),
)  # fmt: skip
ODD_HEADERS = [
    b"Content-Type: application/json", b"Content-Type: text/plain; charset=utf-16", b"Content-Type: \xff",
    b"Content-Type:", b"Content-Type: multipart/form-data", b"Content-Type: application/x-www-form-urlencoded",
    b"Accept: application/xml", b"Content-Encoding: gzip", b"Expect: 100-continue", b"Upgrade: websocket",
    b"X-Forwarded-Proto: \xe9", b"Accept-Encoding: \x80", b"Cookie: a=\xff; =", b"Range: bytes=5-1",
    b"If-None-Match: *", b"X-HTTP-Method-Override: PUT",
]  # fmt: skip
other_headers = st.lists(
    st.sampled_from(ODD_HEADERS) | header_bytes.map(lambda value: b"X-Odd: " + value),
    max_size=3,
    unique_by=lambda line: line.split(b":")[0],
)
METHODS = [b"GET"] * 6 + [b"POST"] * 3 + [b"PUT", b"HEAD", b"OPTIONS", b"DELETE", b"PATCH", b"get", b"X-Y", b"TRACE"]
PATHS = [
    b"/jobs", b"/jobs", b"/metrics", b"/ready", b"/health", b"/process-job", b"/docs", b"/openapi.json", b"*", b"//",
    b"/../jobs", b"http://other/jobs", b"/%", b"/%zz", b"/job/%00/status", b"/\xff", b"/jobs;x",
]  # fmt: skip


def quoted(text):
    """A text as a part of a path or a query."""
    return urllib.parse.quote(text.encode(errors="surrogatepass"), safe="").encode()


JSON_HEADERS = (RIGHT, b"Content-Type: application/json")
job_ids = st.integers(1, 60).map(lambda number: f"job-{number}")  # few, so that one comes again


def bodies(catalogue):
    """Bodies of POST /process-job: requests with fuzzed parts, anything else that is JSON, and what is none."""

    def job(report):
        data = st.tuples(
            fuzzing.given_parameters(report),
            st.fixed_dictionaries(
                {},
                optional={
                    "format": st.sampled_from(["CSV", "pdf", "DOCX"]) | fuzzing.anything,
                    "recipients": fuzzing.recipients(),
                },
            ),
        ).map(lambda parts: parts[0] | parts[1])
        right = {"job_id": job_ids, "job_type": fuzzing.any_case(report.name), "input_data": data}
        optional = {
            "timestamp": st.datetimes().map(str) | fuzzing.anything,
            "source": fuzzing.texts | fuzzing.anything,
        }
        wrong = dict.fromkeys(("job_id", "job_type", "input_data", "other"), fuzzing.anything) | optional
        return st.one_of(
            st.fixed_dictionaries(right),
            st.fixed_dictionaries(right, optional=optional),
            st.tuples(st.fixed_dictionaries(right), st.fixed_dictionaries({}, optional=wrong)).map(
                lambda two: two[0] | two[1]
            ),
        )

    objects = st.sampled_from(list(catalogue.values())).flatmap(job)
    whole = objects.map(json.dumps)
    return st.one_of(
        whole.map(str.encode),
        whole.map(str.encode),
        objects.map(lambda value: json.dumps(value, ensure_ascii=False).encode(errors="surrogatepass")),
        st.tuples(whole, st.sampled_from(["utf-16", "utf-32", "utf-8-sig", "utf-7"])).map(
            lambda two: two[0].encode(two[1])
        ),
        st.tuples(whole, st.floats(0, 1)).map(lambda two: two[0].encode()[: int(len(two[0]) * two[1])]),
        st.tuples(whole, st.integers(0, 400), st.binary(max_size=4)).map(
            lambda parts: parts[0].encode()[: parts[1]] + parts[2] + parts[0].encode()[parts[1] :]
        ),
        fuzzing.anything.map(json.dumps).map(str.encode),
        st.binary(max_size=200),
        st.integers(1, 30_000).map(lambda depth: b'{"job_id": "a", "job_type": "b", "input_data": ' + b"[" * depth),
        st.integers(1, 5_000).map(
            lambda depth: b'{"job_id":"deep","job_type":"pricing_summary","input_data":{"delta":%s}}'
            % (b"[" * depth + b"]" * depth)
        ),
        st.integers(10, 20_000).map(
            lambda digits: b'{"job_id":"long","job_type":"pricing_summary","input_data":{"delta":%s}}' % (b"9" * digits)
        ),
    )  # fmt: skip


def targets(ids):
    """Targets of the other routes: jobs that are there, odd ids, odd queries, and paths that are no routes."""
    job_id = st.sampled_from(ids) | job_ids | fuzzing.wild_texts | st.integers().map(str)
    value = fuzzing.wild_texts | st.integers(-1, 600).map(str)
    query = st.lists(st.tuples(st.sampled_from(["limit", "status", "x", "limit[]", "LIMIT"]), value), max_size=3)
    right = st.sampled_from(
        ["limit=1", "limit=500", "status=PENDING", "status=FAILED&limit=7", "limit=20&status=COMPLETED"]
    )
    of_job = st.tuples(job_id, st.sampled_from([b"status", b"status", b"cancel", b"status/", b""])).map(
        lambda two: b"/job/" + quoted(two[0]) + b"/" + two[1]
    )
    path = st.one_of(
        of_job,
        of_job,
        st.sampled_from(ids).map(lambda config_id: b"/job/" + config_id.encode() + b"/cancel"),
        st.sampled_from(PATHS),
        st.lists(fuzzing.wild_texts.map(quoted), max_size=4).map(lambda parts: b"/" + b"/".join(parts)),
    )
    queries = right.map(str.encode) | query.map(
        lambda pairs: b"&".join(quoted(name) + b"=" + quoted(value) for name, value in pairs)
    )
    return st.tuples(path, queries).map(lambda two: two[0] + (b"?" + two[1] if two[1] else b""))


def is_right(answer, method=b"GET"):
    """No 5xx; an error is a problem that says its status, anything else is what its type says."""
    assert answer is not None, "no answer"
    status, headers, body = answer
    assert 200 <= status < 500, f"{status}: {body[:2000]}"
    assert b"Traceback" not in body
    if status >= 400:
        assert headers["content-type"] == "application/problem+json", (
            f"{status} {headers['content-type']}: {body[:500]}"
        )
    if method == b"HEAD" or not body:
        return None
    if headers["content-type"] in ("application/json", "application/problem+json"):
        found = json.loads(body.decode())
        if status >= 400:
            assert (found["status"], found["type"]) == (status, "about:blank")
            assert found["title"]
            assert found["detail"]
        return found
    body.decode()
    return None


def test_whatever_is_asked_for_is_accepted_or_refused_with_a_reason(door, catalogue):
    seen = set()

    @fuzzing.fuzzed(200)
    @given(bodies(catalogue))
    @example(b'{"job_id": "job-1", "job_type": "pricing_summary", "input_data": {"\\ud800": 1}}')
    def check(body):
        answer = door.ask(request(b"POST", b"/process-job", body, JSON_HEADERS))
        found = is_right(answer)
        seen.add(answer[0])
        assert answer[0] in (202, 409, 413, 422, 400)
        assert (answer[0] == 413) == (len(body) > LIMIT)
        if answer[0] == 202:
            names = [name.lower() for name in json.loads(body).get("input_data", {})]
            assert len(set(names)) == len(names), "of two values of one name, one was left out"
            followed = is_right(door.ask(request(b"GET", found["status_url"].encode(), headers=JSON_HEADERS)))
            assert followed["job_id"] == found["job_id"]
        elif answer[0] == 422:
            assert isinstance(found["field"], str)

    check()
    print(f"statuses {sorted(seen)}")
    assert {202, 409, 422} <= seen


def test_whatever_is_asked_of_any_route_no_answer_is_a_5xx(door):
    seen = set()

    @fuzzing.fuzzed(200)
    @given(
        st.sampled_from(METHODS),
        targets(door.ids),
        st.one_of(st.just([RIGHT]), st.just([RIGHT]), tokens.map(lambda line: [line])),
        other_headers,
        st.just(b"") | st.binary(max_size=50) | st.integers(0, 2 * LIMIT).map(bytes),
    )  # fmt: skip
    def check(method, target, token, headers, body):
        answer = door.ask(request(method, target, body, [*token, *headers]), method.decode())
        if re.search(rb"[^\x21-\x7e]", target) or b"\x7f" in b"".join(headers + token):
            assert answer is None or answer[0] in (400, 404)  # no HTTP at all: the server's own answer
            return
        is_right(answer, method)
        seen.add(answer[0])

    check()
    assert {200, 401, 404, 405, 422} <= seen


def test_whatever_is_no_http_is_refused_and_disturbs_nobody(door):
    whole = request(b"POST", b"/process-job", b'{"job_id": "x"}', JSON_HEADERS)
    lengths = [b"-1", b"0", b"5", b"99", b"9" * 30, b"0x10", b"1e3", b"15, 15", b"15\r\nContent-Length: 16", b"\xb2"]
    chunks = [
        b"0\r\n\r\n",
        b"f\r\n{",
        b"-1\r\n",
        b"zz\r\n",
        b"f" * 20 + b"\r\n",
        b'5;x=\x00\r\n{"a":\r\n0\r\n\r\n',
        b"",
    ]
    lines = [b"GET / HTTP/9.9", b"GET /", b"\x00", b"GET  /jobs HTTP/1.1", b"PRI * HTTP/2.0", b"\x16\x03\x01\x02", b""]

    chunked = [*JSON_HEADERS, b"Transfer-Encoding: chunked"]

    @fuzzing.fuzzed(100)
    @given(
        st.one_of(
            st.binary(max_size=300),
            st.integers(0, len(whole)).map(lambda end: whole[:end]),
            st.tuples(st.integers(0, len(whole)), st.binary(min_size=1, max_size=3)).map(
                lambda two: whole[: two[0]] + two[1] + whole[two[0] :]
            ),
            st.sampled_from(lengths).map(lambda length: whole.replace(b"Length: 15", b"Length: " + length)),
            st.sampled_from(chunks).map(
                lambda chunk: request(b"POST", b"/process-job", chunk, chunked, length=False)
            ),
            st.tuples(st.sampled_from(lines), st.binary(max_size=50)).map(lambda two: b"\r\n".join([*two, b"", b""])),
            st.integers(1, 200_000).map(lambda size: request(b"GET", b"/jobs", headers=[b"X-Long: " + b"x" * size])),
        )
    )  # fmt: skip
    def check(raw):
        answer = door.ask(raw, "", hang_up=True)
        if answer is None or (answer[0] == 400 and answer[2] == b"Invalid HTTP request received."):
            return
        is_right(answer)

    check()
    assert is_right(door.ask(request(b"GET", b"/health")))["status"] == "healthy"


def test_two_values_of_one_name_are_refused(door):
    for name in ("Delta", "FORMAT"):
        data = {"delta": 90, "format": "CSV", name: "CSV"}
        body = json.dumps({"job_id": "twice", "job_type": "pricing_summary", "input_data": data}).encode()
        answer = door.ask(request(b"POST", b"/process-job", body, JSON_HEADERS))
        assert answer[0] == 422
        assert is_right(answer)["field"] == f"input_data.{name.lower()}"
