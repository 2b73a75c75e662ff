"""Excel and Parquet files, in pieces, with every value as text."""

import math
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time
from itertools import islice
from typing import IO
from xml.etree.ElementTree import ParseError

import openpyxl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from openpyxl.cell.cell import ERROR_CODES
from openpyxl.worksheet._read_only import ReadOnlyWorksheet

from storage.upload_json import compact_json
from storage.upload_pieces import (
    PIECE_CHARACTERS,
    PIECE_ROWS,
    BadRow,
    Piece,
    ReadError,
    UploadError,
    UploadFile,
    check_columns,
)

_EXCEL_BYTES = 2 * 1024**3
_EXCEL_RATIO = 300
_EXCEL_RATIO_BYTES = 64 * 1024**2
_EXCEL_ROWS = 1_048_576
_WHOLE_FLOAT = 1e15
_BUFFER_BYTES = 1024**2

_Values = list[str | None]


@contextmanager
def _damage(address: str, kind: str) -> Iterator[None]:
    """Raise ReadError for whatever the libraries raise where a file is damaged or not what its name says."""
    try:
        yield
    except (UploadError, FileNotFoundError, IsADirectoryError):
        raise
    except (
        zipfile.BadZipFile,
        ParseError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        OSError,
        EOFError,
    ) as error:
        raise ReadError(f"{address} is not a readable {kind} file: {error}") from error


def _excel_text(value: object) -> str | None:
    """Return the value of a cell as text; an error of Excel's such as #N/A is no value, and midnight a date only."""
    if value is None or value in ERROR_CODES:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < _WHOLE_FLOAT:
        return str(int(value))
    if isinstance(value, datetime):
        return (value.date() if value.time() == time() else value).isoformat()
    return value.isoformat() if isinstance(value, (date, time)) else str(value)


def _check_size(file: IO[bytes], address: str) -> None:
    """Raise UploadError for what would be far bigger unpacked than any file of Excel's is."""
    with zipfile.ZipFile(file) as archive:
        unpacked = sum(part.file_size for part in archive.infolist())
        packed = sum(part.compress_size for part in archive.infolist())
    file.seek(0)
    if unpacked > _EXCEL_BYTES or (unpacked > _EXCEL_RATIO_BYTES and unpacked > _EXCEL_RATIO * packed):
        raise UploadError(f"{address} would have {unpacked:,} bytes unpacked, from {packed:,}; save it as CSV instead")


@contextmanager
def _sheet(file: UploadFile, name: str | None) -> Iterator[Iterator[tuple[int, _Values]]]:
    """Open the rows of a sheet, the first unless named, that are not blank, with their numbers."""
    with file.seekable() as archive, _damage(file.address, "Excel"):
        _check_size(archive, file.address)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            book = openpyxl.load_workbook(archive, read_only=True, data_only=True)
        try:
            sheets = {sheet.title: sheet for sheet in book.worksheets}
            if not sheets or name not in {None, *sheets}:
                raise UploadError(f"{file.address} has no sheet {name!r}; sheets: {', '.join(sheets)}")
            yield _sheet_rows(file.address, sheets[next(iter(sheets)) if name is None else name])
        finally:
            book.close()


def _sheet_rows(address: str, sheet: ReadOnlyWorksheet) -> Iterator[tuple[int, _Values]]:
    sheet.reset_dimensions()
    for number, row in enumerate(sheet.iter_rows(values_only=True), 1):
        if number > _EXCEL_ROWS:
            raise ReadError(f"{address} has more rows than Excel can have, {_EXCEL_ROWS:,}")
        values = [_excel_text(value) for value in row]
        while values and values[-1] is None:
            values.pop()
        if values:
            yield number, values


def _excel_piece(columns: Sequence[str], rows: Iterator[tuple[int, _Values]]) -> Piece:
    numbers: list[int] = []
    values: list[_Values] = []
    bad: list[BadRow] = []
    characters, width = 0, len(columns)
    for number, row in rows:
        if len(row) > width:
            bad.append(BadRow(number, "ragged row", f"{len(row)} fields, the header has {width}"))
        else:
            numbers.append(number)
            values.append(row + [None] * (width - len(row)))
            characters += sum(len(value) for value in row if value)
        if len(numbers) + len(bad) >= PIECE_ROWS or characters >= PIECE_CHARACTERS:
            break
    cells = [list(column) for column in zip(*values, strict=True)] or [[] for _ in columns]
    return Piece(numbers, dict(zip(columns, cells, strict=True)), tuple(bad))


