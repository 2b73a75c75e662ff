"""Import: what becomes of every row, whole tables compared; and of every thing that can be wrong with one."""

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.arrow import schema_of
from schemas.coding import Annotation
from schemas.document import Document, digest, document_id
from schemas.run import Rejection
from storage.uploads import BadRow, Piece, UploadError, open_upload
from tests.uploads import write
from transforms.importing import Admitted, ColumnNames, ImportSettings, admit, find_columns, normalise_language

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ROW = pa.field("row", pa.int64(), nullable=False)
IMPORT = ImportSettings("src", "f.csv", "r1", NOW, ColumnNames(text="text"))


def piece(*, bad: tuple[BadRow, ...] = (), **columns: list[str | None]) -> Piece:
    """Return a Piece whose rows begin with 2."""
    size = len(next(iter(columns.values())))
    return Piece(list(range(2, size + 2)), columns, bad)


def taken(given_piece: Piece, **changes: str | None) -> Admitted:
    """Admit a Piece whose columns have usual names, as an import of cap@1."""
    columns = find_columns(tuple(given_piece.columns), ColumnNames(text="text"))
    settings = replace(IMPORT, columns=columns, codebook="cap@1")
    return admit(given_piece, replace(settings, **changes))  # type: ignore[arg-type]


def document(row: int, text: str, **values: object) -> dict[str, object]:
    """Return a whole Document row, with these values and else none."""
    title, url = values.get("title"), values.get("url")
    when = values.get("published") or values.get("year")
    content = (text, title, url, str(when) if when else None)
    name = document_id("src", values.get("id"), content)  # type: ignore[arg-type]
    nothing = dict.fromkeys(schema_of(Document).names)
    plain = {"version": 1, "text_digest": digest(text), "source": "src", "gathered": NOW, "extra": [], "run": "r1"}
    return {**nothing, **plain, "document_id": name, "text": text, "row": row, **values}


def rejection(row: int, reason: str, detail: str = "", **values: object) -> dict[str, object]:
    nothing = dict.fromkeys(schema_of(Rejection).names)
    plain = {"row": row, "reason": reason, "detail": detail, "file": "f.csv", "run": "r1", "step": "import"}
    return {**nothing, **plain, **values}


def annotation(row: int, own: str, code: str, label: str) -> dict[str, object]:
    shared = {"coder": "unknown", "source": "src", "run": "r1", "codebook": "cap@1"}
    return {"document_id": f"src:{own}", "code": code, "label": label, **shared, "row": row}


def check_schemas(found: Admitted) -> None:
    assert found.documents.schema == schema_of(Document).append(ROW)
    assert found.annotations.schema == schema_of(Annotation).append(ROW)
    assert found.rejections.schema == schema_of(Rejection)
    for table in (found.documents, found.annotations, found.rejections):
        table.validate(full=True)
        assert all(field.nullable or not table[field.name].null_count for field in table.schema)


def test_a_whole_row() -> None:
    found = taken(
        piece(
            ID=[" 7 ", "8"],
            Text=["  kept as it is\n", "b"],
            text=["  kept as it is\n", "b"],
            headline=["T", " "],
            link=["http://x", None],
            published=["2019-05-03T23:59:59+02:00", None],
            lang=["hun", " "],
            genre=["Newspaper", None],
            major_topic=["12.0", ""],
            note=["n", ""],
            other=[None, "o"],
        ),
        source_language="German",
        source_domain="bills",
    )
    check_schemas(found)
    source = {"source_language": "de", "source_domain": "legislative"}
    first = {"id": "7", "title": "T", "url": "http://x", "published": date(2019, 5, 3), "year": 2019, "language": "hu"}
    extra = [("Text", "  kept as it is\n"), ("note", "n")]
    assert found.documents.to_pylist() == [
        document(2, "  kept as it is\n", **first, **source, domain="media", extra=extra),
        document(3, "b", id="8", **source, extra=[("Text", "b"), ("other", "o")]),
    ]
    assert found.annotations.to_pylist() == [annotation(2, "7", "12", "Law and Crime")]
    assert found.rejections.to_pylist() == []


