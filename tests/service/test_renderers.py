"""The files, read back by readers that know nothing of their writers."""

import csv
import ctypes
import datetime
import gc
import io
import re
import weakref
import zipfile
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pypdfium2
import pytest
import xlsxwriter
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.pdfdoc import PDFDocument
from reportlab.pdfgen.canvas import Canvas

from report_service.catalogue import Chart, Column, CsvForm, Definition
from report_service.errors import ReportError
from report_service.renderers import ReportFacts, pdf_file, resolve_columns
from report_service.renderers.csv_file import CsvRenderer
from report_service.renderers.excel_file import ExcelRenderer
from report_service.renderers.parquet_file import ParquetRenderer
from report_service.renderers.pdf_file import PdfRenderer
from report_service.renderers.pdf_fonts import Typesetter

DANGEROUS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("http://x")', "=cmd|' /C calc'!A0"]
DANGEROUS += ["\n=1", " =1+1", "\u00a0=1", "\u200b=1", "\ufeff@x", "＝1+1", "＋1", "－1", "＠x", " \t-1", "\ttext"]


class Stream(io.BufferedWriter):
    """A file that can only be written to, from its beginning to its end, as an upload can."""

    def __init__(self, path):
        super().__init__(path.open("wb", buffering=0))

    def seekable(self):
        return False

    def write(self, data):  # as an upload does after an error
        return len(data) if self.closed else super().write(data)

    def flush(self):
        if not self.closed:
            super().flush()

    def tell(self):
        return 0 if self.closed else super().tell()

    def seek(self, *_):
        raise io.UnsupportedOperation("seek")


def facts(**changes):
    given = {
        "name": "r",
        "title": "A title",
        "description": "What it is.",
        "source": "DB.S",
        "parameters": (("From", "1997-01-01"),),
        "generated_at": datetime.datetime(2026, 1, 2, 3, 4, 5),
        "requested_by": "ANALYST",
        "config_id": 7,
    }
    return ReportFacts(**(given | changes))


def definition(**columns):
    labels = {name: column if isinstance(column, Column) else Column(label=column) for name, column in columns.items()}
    return Definition(title="A title", description="What it is.", source="DB.S", columns=labels)


@pytest.fixture
def write(tmp_path):
    def write_file(renderer, table, *, columns=None, chunk=None, **changes):
        path = tmp_path / f"r.{renderer.extension}"
        batches = iter(table.to_batches(max_chunksize=chunk))
        resolved = resolve_columns(columns or definition(), table.schema)
        with Stream(path) as file:
            assert renderer.write(facts(**changes), resolved, batches, file) == table.num_rows
        return path

    return write_file


def lines(path):
    return list(csv.reader(io.StringIO(path.read_bytes().decode(), newline="")))


def pdf_text(path):
    return "\n".join(page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(path))


MIXED = pa.table(
    {
        "TEXT": ["plain", 'with "quotes", commas', "two\nlines", "", None, "é 株 😀"],
        "MONEY": pa.array(
            [Decimal(value) for value in ("1.50", "-0.01", "0.00", "99999999999999.99", "7.10")] + [None],
            pa.decimal128(38, 2),
        ),
        "COUNT": [1, -2, 3, None, 5, 9007199254740993],
        "DAY": [datetime.date(1998, 1, 2), None, datetime.date(1850, 1, 1)] + [datetime.date(2000, 2, 29)] * 3,
        "AT": pa.array([datetime.datetime(2020, 1, 1, 1, 2, 3, 500000)] * 6, pa.timestamp("ns")),
        "RATE": [0.5, float("nan"), 1e300, None, -1.25, 0.1],
        "FLAG": [True, False, None, True, True, False],
    }
)


def test_csv_is_what_rfc_4180_says_and_reads_back_equal(write):
    path = write(CsvRenderer(), MIXED, chunk=2)
    header, *rows = lines(path)
    assert header == MIXED.schema.names
    assert [line[0] for line in rows] == ["plain", 'with "quotes", commas', "two\nlines", "", "", "é 株 😀"]
    assert [line[1] for line in rows] == ["1.50", "-0.01", "0.00", "99999999999999.99", "7.10", ""]
    assert [line[2] for line in rows] == ["1", "-2", "3", "", "5", "9007199254740993"]
    assert [line[3] for line in rows][:3] == ["1998-01-02", "", "1850-01-01"]
    content = path.read_bytes()
    assert content.count(b"\r\n") == 7
    assert content.count(b"\n") == 8  # the line feed inside a text stays one
    assert b'\r\n"",' in content  # an empty text
    assert b"\r\n,7.10" in content  # NULL


