"""Candidates of an import, and published documents, from a few literals."""

from collections.abc import Mapping, Sequence

import pyarrow as pa

from schemas.coding import Annotation
from schemas.document import Document
from storage.files import Files
from tests.rows import document, documents, publish_rows, table_of
from transforms.deduplicate import Candidates, stage_candidates

Row = tuple[str, str]
"""An own id and a text."""


def numbered(rows: pa.Table, first: int) -> pa.Table:
    return rows.append_column("row", pa.array(range(first, first + rows.num_rows), pa.int64()))


def candidates(
    files: Files, parts: Sequence[Sequence[Row]], annotated: Mapping[int, Annotation] = {}
) -> list[Candidates]:
    """Stage parts of a file, whose rows count from 2, as after a header; ``annotated`` are annotations by row."""
    staged, first = [], 0
    for number, part in enumerate(parts):
        rows = numbered(documents(*(document(own, text, run="r1") for own, text in part)), first + 2)
        mine = {row: code for row, code in annotated.items() if row in rows["row"].to_pylist()}
        codes = table_of(Annotation, mine.values()).append_column("row", pa.array(list(mine), pa.int64()))
        staged.append(stage_candidates(files, "r1", number, first, rows, codes, "f.csv"))
        first += len(part)
    return staged


def publish_documents(files: Files, *rows: Document) -> None:
    publish_rows(files, "r0", "documents", [({"source": "s"}, documents(*rows))])
