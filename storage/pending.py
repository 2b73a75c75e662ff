"""Pending: which rows of the grouped shards a Codebook has not settled yet, decided document by document."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.group import Group
from schemas.work import Slice
from storage.files import Files
from storage.query import arrow, query, scalar
from storage.shards import read_slice
from storage.tables import Snapshot, stream

_GROUPED = pa.schema(
    [pa.field("slice", pa.int32()), pa.field("document_id", pa.string()), pa.field("version", pa.int16())]
)
_NEWEST = """
CREATE TABLE newest AS SELECT document_id, max(version) AS version FROM grouped
WHERE document_id IN (SELECT document_id FROM grouped WHERE version > 1) GROUP BY document_id
"""
_REFUSED = """
CREATE TABLE refused AS SELECT DISTINCT g.slice, g.document_id, g.version
FROM grouped g JOIN slices p USING (slice) JOIN rejections r USING (document_id)
WHERE r.codebook = ? AND r.version >= g.version AND r.language = p.language AND r.domain = p.domain
AND (p.model = '' OR starts_with(r.detail, p.model || ': '))
"""
_STATES = """
CREATE TABLE states AS
    SELECT g.slice, g.document_id, g.version, c.document_id IS NOT NULL AS coded,
        CASE WHEN g.version < n.version THEN 'superseded'
             WHEN c.version >= g.version AND c.language = p.language AND c.domain = p.domain THEN 'settled'
             WHEN c.document_id IS NULL AND r.document_id IS NOT NULL THEN 'settled'
             ELSE 'pending' END AS state
    FROM grouped g JOIN slices p USING (slice) LEFT JOIN newest n USING (document_id)
    LEFT JOIN codings c USING (document_id)
    LEFT JOIN refused r ON r.slice = g.slice AND r.document_id = g.document_id AND r.version = g.version
"""
_WANTED = "SELECT document_id, version FROM states WHERE slice = ? AND state = 'pending' ORDER BY document_id"


@dataclass(frozen=True, slots=True)
class Pending:
    """What a Codebook has not settled: the Slices to code, and the rows left out because ``settled`` or ``superseded``.

    ``replacing`` is the number of pending rows that have a Coding already, which theirs will replace.
    """

    slices: tuple[Slice, ...]
    settled: int
    superseded: int
    replacing: int


def _grouped_rows(files: Files, slices: Sequence[Slice]) -> Iterator[pa.RecordBatch]:
    for number, piece in enumerate(slices):
        rows = read_slice(files, piece, ["document_id", "version"])
        column = pa.array([number] * rows.num_rows, pa.int32())
        yield from rows.add_column(0, _GROUPED.field("slice"), column).cast(_GROUPED).to_batches()


def _slice_table(slices: Sequence[Slice], models: Mapping[Group, str]) -> pa.Table:
    return pa.table(
        {
            "slice": pa.array(range(len(slices)), pa.int32()),
            "language": pa.array([piece.group.language for piece in slices], pa.string()),
            "domain": pa.array([piece.group.domain for piece in slices], pa.string()),
            "model": pa.array([models.get(piece.group, "") for piece in slices], pa.string()),
        }
    )


def find_pending(
    files: Files,
    slices: Sequence[Slice],
    codebook: str,
    published: tuple[Snapshot, Snapshot],
    models: Mapping[Group, str],
    lists: str,
) -> Pending:
    """Find what a Codebook has not settled; ``published`` are the snapshots of codings and rejections.

    Settled is what has a Coding, or else a Rejection, for the document's newest version and present Group. Where the
    Group has a model now (``models``, by name), only that model's own Rejections settle anything: what had no model, or
    none that found a term, is pending again when another one comes. Older versions are superseded.
    Where only some rows of a Slice are pending, a file in the folder ``lists`` names them by document_id and version.
    """
    codings, rejections = published
    coded = stream(files, codings.where(codebook=codebook), ["document_id", "version", "language", "domain"])
    names = ["document_id", "version", "language", "domain", "codebook", "detail"]
    rejected = stream(files, rejections.where(step="classify"), names)
    reader = pa.RecordBatchReader.from_batches(_GROUPED, _grouped_rows(files, slices))
    with query(incoming=reader, slices=_slice_table(slices, models), codings=coded, rejections=rejected) as connection:
        connection.execute("CREATE TABLE grouped AS SELECT * FROM incoming")
        connection.execute(_NEWEST)
        connection.execute(_REFUSED, [codebook])
        connection.execute(_STATES)
        return _pending(files, connection, slices, lists)


def _pending(files: Files, connection: duckdb.DuckDBPyConnection, slices: Sequence[Slice], lists: str) -> Pending:
    counts = dict(
        connection.execute("SELECT slice, count(*) FROM states WHERE state = 'pending' GROUP BY slice").fetchall()
    )
    found = []
    for number, piece in enumerate(slices):
        rows = counts.get(number, 0)
        if rows == piece.rows:
            found.append(piece)
        elif rows:
            address = f"{lists}/{number:06}.parquet"
            with files.whole(address) as file:
                pq.write_table(arrow(connection, _WANTED, number), file)
            characters = piece.characters * rows // piece.rows
            found.append(replace(piece, rows=rows, characters=characters, pending=address))
    return Pending(
        tuple(found),
        settled=scalar(connection, "SELECT count(*) FROM states WHERE state = 'settled'"),
        superseded=scalar(connection, "SELECT count(*) FROM states WHERE state = 'superseded'"),
        replacing=scalar(connection, "SELECT count(*) FROM states WHERE state = 'pending' AND coded"),
    )