def test_csv_text_that_looks_like_a_formula_is_made_harmless_and_numbers_are_not_touched(write):
    table = pa.table({"A": [*DANGEROUS, "a=b", "1-1"], "N": [-1] * (len(DANGEROUS) + 2)})
    rows = lines(write(CsvRenderer(), table))[1:]
    assert [line[0] for line in rows] == [f"'{text}" for text in DANGEROUS] + ["a=b", "1-1"]
    assert {line[1] for line in rows} == {"-1"}


def test_csv_names_of_columns_are_made_harmless_too(write):
    table = pa.table({text: ["x"] for text in [*DANGEROUS, "PLAIN", 'with "quotes", commas']})
    assert lines(write(CsvRenderer(), table))[0] == [f"'{text}" for text in DANGEROUS] + [
        "PLAIN",
        'with "quotes", commas',
    ]


MARKS = {"utf-8": b"", "utf-8-sig": b"\xef\xbb\xbf", "utf-16": b"\xff\xfe", "windows-1252": b""}


@pytest.mark.parametrize("encoding", MARKS)
def test_csv_has_the_delimiter_and_the_encoding_that_the_report_declares(write, encoding):
    table = pa.table({"A": ["Zürich; Genève", "€ 5", None], "B": [1.5, -2.0, None]})
    renderer = CsvRenderer(CsvForm(delimiter=";", encoding=encoding))
    content = write(renderer, table, chunk=2).read_bytes()
    assert content.startswith(MARKS[encoding])
    text = content.decode(encoding)
    assert text == '"A";"B"\r\n"Zürich; Genève";1.5\r\n"€ 5";-2\r\n;\r\n'
    assert f"charset={encoding.removesuffix('-sig')};" in renderer.media_type


TINY = ["0E-8", "1E-8", "-0.00000123", "0.000001", "-12345.00000001", "7"]


@pytest.mark.parametrize("kind", [pa.decimal128(18, 8), pa.decimal128(38, 30), pa.decimal256(60, 8)], ids=str)
def test_numbers_in_decimal_have_all_their_digits_and_no_exponent_however_small_they_are(write, kind):
    values = [Decimal(text) for text in TINY]
    shown = [f"{value:.{kind.scale}f}" for value in values] + [""]
    texts = ["-1", "\ue002", "a\n\ue0020", "\ue000\ue001", "", "=1", None]
    table = pa.table({"N": pa.array([*values, None], kind), "T": texts, "M": pa.array([None, *values], kind)})
    path = write(CsvRenderer(), table, chunk=4)
    assert [line[0] for line in lines(path)[1:]] == shown
    assert [line[1] for line in lines(path)[1:]] == ["'-1", *texts[1:5], "'=1", ""]
    assert [line[2] for line in lines(path)[1:]] == ["", *shown[:-1]]
    assert f"\r\n{shown[1]},".encode() in path.read_bytes()  # no quotes: it is a number
    alone = write(CsvRenderer(), table.select(["N"]))
    assert [line[0] for line in lines(alone)[1:]] == shown
    columns = definition(n=Column(kind="text"))
    sheet = openpyxl.load_workbook(write(ExcelRenderer(), table, columns=columns))["Data"]
    assert [cell.value for cell in sheet["A"]][1:] == [*shown[:-1], None]


@pytest.mark.parametrize(("name", "value", "place"), [("株", "a", "Column 株 holds"), ("A", "😀", "Column A holds")])
def test_csv_refuses_what_its_encoding_does_not_have_by_the_name_of_the_column(write, name, value, place):
    renderer = CsvRenderer(CsvForm(encoding="windows-1252"))
    with pytest.raises(ReportError, match=place):
        write(renderer, pa.table({"B": ["fits"], name: [value]}))


@pytest.mark.parametrize("text", ["\ue000\nb", "a\n\ue000", "\ue000\ue001\nb", "a\n\ue001", "\ue000\n\n\ue001"])
def test_csv_text_keeps_the_order_of_its_line_feeds_and_private_characters(write, text):
    assert lines(write(CsvRenderer(), pa.table({"A": [text]})))[1] == [text]


