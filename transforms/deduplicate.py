"""Deduplicate: an import's shards against themselves and the published documents; every row gets its outcome."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from schemas.arrow import schema_of, table_of
from schemas.coding import Annotation
from schemas.run import Count, CountKey, Counts, Duplicate, Rejection
from storage.files import Files
from storage.identity import KEYS
from storage.layout import staging
from storage.shards import StagedParquet, Staging, read_pieces

REPEATED = "id repeated with another text"
CHANGED = "known id with another text"
RECODED = "another code by the same coder"
_STEP = "import"


@dataclass(frozen=True, slots=True)
class Candidates:
    """One shard's worth of an import's rows before they are compared: addresses of documents, keys and annotations.

    ``first`` is the number of the first of them in the whole import.
    """

    number: int
    first: int
    rows: int
    documents: str
    keys: str
    annotations: str


def stage_candidates(
    files: Files, run: str, number: int, first: int, documents: pa.Table, annotations: pa.Table, file: str
) -> Candidates:
    """Write admitted rows (Documents and Annotations with their ``row``) of one file as candidates, in their order."""
    size = documents.num_rows
    sequence = pa.array(range(first, first + size), pa.int64())
    keys = documents.select(["document_id", "text_digest", "row"]).append_column("sequence", sequence)
    keys = keys.append_column("file", pa.array([file] * size, pa.string())).select(KEYS.names)
    place = pc.index_in(annotations["row"].combine_chunks(), documents["row"].combine_chunks())
    annotations = annotations.append_column("sequence", pc.add(place.cast(pa.int64()), first))
    addresses = []
    for kind, table in (("documents", documents), ("keys", keys), ("annotations", annotations)):
        addresses.append(staging(run, "candidates", f"{kind}-{number:05}.parquet"))
        with files.whole(addresses[-1]) as target:
            pq.write_table(table, target, compression="zstd", row_group_size=10_000)
    return Candidates(number, first, size, *addresses)


def all_keys(files: Files, candidates: Sequence[Candidates]) -> Iterator[pa.Table]:
    """Yield the keys of all candidates, in order."""
    for part in candidates:
        for keys in read_pieces(files, part.keys):
            yield keys.cast(KEYS)


def all_annotations(files: Files, candidates: Sequence[Candidates]) -> ds.Dataset:
    """Return the annotations of all candidates, with the ``sequence`` of their rows."""
    schema = schema_of(Annotation).append(pa.field("sequence", pa.int64()))
    if not candidates:
        return ds.dataset(schema.empty_table())
    paths = [files.path(part.annotations) for part in candidates]
    return ds.dataset(paths, schema=schema, format="parquet", filesystem=files.filesystem)


def rejection_counts(rejections: pa.Table) -> Counts:
    """Count Rejections by reason; those of codes are ``unannotated``, for their rows are documents all the same."""
    outcomes = {"import": "rejected", "annotate": "unannotated"}
    rows = rejections.group_by(["step", "reason"]).aggregate([([], "count_all")]).to_pylist()
    return Counts.of(Count(CountKey(outcomes[row["step"]], reason=row["reason"]), row["count_all"]) for row in rows)


def duplicates(verdicts: pa.Table, run: str, source: str) -> pa.Table:
    """Return the Duplicates among the verdicts."""
    rows = verdicts.filter(pc.equal(verdicts["verdict"], "duplicate")).rename_columns({"earlier": "duplicate_of"})
    columns = {name: rows[name] for name in ("document_id", "file", "row", "duplicate_of")}
    return table_of(Duplicate, rows.num_rows, columns, run=run, source=source)


def refusals(verdicts: pa.Table, run: str, *, replace: bool) -> pa.Table:
    """Return the Rejections of rows whose id is known with another text; with ``replace`` only of repeated ones."""
    kinds = pa.array(["repeated"] if replace else ["repeated", "changed"])
    rows = verdicts.filter(pc.is_in(verdicts["verdict"], kinds))
    columns = {name: rows[name] for name in ("document_id", "file", "row")}
    columns["reason"] = pc.if_else(pc.equal(rows["verdict"], "repeated"), REPEATED, CHANGED)
    columns["detail"] = pc.binary_join_element_wise("the other text:", rows["earlier"], " ")
    nothing = dict.fromkeys(("version", "id", "codebook", "language", "domain"))
    return table_of(Rejection, rows.num_rows, columns, run=run, step=_STEP, **nothing)


def contradicting(rows: pa.Table, run: str) -> pa.Table:
    """Return the Rejections of codes that contradict what the same coder has said of the document before."""
    columns = {name: rows[name] for name in ("document_id", "file", "row", "codebook")}
    columns["detail"] = pc.binary_join_element_wise(rows["code"], "here, but before:", rows["kept"], " ")
    nothing = dict.fromkeys(("version", "id", "language", "domain"))
    return table_of(Rejection, rows.num_rows, columns, run=run, step="annotate", reason=RECODED, **nothing)


def accepted(documents: pa.Table, first: int, verdicts: pa.Table, *, replace: bool) -> pa.Table:
    """Return the candidates that become Documents; with ``replace`` a changed one becomes the next version."""
    sequence = pa.array(range(first, first + documents.num_rows), pa.int64())
    changed = verdicts.filter(pc.equal(verdicts["verdict"], "changed"))
    out = verdicts.filter(pc.not_equal(verdicts["verdict"], "changed")) if replace else verdicts
    if replace and changed.num_rows:
        place = pc.index_in(sequence, changed["sequence"].combine_chunks())
        version = pc.coalesce(pc.add(pc.take(changed["version"], place), 1), documents["version"].cast(pa.int64()))
        number = documents.schema.get_field_index("version")
        documents = documents.set_column(number, "version", version.cast(pa.int16()))
    return documents.filter(pc.invert(pc.is_in(sequence, out["sequence"].combine_chunks())))


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where an import's rows go that are not documents."""

    rejections: StagedParquet
    duplicates: StagedParquet


def deduplicate(
    files: Files,
    part: Candidates,
    verdicts: pa.Table,
    outputs: Outputs,
    staged: Staging,
    run: str,
    source: str,
    *,
    replace: bool,
) -> Counts:
    """Stage the outcome of every row of one shard's worth of candidates; return the counts."""
    repeats = duplicates(verdicts, run, source)
    refused = refusals(verdicts, run, replace=replace)
    outputs.duplicates.write(repeats)
    outputs.rejections.write(refused)
    with staged.file("documents", {"source": source}, f"{part.number:05}") as shard:
        first = part.first
        for rows in read_pieces(files, part.documents):
            shard.write(accepted(rows, first, verdicts, replace=replace))
            first += rows.num_rows
    outcomes = [Count(CountKey("duplicate"), repeats.num_rows), Count(CountKey("imported"), shard.rows)]
    return rejection_counts(refused) + Counts.of(outcomes)
