"""JSON Lines, Excel and Parquet files of users: what comes out of them, row by row."""

import io
import json
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from storage.uploads import BadRow, Piece, UploadError, open_upload
from tests.uploads import parquet, read, workbook, write


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
                5, "not a JSON object", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"
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
    rows: list[list[object]] = [
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


def test_a_zip_bomb_is_refused(tmp_path: Path) -> None:
    data = io.BytesIO(workbook([["text"], ["a"]]))
    with zipfile.ZipFile(data, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/bomb.xml", b" " * 100_000_000)
    with pytest.raises(UploadError, match=r"would have 100,0.* bytes unpacked"):
        open_upload(write(tmp_path, "f.xlsx", data.getvalue()))


def test_keys_without_end_stay_small(tmp_path: Path) -> None:
    lines = (json.dumps({"text": "x"} | {f"k{number}-{key}": 1 for key in range(20)}) for number in range(3_000))
    pieces = list(open_upload(write(tmp_path, "f.jsonl", "\n".join(lines))).pieces())
    assert sum(len(piece.rows) for piece in pieces) == 3_000
    assert max(len(piece.rows) * len(piece.columns) for piece in pieces) < 2_100_000
