"""Users' files in every format: what comes out of good ones, and what is said of bad ones."""

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import openpyxl  # type: ignore[import-untyped]
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.uploads import BadRow, Piece, ReadError, Upload, UploadError, open_upload

CLEAN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


def write(folder: Path, name: str, content: str | bytes) -> str:
    path = folder / name
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return str(path)


def workbook(rows: Sequence[Sequence[object]], *, second: Sequence[Sequence[object]] = ()) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    other = book.create_sheet("other")
    for row in second:
        other.append(row)
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


def parquet(table: pa.Table, row_group_size: int = 100) -> bytes:
    data = io.BytesIO()
    pq.write_table(table, data, row_group_size=row_group_size)
    return data.getvalue()


def read(upload: Upload) -> Piece:
    """Return all of a file as one Piece; its pieces must have the columns of the header."""
    pieces = list(upload.pieces())
    columns = {name: [value for piece in pieces for value in piece.columns[name]] for name in upload.columns}
    bad = tuple(row for piece in pieces for row in piece.bad)
    return Piece([row for piece in pieces for row in piece.rows], columns, bad)


TWO = Piece([2, 3], {"id": ["a", "b"], "text": ["első, szöveg", "második"]}, ())


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".txt", ".csv.gz", ".CSV"])
def test_a_delimited_file(tmp_path: Path, delimiter: str, suffix: str) -> None:
    content = f'id{delimiter}text\r\na{delimiter}"első, szöveg"\r\n\r\nb{delimiter}második\r\n'
    assert read(open_upload(write(tmp_path, f"f{suffix}", content))) == TWO


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "windows-1250", "utf-32"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    content = '\n id ,"text"\na,"első, szöveg"\nb,második'.encode(encoding)
    spoken = "utf-8" if encoding == "utf-8-sig" else encoding
    assert read(open_upload(write(tmp_path, "f.csv", content), spoken)) == TWO


def test_a_url(tmp_path: Path) -> None:
    address = "file://" + write(tmp_path, "f.csv.gz", 'id,text\na,"első, szöveg"\nb,második\n')
    upload = open_upload(address)
    assert (upload.address, upload.columns, read(upload)) == (address, ("id", "text"), TWO)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("text\nHello, world\nagain", Piece([2, 3], {"text": ["Hello, world", "again"]}, ())),
        ('text\n""\n', Piece([2], {"text": [""]}, ())),
        ("text,note\n\n  \nx,\n", Piece([2], {"text": ["x"], "note": [""]}, ())),
        ('a;b,c\n1;"x\ny ""z"""\n', Piece([2], {"a": ["1"], "b,c": ['x\ny "z"']}, ())),
        ("id,,text,\n1,2,3,4", Piece([2], {"id": ["1"], "column_2": ["2"], "text": ["3"], "column_4": ["4"]}, ())),
        ("id\ttext; body\n1\ta; b", Piece([2], {"id": ["1"], "text; body": ["a; b"]}, ())),
        ("id,text\r1,old\r2,Mac\r", Piece([2, 3], {"id": ["1", "2"], "text": ["old", "Mac"]}, ())),
    ],
)
def test_unusual_delimited_files(tmp_path: Path, content: str, expected: Piece) -> None:
    assert read(open_upload(write(tmp_path, "f.csv", content))) == expected


def test_bad_rows_of_a_delimited_file(tmp_path: Path) -> None:
    content = b'id,text\n1,good\n2\n3,a,b\n4,caf\xe9\n5,nu\0l\n6,"he said "hi" there"\n7,"two\nlines"\n8,last'
    assert read(open_upload(write(tmp_path, "f.csv", content))) == Piece(
        [2, 8, 9],
        {"id": ["1", "7", "8"], "text": ["good", "two\nlines", "last"]},
        (
            BadRow(3, "ragged row", "1 field, the header has 2"),
            BadRow(4, "ragged row", "3 fields, the header has 2"),
            BadRow(5, "undecodable bytes", "byte 0xe9 is not utf-8, in text"),
            BadRow(6, "NUL byte", "in text"),
            BadRow(7, "malformed quoting", "',' expected after '\"'"),
        ),
    )