def test_excel_cells_have_their_types(write):
    path = write(ExcelRenderer(), MIXED, columns=definition(money="Sum"))
    sheet = openpyxl.load_workbook(path)["Data"]
    header, *rows = list(sheet.values)
    assert header[:3] == ("Text", "Sum", "Count")
    assert rows[0][:2] == ("plain", 1.5)
    assert rows[0][3] == datetime.datetime(1998, 1, 2)
    assert rows[0][4] == datetime.datetime(2020, 1, 1, 1, 2, 3, 500000)
    assert rows[0][6] is True
    assert rows[1][5] == "nan"
    assert rows[2][3] == "1850-01-01"  # Excel knows no date before 1900
    assert rows[3][1] == 100000000000000  # nor a number of 16 digits
    assert rows[5][2] == 9007199254740990
    assert rows[2][0] == "two\nlines"
    assert sheet["B2"].number_format == "#,##0.00"
    assert sheet["D2"].alignment.horizontal == "left"  # below its heading, as in the PDF
    assert sheet["A1"].font.bold
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == "A1:G7"
    assert openpyxl.load_workbook(path, read_only=True)["Data"].calculate_dimension() == "A1:G7"
    assert sheet.column_dimensions["A"].width > 20


def test_excel_writes_every_value_of_a_numeric_column_as_a_number_and_says_what_it_rounded(write):
    exact = ["1.5000000000", "-2.2500000000", "0.0000000000"]
    precise = ["123456789012345678901234567.1234567891", "-37734107.1234567891", "56586554400.7300000001"]
    table = pa.table(
        {
            "EXACT": pa.array(map(Decimal, exact * 2), pa.decimal128(38, 10)),
            "PRECISE": pa.array(map(Decimal, exact + precise), pa.decimal128(38, 10)),
            "HUGE": pa.array([Decimal(10**37 + 1), Decimal(-(10**20) - 7), *map(Decimal, range(4))], pa.decimal128(38)),
            "LONG": [2**63 - 1, -(2**63), 0, 1, 2, 10**17],
            "KEY": [9007199254740993] * 6,
        }
    )
    columns = definition(precise="Charge", key=Column(label="Key", kind="text"))
    book = openpyxl.load_workbook(write(ExcelRenderer(), table, columns=columns))
    rows = list(book["Data"].iter_rows(min_row=2))
    assert {cell.data_type for row in rows for cell in row[:4]} == {"n"}
    assert {type(cell.value) for row in rows for cell in row[:4]} <= {int, float}
    assert [row[1].value for row in rows[3:]] == [1.23456789012346e26, -37734107.1234568, 56586554400.73]
    assert {row[4].value for row in rows} == {"9007199254740993"}  # what is declared a text keeps its digits
    about = dict(list(book["About"].values)[2:])
    assert about["Rounded"].startswith("Charge, Huge, Long: Excel holds 15 digits of a number")


def test_excel_says_which_columns_hold_what_is_not_a_number(write):
    columns = definition(rate="Rate")
    book = openpyxl.load_workbook(write(ExcelRenderer(), pa.table({"RATE": [0.5, float("nan")]}), columns=columns))
    about = dict(list(book["About"].values)[2:])
    assert about["Not numbers"].startswith("Rate: NaN and infinite values are written as text")
    assert "Rounded" not in about


def test_excel_text_is_never_a_formula_or_a_link(write):
    path = write(ExcelRenderer(), pa.table({"A": [*DANGEROUS, "http://example.com", "mailto:a@b.org"]}))
    sheet = openpyxl.load_workbook(path)["Data"]
    cells = [cell for (cell,) in sheet.iter_rows(min_row=2)]
    assert {cell.data_type for cell in cells} == {"s"}
    assert all(cell.hyperlink is None for cell in cells)
    assert cells[0].value == "=1+1"


def test_excel_rows_that_tell_about_the_data_are_as_high_as_their_texts(write):
    path = write(ExcelRenderer(), pa.table({"A": [1]}), description="word " * 30, parameters=(("Note", "a\n\nb"),))
    heights = openpyxl.load_workbook(path)["About"].row_dimensions
    assert [heights[row].height for row in (3, 4, 5)] == [30, 45, None]


def test_excel_goes_on_in_another_sheet_and_says_so(write):
    path = write(ExcelRenderer(sheet_rows=4), pa.table({"A": list(range(7))}), chunk=2)
    book = openpyxl.load_workbook(path)
    assert book.sheetnames == ["Data", "Data 2", "Data 3", "About"]
    assert [list(book[name].values)[1:] for name in book.sheetnames[:3]] == [
        [(0,), (1,), (2,)],
        [(3,), (4,), (5,)],
        [(6,)],
    ]
    assert ("Rows", "7 on 3 sheets") in list(book["About"].values)


