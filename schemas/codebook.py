"""Codebook: an ordered, versioned set of Codes, read from codebooks/*.toml."""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable


@dataclass(frozen=True, slots=True)
class Code:
    """One code as published (``"12"``, ``"negative"``), its name, and other codes and names for the same."""

    code: str
    name: str
    aliases: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.code, str) or not re.fullmatch(r"[a-z0-9][a-z0-9 _-]*", self.code):
            raise ValueError(f"code {self.code!r} is not a string of a-z, 0-9, ' ', '_' and '-'")
        if not isinstance(self.name, str) or not self.name.strip():
            raise ValueError(f"code {self.code!r}: name {self.name!r} is not a name")
        if not all(isinstance(alias, str) for alias in self.aliases):
            raise ValueError(f"code {self.code!r}: aliases {list(self.aliases)} are not all strings")


@dataclass(frozen=True, slots=True)
class Codebook:
    """An ordered, versioned set of Codes. A code means nothing without the Codebook it belongs to.

    Raises ValueError where a code, a name or an alias stands twice (names compared without case).
    """

    name: str
    version: int
    title: str
    origin: str
    codes: tuple[Code, ...]

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9-]*", self.name) or self.version < 1:
            raise ValueError(f"codebook {self.name!r} version {self.version!r}: allowed are a-z, 0-9, '-' and 1, 2, …")
        if not self.codes:
            raise ValueError(f"codebook {self.id} has no codes")
        self._refuse_repeats("code", (code.code for code in self.codes))
        self._refuse_repeats("name", (code.name for code in self.codes))
        self._refuse_repeats("code, name or alias", self._words())

    def _words(self) -> Iterable[str]:
        for code in self.codes:
            yield from {word.casefold() for word in (code.code, code.name, *code.aliases)}

    def _refuse_repeats(self, kind: str, words: Iterable[str]) -> None:
        seen: set[str] = set()
        for word in words:
            if word.casefold() in seen:
                raise ValueError(f"codebook {self.id}: {kind} {word!r} stands twice")
            seen.add(word.casefold())

    @property
    def id(self) -> str:
        """The name and version by which everything else refers to it: ``cap@1``."""
        return f"{self.name}@{self.version}"

    def __contains__(self, code: str) -> bool:
        return any(code == known.code for known in self.codes)

    def label(self, code: str) -> str:
        """Return the name of ``code``; raise KeyError where the Codebook has no such code."""
        return {known.code: known.name for known in self.codes}[code]

    def code_named(self, word: str) -> str | None:
        """Return the code that ``word`` is, names or is an alias of, in any case, or None."""
        sought = word.strip().casefold()
        for code in self.codes:
            if sought in (known.casefold() for known in (code.code, code.name, *code.aliases)):
                return code.code
        return None


def read_codebook(file: Traversable) -> Codebook:
    """Read one codebook file; raise ValueError, naming the file, where it is malformed."""
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
        _check_keys(data, {"name", "version", "title", "origin", "codes"})
        codes = tuple(_read_code(row) for row in data["codes"])
        return Codebook(data["name"], data["version"], data["title"], data["origin"], codes)
    except KeyError as error:
        raise ValueError(f"codebook file {file.name}: {error} is missing") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"codebook file {file.name}: {error}") from error


def _check_keys(row: dict[str, object], allowed: set[str]) -> None:
    if row.keys() - allowed:
        raise ValueError(f"unknown keys {sorted(row.keys() - allowed)}; allowed: {', '.join(sorted(allowed))}")


def _read_code(row: dict[str, str]) -> Code:
    if not isinstance(row, dict):
        raise TypeError(f"{row!r} is not a row with a code and a name")
    _check_keys({**row}, {"code", "name", "aliases"})
    aliases: object = row.get("aliases", [])
    if not isinstance(aliases, list):
        raise TypeError(f"code {row['code']!r}: aliases {aliases!r} are not a list")
    return Code(row["code"], row["name"], tuple(aliases))


@cache
def codebooks() -> dict[str, Codebook]:
    """Return every Codebook that ships with the package by id, sorted by id."""
    folder = files("schemas") / "codebooks"
    books = [read_codebook(file) for file in folder.iterdir() if file.name.endswith(".toml")]
    if len({book.id for book in books}) < len(books):
        raise ValueError(f"two codebook files have one id: {sorted(book.id for book in books)}")
    return {book.id: book for book in sorted(books, key=lambda book: book.id)}


def codebook(name: str) -> Codebook:
    """Return the Codebook ``name``: an id (``cap@1``) or a bare name, which is its latest version.

    Raises ValueError, listing those known, where there is none.
    """
    known = codebooks()
    if name in known:
        return known[name]
    versions = [book for book in known.values() if book.name == name]
    if not versions:
        raise ValueError(f"unknown codebook {name!r}; codebooks: {', '.join(known)}")
    return max(versions, key=lambda book: book.version)
