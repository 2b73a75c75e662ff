"""Annotations: codes that people gave follow their documents into a table; what contradicts them is rejected."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from schemas.arrow import schema_of
from schemas.coding import Annotation
from schemas.run import Rejection
from storage.files import Files
from storage.identity import verdicts
from storage.tables import dataset, snapshot
from tests.candidates import Row, candidates, publish_documents
from tests.rows import annotation, document, publish_rows, table_of
from transforms.deduplicate import RECODED, all_annotations, all_keys, contradicting


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(str(tmp_path / "root"))


def look(
    files: Files, rows: Sequence[Row], annotated: Mapping[int, Annotation], *, replace: bool
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    staged = candidates(files, [rows], annotated)
    known = dataset(files, snapshot(files, "annotations"))
    with verdicts(files, all_keys(files, staged), snapshot(files, "documents"), replace=replace) as decided:
        decided.compare_annotations(all_annotations(files, staged), known)
        new = [row for rows in decided.new_annotations(schema_of(Annotation).names) for row in rows.to_pylist()]
        return new, [row for rows in decided.contradictions() for row in rows.to_pylist()]


def annotations(
    files: Files, rows: Sequence[Row], annotated: Mapping[int, Annotation], *, replace: bool = False
) -> list[dict[str, Any]]:
    found, _ = look(files, rows, annotated, replace=replace)
    return sorted(found, key=lambda row: (row["document_id"], row["coder"]))


def contradictions(files: Files, rows: Sequence[Row], annotated: Mapping[int, Annotation]) -> list[tuple[Any, ...]]:
    _, found = look(files, rows, annotated, replace=False)
    return [tuple(row.values()) for row in found]


def plain(*rows: Annotation) -> list[dict[str, Any]]:
    return table_of(Annotation, rows).to_pylist()  # type: ignore[no-any-return]


def test_annotations_of_new_and_of_known_documents_are_taken(files: Files) -> None:
    publish_documents(files, document("1", "a"))
    mine = {2: annotation("s:1"), 3: annotation("s:2")}
    assert annotations(files, [("1", "a"), ("2", "b"), ("3", "c")], mine) == plain(*mine.values())


def test_a_coder_s_second_code_for_a_document_is_a_contradiction(files: Files) -> None:
    rows = [("1", "a"), ("1", "a"), ("1", "a")]
    mine = {2: annotation("s:1", "1"), 3: annotation("s:1", "2"), 4: annotation("s:1", "3", coder="bela")}
    assert annotations(files, rows, mine) == plain(mine[2], mine[4])
    assert contradictions(files, rows, mine) == [("s:1", "f.csv", 3, "cap@1", "2", "1")]
    publish_rows(files, "r0", "annotations", [({"codebook": "cap@1"}, table_of(Annotation, [mine[2]]))])
    assert annotations(files, rows, mine) == plain(mine[4])
    assert contradictions(files, rows, mine) == [("s:1", "f.csv", 3, "cap@1", "2", "1")]
    other = {2: annotation("s:1", "1", book="manifesto@1")}
    assert annotations(files, rows, other) == plain(other[2])


def test_contradictions_are_rejections_of_the_code_not_of_the_row() -> None:
    names = ("document_id", "file", "row", "codebook", "code", "kept")
    rows = pa.table([["s:1"], ["f.csv"], [3], ["cap@1"], ["2"], ["1"]], names)
    detail = "2 here, but before: 1"
    row = Rejection("s:1", None, None, "f.csv", 3, "cap@1", None, None, RECODED, detail, "r1", "annotate")
    assert contradicting(rows, "r1") == table_of(Rejection, [row])


def test_annotations_of_refused_rows_are_not_taken(files: Files) -> None:
    publish_documents(files, document("1", "a"))
    rows = [("1", "b"), ("2", "c"), ("2", "d")]
    mine = {2: annotation("s:1"), 3: annotation("s:2", "3"), 4: annotation("s:2", "4", coder="bela")}
    assert annotations(files, rows, mine) == plain(mine[3])
    assert annotations(files, rows, mine, replace=True) == plain(mine[2], mine[3])


def test_annotations_of_what_repeats_a_refused_row_are_not_taken(files: Files) -> None:
    publish_documents(files, document("1", "a"))
    rows = [("1", "b"), ("1", "b"), ("1", "c")]
    assert annotations(files, rows, {4: annotation("s:1")}, replace=True) == []
    assert annotations(files, rows, {3: annotation("s:1")}) == []
    assert annotations(files, rows, {3: annotation("s:1")}, replace=True) == plain(annotation("s:1"))


def test_without_candidates_there_are_no_annotations(files: Files) -> None:
    assert all_annotations(files, []).to_table().num_rows == 0
    assert annotations(files, [("1", "a")], {}) == []