def test_excel_goes_on_in_another_sheet_when_one_is_as_large_as_a_zip_can_hold(write):
    book = openpyxl.load_workbook(write(ExcelRenderer(sheet_bytes=1000), pa.table({"A": ["x" * 600] * 5}), chunk=1))
    assert [book[name].max_row - 1 for name in book.sheetnames[:-1]] == [2, 2, 1]
    assert ("Rows", "5 on 3 sheets") in list(book["About"].values)


def test_excel_refuses_more_than_a_file_can_hold(write, monkeypatch):
    monkeypatch.setattr("zipfile.ZIP64_LIMIT", 10_000)
    with pytest.raises(ReportError, match="r has more data than fit into a file of Excel .* Ask for CSV") as refused:
        write(ExcelRenderer(), pa.table({"A": ["x" * 600] * 50}))
    assert not refused.value.retry


def test_excel_refuses_more_columns_than_a_sheet_has_by_the_name_of_the_first_too_many(write):
    def table(columns):
        return pa.table({f"C{number}": [1] for number in range(1, columns + 1)})

    with pytest.raises(ReportError, match="16,385 columns .* no room for C16385") as refused:
        write(ExcelRenderer(), table(16_385))
    assert not refused.value.retry
    assert openpyxl.load_workbook(write(ExcelRenderer(), table(16_384)))["Data"].max_column == 16_384


SOLD = pa.table(
    {
        "REGION": ["EMEA", "APAC", "AMER"],
        "ITEMS": [1, None, 3],
        "NET": pa.array([Decimal("1.10"), Decimal("-0.35"), Decimal("2.20")], pa.decimal128(18, 2)),
        "NOTE": ["7", "8", "9"],
    }
)
SUMMED = {
    "region": Column(label="Region"),
    "items": Column(label="Items", kind="integer", total=True),
    "net": Column(label="Net", kind="money", total=True),
    "note": Column(label="Note", kind="money", total=True),  # the query's own type is text: it has no sum
}


def test_excel_totals_are_formulas_with_their_results_below_what_is_filtered(write):
    path = write(ExcelRenderer(), SOLD, columns=definition(**SUMMED))
    sheet = openpyxl.load_workbook(path)["Data"]
    assert list(sheet.values)[4:] == [("Total", "=SUM(B2:B4)", "=SUM(C2:C4)", None)]
    assert sheet["C5"].font.bold
    assert sheet["C5"].number_format == "#,##0.00"
    assert sheet.auto_filter.ref == "A1:D4"
    assert list(openpyxl.load_workbook(path, data_only=True)["Data"].values)[4] == ("Total", 4, 2.95, None)


def test_excel_totals_lose_nothing_on_the_way(write):
    exact = pa.array([Decimal(10**37), Decimal(1), Decimal(-(10**37))], pa.decimal128(38))
    table = pa.table({"EXACT": exact, "FLOATS": [1e300, 1, -1e300], "WHOLE": [2**63 - 1, 7, -(2**63 - 1)]})
    columns = definition(**dict.fromkeys(("exact", "floats", "whole"), Column(kind="decimal", total=True)))
    book = openpyxl.load_workbook(write(ExcelRenderer(), table, columns=columns, chunk=1), data_only=True)
    assert list(book["Data"].values)[4] == (1, 1, 7)
    widest = pa.table({"EXACT": pa.array([Decimal(10**38 - 1)] * 20, pa.decimal128(38))})
    book = openpyxl.load_workbook(write(ExcelRenderer(), widest, columns=columns), data_only=True)
    assert book["Data"]["A22"].value == 2e39


def test_excel_totals_of_several_sheets_are_values_on_the_last_one(write):
    book = openpyxl.load_workbook(write(ExcelRenderer(sheet_rows=4), SOLD, columns=definition(**SUMMED)))
    assert [sheet.max_row for sheet in book.worksheets[:-1]] == [3, 3]
    assert list(book["Data 2"].values)[2] == ("Total of all sheets", 4, 2.95, None)


def test_excel_of_nothing_has_no_totals(write):
    book = openpyxl.load_workbook(write(ExcelRenderer(), SOLD.slice(0, 0), columns=definition(**SUMMED)))
    assert list(book["Data"].values) == [("Region", "Items", "Net", "Note")]


def test_excel_shows_titles_labels_and_parameters_as_they_are(write):
    odd = ["<r><t>x</t></r>", "<r>&</r>", "&lt;", " =1+1 ", "https://example.com"]
    table = pa.table({f"C{number}": [1] for number in range(len(odd))})
    columns = definition(**{f"c{number}": label for number, label in enumerate(odd)})
    path = write(ExcelRenderer(), table, columns=columns, title=odd[0], parameters=tuple((text, text) for text in odd))
    book = openpyxl.load_workbook(path)
    assert [cell.value for cell in book["Data"][1]] == odd
    assert book["About"]["A1"].value == odd[0]
    assert [row for row in book["About"].values if row[0] in odd][1:] == [(text, text) for text in odd]


