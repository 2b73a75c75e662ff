"""Identity: which of an import's rows are new documents, which are duplicates, and which contradict what is known."""

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds

from storage.files import Files
from storage.query import arrow, query
from storage.tables import Snapshot, dataset

KEYS = pa.schema(
    [
        pa.field("sequence", pa.int64()),
        pa.field("document_id", pa.string()),
        pa.field("text_digest", pa.string()),
        pa.field("file", pa.string()),
        pa.field("row", pa.int64()),
    ]
)
"""The keys of an import's rows: their place in the import, their names, their texts' digests, where they stood."""

_VERDICTS = """
CREATE TABLE verdicts AS WITH latest AS (
    SELECT document_id, max(version) AS version, arg_max(text_digest, version) AS text_digest,
           arg_max(run, version) AS run
    FROM documents WHERE document_id IN (SELECT document_id FROM keys) GROUP BY document_id
), compared AS (
    SELECT k.*, coalesce(l.version, 0) AS version, 'run ' || l.run AS published,
           bool_or(k.text_digest = l.text_digest) OVER (PARTITION BY document_id) AS confirmed,
           CASE WHEN l.document_id IS NULL THEN 'new' WHEN k.text_digest = l.text_digest THEN 'duplicate'
                WHEN $replace AND confirmed THEN 'repeated' ELSE 'changed' END AS verdict
    FROM keys k LEFT JOIN latest l USING (document_id)
), firsts AS (
    SELECT document_id, min(sequence) AS sequence, arg_min(text_digest, sequence) AS text_digest,
           arg_min(file || ' row ' || row, sequence) AS place
    FROM compared WHERE verdict = 'new' OR verdict = 'changed' AND $replace GROUP BY document_id
)
SELECT c.sequence, document_id, c.file, c.row, c.version,
    CASE WHEN f.sequence IS NULL OR c.sequence = f.sequence THEN c.verdict
         WHEN c.text_digest = f.text_digest THEN 'duplicate' ELSE 'repeated' END AS verdict,
    CASE WHEN f.sequence IS NULL OR c.sequence = f.sequence THEN c.published
         ELSE f.place END AS earlier
FROM compared c LEFT JOIN firsts f USING (document_id)
"""
_ANNOTATED = """
CREATE TABLE annotated AS
    SELECT c.*, k.file, k.row,
           coalesce(p.code, first(c.code) OVER same) AS kept,
           p.code IS NULL AND c.sequence = first(c.sequence) OVER same AS new
    FROM candidates c JOIN keys k USING (sequence)
    LEFT JOIN published p ON p.document_id = c.document_id AND p.codebook = c.codebook AND p.coder = c.coder
    WHERE NOT EXISTS (SELECT 1 FROM verdicts v WHERE v.sequence = c.sequence
                      AND (v.verdict = 'repeated' OR v.verdict = 'changed' AND NOT $replace))
    WINDOW same AS (PARTITION BY c.document_id, c.codebook, c.coder ORDER BY c.sequence)
"""


class Verdicts:
    """What is to become of an import's rows that are not simply new."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, *, replace: bool) -> None:
        self._connection = connection
        self._replace = replace

    def between(self, first: int, last: int) -> pa.Table:
        """Return the verdicts on the rows numbered ``first`` to ``last``, both included, by number.

        Columns: sequence, document_id, file, row, verdict (``duplicate``: the text is published under this id
        or taken; ``repeated``: an earlier row was taken with another text; ``changed``: the published text is another),
        earlier (where that stands) and version (the newest published, 0 for none).
        """
        sql = "SELECT * FROM verdicts WHERE verdict <> 'new' AND sequence BETWEEN ? AND ? ORDER BY sequence"
        return arrow(self._connection, sql, first, last)

    def annotations(self, candidates: ds.Dataset, published: ds.Dataset) -> tuple[pa.Table, pa.Table]:
        """Return the candidate annotations that are new, and those that contradict what their coder said before.

        Looked at are those of rows whose text is taken or published under their id. Of a coder's codes for a document
        under a codebook the first is kept. The second table has the columns document_id, file, row, codebook, code and
        kept, the code that is known.
        """
        self._connection.register("candidates", candidates)
        self._connection.register("published", published)
        self._connection.execute(_ANNOTATED, {"replace": self._replace})
        names = ", ".join(published.schema.names)
        new = arrow(self._connection, f"SELECT {names} FROM annotated WHERE new ORDER BY sequence")  # noqa: S608 - our names
        other = (
            "SELECT document_id, file, row, codebook, code, kept FROM annotated WHERE code <> kept ORDER BY sequence"
        )
        return new, arrow(self._connection, other)


@contextmanager
def verdicts(files: Files, keys: Iterator[pa.Table], documents: Snapshot, *, replace: bool) -> Iterator[Verdicts]:
    """Compare an import's keys with each other and with the documents that a snapshot holds.

    With ``replace`` the first row with another text than the published one is taken, and later rows are compared with
    it, unless a row brings the published text too; else every such row is refused.
    """
    reader = pa.RecordBatchReader.from_batches(KEYS, (batch for table in keys for batch in table.to_batches()))
    with query(incoming=reader, documents=dataset(files, documents)) as connection:
        connection.execute("CREATE TABLE keys AS SELECT * FROM incoming")
        connection.execute(_VERDICTS, {"replace": replace})
        yield Verdicts(connection, replace=replace)
