"""Import: Pieces of users' files in; Documents, Annotations and Rejections out, as Arrow tables."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa

from schemas.arrow import schema_of
from schemas.codebook import codebook
from schemas.coding import Annotation
from schemas.document import Document, check_source, digest, document_id
from schemas.group import UNDETERMINED, domain_named
from schemas.run import Rejection
from storage.upload_pieces import Piece, UploadError, damaged
from transforms.import_columns import ColumnNames, find_columns
from transforms.import_values import code_and_label, normalise_language, read_date, read_year, wrong_with_id

__all__ = ["Admitted", "ColumnNames", "ImportSettings", "admit", "find_columns", "normalise_language"]

MAX_CHARACTERS = 1_000_000
_DETAIL_CHARACTERS = 100

_Values = Sequence[str | None]
_Refusals = dict[int, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class ImportSettings:
    """How the rows of one file become Documents. ``codebook`` is that of the code column, if any.

    The names of the source's language, domain and codebook are normalised. Raises UploadError for those unknown.
    """

    source: str
    file: str
    run: str
    gathered: datetime
    columns: ColumnNames
    codebook: str | None = None
    coder: str = "unknown"
    source_language: str | None = None
    source_domain: str | None = None
    max_characters: int = MAX_CHARACTERS

    def __post_init__(self) -> None:
        try:
            check_source(self.source)
            book = codebook(self.codebook).id if self.codebook is not None else None
        except ValueError as error:
            raise UploadError(str(error)) from error
        object.__setattr__(self, "codebook", book)
        if self.columns.text is None:
            raise UploadError("no column holds the text; name one with --text-column")
        for what, normalise in (("language", normalise_language), ("domain", domain_named)):
            value = getattr(self, f"source_{what}")
            normal = None if value is None else normalise(value)
            if value is not None and normal is None:
                raise UploadError(f"unknown {what} {value!r} of source {self.source}")
            object.__setattr__(self, f"source_{what}", normal)


@dataclass(frozen=True, slots=True)
class Admitted:
    """What became of a Piece: ``documents`` and ``annotations`` with their ``row`` in the file, and ``rejections``.

    ``read`` is the number of rows that the Piece had.
    """

    read: int
    documents: pa.Table
    annotations: pa.Table
    rejections: pa.Table


def _shortened(value: str) -> str:
    return value if len(value) <= _DETAIL_CHARACTERS else f"{value[:_DETAIL_CHARACTERS]}…"


def _text_refusals(texts: _Values, most: int) -> Iterator[tuple[int, str, str]]:
    for index, text in enumerate(texts):
        if not text or text.isspace():
            yield index, "no text", ""
        elif len(text) > most:
            yield index, "text too long", f"{len(text)} characters, at most {most} are allowed"


def _id_refusals(ids: _Values) -> Iterator[tuple[int, str, str]]:
    for index, own in enumerate(ids):
        if own is None:
            yield index, "no id", ""
        elif wrong := wrong_with_id(own):
            yield index, "bad id", wrong


def _stripped(values: _Values) -> list[str | None]:
    return [(value.strip() or None) if value else None for value in values]


def _normal(piece: Piece, column: str | None, what: str) -> dict[str, str | None]:
    """Return what the distinct values of a column that declares a language or a domain mean; None is unknown."""
    values = set(piece.columns[column]) if column is not None else set()
    normalise = normalise_language if what == "language" else domain_named
    return {value: normalise(value) for value in values if value and not value.isspace()}


def _unknown_refusals(piece: Piece, column: str | None, what: str) -> Iterator[tuple[int, str, str]]:
    unknown = {value for value, normal in _normal(piece, column, what).items() if normal is None}
    if column is not None and unknown:
        for index, value in enumerate(piece.columns[column]):
            if value in unknown:
                yield index, f"unknown {what}", _shortened(value.strip())


def _refusals(piece: Piece, settings: ImportSettings) -> _Refusals:
    """Return by index, in their order, the rows that become no Document, and why: the first reason found counts."""
    names, refused = settings.columns, _Refusals()
    for column, values in piece.columns.items():
        for index, reason in damaged(values).items():
            refused.setdefault(index, (reason, f"in {_shortened(column)}"))
    found = list(_text_refusals(piece.columns[names.text or ""], settings.max_characters))
    if names.id is not None:
        found += _id_refusals(_stripped(piece.columns[names.id]))
    found += _unknown_refusals(piece, names.language, "language")
    found += _unknown_refusals(piece, names.domain, "domain")
    for index, reason, detail in found:
        refused.setdefault(index, (reason, detail))
    return dict(sorted(refused.items()))


def _kept(piece: Piece, refused: _Refusals) -> Piece:
    """Return the rows that are not refused."""
    if not refused:
        return piece
    kept = [index for index in range(len(piece.rows)) if index not in refused]
    columns = {name: [values[index] for index in kept] for name, values in piece.columns.items()}
    return Piece([piece.rows[index] for index in kept], columns, ())


def _table(schema: pa.Schema, columns: Mapping[str, Sequence[object] | pa.Array], rows: Sequence[int]) -> pa.Table:
    """Return columns of the schema and ``row``; a column that is not given has no values."""
    if "row" not in schema.names:
        schema = schema.append(pa.field("row", pa.int64(), nullable=False))
    given = {**columns, "row": rows}
    nothing = [None] * len(rows)
    arrays = [
        value if isinstance(value := given.get(field.name, nothing), pa.Array) else pa.array(value, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _extra(columns: Mapping[str, _Values], rows: int) -> pa.Array:
    """Return a map from column to value for each row; empty values are left out."""
    values = pa.concat_arrays(
        [pa.array(column, pa.string()) for column in columns.values()] or [pa.nulls(0, pa.string())]
    )
    there = np.array([bool(value) for column in columns.values() for value in column], bool).reshape(len(columns), rows)
    places = np.arange(there.size).reshape(there.shape).T[there.T]
    offsets = np.concatenate([[0], np.cumsum(there.sum(axis=0))]).astype(np.int32)
    names = pa.array(list(columns), pa.string())
    keys = names.take(pa.array(places // max(rows, 1), pa.int64()))
    return pa.MapArray.from_arrays(pa.array(offsets), keys, values.take(pa.array(places, pa.int64())))


def _dates(piece: Piece, names: ColumnNames, extra: dict[str, _Values]) -> dict[str, Sequence[object]]:
    """Return ``published`` and ``year``, the year column's before the date's; what cannot be read goes to ``extra``."""
    nothing: _Values = [None] * len(piece.rows)
    dates = piece.columns[names.date] if names.date is not None else nothing
    years = piece.columns[names.year] if names.year is not None else nothing
    dated = {value: read_date(value) for value in set(dates)}
    told = {value: read_year(value) for value in set(years)}
    if names.date is not None:
        extra[names.date] = [value if dated[value] == (None, None) else None for value in dates]
    if names.year is not None:
        extra[names.year] = [value if told[value] is None else None for value in years]
    return {
        "published": [dated[value][0] for value in dates],
        "year": [told[year] or dated[value][1] for year, value in zip(years, dates, strict=True)],
    }


def _declared(piece: Piece, column: str | None, what: str) -> _Values:
    normal = _normal(piece, column, what)
    values = piece.columns[column] if column is not None else [None] * len(piece.rows)
    return [None if (tag := normal.get(value or "")) == UNDETERMINED else tag for value in values]


def _plain(piece: Piece, column: str | None) -> _Values:
    values = piece.columns[column] if column is not None else [None] * len(piece.rows)
    return [None if not value or value.isspace() else value for value in values]


def _documents(piece: Piece, settings: ImportSettings) -> pa.Table:
    """Return rows of which none is refused as Documents."""
    names, size, source = settings.columns, len(piece.rows), settings.source
    texts = piece.columns[names.text or ""]
    ids: _Values = _stripped(piece.columns[names.id]) if names.id is not None else [None] * size
    placed = set(names.all().values()) - ({names.code} if settings.codebook is None else set())
    extra: dict[str, _Values] = {name: values for name, values in piece.columns.items() if name not in placed}
    dates = _dates(piece, names, extra)
    titles, urls = _plain(piece, names.title), _plain(piece, names.url)
    when = (str(day or year) if day or year else None for day, year in zip(*dates.values(), strict=True))
    content = zip(texts, titles, urls, when, strict=True)
    columns: dict[str, Sequence[object] | pa.Array] = {
        "document_id": [document_id(source, own, parts) for own, parts in zip(ids, content, strict=True)],
        "id": ids,
        "version": [1] * size,
        "text": texts,
        "text_digest": [digest(text) for text in texts],
        "title": titles,
        "url": urls,
        "source": [source] * size,
        **dates,
        "gathered": [settings.gathered] * size,
        "language": _declared(piece, names.language, "language"),
        "domain": _declared(piece, names.domain, "domain"),
        "source_language": [settings.source_language] * size,
        "source_domain": [settings.source_domain] * size,
        "extra": _extra(extra, size),
        "run": [settings.run] * size,
    }
    return _table(schema_of(Document), columns, piece.rows)


def _taken(rows: pa.Table, indices: Iterable[int]) -> pa.Table:
    return rows.take(pa.array(list(indices), pa.int64()))


def _annotations(piece: Piece, documents: pa.Table, settings: ImportSettings) -> tuple[pa.Table, pa.Table]:
    """Return the codes that came with the Documents, which are the Piece's rows, and Rejections of those unknown."""
    column, book = settings.columns.code, settings.codebook
    values = _plain(piece, column if book is not None else None)
    meant = {value: code_and_label(book or "", value) for value in set(values) if value is not None}
    found = {index: (value, meant[value]) for index, value in enumerate(values) if value is not None}
    known = {index: pair for index, (_, pair) in found.items() if pair is not None}
    unknown = {index: value for index, (value, pair) in found.items() if pair is None}
    shared = {"coder": settings.coder, "source": settings.source, "run": settings.run, "codebook": book}
    columns: dict[str, Sequence[object] | pa.Array] = {name: [value] * len(known) for name, value in shared.items()}
    columns["document_id"] = _taken(documents, known)["document_id"].combine_chunks()
    columns["code"], columns["label"] = [code for code, _ in known.values()], [label for _, label in known.values()]
    annotations = _table(schema_of(Annotation), columns, [piece.rows[index] for index in known])
    rows = _taken(documents, unknown)
    rejected: dict[str, Sequence[object] | pa.Array] = {
        name: rows[name].combine_chunks() for name in ("document_id", "version", "id", "language", "domain")
    }
    details = [_shortened(value.strip()) for value in unknown.values()]
    rejected |= {"codebook": [book] * len(unknown), "reason": ["unknown code"] * len(unknown), "detail": details}
    return annotations, _rejections(rejected, [piece.rows[index] for index in unknown], "annotate", settings)