def test_xlsxwriter_still_has_what_the_sheet_takes_from_inside_it(tmp_path):
    with xlsxwriter.Workbook(tmp_path / "r.xlsx", {"constant_memory": True}) as book:
        sheet, cell_format = book.add_worksheet(), book.add_format({"bold": True})
        inside = [(sheet, "row_data_fh"), (sheet, "_check_dimensions"), (cell_format, "_get_xf_index")]
        missing = [f"{type(owner).__name__}.{name}" for owner, name in inside if not hasattr(owner, name)]
        assert not missing, f"XlsxWriter {xlsxwriter.__version__} has no {missing}: look at _Sheet in excel_file.py."
        sheet.write_number(0, 0, 1.5, cell_format)
        sheet.write_boolean(0, 1, True)
        sheet.write_string(1, 0, " <text>")  # which writes row 1 to the file
    ours = f'<row r="1"><c s="{cell_format._get_xf_index()}"><v>1.5</v></c><c t="b"><v>1</v></c></row>'
    with zipfile.ZipFile(tmp_path / "r.xlsx") as file:
        theirs = file.read("xl/worksheets/sheet1.xml").decode()
    assert ours in re.sub(r'(<c) r="[A-Z]+\d+"', r"\1", theirs), (
        "XlsxWriter writes cells in another way than excel_cells.py"
    )


def test_excel_refuses_a_text_that_no_cell_can_hold(write):
    with pytest.raises(ReportError, match="Column A holds a text of 32,768 characters in row 2"):
        write(ExcelRenderer(), pa.table({"A": ["x" * 32767, "x" * 32768]}))


def test_parquet_holds_no_more_than_a_group_however_long_its_rows_are(write):
    short = pa.table({"A": range(250_000)})
    long = pa.table({"A": [str(number) * 8_000 for number in range(1000, 4000)]})
    for table, groups in ((short, 3), (long, 2)):
        file = pq.ParquetFile(write(ParquetRenderer(), table, chunk=500))
        assert file.num_row_groups == groups
        assert file.read().equals(table)


def test_pdf_says_what_it_is_and_repeats_its_header_on_numbered_pages(write):
    table = pa.table({"NAME": [f"row {number}" for number in range(200)], "COUNT": list(range(1000, 1200))})
    path = write(PdfRenderer(), table, chunk=30, columns=definition(count="How many"))
    document = pypdfium2.PdfDocument(path)
    texts = [page.get_textpage().get_text_range() for page in document]
    for word in ("A title", "What it is.", "From", "1997-01-01", "2026-01-02 03:04:05 UTC", "200", "ANALYST"):
        assert word in texts[0]
    assert len(texts) > 2
    for number, text in enumerate(texts, start=1):
        assert "How many" in text
        assert f"Page {number} of {len(texts)}" in " ".join(text.split())
    shown = " ".join(texts)
    assert all(f"row {number}" in shown for number in range(200))


def test_pdf_numbers_are_right_aligned(write):
    path = write(PdfRenderer(), pa.table({"N": [1, 1234567], "T": ["a", "b"]}))
    page = pypdfium2.PdfDocument(path)[0].get_textpage()

    def right_edge(text):
        start, count = page.search(text).get_next()
        return page.get_charbox(start + count - 1)[2]

    assert right_edge("1,234,567") == pytest.approx(right_edge("1\r\n1,234,567"), abs=0.5)


def test_pdf_holds_accents_and_writes_what_it_cannot_show_as_code_points(write):
    words = ["Łódź Žižkov ÄÖÜß", "Ελληνικά Кириллица", "日本語 中文 한국어", "a 😀 b", "ไทย", "שלום"] * 20
    document = pypdfium2.PdfDocument(write(PdfRenderer(), pa.table({"T": words})))
    first, last = (document[number].get_textpage().get_text_range() for number in (0, len(document) - 1))
    for word in ("Łódź Žižkov ÄÖÜß", "Ελληνικά Кириллица", "日本語", "中文", "한국어", "a [U+1F600] b", "[U+0E44]"):
        assert word in last
    assert "written as [U+…], 160 times" in first  # and not on the last page, where nobody would look for it


