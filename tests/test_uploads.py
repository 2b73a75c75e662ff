"""Users' delimited files, and what is said of bad files of every format."""

import csv
import gzip
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.uploads import BadRow, Piece, ReadError, UploadError, open_upload
from tests.uploads import parquet, read, workbook, write

CLEAN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


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
        ("id\ttext; more\n1\ta; b", Piece([2], {"id": ["1"], "text; more": ["a; b"]}, ())),
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
    "content",
    [
        '1,a\n2,"b\n3,c\n',
        '1,a\n2,"b\n3,"c"\n4,d\n',
        '1,a\n2,"b',
        '1,a\n2,"' + ("x" * 999 + "\n") * 80_000,
        "1,a\n2," + "x" * 80_000_000,
    ],
)
def test_a_row_that_never_ends(tmp_path: Path, content: str) -> None:
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
        (write(tmp_path, "g.csv", "\ufeffid,text\n1,a"), "cp1250", None, "is not cp1250 but utf-8"),
        (good, "rot13", None, "unknown encoding 'rot13'"),
        (good, "utf-8", "Sheet1", "has no sheet 'Sheet1': only an Excel file has sheets"),
    ]:
        with pytest.raises(UploadError, match=said):
            open_upload(address, encoding, sheet)
