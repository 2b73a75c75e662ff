"""Pieces: what is read of a user's file at a time; and the files themselves, opened through fsspec."""

import codecs
import gzip
import io
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO
from urllib.parse import urlsplit

import fsspec
from botocore.exceptions import BotoCoreError, ClientError
from fsspec.implementations.local import LocalFileSystem

PIECE_ROWS = 5_000
PIECE_CHARACTERS = 8 * 1024 * 1024
ROW_CHARACTERS = 64 * 1024 * 1024
"""The most characters that one row of a file of text may have."""

NUL_BYTE = "NUL byte"
UNDECODABLE = "undecodable bytes"

USUAL_COLUMNS = {
    "id": ("id", "document_id", "doc_id"),
    "text": ("text", "content", "body", "full_text"),
    "title": ("title", "headline"),
    "url": ("url", "link"),
    "date": ("date", "published", "published_at"),
    "year": ("year",),
    "language": ("language", "lang"),
    "domain": ("domain", "genre"),
    "code": ("major_topic",),
}
"""What a column is for, and the names under which it is found in any case."""

_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: "utf-8",
}


class UploadError(ValueError):
    """A user's file, or what was said of it, that must be changed before anything can start."""


class ReadError(UploadError):
    """A user's file that cannot be read to its end."""


class RowTooLong(Exception):
    """A row of a file of text has more characters than any may have."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that could not be read."""

    row: int
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows of a file, by column, with the row numbers; and the rows among them that could not be read.

    At most 5,000 rows, of about 8 MiB of text. A value is None where the file says that there is none.
    """

    rows: list[int]
    columns: dict[str, list[str | None]]
    bad: tuple[BadRow, ...]


def is_text(value: str) -> bool:
    """Say whether a str can be written as UTF-8, that is, holds no lone surrogates."""
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            return False
    return True


def damaged(values: Sequence[str | None]) -> dict[int, str]:
    """Return by index the reason why a value is no clean text: NUL_BYTE or UNDECODABLE. Quick where all are."""
    everything = "".join(filter(None, values))
    reasons: dict[int, str] = {}
    if "\0" not in everything and is_text(everything):
        return reasons
    for index, value in enumerate(values):
        if value and "\0" in value:
            reasons[index] = NUL_BYTE
        elif value and not is_text(value):
            reasons[index] = UNDECODABLE
    return reasons


def bad_byte(value: str, encoding: str) -> str:
    """Return what to say of a value that was decoded with surrogateescape and holds undecodable bytes."""
    byte = next(ord(character) & 0xFF for character in value if "\udc80" <= character <= "\udcff")
    return f"byte 0x{byte:02x} is not {encoding}"


def check_columns(address: str, header: Sequence[str | None]) -> tuple[str, ...]:
    """Return the names of the columns, stripped; one without a name is called ``column_<place>``.

    Raises UploadError where a name stands twice, or is no clean text.
    """
    names = [(name or "").removeprefix("\ufeff").strip() for name in header]
    names = [name or f"column_{place}" for place, name in enumerate(names, 1)]
    for index, reason in damaged(names).items():
        raise UploadError(f"{address}: {reason} in the name of column {index + 1}; is this the file's encoding?")
    twice = dict.fromkeys(name for name in names if names.count(name) > 1) if len(set(names)) < len(names) else {}
    if twice:
        raise UploadError(f"{address}: more than one column is called {', '.join(map(repr, twice))}")
    return tuple(names)


@contextmanager
def explained(address: str) -> Iterator[None]:
    """Raise UploadError for a file that is not there and ReadError for one that cannot be read."""
    try:
        yield
    except UploadError:
        raise
    except FileNotFoundError as error:
        raise UploadError(f"no such file: {address}") from error
    except IsADirectoryError as error:
        raise UploadError(f"{address} is a folder; give a file") from error
    except UnicodeError as error:
        raise ReadError(f"{address} cannot be decoded: {error}; name its encoding") from error
    except (OSError, EOFError, zlib.error, BotoCoreError, ClientError) as error:
        raise ReadError(f"{address} cannot be read: {getattr(error, 'strerror', None) or error}") from error


class Lines:
    """The lines of a file of text, with their ends, each once.

    ``taken`` counts the characters since it was last set to 0; RowTooLong is raised where they are more than a row may
    have, so that neither an endless line nor a quote that never closes fills the memory.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self.taken = 0
        self.ended = False

    def __iter__(self) -> Iterator[str]:
        readline, most = self._stream.readline, ROW_CHARACTERS + PIECE_CHARACTERS
        while line := readline(most + 1):
            self.taken += len(line)
            if self.taken > most:
                self.ended = True
                raise RowTooLong(f"more than {ROW_CHARACTERS:,} characters in one row")
            yield line
        self.ended = True


@dataclass(frozen=True, slots=True)
class UploadFile:
    """A file that a user brought: a local path or any fsspec URL, gzipped if its name ends in .gz."""

    address: str
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        try:
            "".encode(self.encoding)
        except (LookupError, ValueError) as error:
            raise UploadError(
                f"unknown encoding {self.encoding!r}; allowed are those of Python, such as utf-8, utf-16, windows-1250"
            ) from error

    @property
    def _name(self) -> str:
        first = self.address.partition("::")[0]
        return (urlsplit(first).path if first.startswith(("http://", "https://")) else first).lower()

    @property
    def suffix(self) -> str:
        """The suffix of the name, decompressed, in lower case: ``.csv``."""
        name = self._name.removesuffix(".gz").rpartition("/")[2]
        return "".join(name.rpartition(".")[1:]) if "." in name else ""

    @contextmanager
    def binary(self) -> Iterator[IO[bytes]]:
        """Open the file, decompressed."""
        with explained(self.address):
            try:
                filesystem, path = fsspec.core.url_to_fs(self.address)
            except (ImportError, ValueError) as error:
                raise UploadError(f"{self.address} cannot be opened: {error}") from error
            is_local = isinstance(filesystem, LocalFileSystem)  # whose own files would slow every line down
            with open(path, "rb") if is_local else filesystem.open(path, "rb") as raw:  # noqa: PTH123 - a plain path
                if not self._name.endswith(".gz"):
                    yield raw
                    return
                with gzip.GzipFile(fileobj=raw, mode="rb") as file:
                    yield file  # type: ignore[misc]

    @contextmanager
    def seekable(self) -> Iterator[IO[bytes]]:
        """Open the file for reading here and there, which a gzipped one allows only when unpacked to disk."""
        with self.binary() as file:
            if not isinstance(file, gzip.GzipFile):
                yield file
                return
            with tempfile.TemporaryFile() as unpacked:
                shutil.copyfileobj(file, unpacked)
                unpacked.seek(0)
                yield unpacked

    @contextmanager
    def lines(self) -> Iterator[Lines]:
        r"""Open the file for reading its lines, which end in \n, \r\n or \r; undecodable bytes are escaped."""
        with self.binary() as file:
            stream = io.TextIOWrapper(file, encoding=self.encoding, errors="surrogateescape", newline="")
            try:
                yield Lines(stream)
            finally:
                stream.detach()

    def check_mark(self) -> None:
        """Raise UploadError where the file begins with the byte order mark of another encoding."""
        with self.binary() as file:
            begin = file.read(4)
        actual = next((name for mark, name in _BYTE_ORDER_MARKS.items() if begin.startswith(mark)), None)
        if actual is not None and not codecs.lookup(self.encoding).name.startswith(actual):
            raise UploadError(f"{self.address} is not {self.encoding} but {actual}: name the encoding, {actual}")
