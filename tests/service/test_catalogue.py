"""The catalogue: what is right loads, and what is wrong names its file and key."""

import datetime

import pytest

from report_service.catalogue import CatalogueError, OutputFormat, load_catalogue
from report_service.errors import RequestError
from report_service.parameters import Parameter, check_parameters
from report_service.query_text import parse_query

HEAD = 'title = "T"\ndescription = "D"\nsource = "DB.S"\n'
DELTA = '[[parameters]]\nname = "delta"\ntype = "integer"\n'


@pytest.fixture
def write(tmp_path):
    def write_report(toml, sql="SELECT A FROM DB.S.T", name="my_report"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "report.toml").write_text(toml)
        (folder / "query.sql").write_text(sql)
        return tmp_path

    return write_report


def test_the_shipped_catalogue_holds_the_four_reports(catalogue):
    assert catalogue.keys() >= {"customer_balance", "order_priority", "pricing_summary", "sales_report"}


def test_a_report_is_found_in_any_case(catalogue):
    assert catalogue.find("Sales_REPORT ").name == "sales_report"


def test_an_unknown_report_names_the_nearest_one(catalogue):
    with pytest.raises(RequestError, match="Did you mean sales_report"):
        catalogue.find("sales_reprot")


@pytest.mark.parametrize("given", [None, 7, "", "../secrets", "sales_report; DROP"])
def test_nonsense_in_the_place_of_a_name_is_an_unknown_report(catalogue, given):
    with pytest.raises(RequestError) as refused:
        catalogue.find(given)
    assert refused.value.code == "UNKNOWN_REPORT"


@pytest.mark.parametrize(
    ("toml", "sql", "words"),
    [
        ("title = ", "SELECT A FROM DB.S.T", ["report.toml"]),
        ('title = "T"', "SELECT A FROM DB.S.T", ["report.toml", "description", "required"]),
        (HEAD.replace('title = "', 'title = "two\\nlines '), "SELECT A FROM DB.S.T", ["report.toml", "title", "two"]),
        (HEAD + "colour = 1", "SELECT A FROM DB.S.T", ["report.toml", "colour"]),
        (HEAD + 'formats = ["DOCX"]', "SELECT A FROM DB.S.T", ["report.toml", "formats", "DOCX", "CSV"]),
        (HEAD + "limits = { rows = 0 }", "SELECT A FROM DB.S.T", ["report.toml", "limits.rows", "0"]),
        (HEAD + DELTA, "SELECT A FROM DB.S.T", ["report.toml", "delta", "never used"]),
        (HEAD, "SELECT A FROM DB.S.T WHERE A = :delta", ["query.sql", "delta", "not declared"]),
        (
            HEAD + DELTA + 'default = "x"',
            "SELECT A FROM DB.S.T WHERE A = :delta",
            ["report.toml", "parameters", "default"],
        ),
        (
            HEAD + DELTA + "default = 5\nmaximum = 4",
            "SELECT A FROM DB.S.T WHERE A = :delta",
            ["default", "not above 4"],
        ),
        (HEAD, "DELETE FROM DB.S.T", ["query.sql", "DELETE", "SELECT"]),
        (HEAD, "SELECT A FROM DB.S.T; DROP TABLE DB.S.T", ["query.sql", "line 1", "one statement"]),
        (HEAD, "SELECT A FROM DB.S.T WHERE A = ?", ["query.sql", "'?'"]),
        (HEAD, "SELECT A FROM DB.S.T WHERE A = %(x)s", ["query.sql", ":name"]),
        (HEAD, "SELECT A FROM DB.S.T WHERE A = {{ x }}", ["query.sql", ":name"]),
        (HEAD, "SELECT A FROM OTHER.S.T", ["report.toml", "source", "DB.S"]),
        (HEAD, "SELECT A FROM T", ["report.toml", "source", "in full, as in FROM DB.S.NAME"]),
        (HEAD, "SELECT A FROM DB.S.T JOIN other.S.U ON 1 = 1", ["report.toml", "source", "other.S.U", "not in DB.S"]),
        (HEAD, "SELECT A FROM DB.S.T, DB.S2.U", ["report.toml", "source", "DB.S2.U"]),
        (HEAD, 'SELECT A FROM DB.S.T, "OTHER"."S"."U"', ["report.toml", "source", "OTHER.S.U"]),
        (HEAD, 'SELECT A FROM DB.S.T, OTHER . "S" . U', ["report.toml", "source", "OTHER.S.U"]),
        (HEAD, "SELECT A FROM DB.S.T, OTHER..U", ["report.toml", "source", "OTHER..U"]),
        (HEAD + '[columns]\nzzz = { label = "Z" }', "SELECT A FROM DB.S.T", ["report.toml", "columns", "ZZZ"]),
        (
            HEAD + '[columns]\na = { kind = "percent", total = true }',
            "SELECT A FROM DB.S.T",
            ["report.toml", "columns.a.total", "percent", "integer, decimal, money"],
        ),
        (HEAD + "[columns]\na = { total = true }", "SELECT A FROM DB.S.T", ["columns.a.total", "kind is missing"]),
        (HEAD + "[columns]\na = { kind = 'money', total = 1 }", "SELECT A FROM DB.S.T", ["columns.a.total", "1"]),
        (
            HEAD + '[chart]\nkind = "pie"\ntitle = "x"\ncategory = "a"\nvalues = ["a"]',
            "SELECT A FROM DB.S.T",
            ["chart.kind", "pie"],
        ),
    ],
)
def test_a_wrong_report_fails_with_its_file_and_key(write, toml, sql, words):
    with pytest.raises(CatalogueError) as wrong:
        load_catalogue(write(toml, sql))
    assert "my_report" in str(wrong.value)
    for word in words:
        assert word in str(wrong.value)


