"""Replacing: published codings that new ones supersede leave their files, in the same commit that brings the new."""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from schemas.document import digest
from schemas.work import StagedFile
from storage.files import Files
from storage.query import arrow, query
from storage.shards import Staging, read_pieces
from storage.tables import Snapshot, TableFile

_IDS = pa.schema([pa.field("file", pa.int32()), pa.field("document_id", pa.string())])


def _ids(files: Files, addresses: Sequence[str]) -> Iterator[pa.RecordBatch]:
    for number, address in enumerate(addresses):
        for rows in read_pieces(files, address, ["document_id"]):
            column = pa.array([number] * rows.num_rows, pa.int32())
            yield from rows.add_column(0, _IDS.field("file"), column).cast(_IDS).to_batches()


def replace_rows(
    files: Files, codings: Snapshot, codebook: str, decided: Sequence[StagedFile], staging: Staging
) -> tuple[str, ...]:
    """Take the documents of ``decided`` (staged codings and rejections) out of the published codings of a Codebook.

    A file that loses some of its rows is staged anew without them. Returns the addresses of the files to be removed.
    """
    published = codings.where(codebook=codebook).files
    old = pa.RecordBatchReader.from_batches(_IDS, _ids(files, [file.address for file in published]))
    new = pa.RecordBatchReader.from_batches(_IDS, _ids(files, [file.staged for file in decided]))
    with query(old=old, new=new) as connection:
        connection.execute("CREATE TABLE decided AS SELECT DISTINCT document_id FROM new")
        connection.execute(
            "CREATE TABLE gone AS SELECT file, document_id FROM old SEMI JOIN decided USING (document_id)"
        )
        numbers = [row[0] for row in connection.execute("SELECT DISTINCT file FROM gone ORDER BY file").fetchall()]
        for number in numbers:
            sql = "SELECT DISTINCT document_id FROM gone WHERE file = ?"
            gone = arrow(connection, sql, number)["document_id"]
            _stage_rest(files, published[number], gone.combine_chunks(), staging)
    return tuple(published[number].address for number in numbers)


def _stage_rest(files: Files, file: TableFile, gone: pa.Array, staging: Staging) -> None:
    with staging.file("codings", file.partition, f"rest-{digest(file.address)[:12]}") as rest:
        for rows in read_pieces(files, file.address):
            rest.write(rows.filter(pc.invert(pc.is_in(rows["document_id"], gone))))
