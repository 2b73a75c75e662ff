"""Document: one text from one source, and the id that names it in every table."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import blake2b

SOURCE_PATTERN = r"[a-z0-9][a-z0-9._-]{0,63}"


def check_source(source: str) -> str:
    """Return ``source`` if it may name a source; it becomes a folder name, so raise ValueError if it may not."""
    if not re.fullmatch(SOURCE_PATTERN, source) or ".." in source:
        raise ValueError(
            f"source {source!r} is not allowed: 1 to 64 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit"
        )
    return source


def digest(*parts: str | None) -> str:
    """Return 32 hexadecimal digits (BLAKE2b, 128 bits); None and '' differ, as do ('ab',) and ('a', 'b')."""
    state = blake2b(digest_size=16)
    for part in parts:
        data = b"" if part is None else part.encode("utf-8", "surrogatepass")
        state.update(b"-" if part is None else b"%d:" % len(data))
        state.update(data)
    return state.hexdigest()


def document_id(source: str, own_id: str | None, content: tuple[str | None, ...] = ()) -> str:
    """Return the name of a document in every table.

    ``<source>:<own id>`` where the user has an id of their own, else ``<source>#<digest of content>``, with content
    all that tells two rows apart: text, title, url and date. A source holds neither ':' nor '#', so no two kinds meet.
    """
    return f"{source}:{own_id}" if own_id is not None else f"{source}#{digest(*content)}"


@dataclass(frozen=True, slots=True)
class Document:
    """One text from one source.

    ``id`` is the user's own, ``version`` counts from 1, ``text_digest`` is ``digest(text)``. ``language`` and
    ``domain`` are what the row declares, ``source_language`` and ``source_domain`` what its whole source declares; all
    four are normalised. ``extra`` keeps every column that has no other place.
    """

    document_id: str
    id: str | None
    version: int
    text: str
    text_digest: str
    title: str | None
    url: str | None
    source: str
    published: date | None
    year: int | None
    gathered: datetime
    language: str | None
    domain: str | None
    source_language: str | None
    source_domain: str | None
    translated_from: str | None
    extra: Mapping[str, str]
    run: str

    def __post_init__(self) -> None:
        check_source(self.source)
        if self.version < 1:
            raise ValueError(f"version={self.version} but versions count from 1")
        if not self.text.strip():
            raise ValueError(f"document {self.document_id!r} has no text")
