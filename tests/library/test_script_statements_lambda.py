"""How a SQL file is cut into statements and filled, with the cases that cut wrongly elsewhere."""

import random

import pytest

from snowgate.lambdas.snowflake_deployer.statements import ScriptError, digest, fill, parse, split

HEADER = "-- Makes: a table\n-- On delete: DROP TABLE IF EXISTS D.S.T\n"


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


def test_the_header_says_what_a_file_makes_drops_and_keeps():
    script = parse(
        "020.sql",
        "-- Makes: table T and view V\n-- On delete: DROP VIEW IF EXISTS D.S.V;\n"
        "-- On delete: keep TABLE D.S.T\n\nSELECT 1;",
    )
    assert script.makes == ("table T and view V",)
    assert script.drops == ("DROP VIEW IF EXISTS D.S.V",)
    assert script.keeps == ("keep TABLE D.S.T",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("-- On delete: keep nothing\nSELECT 1;", "a line '-- Makes: …' is missing"),
        ("-- Makes: nothing\nSELECT 1;", "a line '-- On delete: …' is missing"),
        ("SELECT 1;\n" + HEADER, "is missing before the first statement"),
        ("-- Makes: a\n-- On delete: SELECT 1\n", "must be a DROP, ALTER or REVOKE statement"),
    ],
)
def test_a_file_without_a_full_header_is_refused(text, said):
    with pytest.raises(ScriptError, match=said):
        parse("010.sql", text)


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