def open_excel(file: UploadFile, sheet: str | None) -> tuple[tuple[str, ...], Callable[[], Iterator[Piece]]]:
    """Return the columns of a sheet, the first unless named, and what reads it; rows have the sheet's numbers.

    Formulas give the value that Excel stored with them, if any. Raises UploadError for a sheet without rows.
    """
    with _sheet(file, sheet) as rows, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first = [values for _, values in islice(rows, 2)]
    if not first:
        raise UploadError(f"{file.address} is empty")
    columns = check_columns(file.address, first[0])
    if len(first) == 1:
        raise UploadError(f"{file.address} has a header but no rows")

    def pieces() -> Iterator[Piece]:
        with _sheet(file, sheet) as rows:
            next(rows, None)
            while True:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    piece = _excel_piece(columns, rows)
                if not piece.rows and not piece.bad:
                    return
                yield piece

    return columns, pieces


def _decoded(values: list[bytes | None]) -> _Values:
    return [None if value is None else value.decode(errors="surrogateescape") for value in values]


def _floats(texts: _Values) -> _Values:
    return [None if text is None or math.isnan(float(text)) else repr(float(text)) for text in texts]


def _moments(texts: _Values) -> _Values:
    dated = pc.replace_substring(pa.array(texts, pa.string()), " ", "T", max_replacements=1)
    return list(pc.replace_substring_regex(dated, r"\.0+(Z|[+-]\d+)?$", r"\1").to_pylist())


def _parquet_texts(column: pa.Array) -> _Values:
    """Return the values of a column as text; NaN is no value, and bytes that are not UTF-8 are escaped."""
    while isinstance(column, (pa.ExtensionArray, pa.DictionaryArray)):
        column = column.storage if isinstance(column, pa.ExtensionArray) else column.dictionary_decode()
    kind = column.type
    if any(check(kind) for check in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary)):
        return _decoded(column.cast(pa.large_binary()).to_pylist())
    if pa.types.is_large_binary(kind):
        return _decoded(column.to_pylist())
    if pa.types.is_nested(kind):
        return [None if value is None else compact_json(value) for value in column.to_pylist()]
    try:
        texts: _Values = column.cast(pa.string()).to_pylist()
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        return [None if value is None else str(value) for value in column.to_pylist()]
    if pa.types.is_floating(kind):
        return _floats(texts)
    return _moments(texts) if pa.types.is_timestamp(kind) else texts


def _portions(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Yield a batch in parts of about as many bytes as a Piece may have characters."""
    if batch.nbytes <= PIECE_CHARACTERS or batch.num_rows == 1:
        yield batch
        return
    half = batch.num_rows // 2
    yield from _portions(batch.slice(0, half))
    yield from _portions(batch.slice(half))


@contextmanager
def _parquet(file: UploadFile) -> Iterator[pq.ParquetFile]:
    with (
        file.seekable() as opened,
        _damage(file.address, "Parquet"),
        pq.ParquetFile(opened, buffer_size=_BUFFER_BYTES, pre_buffer=False) as parquet,
    ):
        yield parquet


def open_parquet(file: UploadFile) -> tuple[tuple[str, ...], Callable[[], Iterator[Piece]]]:
    """Return the columns of a Parquet file and what reads it; rows count from 1."""
    with _parquet(file) as parquet:
        columns = check_columns(file.address, parquet.schema_arrow.names)
        if not columns:
            raise UploadError(f"{file.address} has no columns")
        groups = [parquet.metadata.row_group(number) for number in range(parquet.metadata.num_row_groups)]
        total, size = parquet.metadata.num_rows, sum(group.total_byte_size for group in groups)
    if not total:
        raise UploadError(f"{file.address} has a header but no rows")
    rows = max(1, min(PIECE_ROWS, PIECE_CHARACTERS * total // max(size, 1)))

    def pieces() -> Iterator[Piece]:
        row = 1
        with _parquet(file) as parquet:
            for batch in parquet.iter_batches(rows):
                for part in _portions(batch):
                    texts = [_parquet_texts(column) for column in part.columns]
                    yield Piece(list(range(row, row + part.num_rows)), dict(zip(columns, texts, strict=True)), ())
                    row += part.num_rows

    return columns, pieces
