"""Identity: every row of an import is imported, a duplicate or a rejection, and annotations follow their documents."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.arrow import schema_of
from schemas.coding import Annotation
from schemas.document import digest
from schemas.run import Count, CountKey, Counts, Duplicate, Rejection
from storage.files import Files
from storage.identity import verdicts
from storage.shards import Staging, read_pieces
from storage.tables import snapshot
from tests.candidates import Row, candidates, publish_documents
from tests.rows import document, documents, table_of
from transforms.deduplicate import (
    CHANGED,
    REPEATED,
    Outputs,
    accepted,
    all_keys,
    deduplicate,
    duplicates,
    refusals,
    rejection_counts,
)

NO_ANNOTATIONS = schema_of(Annotation).append(pa.field("row", pa.int64())).empty_table()


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(str(tmp_path / "root"))


def verdicts_of(files: Files, *rows: Row, replace: bool = False) -> list[tuple[int, str, str, int]]:
    """Return sequence, verdict, what stood there earlier and its version."""
    staged = candidates(files, [rows])
    with verdicts(files, all_keys(files, staged), snapshot(files, "documents"), replace=replace) as decided:
        found = decided.between(0, len(rows) - 1).to_pylist()
    for row in found:
        assert (row["document_id"], row["file"], row["row"]) == (
            f"s:{rows[row['sequence']][0]}",
            "f.csv",
            row["sequence"] + 2,
        )
    return [(row["sequence"], row["verdict"], row["earlier"], row["version"]) for row in found]


def test_new_rows_have_no_verdict(files: Files) -> None:
    publish_documents(files, document("9"))
    assert verdicts_of(files, ("1", "a"), ("2", "a")) == []


def test_the_same_row_again_is_a_duplicate_of_the_first(files: Files) -> None:
    expected = [(1, "duplicate", "f.csv row 2", 0), (2, "duplicate", "f.csv row 2", 0)]
    assert verdicts_of(files, ("1", "a"), ("1", "a"), ("1", "a")) == expected


def test_an_id_with_another_text_in_the_same_import_is_repeated(files: Files) -> None:
    expected = [(1, "repeated", "f.csv row 2", 0), (2, "duplicate", "f.csv row 2", 0)]
    assert verdicts_of(files, ("1", "a"), ("1", "b"), ("1", "a")) == expected


@pytest.mark.parametrize(("replace", "verdict"), [(False, "changed"), (True, "repeated")])
def test_a_row_is_compared_with_the_newest_published_version(files: Files, replace: bool, verdict: str) -> None:  # noqa: FBT001
    publish_documents(files, document("1", "a"), document("2", "a"), document("2", "b", version=2))
    expected = [(0, "duplicate", "run r0", 1), (1, verdict, "run r0", 2), (2, "duplicate", "run r0", 2)]
    assert verdicts_of(files, ("1", "a"), ("2", "a"), ("2", "b"), replace=replace) == expected


def test_later_rows_are_compared_with_the_one_that_replaces_or_each_is_changed(files: Files) -> None:
    publish_documents(files, document("1", "a"))
    changed, rows = ("changed", "run r0", 1), [("1", text) for text in "bbc"]
    same, other = ("duplicate", "f.csv row 2", 1), ("repeated", "f.csv row 2", 1)
    found = [[row[1:] for row in verdicts_of(files, *rows, replace=replace)] for replace in (False, True)]
    assert found == [[changed, changed, changed], [changed, same, other]]


def test_nothing_replaces_a_text_that_the_same_import_brings_again(files: Files) -> None:
    publish_documents(files, document("1", "a"))
    found = [row[1:3] for row in verdicts_of(files, ("1", "b"), ("1", "a"), ("1", "c"), replace=True)]
    assert found == [("repeated", "run r0"), ("duplicate", "run r0"), ("repeated", "run r0")]


def test_verdicts_are_told_by_their_place_in_the_import(files: Files) -> None:
    staged = candidates(files, [[("1", "a"), ("1", "a")], [("1", "a"), ("2", "a")], [("1", "b")]])
    assert [(part.first, part.rows) for part in staged] == [(0, 2), (2, 2), (4, 1)]
    with verdicts(files, all_keys(files, staged), snapshot(files, "documents"), replace=False) as decided:
        found = [decided.between(*bounds)["verdict"].to_pylist() for bounds in ((0, 1), (2, 3), (4, 4), (5, 9))]
    assert found == [["duplicate"], ["duplicate"], ["repeated"], []]


def verdict_table(*rows: tuple[int, str, str, int]) -> pa.Table:
    names = ("sequence", "document_id", "file", "row", "verdict", "earlier", "version")
    columns = [{"sequence": n, "document_id": f"s:{n}", "file": "f", "row": n, "verdict": verdict, "earlier": earlier,
                "version": version} for n, verdict, earlier, version in rows]  # fmt: skip
    kinds = (pa.int64(), pa.string(), pa.string(), pa.int64(), pa.string(), pa.string(), pa.int16())
    return pa.Table.from_pylist(columns, schema=pa.schema(list(zip(names, kinds, strict=True))))


VERDICTS = verdict_table((5, "duplicate", "f row 1", 0), (6, "repeated", "f row 1", 0), (7, "changed", "run r0", 3))


def test_duplicates_say_what_they_duplicate() -> None:
    assert duplicates(VERDICTS, "r1", "s") == table_of(Duplicate, [Duplicate("s:5", "f", 5, "f row 1", "r1", "s")])
    assert duplicates(VERDICTS.slice(1), "r1", "s") == schema_of(Duplicate).empty_table()


def refusal(number: int, reason: str, earlier: str) -> Rejection:
    detail = f"the other text: {earlier}"
    return Rejection(f"s:{number}", None, None, "f", number, None, None, None, reason, detail, "r1", "import")


def test_refusals_say_where_the_other_text_is() -> None:
    repeated, changed = refusal(6, REPEATED, "f row 1"), refusal(7, CHANGED, "run r0")
    assert refusals(VERDICTS, "r1", replace=False) == table_of(Rejection, [repeated, changed])
    assert refusals(VERDICTS, "r1", replace=True) == table_of(Rejection, [repeated])
    assert refusals(VERDICTS.slice(0, 1), "r1", replace=False) == schema_of(Rejection).empty_table()


def test_accepted_are_those_without_a_verdict_and_replaced_ones_as_the_next_version() -> None:
    rows = documents(*(document(str(number)) for number in range(4, 9)))
    found = [accepted(rows, 4, VERDICTS, replace=replace).to_pylist() for replace in (False, True)]
    assert found[0] == documents(document("4"), document("8")).to_pylist()
    assert found[1] == documents(document("4"), document("7", version=4), document("8")).to_pylist()
    assert accepted(rows, 4, VERDICTS.slice(0, 0), replace=True) == rows


def test_rejections_are_counted_by_reason_and_those_of_codes_apart() -> None:
    other = Rejection("s:1", None, None, "f", 1, "cap@1", None, None, "unknown code", "", "r1", "annotate")
    found = rejection_counts(table_of(Rejection, [refusal(6, REPEATED, ""), refusal(7, REPEATED, ""), other]))
    keys = (CountKey("rejected", reason=REPEATED), CountKey("unannotated", reason="unknown code"))
    assert found == Counts((Count(keys[0], 2), Count(keys[1], 1)))


def decide(
    files: Files, parts: Sequence[Sequence[Row]], *, replace: bool
) -> tuple[Counts, dict[str, list[dict[str, Any]]]]:
    """Deduplicate parts end to end; return the counts and the staged rows of each table."""
    staging, staged, counts = Staging(files, "r1", "a1"), candidates(files, parts), Counts()
    with (
        staging.file("rejections", {"step": "import"}, "i") as bad,
        staging.file("duplicates", {"source": "s"}, "d") as repeats,
        verdicts(files, all_keys(files, staged), snapshot(files, "documents"), replace=replace) as decided,
    ):
        for part in staged:
            mine = decided.between(part.first, part.first + part.rows - 1)
            counts += deduplicate(files, part, mine, Outputs(bad, repeats), staging, "r1", "s", replace=replace)
    found: dict[str, list[dict[str, Any]]] = {"documents": [], "duplicates": [], "rejections": []}
    for file in staging.staged:
        found[file.table] += [row for piece in read_pieces(files, file.staged) for row in piece.to_pylist()]
    return counts, found


def model(
    rows: Sequence[Row], known: Mapping[str, Sequence[str]], *, replace: bool
) -> tuple[list[tuple[str, int, str]], list[tuple[int, str]], list[tuple[int, str]]]:
    """Return what is imported, and the places of duplicates and rejections with what they duplicate and why."""
    imported: list[tuple[str, int, str]] = []
    repeated: list[tuple[int, str]] = []
    rejected: list[tuple[int, str]] = []
    taken: dict[str, tuple[str, int]] = {}
    for number, (own, text) in enumerate(rows, 2):
        texts = known.get(own, [])
        if texts and texts[-1] == text:
            repeated.append((number, "run r0"))
        elif texts and not replace:
            rejected.append((number, CHANGED))
        elif texts and (own, texts[-1]) in rows:
            rejected.append((number, REPEATED))
        elif own not in taken:
            taken[own] = (text, number)
            imported.append((f"s:{own}", len(texts) + 1, digest(text)))
        elif taken[own][0] == text:
            repeated.append((number, f"f.csv row {taken[own][1]}"))
        else:
            rejected.append((number, REPEATED))
    return imported, repeated, rejected


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), min_size=1, max_size=4),
        min_size=1,
        max_size=3,
    ),
    st.dictionaries(st.sampled_from("abc"), st.lists(st.sampled_from("xyz"), min_size=1, max_size=2)),
    st.booleans(),
)
def test_every_row_is_imported_a_duplicate_or_rejected(
    parts: list[list[Row]],
    known: dict[str, list[str]],
    replace: bool,  # noqa: FBT001 - drawn by hypothesis
) -> None:
    rows = [row for part in parts for row in part]
    imported, repeated, rejected = model(rows, known, replace=replace)
    with tempfile.TemporaryDirectory() as folder:
        files = Files(folder)
        old = [document(own, text, version=n) for own, texts in known.items() for n, text in enumerate(texts, 1)]
        if old:
            publish_documents(files, *old)
        counts, found = decide(files, parts, replace=replace)
    assert [(row["document_id"], row["version"], row["text_digest"]) for row in found["documents"]] == imported
    assert [(row["row"], row["duplicate_of"]) for row in found["duplicates"]] == repeated
    assert [(row["row"], row["reason"]) for row in found["rejections"]] == rejected
    numbers = [counts.rows(outcome) for outcome in ("imported", "duplicate", "rejected")]
    assert numbers == [len(imported), len(repeated), len(rejected)]


def test_a_part_whose_rows_are_all_known_stages_no_documents(files: Files) -> None:
    publish_documents(files, document("1", "a"))
    counts, found = decide(files, [[("1", "a")]], replace=False)
    assert counts == Counts.of([Count(CountKey("imported"), 0), Count(CountKey("duplicate"), 1)])
    assert (found["documents"], found["rejections"]) == ([], [])