def test_pieces_are_small(tmp_path: Path) -> None:
    content = "id,text\n" + "".join(f"{number},x\n" for number in range(12_000))
    pieces = list(open_upload(write(tmp_path, "f.csv", content)).pieces())
    assert [(piece.rows[0], len(piece.rows)) for piece in pieces] == [(2, 5000), (5002, 5000), (10002, 2000)]
    content = "id,text\n" + "".join(f"{number},{'x' * 3_000_000}\n" for number in range(4))
    pieces = list(open_upload(write(tmp_path, "g.csv", content)).pieces())
    assert [piece.rows for piece in pieces] == [[2, 3, 4], [5]]


def test_ten_megabytes_in_one_cell(tmp_path: Path) -> None:
    text = "a long, " * 1_300_000
    upload = open_upload(write(tmp_path, "f.csv", f'id,text\n1,"{text}"\n2,b\n'))
    assert read(upload) == Piece([2, 3], {"id": ["1", "2"], "text": [text, "b"]}, ())


@pytest.mark.parametrize(
    "content", ['1,a\n2,"b\n3,c\n', '1,a\n2,"b\n3,"c"\n4,d\n', '1,a\n2,"b', '1,a\n2,"' + "x\n" * 40_000_000]
)
def test_a_quote_that_never_closes(tmp_path: Path, content: str) -> None:
    upload = open_upload(write(tmp_path, "f.csv", "id,text\n" + content))
    with pytest.raises(ReadError, match="row 3, which begins in line 3, cannot be read"):
        list(upload.pieces())


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(CLEAN, min_size=3, max_size=3), min_size=1, max_size=8), st.sampled_from(",;\t|"))
def test_whatever_is_written_comes_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], delimiter: str
) -> None:
    path = tmp_path_factory.mktemp("csv") / "f.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows([["id", "text", "note"], *rows])
    columns: list[list[str | None]] = [list(column) for column in zip(*rows, strict=True)]
    expected = dict(zip(("id", "text", "note"), columns, strict=True))
    assert read(open_upload(str(path))) == Piece(list(range(2, len(rows) + 2)), expected, ())


@pytest.mark.parametrize("suffix", [".jsonl", ".ndjson", ".jsonl.gz"])
def test_json_lines(tmp_path: Path, suffix: str) -> None:
    lines = [
        '\ufeff{"id": 12, "text": "a\\nb", "score": 0.50, "ok": true}',
        "",
        '{"id": null, "text": "é", "more": {"a": [1, "ő"]}}',
        "[1]",
        "{",
        '{"id": NaN}',
        "7",
        '{"id": "x", "late": false}',
    ]
    upload = open_upload(write(tmp_path, f"f{suffix}", "\n".join(lines)))
    assert upload.columns == ("id", "text", "score", "ok", "more", "late")
    assert read(upload) == Piece(
        [1, 3, 8],
        {
            "id": ["12", None, "x"],
            "text": ["a\nb", "é", None],
            "score": ["0.50", None, None],
            "ok": ["true", None, None],
            "more": [None, '{"a":[1,"ő"]}', None],
            "late": [None, None, "false"],
        },
        (
            BadRow(4, "not a JSON object", "it is a list"),
            BadRow(
                5, "not a JSON object", "Expecting property name enclosed in double quotes: line 2 column 1 (char 2)"
            ),
            BadRow(6, "not a JSON object", "NaN is not JSON"),
            BadRow(7, "not a JSON object", "it is a single value"),
        ),
    )


def test_json_lines_keep_late_keys_and_say_what_is_not_utf_8(tmp_path: Path) -> None:
    lines = [b'{"text": "x"}'] * 5_000 + [b'{"text": "y", "late": 1}', b'{"text": "\xff"}']
    upload = open_upload(write(tmp_path, "f.jsonl", b"\n".join(lines)))
    first, second = upload.pieces()
    assert upload.columns == ("text",)
    assert first == Piece(list(range(1, 5001)), {"text": ["x"] * 5000}, ())
    bad = BadRow(5002, "undecodable bytes", "byte 0xff is not utf-8")
    assert second == Piece([5001], {"text": ["y"], "late": ["1"]}, (bad,))


