"""Shards: Parquet files of one noun, staged whole; and grouped shards, whose row groups each hold one Group."""

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from schemas.group import Group
from schemas.work import Slice, StagedFile
from storage.files import Files, undamaged
from storage.layout import partition_folder, staging
from storage.tables import file_schema, partition_of

ROW_GROUP_ROWS = 10_000
ROW_GROUP_CHARACTERS = 500_000
"""The most rows, and but for a single longer row the most characters, of a Slice: the smallest thing to be coded."""

_SLICES = "babelbeam.slices"


class StagedParquet:
    """A Parquet file of a table, being written to a Run's staging area."""

    def __init__(self, writer: pq.ParquetWriter, schema: pa.Schema) -> None:
        self._writer = writer
        self._schema = schema
        self.rows = 0

    def write(self, rows: pa.Table) -> None:
        """Append rows, which hold the columns of the table's files in any order."""
        if rows.num_rows:
            rows = rows.select(self._schema.names).cast(self._schema)
            self._writer.write_table(rows, row_group_size=ROW_GROUP_ROWS)
            self.rows += rows.num_rows


class Staging:
    """Stages files of tables for one Run; each has the final name ``<run>-<name>.parquet`` in its partition."""

    def __init__(self, files: Files, run: str, attempt: str) -> None:
        self._files = files
        self._run = run
        self._attempt = attempt
        self.staged: list[StagedFile] = []

    @contextmanager
    def file(self, table: str, partition: dict[str, str], name: str) -> Iterator[StagedParquet]:
        """Stage one file of a table; a file without rows is not kept."""
        folder = partition_folder(table, partition_of(table, partition))
        final = f"{folder}/{self._run}-{name}.parquet"
        address = staging(self._run, self._attempt, final)
        schema = file_schema(table)
        with self._files.whole(address) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
            shard = StagedParquet(writer, schema)
            yield shard
        if shard.rows == 0:
            self._files.delete(address)
            return
        size = self._files.size(address) or 0
        self.staged.append(StagedFile(table, address, final, size, shard.rows, partition_of(table, partition)))

    def write(self, table: str, partition: dict[str, str], name: str, rows: pa.Table) -> None:
        """Stage one file of a table with these rows."""
        with self.file(table, partition, name) as shard:
            shard.write(rows)

    def discard(self) -> None:
        """Delete what this attempt staged."""
        for file in self.staged:
            self._files.delete(file.staged)


def read_pieces(files: Files, address: str, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """Yield a Parquet file in tables of at most 10,000 rows, in its order."""
    with undamaged(address), files.open(address) as file, pq.ParquetFile(file) as parquet:
        for batch in parquet.iter_batches(ROW_GROUP_ROWS, columns=columns):
            yield pa.Table.from_batches([batch])


def read_slice(files: Files, piece: Slice, columns: list[str] | None = None) -> pa.Table:
    """Return the wanted rows of a Slice, in their order; ``columns`` hold document_id and version."""
    with undamaged(piece.grouped), files.open(piece.grouped) as file, pq.ParquetFile(file) as parquet:
        rows = parquet.read_row_group(piece.row_group, columns=columns)
    return _wanted(rows, read_pending(files, piece.pending)) if piece.pending else rows


def _wanted(rows: pa.Table, pending: pa.Table) -> pa.Table:
    """Return the rows whose document_id is pending in that version."""
    place = pc.index_in(rows["document_id"].combine_chunks(), pending["document_id"].combine_chunks())
    return rows.filter(pc.equal(rows["version"], pc.take(pending["version"], place)))


def read_pending(files: Files, address: str) -> pa.Table:
    """Return the document_ids and versions of a pending list."""
    with files.open(address) as file:
        return pq.read_table(file)


def write_grouped(files: Files, address: str, groups: Iterable[tuple[Group, pa.Table]]) -> list[Slice]:
    """Write a grouped shard, whole or not at all: each Group's rows in row groups of their own; return its Slices.

    The Slices are kept in the file too, from where ``grouped_slices`` reads them.
    """
    slices: list[Slice] = []
    with files.whole(address) as file, ExitStack() as stack:
        writer: pq.ParquetWriter | None = None
        for group, rows in groups:
            writer = writer or stack.enter_context(pq.ParquetWriter(file, rows.schema, compression="zstd"))
            for part, characters in _row_groups(rows):
                slices.append(Slice(address, len(slices), group, part.num_rows, characters))
                writer.write_table(part, row_group_size=ROW_GROUP_ROWS)
        if writer is None:
            raise ValueError(f"a grouped shard has at least one row, but {address} would have none")
        writer.add_key_value_metadata({_SLICES: json.dumps([_described(piece) for piece in slices])})
    return slices


def _row_groups(rows: pa.Table) -> Iterator[tuple[pa.Table, int]]:
    """Yield a Group's rows in parts that the limits of a row group allow, with their characters."""
    ends = np.cumsum(pc.utf8_length(rows["text"]).to_numpy())
    start, before = 0, 0
    while start < rows.num_rows:
        fitting = int(np.searchsorted(ends, before + ROW_GROUP_CHARACTERS, side="right"))
        end = min(max(fitting, start + 1), start + ROW_GROUP_ROWS)
        yield rows.slice(start, end - start), int(ends[end - 1]) - before
        start, before = end, int(ends[end - 1])


def _described(piece: Slice) -> list[str | int]:
    return [piece.group.language, piece.group.domain, piece.rows, piece.characters]


def grouped_slices(files: Files, address: str) -> list[Slice] | None:
    """Return the Slices of a grouped shard, or None where it has not been written or is damaged and to be made anew."""
    if not files.exists(address):
        return None
    try:
        with files.open(address) as file, pq.ParquetFile(file) as parquet:
            described = json.loads((parquet.metadata.metadata or {})[_SLICES.encode()])
    except (pa.ArrowInvalid, KeyError):
        return None
    return [
        Slice(address, number, Group(language, domain), rows, characters)
        for number, (language, domain, rows, characters) in enumerate(described)
    ]
