"""Delimited files, in pieces. Memory stays the same however long the file is."""

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice

from storage.upload_pieces import (
    NUL_BYTE,
    PIECE_CHARACTERS,
    PIECE_ROWS,
    ROW_CHARACTERS,
    UNDECODABLE,
    USUAL_COLUMNS,
    BadRow,
    Lines,
    Piece,
    ReadError,
    RowTooLong,
    UploadError,
    UploadFile,
    bad_byte,
    check_columns,
    damaged,
    is_text,
)

DELIMITERS = ",;\t|"
_NO_DELIMITER = "\x1f"
_USUAL = {name for names in USUAL_COLUMNS.values() for name in names}
_SAMPLE_LINES = 200
_SAMPLE_CHARACTERS = 65_536

_Rows = list[list[str]]


def _records(lines: Sequence[str], delimiter: str) -> _Rows:
    """Return the records of a sample, as far as they can be read: its last one may be cut off."""
    records: _Rows = []
    with suppress(csv.Error):
        records.extend(csv.reader(lines, delimiter=delimiter, strict=True))
    return [record for record in records if record]


def _likeness(lines: Sequence[str], delimiter: str) -> tuple[bool, float, int, int]:
    """Return how well a delimiter suits a sample: known names, rows as wide as the header, and how many of each."""
    records = _records(lines, delimiter)
    width = len(records[0]) if records else 0
    if width < 2:  # noqa: PLR2004 - one column needs no delimiter
        return False, 0.0, 0, 0
    known = len(_USUAL & {name.strip().casefold() for name in records[0]})
    as_wide = sum(len(record) == width for record in records)
    return known > 0, as_wide / len(records), known, width


def find_delimiter(lines: Sequence[str]) -> str:
    """Return the delimiter of a file that begins with these lines.

    Where the header has none, it is one that never occurs; where it cannot be read, one by which it cannot be.
    """
    likeness = {delimiter: _likeness(lines, delimiter) for delimiter in DELIMITERS}
    best = max(DELIMITERS, key=lambda delimiter: likeness[delimiter])
    if likeness[best][3]:
        return best
    return next((delimiter for delimiter in DELIMITERS if not _records(lines, delimiter)), _NO_DELIMITER)


def _without_mark(lines: Lines) -> Iterator[str]:
    """Yield the lines from the first that is not blank, without a byte order mark."""
    rest = iter(lines)
    for line in rest:
        first = line.removeprefix("\ufeff")
        if first.strip():
            yield first
            break
    yield from rest


def _sample(file: UploadFile) -> list[str]:
    sample: list[str] = []
    try:
        with file.lines() as lines:
            for line in islice(_without_mark(lines), _SAMPLE_LINES):
                sample.append(line)
                if lines.taken > _SAMPLE_CHARACTERS:
                    break
    except RowTooLong as error:
        if not sample:
            raise UploadError(f"{file.address}: row 1 cannot be read: {error}") from error
    return sample


class _Delimited:
    """The records of a delimited file, in batches; blank lines are none. ``row`` is the number of the next."""

    def __init__(self, file: UploadFile, lines: Lines, delimiter: str) -> None:
        csv.field_size_limit(ROW_CHARACTERS)
        self._file = file
        self._lines = lines
        self._reader = csv.reader(_without_mark(lines), delimiter=delimiter, strict=True)
        self.row = 1

    def header(self) -> tuple[str, ...]:
        """Return the names of the columns."""
        rows, malformed = self.batch(0, 1)
        if malformed:
            raise UploadError(f"{self._file.address}: the header cannot be read: {malformed[0]}")
        for name in rows[0]:
            if not is_text(name):
                raise UploadError(
                    f"{self._file.address}: {UNDECODABLE} in the header: {bad_byte(name, self._file.encoding)}; "
                    "name the file's encoding"
                )
        return check_columns(self._file.address, rows[0])

    def batch(self, width: int, most: int = PIECE_ROWS) -> tuple[_Rows, dict[int, str]]:
        """Return the next records, none at the end; and by index what is wrong with malformed ones, here empty.

        Raises ReadError where a malformed record has more than one line, for nobody knows where it should end.
        """
        rows: _Rows = []
        malformed: dict[int, str] = {}
        lines, reader, line = self._lines, self._reader, self._reader.line_num
        while not (rows and lines.taken >= PIECE_CHARACTERS) and len(rows) < most and not lines.ended:
            lines.taken = 0 if not rows else lines.taken
            try:
                for row in reader:
                    line = reader.line_num
                    if len(row) == width or not _is_blank(row, width):
                        rows.append(row)
                    if len(rows) >= most or lines.taken >= PIECE_CHARACTERS:
                        break
            except (csv.Error, RowTooLong) as error:
                self._refuse_many_lines(self.row + len(rows), line, error)
                line = reader.line_num
                malformed[len(rows)] = str(error)
                rows.append([])
        self.row += len(rows)
        return rows, malformed

    def _refuse_many_lines(self, row: int, line: int, error: Exception) -> None:
        if self._lines.ended or self._lines.taken > ROW_CHARACTERS or self._reader.line_num > line + 1:
            raise ReadError(
                f"{self._file.address}: row {row}, which begins in line {line + 1}, cannot be read: {error}; is there "
                "a quote that is not closed, or not doubled inside a quoted value?"
            ) from error