def test_every_import_rejection() -> None:
    good, size = "fine", 12
    texts = [good, None, " \n\u00a0", good, good, good, "x" * 1_000_001, "n\0ul", "\udcff", good, good, good]
    ids = ["a", "b", "c", None, "i" * 513, "d\x07", "e", "f", "g", "h", "i", "\ud800"]
    languages: list[str | None] = [None] * size
    domains: list[str | None] = [None] * size
    languages[9], domains[10] = " Gibberish ", "poems"
    bad = (BadRow(1, "ragged row", "d"), BadRow(99, "NUL byte", "d"))
    found = taken(piece(id=ids, text=texts, language=languages, domain=domains, bad=bad))
    check_schemas(found)
    assert found.documents.to_pylist() == [document(2, good, id="a")]
    assert found.annotations.num_rows == 0
    assert found.rejections.to_pylist() == [
        rejection(1, "ragged row", "d"),
        rejection(3, "no text", id="b"),
        rejection(4, "no text", id="c"),
        rejection(5, "no id"),
        rejection(6, "bad id", "513 characters, at most 512 are allowed"),
        rejection(7, "bad id", "it holds a control character"),
        rejection(8, "text too long", "1000001 characters, at most 1000000 are allowed", id="e"),
        rejection(9, "NUL byte", "in text", id="f"),
        rejection(10, "undecodable bytes", "in text", id="g"),
        rejection(11, "unknown language", "Gibberish", id="h"),
        rejection(12, "unknown domain", "poems", id="i"),
        rejection(13, "undecodable bytes", "in id"),
        rejection(99, "NUL byte", "d"),
    ]


def test_dates_and_years() -> None:
    cases: list[tuple[str | None, str | None, date | None, int | None, list[tuple[str, str]]]] = [
        ("2019-05-03", None, date(2019, 5, 3), 2019, []),
        ("2019-05-03 10:00", "2018", date(2019, 5, 3), 2018, []),
        ("2019-05-03T10:00:00.5Z", "", date(2019, 5, 3), 2019, []),
        ("2019", None, None, 2019, []),
        ("2019.0", "", None, 2019, []),
        ("2019-05", None, None, 2019, []),
        ("3 May", " 2019.0 ", None, 2019, [("date", "3 May")]),
        ("2019-02-30", "0", None, None, [("date", "2019-02-30"), ("year", "0")]),
        (None, "3001", None, None, [("year", "3001")]),
        (" ", "3000", None, 3000, [("date", " ")]),
        ("12", "MMXIX", None, None, [("date", "12"), ("year", "MMXIX")]),
    ]
    size = len(cases)
    found = taken(piece(text=["t"] * size, date=[case[0] for case in cases], year=[case[1] for case in cases]))
    check_schemas(found)
    assert found.documents.to_pylist() == [
        document(row, "t", published=published, year=year, extra=extra)
        for row, (_, _, published, year, extra) in enumerate(cases, 2)
    ]


def test_codes() -> None:
    codes = ["1", " 12 ", "12.0", "law AND crime", "None", None, " ", "26", "1.5", "x" * 300]
    ids: list[str | None] = [f"{number}" for number in range(10)]
    rows = piece(id=ids, text=["t"] * 10, major_topic=codes, language=["hu"] * 10)
    found = taken(rows, coder="ann")
    check_schemas(found)
    law = ("12", "Law and Crime")
    known = [("1", "Macroeconomics"), law, law, law, ("999", "No Policy Content")]
    assert found.annotations.to_pylist() == [
        annotation(row, str(row - 2), *pair) | {"coder": "ann"} for row, pair in enumerate(known, 2)
    ]
    assert found.rejections.to_pylist() == [
        rejection(
            row, "unknown code", detail, step="annotate", codebook="cap@1", language="hu",
            document_id=f"src:{row - 2}", version=1, id=str(row - 2),
        )
        for row, detail in [(9, "26"), (10, "1.5"), (11, "x" * 100 + "…")]
    ]  # fmt: skip
    assert found.documents.to_pylist() == [document(row, "t", id=str(row - 2), language="hu") for row in range(2, 12)]


def test_without_a_codebook_codes_are_extra() -> None:
    found = taken(piece(text=["t"], major_topic=["12"]), codebook=None)
    assert found.documents.to_pylist() == [document(2, "t", extra=[("major_topic", "12")])]
    assert (found.annotations.num_rows, found.rejections.num_rows) == (0, 0)


def test_rows_without_ids_differ_by_all_that_tells_them_apart() -> None:
    texts: list[str | None] = ["t"] * 5
    found = taken(
        piece(
            text=texts,
            title=["a", None, "", "a", "a"],
            date=["2019-01-01", "2019-01-01", "2019-01-01", "2019", "2019-01-01"],
        )
    )
    names = found.documents["document_id"].to_pylist()
    assert names[0] == names[4] == document_id("src", None, ("t", "a", None, "2019-01-01"))
    assert names[1] == names[2] == document_id("src", None, ("t", None, None, "2019-01-01"))
    assert names[3] == document_id("src", None, ("t", "a", None, "2019"))
    assert len(set(names)) == 3


def test_a_piece_without_good_rows() -> None:
    for empty in (Piece([], {"text": []}, (BadRow(2, "ragged row", ""),)), piece(text=[None], note=["x"])):
        found = taken(empty)
        check_schemas(found)
        assert (found.documents.num_rows, found.rejections["row"].to_pylist()) == (0, [2])


