"""How a SQL file is cut into statements and filled, with the cases that cut wrongly elsewhere."""

import random

import pytest

from snowgate.lambdas.snowflake_deployer.statements import (
    ScriptError,
    digest,
    fill,
    fill_secrets,
    parse,
    read_all,
    split,
)

HEADER = "-- Makes and keeps: TABLE D.S.T\n"


def texts(script):
    return [statement.text for statement in split("x.sql", script)]


@pytest.mark.parametrize(
    ("script", "statements"),
    [
        ("", []),
        (" \n;;\n ; ", []),
        ("-- only a comment; here\n/* and; here */", []),
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 1;\n\nSELECT 2;", ["SELECT 1", "SELECT 2"]),
        ("SELECT 'a;b'; SELECT 2", ["SELECT 'a;b'", "SELECT 2"]),
        ("SELECT 'it''s; fine'; SELECT 2", ["SELECT 'it''s; fine'", "SELECT 2"]),
        (r"SELECT 'it\'s; fine'; SELECT 2", [r"SELECT 'it\'s; fine'", "SELECT 2"]),
        (r"SELECT '\\'; SELECT 2", [r"SELECT '\\'", "SELECT 2"]),
        ("SELECT 'a -- b;\nc'; SELECT 2", ["SELECT 'a -- b;\nc'", "SELECT 2"]),
        ('SELECT "a;""b" FROM T; SELECT 2', ['SELECT "a;""b" FROM T', "SELECT 2"]),
        ("SELECT 1 -- one; two\n, 2; SELECT 3", ["SELECT 1 -- one; two\n, 2", "SELECT 3"]),
        ("SELECT 1 // one; two\n; SELECT 3", ["SELECT 1", "SELECT 3"]),
        ("SELECT 'https://a;b'; SELECT 2", ["SELECT 'https://a;b'", "SELECT 2"]),
        ("SELECT /* ; ' $$ */ 1; SELECT 2", ["SELECT /* ; ' $$ */ 1", "SELECT 2"]),
        ("-- it's a comment\nSELECT 1; -- don't\nSELECT 2 -- last", ["SELECT 1", "SELECT 2"]),
        ("CREATE P AS $$\na = 'x;'\n# it's; \n$$; SELECT 2", ["CREATE P AS $$\na = 'x;'\n# it's; \n$$", "SELECT 2"]),
        ("AS $$ costs $5; $$; SELECT $1", ["AS $$ costs $5; $$", "SELECT $1"]),
        ("SELECT 5 / 2 - 1; SELECT 2", ["SELECT 5 / 2 - 1", "SELECT 2"]),
        ("SELECT 'ü€'; SELECT '😀;'", ["SELECT 'ü€'", "SELECT '😀;'"]),
    ],
)
def test_a_script_is_cut_only_at_semicolons_between_statements(script, statements):
    assert texts(script) == statements


def test_any_mixture_of_statements_comes_apart_as_it_was_put_together():
    pieces = [
        *("SELECT 1", "SELECT 'a;''b'", 'SELECT ";" FROM "T"', "AS $$\n;'\"--\n$$", "SELECT 1 /* ; */ + 2"),
        *("SELECT 1 --;\n+ 1", r"SELECT '\';'", "SELECT 'x' || '--' || ';'"),
    ]
    between = [";", ";\n", " ; -- it's; \n", ";/* ' ; $$ */", ";\n\n;", '; // "\n']
    chance = random.Random(2)
    for _ in range(300):
        chosen = [chance.choice(pieces) for _ in range(chance.randrange(8))]
        script = "".join(piece + chance.choice(between) for piece in chosen)
        assert texts(script) == chosen


def test_a_statement_knows_its_number_and_its_first_line():
    second = split("x.sql", "-- one\nSELECT 1;\n\n-- two\nSELECT\n  2;")[1]
    assert (second.number, second.line, second.first_line) == (2, 5, "SELECT")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("SELECT 1;\nSELECT 'open;", "x.sql line 2: this string is not closed"),
        ('SELECT "open;', "x.sql line 1: this quoted name is not closed"),
        ("\n\nAS $$ body;", r"x.sql line 3: this \$\$ body is not closed"),
        ("SELECT 1; /* open", r"x.sql line 1: this comment is not closed"),
    ],
)
def test_what_is_not_closed_is_named_with_its_line(script, said):
    with pytest.raises(ScriptError, match=said):
        split("x.sql", script)