@pytest.mark.parametrize("suffix", [".xlsx", ".xlsx.gz"])
def test_excel(tmp_path: Path, suffix: str) -> None:
    rows = [
        ["id", " text ", "when", None, "n"],
        [1, "a", datetime(2020, 1, 2), "x", 2.0],  # noqa: DTZ001 - as in Excel
        [],
        ["b", "=1+1", datetime(2020, 1, 2, 3, 4), None, 2.5],  # noqa: DTZ001 - as in Excel
        [True, "#N/A", date(2021, 1, 1)],
        [1, 2, 3, 4, 5, 6],
    ]
    address = write(tmp_path, f"f{suffix}", workbook(rows, second=[["text"], ["other"]]))
    assert read(open_upload(address)) == Piece(
        [2, 4, 5],
        {
            "id": ["1", "b", "true"],
            "text": ["a", None, None],
            "when": ["2020-01-02", "2020-01-02T03:04:00", "2021-01-01"],
            "column_4": ["x", None, None],
            "n": ["2", "2.5", None],
        },
        (BadRow(6, "ragged row", "6 fields, the header has 5"),),
    )
    assert read(open_upload(address, sheet="other")) == Piece([2], {"text": ["other"]}, ())
    with pytest.raises(UploadError, match="has no sheet 'third'; sheets: Sheet, other"):
        open_upload(address, sheet="third")


def test_a_formula_has_the_value_that_excel_stored(tmp_path: Path) -> None:
    source, target = io.BytesIO(workbook([["text"], ["=1+1"]])), io.BytesIO()
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for part in old.namelist():
            new.writestr(
                part,
                old.read(part)
                .replace(b"<f>1+1</f><v />", b"<f>1+1</f><v>2</v>")
                .replace(b"<f>1+1</f><v></v>", b"<f>1+1</f><v>2</v>"),
            )
    assert read(open_upload(write(tmp_path, "f.xlsx", target.getvalue()))) == Piece([2], {"text": ["2"]}, ())


@pytest.mark.parametrize("suffix", [".parquet", ".parquet.gz"])
def test_parquet(tmp_path: Path, suffix: str) -> None:
    moment = datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)
    table = pa.table(
        {
            "id": pa.array([1, 2, None]),
            "text": pa.array(["a", None, "é"]).dictionary_encode(),
            "on": pa.array([date(2020, 1, 2), None, date(999, 1, 1)]),
            "at": pa.array([moment, None, moment.replace(microsecond=5)], pa.timestamp("us", "UTC")),
            "f": pa.array([0.1, float("nan"), 12], pa.float32()),
            "g": pa.array([1e20, 0.1, -2.0]),
            "b": pa.array([True, False, None]),
            "l": pa.array([[1, 2], None, []]),
            "s": pa.array([{"x": "ő", "y": date(2020, 1, 2)}, None, {"x": None, "y": None}]),
            "raw": pa.array([b"abc", b"\xff", None]),
        }
    )
    assert read(open_upload(write(tmp_path, f"f{suffix}", parquet(table, 2)))) == Piece(
        [1, 2, 3],
        {
            "id": ["1", "2", None],
            "text": ["a", None, "é"],
            "on": ["2020-01-02", None, "0999-01-01"],
            "at": ["2020-01-02T03:04:05Z", None, "2020-01-02T03:04:05.000005Z"],
            "f": ["0.1", None, "12.0"],
            "g": ["1e+20", "0.1", "-2.0"],
            "b": ["true", "false", None],
            "l": ["[1,2]", None, "[]"],
            "s": ['{"x":"ő","y":"2020-01-02"}', None, '{"x":null,"y":null}'],
            "raw": ["abc", "\udcff", None],
        },
        (),
    )