def body_ink(path):
    """How many dark pixels the table of one row and one column has below its header."""
    page = pypdfium2.PdfDocument(path)[0]
    header = page.get_textpage().search("Head").get_next()[0]
    bottom = page.get_textpage().get_charbox(header)[1]
    scale = 3
    top = int((page.get_height() - bottom + 5) * scale)
    picture = page.render(scale=scale).to_pil().convert("L").crop((0, top, 600 * scale, top + 11 * scale))
    return sum(picture.histogram()[:120])


@pytest.mark.parametrize(
    "text", ["plain", "ąő", "Ωж", "日本語", "简体", "繁體", "한국어", "ﾊﾝｶｸ", "😀", "ไทย", "\u3164", "\ue000"]
)
def test_no_text_leaves_a_cell_of_the_pdf_blank(write, text):
    columns = definition(t="Head")
    nothing = body_ink(write(PdfRenderer(), pa.table({"T": [""]}), columns=columns))
    assert body_ink(write(PdfRenderer(), pa.table({"T": [text]}), columns=columns)) > nothing + 50


def test_pdf_shows_titles_labels_and_chart_in_any_script(write):
    chart = Chart(kind="bar", title="図", category="kind", values=("value",))
    table = pa.table({"KIND": ["東京", "서울"], "VALUE": [10, 20]})
    columns = definition(kind="都市", value="売上")
    path = write(PdfRenderer(), table, chart=chart, columns=columns, title="月報", parameters=(("期間", "六月"),))
    page = pypdfium2.PdfDocument(path)[0]
    shown = page.get_textpage().get_text_range()
    for word in ("図", "東京", "서울", "都市", "売上", "月報", "期間", "六月"):
        assert word in shown


def test_pdfs_that_are_written_at_once_do_not_mix_up_their_fonts(tmp_path):
    alphabets = ["".join(map(chr, range(start, start + 300))) for start in (0x4E00, 0x5E00, 0x6E00, 0xAC00)]

    def write_one(number):
        table = pa.table({"T": [alphabets[number][place : place + 20] for place in range(0, 300, 20)]})
        path = tmp_path / f"{number}.pdf"
        with Stream(path) as file:
            PdfRenderer().write(facts(), resolve_columns(definition(), table.schema), iter(table.to_batches()), file)
        return "".join(pdf_text(path).split())

    with ThreadPoolExecutor(4) as pool:
        for number, text in enumerate(pool.map(write_one, [0, 1, 2, 3] * 3)):
            assert all(alphabets[number % 4][place : place + 20] in text for place in range(0, 300, 20))


def test_pdf_cuts_long_text_visibly_and_numbers_never(write):
    number = Decimal("123456789012345678901234567890.12")
    table = pa.table(
        {"T": ["word " * 400] + ["x"] * 2100, "N": pa.array([Decimal(1)] * 2100 + [number], pa.decimal128(38, 2))}
    )
    text = pdf_text(write(PdfRenderer(), table, chunk=500))
    assert "…" in text
    assert f"{number:,.2f}" in text


def test_a_number_of_a_pdf_that_is_wider_than_its_column_is_made_narrower(write):
    number = 10**37 + 1  # after the rows that the widths are taken from
    table = pa.table({"N": pa.array([1] * 2600 + [number], pa.decimal128(38)), "T": ["word " * 400] * 2601})
    document = pypdfium2.PdfDocument(write(PdfRenderer(), table, chunk=500))
    page = document[len(document) - 1].get_textpage()
    start, count = page.search(f"{number:,}").get_next()
    label, _ = page.search("N", match_case=True).get_next()
    left, right = page.get_charbox(start)[0], page.get_charbox(start + count - 1)[2]
    assert left > 40  # the margin
    assert right == pytest.approx(page.get_charbox(label)[2], abs=1)


TOTALLED = {
    "exact": Column(label="Exact", kind="decimal", total=True),
    "long": Column(kind="integer", total=True),
    "rate": Column(kind="decimal", total=True),
}


def totalled(rows):
    return pa.table(
        {
            "NAME": [f"row {number}" for number in range(rows)],
            "EXACT": pa.array([Decimal("123456789012345678901234567890.12")] * rows, pa.decimal128(38, 2)),
            "LONG": [2**53 + 1] * rows,
            "RATE": [0.1] * rows,
            "PLAIN": [5] * rows,
        }
    )


