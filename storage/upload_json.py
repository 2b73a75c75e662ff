"""JSON Lines, in pieces. Memory stays the same however long the file is."""

import json
from collections.abc import Callable, Iterator, Sequence

from storage.upload_pieces import (
    PIECE_CHARACTERS,
    PIECE_ROWS,
    UNDECODABLE,
    BadRow,
    Lines,
    Piece,
    ReadError,
    RowTooLong,
    UploadError,
    UploadFile,
    bad_byte,
    damaged,
    is_text,
)

_HEADER_LINES = 1_000
_PIECE_CELLS = 2_000_000


def _refuse_constant(word: str) -> str:
    raise ValueError(f"{word} is not JSON")


_JSON = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=_refuse_constant)
"""Numbers stay as they are written."""


def compact_json(value: object) -> str:
    """Return a value as JSON in one line, as short as can be."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def _json_row(line: str) -> dict[str, str | None]:
    """Return the values of a line by key; raise ValueError where it is not a JSON object with keys of clean text."""
    try:
        found = _JSON.decode(line)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(found, dict):
        raise ValueError("it is a list" if isinstance(found, list) else "it is a single value")  # noqa: TRY004 - caught
    if damaged(list(found)):
        raise ValueError("a key holds a NUL byte or half a character")
    for key, value in found.items():
        if isinstance(value, bool):
            found[key] = "true" if value else "false"
        elif isinstance(value, (dict, list)):
            found[key] = compact_json(json.loads(line)[key])
    return found


class _JsonLines:
    """The rows of a JSON Lines file, in Pieces. ``line`` is the number of the last line taken."""

    def __init__(self, file: UploadFile, lines: Lines) -> None:
        self._file = file
        self._lines = lines
        self._iterator = _without_mark(lines)
        self.line = 0

    def piece(self, columns: Sequence[str], most: int = PIECE_ROWS) -> Piece:
        """Return the next rows, none at the end; columns that ``columns`` lacks come after its own."""
        self._lines.taken = 0
        rows: list[int] = []
        records: list[dict[str, str | None]] = []
        bad: list[BadRow] = []
        names = dict.fromkeys(columns)
        while len(rows) + len(bad) < most and self._lines.taken < PIECE_CHARACTERS:
            line = self._next()
            if line is None:
                break
            record = self._record(line)
            if isinstance(record, BadRow):
                bad.append(record)
                continue
            rows.append(self.line)
            records.append(record)
            names |= dict.fromkeys(record)
            if len(names) * len(rows) > _PIECE_CELLS:
                break
        return Piece(rows, {name: [record.get(name) for record in records] for name in names}, tuple(bad))

    def _next(self) -> str | None:
        """Return the next line that is not blank."""
        try:
            for line in self._iterator:
                self.line += 1
                if not line.isspace():
                    return line
        except RowTooLong as error:
            raise ReadError(f"{self._file.address}: line {self.line + 1} cannot be read: {error}") from error
        return None

    def _record(self, line: str) -> dict[str, str | None] | BadRow:
        if not is_text(line):
            return BadRow(self.line, UNDECODABLE, bad_byte(line, self._file.encoding))
        try:
            return _json_row(line.strip())
        except ValueError as error:
            return BadRow(self.line, "not a JSON object", str(error))


def _without_mark(lines: Lines) -> Iterator[str]:
    rest = iter(lines)
    for line in rest:
        yield line.removeprefix("\ufeff")
        break
    yield from rest


def open_json_lines(file: UploadFile) -> tuple[tuple[str, ...], Callable[[], Iterator[Piece]]]:
    """Return the columns of a JSON Lines file, which are the keys of its first 1,000 lines, and what reads it.

    Rows have the numbers of their lines; keys that first appear later are columns of the Pieces they appear in.
    Raises UploadError for a file whose first lines hold no JSON object or no key.
    """
    file.check_mark()
    with file.lines() as lines:
        first = _JsonLines(file, lines).piece((), _HEADER_LINES)
    if not first.rows and not first.bad:
        raise UploadError(f"{file.address} is empty")
    if not first.columns:
        why = f"; {first.bad[0].reason} in line {first.bad[0].row}: {first.bad[0].detail}" if first.bad else ""
        raise UploadError(f"{file.address} has no columns: JSON Lines has one object with keys in each line{why}")
    columns = tuple(first.columns)

    def pieces() -> Iterator[Piece]:
        with file.lines() as lines:
            reader = _JsonLines(file, lines)
            while True:
                piece = reader.piece(columns)
                if not piece.rows and not piece.bad:
                    return
                yield piece

    return columns, pieces