def test_all_wrong_reports_are_told_at_once(write, tmp_path):
    write(HEAD + "x = 1", name="first")
    write(HEAD, "DROP TABLE T", name="second")
    write(HEAD, name="Third")
    with pytest.raises(CatalogueError) as wrong:
        load_catalogue(tmp_path)
    assert all(name in str(wrong.value) for name in ("first", "second", "Third"))


def test_a_missing_query_is_told(write):
    directory = write(HEAD)
    (directory / "my_report" / "query.sql").unlink()
    with pytest.raises(CatalogueError, match=r"query\.sql is missing"):
        load_catalogue(directory)


def test_a_folder_added_is_a_report_added(write):
    assert load_catalogue(write(HEAD))["my_report"].definition.formats == tuple(OutputFormat)


def test_a_path_into_a_variant_and_a_quoted_name_of_the_source_lead_nowhere_else(write):
    sql = """SELECT V:one.two.three::NUMBER AS A, T.V:one.two.three, 'OTHER.S.T' FROM "DB"."S"."T" AS T -- OTHER.S.T"""
    assert list(load_catalogue(write(HEAD, f"{sql}\nJOIN DB.S.U ON TRUE"))) == ["my_report"]


def test_only_names_after_a_colon_are_bound():
    query = parse_query(
        "-- :comment\nSELECT A::DATE, V:path.x, ':text', \":quoted\" FROM T "
        "WHERE A = :One AND B IN (:two, :one) /* :c */"
    )
    assert query.names == ("one", "two", "one")
    assert query.sql.count("?") == 3
    assert query.values({"one": 1, "two": 2}) == (1, 2, 1)


TYPES = [
    (
        {"type": "date", "minimum": datetime.date(1992, 1, 1)},
        ["1992-01-01"],
        ["1991-12-31", "1992-1-1", "1997-W01-1", 19920101, ""],
    ),
    ({"type": "integer", "minimum": 0, "maximum": 10}, [0, 10, 5.0], [-1, 11, 5.5, "5", True, float("nan"), 1e300]),
    ({"type": "number", "maximum": 1.5}, [1.5, -3, 0], [1.6, "1", False, float("inf"), 10**400]),
    ({"type": "string", "max_length": 3}, ["", "abc", "é=1"], ["abcd", 1, None, "a\x00"]),
    ({"type": "boolean"}, [True, False], [0, "true", None]),
    ({"type": "choice", "choices": ["A", "B"]}, ["A"], ["a", "C", "' OR 1=1", 1]),
]


@pytest.mark.parametrize(("declared", "good", "bad"), TYPES)
def test_a_parameter_takes_values_of_its_type_and_bounds_only(declared, good, bad):
    parameter = Parameter(name="p", **declared)
    for value in good:
        parameter.check(value)
    for value in bad:
        with pytest.raises(RequestError, match="Parameter p is .*; .* allowed") as refused:
            parameter.check(value)
        assert refused.value.field == "p"


def test_a_number_in_quotes_is_told_to_be_a_text():
    with pytest.raises(RequestError, match=r"Parameter p is the text '5'; a whole number not above 9 is allowed\."):
        Parameter(name="p", type="integer", maximum=9).check("5")


def test_a_missing_parameter_without_default_is_asked_for():
    with pytest.raises(RequestError, match=r"r needs p \(a whole number\)"):
        check_parameters((Parameter(name="p", type="integer"),), {}, "r")


def test_everything_that_is_wrong_with_the_parameters_is_told_at_once():
    declared = tuple(Parameter(name=name, type="integer", maximum=5) for name in ("first", "second", "third"))
    with pytest.raises(RequestError) as refused:
        check_parameters(declared, {"frist": 1, "SECOND": 6, "Third": 3, "third": 4}, "r")
    assert refused.value.field == "frist"
    assert refused.value.message == (
        "r has no parameter 'frist'; it takes first, second, third. Did you mean first? "
        "Parameter 'third' is given twice; once is allowed. "
        "Parameter second is 6; a whole number not above 5 is allowed. "
        "r needs first (a whole number not above 5); the request gives no value for it."
    )


def test_defaults_fill_in_and_names_count_in_any_case():
    declared = (Parameter(name="p", type="integer", default=3), Parameter(name="q", type="boolean"))
    assert check_parameters(declared, {"Q": True}, "r") == {"p": 3, "q": True}