def test_pdf_ends_with_the_exact_totals_in_bold(write):
    path = write(PdfRenderer(), totalled(10), chunk=3, columns=definition(**TOTALLED))
    page = pypdfium2.PdfDocument(path)[0].get_textpage()
    text = page.get_text_range()
    assert "9,007,199,254,740,993" in text
    shown = ["Total", "1,234,567,890,123,456,789,012,345,678,901.20", "90,071,992,547,409,930", "1.00"]
    assert " ".join(shown) in text.split("\r\n")  # and none of PLAIN

    def is_bold(words):
        start, _ = page.search(words).get_next()
        name = ctypes.create_string_buffer(100)
        pypdfium2.raw.FPDFText_GetFontInfo(page, start, name, 100, None)
        return b"Bold" in name.value

    assert [is_bold(words) for words in shown[:3]] == [True] * 3
    assert not is_bold("row 9")


def test_pdf_totals_have_a_row_of_their_own_on_the_last_page_whatever_the_number_of_rows(write):
    alone = 0
    for rows in range(35, 60):
        document = pypdfium2.PdfDocument(write(PdfRenderer(), totalled(rows), columns=definition(**TOTALLED)))
        *_, last = texts = [page.get_textpage().get_text_range() for page in document]
        assert all("Exact" in text for text in texts)
        assert sum(text.count("row ") for text in texts) == rows
        assert ["Total" in text for text in texts] == [False] * (len(texts) - 1) + [True]
        page = document[len(document) - 1]
        total = page.get_textpage().search("Total").get_next()[0]
        assert page.get_textpage().get_charbox(total)[1] > 40  # above the footer
        alone += "row " not in last
    assert alone == 1


def test_pdf_totals_without_a_column_of_their_own_for_their_name_have_it_before_the_first_sum(write):
    table = pa.table({"LONG": [1, 2], "RATE": [1.5, 2.5]})
    assert "Total 3 4.00" in pdf_text(write(PdfRenderer(), table, columns=definition(**TOTALLED))).split("\r\n")


def test_every_second_row_of_a_pdf_has_a_ground(write):
    page = pypdfium2.PdfDocument(write(PdfRenderer(), pa.table({"T": [f"row {n}" for n in range(9)]})))[0]
    picture, text = page.render(scale=1).to_pil(), page.get_textpage()

    def ground(row):
        start, _ = text.search(f"row {row}").get_next()
        _, bottom, right, top = text.get_charbox(start)
        return picture.getpixel((300, int(page.get_height() - (bottom + top) / 2)))

    assert [ground(row) for row in range(9)] == [(255, 255, 255), (243, 246, 249)] * 4 + [(255, 255, 255)]


def test_a_pdf_whose_head_leaves_no_room_begins_its_table_on_the_next_page(write):
    parameters = tuple((f"Parameter {number}", "value") for number in range(86))
    document = pypdfium2.PdfDocument(write(PdfRenderer(), pa.table({"NAME": ["only row"]}), parameters=parameters))
    first, second = (page.get_textpage().get_text_range() for page in document)
    assert "Parameter 85" in first
    assert "Page 1 of 2" in " ".join(first.split())
    assert "Name" not in first
    assert "only row" in second


def test_what_the_bulk_text_of_a_pdf_needs_of_reportlab_is_still_there(tmp_path):
    canvas = Canvas(str(tmp_path / "x.pdf"))
    font = pdfmetrics.getFont(Typesetter.create().regular.name)
    ascii_ = "".join(map(chr, range(32, 127)))
    assert isinstance(canvas._doc, PDFDocument), "pdf_text.py takes the document from Canvas._doc"
    assert font.splitString(ascii_, canvas._doc) == [(0, ascii_.encode())], "pdf_text.py writes ASCII as it is"
    assert font.getSubsetInternalName(0, canvas._doc).startswith("/"), "pdf_text.py selects fonts by this name"
    before = list(canvas._code)
    canvas.addLiteral("(\\()Tj")
    assert canvas._code == [*before, "(\\()Tj"], "pdf_text.py writes operators by addLiteral"


def test_a_pdf_that_is_written_is_out_of_memory_at_once(write, monkeypatch):
    documents = []

    class Watched(Canvas):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            documents.append(weakref.ref(self._doc))

    monkeypatch.setattr(pdf_file, "Canvas", Watched)
    gc.disable()  # a worker makes many reports before its collector comes by
    try:
        write(PdfRenderer(), totalled(3).append_column("TEXT", [["é", "株", "😀"]]), columns=definition(**TOTALLED))
        assert [document() for document in documents] == [None]
    finally:
        gc.enable()


def test_pdf_of_nothing_says_so(write):
    assert "No rows match" in pdf_text(write(PdfRenderer(), pa.table({"A": pa.array([], pa.string())})))


