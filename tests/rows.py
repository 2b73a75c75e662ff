"""Rows for tests: nouns from a few literals, as Arrow tables, staged and published."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from schemas.arrow import schema_of
from schemas.coding import Annotation, Coding
from schemas.document import Document, digest, document_id
from schemas.group import Group
from schemas.run import NO_MODEL, Rejection, TableVersion
from schemas.work import StagedFile
from storage.files import Files
from storage.shards import Staging
from storage.tables import Snapshot, dataset, publish, snapshot

MODEL = "m@1"
HU = Group("hu", "media")
DE = Group("de", "media")
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
_ABSENT = ("code_2", "score_2", "code_3", "score_3", "parent_id", "translated_from", "id", "title", "url", "published")
_NOTHING = dict.fromkeys((*_ABSENT, "year", "text", "probabilities"))


def table_of(noun: type, rows: Iterable[Any]) -> pa.Table:
    """Return nouns as the Arrow table of their noun."""
    plain = [
        {name: list(value.items()) if isinstance(value, Mapping) else value for name, value in asdict(row).items()}
        for row in rows
    ]
    return pa.Table.from_pylist(plain, schema=schema_of(noun))


def document(own: str, text: str = "Szöveg.", *, version: int = 1, source: str = "s", run: str = "r0") -> Document:
    name = document_id(source, own)
    return Document(
        name, own, version, text, digest(text), None, None, source, None, None, NOON,
        None, None, None, None, None, {"paper": "Ö"}, run,
    )  # fmt: skip


def documents(*rows: Document) -> pa.Table:
    return table_of(Document, rows)


def coding(name: str, group: Group = HU, *, book: str = "cap@1", version: int = 1, code: str = "12") -> Coding:
    return Coding(
        document_id=name, version=version, code=code, label="Law", score=0.5, model="m", revision="1", route="r",
        language_tag=group.language, language_confidence=1.0, language_source="declared", language_detected="",
        domain_confidence=1.0, domain_source="declared", domain_detected="", segment="document", sequence=0,
        windows=1, truncated=False, source="s", run="r0", codebook=book, language=group.language, domain=group.domain,
        **_NOTHING,
    )  # fmt: skip


def codings(*rows: Coding) -> pa.Table:
    return table_of(Coding, rows)


def rejection(
    name: str,
    group: Group = HU,
    *,
    book: str = "cap@1",
    version: int = 1,
    reason: str = "no term found",
    run: str = "r0",
    model: str = MODEL,
) -> Rejection:
    """Return a Rejection by a model, or for want of one."""
    detail = "no model for it" if reason == NO_MODEL else f"{model}: language model"
    return Rejection(
        name, version, None, None, None, book, group.language, group.domain, reason, detail, run, "classify"
    )  # fmt: skip


def rejections(*rows: Rejection) -> pa.Table:
    return table_of(Rejection, rows)


def annotation(name: str, code: str = "12", *, coder: str = "anna", book: str = "cap@1") -> Annotation:
    return Annotation(name, code, "Law", coder, "s", "r0", book)


def partition(group: Group = HU, book: str = "cap@1") -> dict[str, str]:
    return {"codebook": book, "language": group.language, "domain": group.domain}


def stage(files: Files, run: str, table: str, where: dict[str, str], rows: pa.Table, name: str = "0") -> StagedFile:
    """Stage one file and return it."""
    staging = Staging(files, run, "a1")
    staging.write(table, where, name, rows)
    (staged,) = staging.staged
    return staged


def publish_rows(
    files: Files, run: str, table: str, parts: Sequence[tuple[dict[str, str], pa.Table]], replaced: Sequence[str] = ()
) -> Snapshot:
    """Publish one file per partition and rows, on the newest state of the table; return the table's snapshot."""
    staged = [stage(files, run, table, where, rows, str(number)) for number, (where, rows) in enumerate(parts)]
    publish(files, table, run, staged, replaced, snapshot(files, table).at)
    return snapshot(files, table)


def rows_of(files: Files, part: Snapshot) -> list[dict[str, Any]]:
    """Return a snapshot's rows in the order of their ids."""
    rows: list[dict[str, Any]] = dataset(files, part).to_table().to_pylist()
    return sorted(rows, key=lambda row: (row["document_id"], row.get("version") or 0, row["run"]))


def ids_of(files: Files, part: Snapshot) -> list[str]:
    return [row["document_id"] for row in rows_of(files, part)]


def versions(**publishes: int) -> dict[str, TableVersion]:
    """Return the states of all tables as a Run begins: absent, unless it is said how often they were published to."""
    tables = ("rejections", "duplicates", "annotations", "documents", "codings")
    return {name: TableVersion(publishes.get(name, 0) - 1, publishes.get(name, 0)) for name in tables}


def next_version(row: Document, text: str) -> Document:
    return replace(row, version=row.version + 1, text=text, text_digest=digest(text))