BROKEN = [
    ("f.csv", "", "f.csv is empty"),
    ("f.csv", "\n\r\n", "f.csv is empty"),
    ("f.csv", "\ufeff", "f.csv is empty"),
    ("f.csv.gz", "", "f.csv.gz is empty"),
    ("f.csv", "id,text\n\n", "f.csv has a header but no rows"),
    ("f.csv", "id,text,id,text,x\n1,2,3,4,5", "more than one column is called 'id', 'text'"),
    ("f.csv", ",column_1\n1,2", "more than one column is called 'column_1'"),
    ("f.csv", "id,szöveg\n1,2".encode("latin-1"), "byte 0xf6 is not utf-8; name the file's encoding"),
    ("f.csv", "id,text\n1,2".encode("utf-16"), "f.csv is not utf-8 but utf-16: name the encoding, utf-16"),
    ("f.csv", "id,text\n1,2".encode("utf-32"), "f.csv is not utf-8 but utf-32: name the encoding, utf-32"),
    ("f.csv", "id,text\n1,2".encode("utf-16-le"), "NUL byte in the name of column 1"),
    ("f.csv", 'id,"text\n1,2', "f.csv: row 1, which begins in line 1, cannot be read"),
    ("f.jsonl", "", "f.jsonl is empty"),
    ("f.jsonl", "[1]\n", "f.jsonl has no columns.*; not a JSON object in line 1: it is a list"),
    ("f.jsonl", "{}\n", "f.jsonl has no columns"),
    ("f.xlsx", workbook([]), "f.xlsx is empty"),
    ("f.xlsx", workbook([["id", "text"]]), "f.xlsx has a header but no rows"),
    ("f.xlsx", workbook([["id", "id"], [1, 2]]), "more than one column is called 'id'"),
    ("f.xlsx", workbook([["id"], [1]])[:-30], "f.xlsx is not a readable Excel file"),
    ("f.xlsx", "id,text", "f.xlsx is not a readable Excel file"),
    ("f.parquet", parquet(pa.table({"text": ["a"]}))[:-6], "f.parquet is not a readable Parquet file"),
    ("f.parquet", "", "f.parquet is not a readable Parquet file"),
    ("f.parquet", parquet(pa.table({"text": pa.array([], pa.string())})), "f.parquet has a header but no rows"),
    ("f.parquet", parquet(pa.table([["a"], ["b"]], names=["text", "text "])), "more than one column is called 'text'"),
    ("f.doc", "x", r"f.doc is of no known format; allowed: .csv, .tsv, .txt, .jsonl, .ndjson, .xlsx, .parquet"),
    ("f", "x", "f is of no known format"),
]


@pytest.mark.parametrize(("name", "content", "said"), BROKEN)
def test_a_bad_file_is_refused_when_it_is_opened(tmp_path: Path, name: str, content: str | bytes, said: str) -> None:
    address = write(tmp_path, name, content)
    with pytest.raises(UploadError, match=said):
        open_upload(address)


def test_what_is_asked_for_must_be_there(tmp_path: Path) -> None:
    good = write(tmp_path, "f.csv", "id,text\n1,a\n")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "damaged.csv.gz").write_bytes(gzip.compress(b"id,text\n1,a\n" * 9)[:-20])
    for address, encoding, sheet, said in [
        (str(tmp_path / "none.csv"), "utf-8", None, f"no such file: {tmp_path}/none.csv"),
        (str(tmp_path / "none.xlsx"), "utf-8", None, "no such file"),
        (str(tmp_path / "none.parquet"), "utf-8", None, "no such file"),
        (str(tmp_path / "folder.csv"), "utf-8", None, "folder.csv is a folder; give a file"),
        (str(tmp_path / "damaged.csv.gz"), "utf-8", None, "damaged.csv.gz cannot be read"),
        ("nowhere://f.csv", "utf-8", None, "nowhere://f.csv cannot be opened: Protocol not known: nowhere"),
        (good, "windows-9999", None, "unknown encoding 'windows-9999'"),
        (good, "rot13", None, "unknown encoding 'rot13'"),
        (good, "utf-8", "Sheet1", "has no sheet 'Sheet1': only an Excel file has sheets"),
    ]:
        with pytest.raises(UploadError, match=said):
            open_upload(address, encoding, sheet)


def test_a_zip_bomb_is_refused(tmp_path: Path) -> None:
    data = io.BytesIO(workbook([["text"], ["a"]]))
    with zipfile.ZipFile(data, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/bomb.xml", b" " * 100_000_000)
    with pytest.raises(UploadError, match="would have 100,0.* bytes unpacked"):
        open_upload(write(tmp_path, "f.xlsx", data.getvalue()))


def test_keys_without_end_stay_small(tmp_path: Path) -> None:
    lines = (json.dumps({"text": "x"} | {f"k{number}-{key}": 1 for key in range(20)}) for number in range(3_000))
    pieces = list(open_upload(write(tmp_path, "f.jsonl", "\n".join(lines))).pieces())
    assert sum(len(piece.rows) for piece in pieces) == 3_000
    assert max(len(piece.rows) * len(piece.columns) for piece in pieces) < 2_100_000