@pytest.mark.parametrize(
    ("value", "tag"),
    [
        ("hu", "hu"), ("HU", "hu"), ("hun", "hu"), ("ger", "de"), ("pt-BR", "pt-BR"), ("pt_BR", "pt-BR"),
        ("German", "de"), (" english ", "en"), ("magyar", "hu"), ("iw", "he"), ("und", "und"),
        ("Serbo-Croatian", "sr-Latn"), ("xx", None), ("x-foo", None), ("en-", None), ("a", None), ("", None),
        ("12", None), ("none", None), ("\ud800", None), ("n" * 1000, None),
    ],
)  # fmt: skip
def test_languages(value: str, tag: str | None) -> None:
    assert normalise_language(value) == tag


def test_an_undetermined_language_is_none() -> None:
    assert taken(piece(text=["t"], language=["und"])).documents.to_pylist() == [document(2, "t")]


def test_columns_are_found() -> None:
    found = find_columns(("Doc_ID", "BODY", "Lang", "genre", "major_topic", "x"), ColumnNames())
    assert found == ColumnNames("Doc_ID", "BODY", None, None, None, None, "Lang", "genre", "major_topic")
    named = find_columns(("id", "text", "szöveg", "document_id"), ColumnNames(id="document_id", text="szöveg"))
    assert named == ColumnNames(id="document_id", text="szöveg")
    assert find_columns(("text", "Text", "title"), ColumnNames(text="title")) == ColumnNames(text="title")
    with pytest.raises(UploadError, match="no column holds the text; columns: id, szöveg; name one with --text-column"):
        find_columns(("id", "szöveg"), ColumnNames())
    with pytest.raises(UploadError, match=r"no column 'Text' \(--text-column\); columns: id, text"):
        find_columns(("id", "text"), ColumnNames(text="Text"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"source": "A b"}, "source 'A b' is not allowed"),
        ({"codebook": "cop"}, "unknown codebook 'cop'"),
        ({"source_language": "xx"}, "unknown language 'xx' of source src"),
        ({"source_domain": "poems"}, "unknown domain 'poems' of source src"),
        ({"columns": ColumnNames(id="id")}, "no column holds the text"),
    ],
)
def test_settings_are_checked(change: dict[str, str], said: str) -> None:
    with pytest.raises(UploadError, match=said):
        replace(IMPORT, **change)  # type: ignore[arg-type]
    assert replace(IMPORT, codebook="cap", source_language="pt_br").codebook == "cap@1"


@pytest.mark.parametrize(
    ("header", "named"),
    [
        ("id,text", ColumnNames("id", "text")),
        ("id,year,major_topic,text", ColumnNames("id", "text", year="year", code="major_topic")),
    ],
)
def test_the_files_of_the_babel_machine(tmp_path: Path, header: str, named: ColumnNames) -> None:
    values = {"id": "1", "year": "2019", "major_topic": "12", "text": '"Szia, világ"'}
    row = ",".join(values[name] for name in header.split(","))
    upload = open_upload(write(tmp_path, "f.csv", f"{header}\n{row}\n"))
    columns = find_columns(upload.columns, ColumnNames())
    assert columns == named
    (rows,) = upload.pieces()
    found = admit(rows, replace(IMPORT, columns=columns, codebook="cap"))
    year = 2019 if "year" in header else None
    assert found.documents.to_pylist() == [document(2, "Szia, világ", id="1", year=year)]
    assert found.annotations.to_pylist() == ([annotation(2, "1", "12", "Law and Crime")] if year else [])


def test_ten_megabytes_in_one_cell(tmp_path: Path) -> None:
    upload = open_upload(write(tmp_path, "f.csv", f"id,text\n1,{'x' * 10_000_000}\n2,b\n"))
    found = [
        admit(rows, replace(IMPORT, columns=find_columns(upload.columns, ColumnNames()))) for rows in upload.pieces()
    ]
    assert pa.concat_tables(each.documents for each in found).to_pylist() == [document(3, "b", id="2")]
    detail = "10000000 characters, at most 1000000 are allowed"
    rejections = pa.concat_tables(each.rejections for each in found).to_pylist()
    assert rejections == [rejection(2, "text too long", detail, id="1")]


ANYTHING = st.one_of(
    st.none(), st.text(max_size=8), st.sampled_from(["hu", "German", "media", "12", "2019-05-03", "\0"])
)


@given(st.lists(st.tuples(*[ANYTHING] * 8), min_size=1, max_size=6))
def test_every_row_becomes_one_document_or_one_rejection(rows: list[tuple[str | None, ...]]) -> None:
    names = ("id", "text", "date", "year", "language", "domain", "major_topic", "extra")
    columns = {name: [row[place] for row in rows] for place, name in enumerate(names)}
    found = taken(Piece(list(range(2, len(rows) + 2)), columns, ()))
    check_schemas(found)
    refused = found.rejections.filter(pc.equal(found.rejections["step"], "import"))["row"].to_pylist()
    assert sorted(found.documents["row"].to_pylist() + refused) == list(range(2, len(rows) + 2))