def test_pdf_draws_the_chart_that_the_report_declares(write):
    table = pa.table({"KIND": ["one", "two"], "VALUE": [10, 20]})
    chart = Chart(kind="bar", title="Values by kind", category="kind", values=("value",))
    assert "Values by kind" in pdf_text(write(PdfRenderer(), table, chart=chart))


def test_the_chart_names_days_in_full_unless_all_are_the_first_of_a_month_and_says_what_it_leaves_out(write):
    chart = Chart(kind="line", title="By day", category="day", values=("value",), series="line")
    months = [datetime.date(2024, month, 1) for month in (1, 2, 3)]
    table = pa.table({"DAY": months, "VALUE": [1, 2, 3], "LINE": ["a", "b", "c"]})
    shown = pdf_text(write(PdfRenderer(), table, chart=chart)).split("\r\n")
    assert "2024-01 2024-02 2024-03" in shown
    days = [datetime.date(2024, 1, day) for day in range(1, 10)]
    table = pa.table({"DAY": days, "VALUE": [1] * 9, "LINE": list("abcdefghi")})
    shown = pdf_text(write(PdfRenderer(), table, chart=chart)).split("\r\n")
    assert any(line.startswith("2024-01-01 2024-01-02 ") for line in shown)
    assert "By day (8 of 9 series)" in shown


@pytest.mark.parametrize(
    ("rows", "said"), [(2000, "the first 40 of 2000"), (2001, "of the first 2,000 rows, the first 40 of 2000")]
)
def test_the_chart_says_that_rows_come_after_those_it_is_of(write, rows, said):
    chart = Chart(kind="line", title="By number", category="number", values=("number",))
    shown = pdf_text(write(PdfRenderer(), pa.table({"NUMBER": range(rows)}), chart=chart, chunk=500)).split("\r\n")
    assert f"By number ({said})" in shown


@pytest.mark.parametrize("value", ["12", datetime.date(2020, 1, 1), True])
def test_the_chart_refuses_values_that_are_no_numbers_by_the_name_of_their_column(write, value):
    chart = Chart(kind="bar", title="By kind", category="kind", values=("value",))
    with pytest.raises(ReportError, match="column value in its values") as refused:
        write(PdfRenderer(), pa.table({"KIND": ["a"], "VALUE": [value]}), chart=chart)
    assert not refused.value.retry


def test_the_chart_names_what_has_no_category_or_series(write):
    chart = Chart(kind="bar", title="By day", category="day", values=("value",), series="line")
    first = datetime.date(2024, 1, 1)
    table = pa.table({"DAY": [first, None, first, None], "VALUE": [1, 2, 3, 4], "LINE": ["a", "a", None, None]})
    shown = pdf_text(write(PdfRenderer(), table, chart=chart)).split("By day")[1].split("Day")[0]
    assert "2024-01 (none)" in shown  # below the axis
    assert shown.count("(none)") == 2  # and in the legend
    assert "None" not in shown


def test_the_chart_says_that_some_values_are_not_to_be_seen(write):
    chart = Chart(kind="bar", title="By kind", category="kind", values=("value",))
    table = pa.table({"KIND": ["a", "a", "b", "a"], "VALUE": [1, 2, 3, None]})
    shown = pdf_text(write(PdfRenderer(), table, chart=chart)).split("\r\n")
    assert "By kind (2 values are behind later ones of their place)" in shown


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([480e6, 500e6], ["500 M", "600 M"]),
        ([2e9, 1e9], ["500 M", "2.5 G"]),
        ([0, 0], ["1"]),
        ([-30, float("nan")], ["-30", "-10"]),
    ],
)
def test_the_axis_of_the_chart_has_round_steps_and_room_above(write, values, labels):
    chart = Chart(kind="bar", title="Values by kind", category="kind", values=("value",))
    shown = pdf_text(write(PdfRenderer(), pa.table({"KIND": ["one", "two"], "VALUE": values}), chart=chart)).split(
        "\r\n"
    )
    assert all(label in shown for label in labels)


def test_pdf_refuses_more_columns_than_fit_on_a_page(write):
    table = pa.table({f"COLUMN_{number}": [number] for number in range(200)})
    with pytest.raises(ReportError, match="200 columns do not fit on a page; there is no room for COLUMN_24, .* more"):
        write(PdfRenderer(), table)


def test_pdf_refuses_the_column_whose_numbers_are_too_long_by_its_name(write):
    table = pa.table({"NAME": ["x"], "ENORMOUS": [1e300], "COUNT": [1]})
    with pytest.raises(ReportError, match=r"there is no room for ENORMOUS\. Ask for EXCEL or CSV"):
        write(PdfRenderer(), table)