def _rejections(
    columns: dict[str, Sequence[object] | pa.Array], rows: Sequence[int], step: str, settings: ImportSettings
) -> pa.Table:
    shared = {"file": settings.file, "run": settings.run, "step": step}
    return _table(schema_of(Rejection), columns | {name: [value] * len(rows) for name, value in shared.items()}, rows)


def _refused_rows(piece: Piece, refused: _Refusals, settings: ImportSettings) -> pa.Table:
    """Return the Rejections of refused rows and of those that could not be read, in row order."""
    own = piece.columns[settings.columns.id] if settings.columns.id is not None else [None] * len(piece.rows)
    found: list[tuple[int, str | None, str, str]] = [(row.row, None, row.reason, row.detail) for row in piece.bad]
    found += [(piece.rows[index], _safe_id(own[index]), *why) for index, why in refused.items()]
    rows, ids, reasons, details = (
        zip(*sorted(found, key=lambda each: each[0]), strict=True) if found else ((), (), (), ())
    )
    return _rejections({"id": ids, "reason": reasons, "detail": details}, rows, "import", settings)


def _safe_id(value: str | None) -> str | None:
    own = value.strip() if value else ""
    return own if own and not wrong_with_id(own) and not damaged([own]) else None


def admit(piece: Piece, settings: ImportSettings) -> Admitted:
    """Make Documents of the rows of a Piece; each becomes one Document or one Rejection, in their order.

    A code that the Codebook does not know is a Rejection of its own and leaves the Document as it is.
    """
    refused = _refusals(piece, settings)
    kept = _kept(piece, refused)
    documents = _documents(kept, settings)
    annotations, unknown = _annotations(kept, documents, settings)
    rejections = pa.concat_tables([_refused_rows(piece, refused, settings), unknown])
    return Admitted(len(piece.rows) + len(piece.bad), documents, annotations, rejections)