def test_the_header_names_each_object_in_order_and_what_delete_does_with_it():
    script = parse(
        "020.sql",
        "-- Tables and views.\n-- Makes and keeps: TABLE D.S.T\n-- Makes and drops: VIEW D.S.V\n"
        "-- Makes and drops: PROCEDURE D.S.P(VARCHAR, NUMBER(38, 0))\n\nSELECT 1;",
    )
    assert [str(made) for made in script.makes] == [
        "TABLE D.S.T",
        "VIEW D.S.V",
        "PROCEDURE D.S.P(VARCHAR, NUMBER(38, 0))",
    ]
    assert [made.kept for made in script.makes] == [True, False, False]
    assert script.makes[2].drop == "DROP PROCEDURE IF EXISTS D.S.P(VARCHAR, NUMBER(38, 0))"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("-- Tables.\nSELECT 1;", "010.sql: a line '-- Makes and drops: KIND NAME' or .* is missing"),
        ("SELECT 1;\n" + HEADER, "is missing before the first statement"),
        (HEADER, "a statement is missing"),
        ("-- Tables.\n-- Makes: table T\nSELECT 1;", "010.sql line 2: '-- Makes: table T' must read"),
        ("-- On delete: DROP TABLE T\nSELECT 1;", "line 1: .* must read"),
        ("-- Makes and drops: TABLE T\nSELECT 1;", "010.sql line 1: 'TABLE T' must name one TABLE by 3"),
        ("-- Makes and drops: THING D.S.T\nSELECT 1;", "must begin with one of SCHEMA, TABLE"),
        ("-- Makes and drops: FUNCTION D.S.F\nSELECT 1;", "needs its argument types"),
    ],
)
def test_a_file_without_a_full_header_is_refused(text, said):
    with pytest.raises(ScriptError, match=said):
        parse("010.sql", text)


@pytest.mark.parametrize(
    "statement",
    [
        "BEGIN",
        "begin transaction",
        "START  TRANSACTION",
        "COMMIT WORK",
        "ROLLBACK",
        "ALTER SESSION SET AUTOCOMMIT = FALSE",
    ],
)
def test_a_transaction_is_refused_outside_bodies(statement):
    with pytest.raises(ScriptError, match=rf"010.sql line 3: '{statement}' is refused, because DDL commits"):
        parse("010.sql", f"{HEADER}\n{statement};\nSELECT 1;")
    body = f"{HEADER}-- Makes and drops: PROCEDURE D.S.P()\nCREATE PROCEDURE P AS $$\n{statement};\n$$;"
    assert len(parse("010.sql", body).statements) == 1


def test_files_come_in_order_and_those_that_are_empty_are_left_out():
    texts = {
        "020.sql": HEADER.replace("S.T", "S.U") + "SELECT 2;",
        "015.sql": " \n-- nothing\n",
        "010.sql": HEADER + "SELECT 1;",
    }
    assert [script.name for script in read_all(texts)] == ["010.sql", "020.sql"]


def test_an_object_has_one_maker_and_a_role_may_get_grants_from_several():
    with pytest.raises(ScriptError, match=r"020.sql: TABLE D.S.T is made by 010.sql already"):
        read_all({"010.sql": HEADER + "SELECT 1;", "020.sql": HEADER + "SELECT 2;"})
    grants = "-- Makes and keeps: GRANTS TO ROLE R\nSELECT 1;"
    assert len(read_all({"010.sql": grants, "020.sql": grants})) == 2


def test_a_files_digest_follows_what_it_does_and_not_its_comments():
    def found(text):
        return parse("x.sql", text).digest

    first = found(HEADER + "SELECT 1;\nSELECT 2;")
    assert found(HEADER + "-- why\nSELECT 1;\n\n\nSELECT 2") == first
    assert found(HEADER + "SELECT 1;\nSELECT 3;") != first
    assert found(HEADER.replace("keeps", "drops") + "SELECT 1;\nSELECT 2;") != first


def test_secrets_are_named_by_a_file_and_filled_in_apart_from_all_else():
    text = fill("x.sql", "SET A = '${secret:token}', B = '${url}'", {"url": "https://a"})
    assert parse("x.sql", HEADER + text).secrets == {"token"}
    assert text == "SET A = '${secret:token}', B = 'https://a'"
    assert fill_secrets(text, {"token": "T0-k"}) == "SET A = 'T0-k', B = 'https://a'"


def test_a_secret_that_could_change_the_statement_is_refused_and_not_shown():
    with pytest.raises(ScriptError, match=r"The value of \$\{secret:token\} has a quote") as refused:
        fill_secrets("SET A = '${secret:token}'", {"token": "CANARY';DROP"})
    assert "CANARY" not in str(refused.value)


def test_markers_are_filled_with_the_deploys_values():
    assert fill("x.sql", "AS '${url}/${stage}'", {"url": "https://a.b", "stage": "prod"}) == "AS 'https://a.b/prod'"


def test_a_marker_without_a_value_is_named_with_its_line():
    with pytest.raises(ScriptError, match=r"x.sql line 2: \$\{url\} has no value; given are: arn, key"):
        fill("x.sql", "SELECT 1;\nSELECT '${url}'", {"key": "1", "arn": "2"})


@pytest.mark.parametrize("value", ["it's", "a\nb", "a\\b", "$$", '"', "a;b"])
def test_a_value_that_could_change_the_statement_is_refused(value):
    with pytest.raises(ScriptError, match=r"x.sql line 1: the value of \$\{name\} has a quote") as refused:
        fill("x.sql", "SELECT '${name}'", {"name": value})
    assert value not in str(refused.value).replace("${name}", "")  # it may be a secret


def test_digests_tell_where_texts_begin():
    assert digest("ab", "c") != digest("a", "bc")
    assert digest("a") == digest("a")
