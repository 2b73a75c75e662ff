"""Identity: which of an import's rows are new documents, which are duplicates, and which contradict what is known."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds

from storage.files import Files
from storage.query import arrow, batches, query
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
_FIRSTS = """
CREATE TABLE first_codes AS SELECT min(c.sequence) AS sequence FROM candidates c
WHERE NOT EXISTS (SELECT 1 FROM verdicts v WHERE v.sequence = c.sequence
                  AND (v.verdict = 'repeated' OR v.verdict = 'changed' AND NOT $replace))
GROUP BY c.document_id, c.codebook, c.coder
"""
_KEPT = """
CREATE TABLE kept AS SELECT c.document_id, c.codebook, c.coder, c.sequence, coalesce(p.code, c.code) AS code,
                            p.code IS NULL AS new
FROM candidates c JOIN first_codes USING (sequence)
LEFT JOIN published p ON p.document_id = c.document_id AND p.codebook = c.codebook AND p.coder = c.coder
"""
_CONTRADICTIONS = """
SELECT c.document_id, k.file, k.row, c.codebook, c.code, o.code AS kept
FROM candidates c JOIN keys k USING (sequence)
JOIN kept o ON o.document_id = c.document_id AND o.codebook = c.codebook AND o.coder = c.coder
WHERE c.code <> o.code AND NOT EXISTS (SELECT 1 FROM verdicts v WHERE v.sequence = c.sequence
                                       AND (v.verdict = 'repeated' OR v.verdict = 'changed' AND NOT {replace}))
ORDER BY c.sequence
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

    def compare_annotations(self, candidates: ds.Dataset, published: ds.Dataset) -> None:
        """Compare the candidate annotations with each other and with the published ones.

        Looked at are those of rows whose text is taken or published under their id. Of a coder's codes for a document
        under a codebook the first is kept.
        """
        self._connection.register("candidates", candidates)
        self._connection.register("published", published)
        self._connection.execute(_FIRSTS, {"replace": self._replace})
        self._connection.execute(_KEPT)

    def new_annotations(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Yield the compared annotations that are new, in parts."""
        names = ", ".join(f"c.{name}" for name in columns)
        yield from batches(
            self._connection,
            f"SELECT {names} FROM candidates c JOIN kept USING (sequence) WHERE kept.new ORDER BY sequence",  # noqa: S608
        )

    def contradictions(self) -> Iterator[pa.Table]:
        """Yield the compared annotations that contradict what their coder said before, in parts.

        Columns: document_id, file, row, codebook, code, and kept, the code that is known.
        """
        yield from batches(self._connection, _CONTRADICTIONS.format(replace=str(self._replace).lower()))


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