def _is_blank(row: list[str], width: int) -> bool:
    return not row or (len(row) == 1 < width and row[0].isspace())


def _bad_rows(rows: _Rows, width: int, malformed: dict[int, str]) -> dict[int, tuple[str, str]]:
    bad: dict[int, tuple[str, str]] = {}
    for index, row in enumerate(rows):
        if index in malformed:
            bad[index] = ("malformed quoting", malformed[index])
        elif len(row) != width:
            fields = "1 field" if len(row) == 1 else f"{len(row)} fields"
            bad[index] = ("ragged row", f"{fields}, the header has {width}")
    return bad


def _damaged_rows(values: Sequence[Sequence[str]], columns: Sequence[str], encoding: str) -> dict[int, tuple[str, str]]:
    bad: dict[int, tuple[str, str]] = {}
    for name, column in zip(columns, values, strict=True):
        for index, reason in damaged(column).items():
            detail = f"in {name}" if reason == NUL_BYTE else f"{bad_byte(column[index], encoding)}, in {name}"
            bad.setdefault(index, (reason, detail))
    return bad


def _without(rows: _Rows, numbers: Sequence[int], bad: dict[int, tuple[str, str]]) -> tuple[_Rows, list[int]]:
    good = [index for index in range(len(rows)) if index not in bad]
    return [rows[index] for index in good], [numbers[index] for index in good]


def _delimited_piece(
    file: UploadFile, columns: Sequence[str], first: int, rows: _Rows, malformed: dict[int, str]
) -> Piece:
    """Return the Piece of a batch; rows are looked at one by one only where something is wrong with some."""
    numbers, width, found = list(range(first, first + len(rows))), len(columns), []
    if set(map(len, rows)) != {width}:
        bad = _bad_rows(rows, width, malformed)
        found += [BadRow(numbers[index], *why) for index, why in bad.items()]
        rows, numbers = _without(rows, numbers, bad)
    bad = _damaged_rows(list(zip(*rows, strict=True)), columns, file.encoding) if rows else {}
    if bad:
        found += [BadRow(numbers[index], *why) for index, why in bad.items()]
        rows, numbers = _without(rows, numbers, bad)
    values: list[list[str | None]] = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in columns]
    bad_rows = tuple(sorted(found, key=lambda row: row.row))
    return Piece(numbers, dict(zip(columns, values, strict=True)), bad_rows)


def open_delimited(file: UploadFile) -> tuple[tuple[str, ...], Callable[[], Iterator[Piece]]]:
    """Return the columns of a delimited file and what reads it: the header is row 1; blank lines are not counted.

    An empty value is an empty str. Raises UploadError for a file without a header or without rows.
    """
    file.check_mark()
    sample = _sample(file)
    if not sample:
        raise UploadError(f"{file.address} is empty")
    delimiter = find_delimiter(sample)
    with file.lines() as lines:
        records = _Delimited(file, lines, delimiter)
        columns = records.header()
        if not any(records.batch(len(columns), 1)):
            raise UploadError(f"{file.address} has a header but no rows")

    def pieces() -> Iterator[Piece]:
        with file.lines() as lines:
            records = _Delimited(file, lines, delimiter)
            records.header()
            while True:
                first = records.row
                rows, malformed = records.batch(len(columns))
                if not rows:
                    return
                yield _delimited_piece(file, columns, first, rows, malformed)

    return columns, pieces
