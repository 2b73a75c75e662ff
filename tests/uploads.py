"""Files as users bring them, for the tests of uploads and imports."""

import gzip
import io
from collections.abc import Sequence
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq

from storage.uploads import Piece, Upload


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
