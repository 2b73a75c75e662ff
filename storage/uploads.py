"""Uploads: the files that users bring, CSV, JSON Lines, Excel or Parquet, read in pieces whatever they are."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from storage.upload_delimited import open_delimited
from storage.upload_json import open_json_lines
from storage.upload_pieces import USUAL_COLUMNS, BadRow, Piece, ReadError, UploadError, UploadFile
from storage.upload_tables import open_excel, open_parquet

__all__ = ["SUFFIXES", "USUAL_COLUMNS", "BadRow", "Piece", "ReadError", "Upload", "UploadError", "open_upload"]

SUFFIXES = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".xlsx", ".parquet")
"""What the name of a file may end in, before .gz where it is gzipped."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A user's file that was found to be readable, as far as that shows at its beginning (and at a Parquet's end)."""

    address: str
    columns: tuple[str, ...]
    _pieces: Callable[[], Iterator[Piece]]

    def pieces(self) -> Iterator[Piece]:
        """Open the file anew and yield its rows in order; raise ReadError where it cannot be read to its end."""
        return self._pieces()


def open_upload(address: str, encoding: str = "utf-8", sheet: str | None = None) -> Upload:
    """Look into a file, a local path or any fsspec URL, whose name says its format.

    ``encoding`` is that of a delimited or JSON Lines file; ``sheet`` that of an Excel file, the first if None.
    Raises UploadError for what the user must change: no such file, no rows, columns of one name, damage that shows.
    """
    file = UploadFile(address, encoding)
    if file.suffix not in SUFFIXES:
        raise UploadError(f"{address} is of no known format; allowed: {', '.join(SUFFIXES)}, each also with .gz")
    if sheet is not None and file.suffix != ".xlsx":
        raise UploadError(f"{address} has no sheet {sheet!r}: only an Excel file has sheets")
    if file.suffix == ".xlsx":
        return Upload(address, *open_excel(file, sheet))
    if file.suffix == ".parquet":
        return Upload(address, *open_parquet(file))
    if file.suffix in (".jsonl", ".ndjson"):
        return Upload(address, *open_json_lines(file))
    return Upload(address, *open_delimited(file))
