"""Pending: what a Codebook has not settled, document by document; and replacing what new Codings supersede."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.coding import Coding
from schemas.document import Document
from schemas.group import Group
from schemas.run import NO_MODEL, NO_TERM, Rejection
from schemas.work import Slice
from storage.files import Files
from storage.pending import Pending, find_pending
from storage.replacing import replace_rows
from storage.shards import Staging, read_pending, read_pieces, read_slice, write_grouped
from storage.tables import Snapshot, snapshot
from tests.rows import (
    DE,
    HU,
    MODEL,
    coding,
    codings,
    document,
    documents,
    ids_of,
    next_version,
    partition,
    publish_rows,
    rejection,
    rejections,
    rows_of,
    stage,
)

ROUTED = frozenset({HU, DE})
STEP = {"step": "classify"}
BOTH = [document("1"), document("2")]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(str(tmp_path / "root"))


def grouped(files: Files, *groups: tuple[Group, Sequence[Document]], name: str = "g") -> list[Slice]:
    return write_grouped(files, f"grouped/{name}.parquet", [(group, documents(*rows)) for group, rows in groups])


def publish_codings(files: Files, run: str, *rows: Coding) -> Snapshot:
    """Publish one file per Codebook and Group."""
    wheres = sorted({(row.codebook, row.language, row.domain) for row in rows})
    parts = [
        (
            partition(Group(*where[1:]), where[0]),
            codings(*(row for row in rows if where == (row.codebook, row.language, row.domain))),
        )
        for where in wheres
    ]
    return publish_rows(files, run, "codings", parts)


def publish_rejections(files: Files, run: str, *rows: Rejection) -> None:
    publish_rows(files, run, "rejections", [(STEP, rejections(*rows))])


def pending(
    files: Files, slices: Sequence[Slice], routed: frozenset[Group] = ROUTED, book: str = "cap@1"
) -> tuple[Pending, list[list[str]]]:
    """Return what is pending and the document_ids of each Slice."""
    published = (snapshot(files, "codings"), snapshot(files, "rejections"))
    found = find_pending(files, slices, book, published, dict.fromkeys(routed, MODEL), "_staging/r9/pending")
    return found, [read_slice(files, piece)["document_id"].to_pylist() for piece in found.slices]


def test_where_nothing_is_published_every_slice_is_pending_as_it_is(files: Files) -> None:
    slices = grouped(files, (DE, [document("3")]), (HU, BOTH))
    assert pending(files, slices) == (Pending(tuple(slices), 0, 0, 0), [["s:3"], ["s:1", "s:2"]])
    assert files.find("_staging") == []


def test_without_slices_nothing_is_pending(files: Files) -> None:
    assert pending(files, []) == (Pending((), 0, 0, 0), [])


def test_what_is_coded_is_settled_and_the_rest_is_listed(files: Files) -> None:
    slices = grouped(files, (DE, [document("3")]), (HU, [*BOTH, document("4", "Hosszabb.")]))
    publish_codings(files, "r1", coding("s:3", DE), coding("s:2"))
    found, ids = pending(files, slices)
    address = "_staging/r9/pending/000001.parquet"
    characters = slices[1].characters * 2 // 3
    assert found == Pending((Slice("grouped/g.parquet", 1, HU, 2, characters, address),), 2, 0, 0)
    assert (ids, files.find("_staging")) == ([["s:1", "s:4"]], [address])


def test_what_was_rejected_is_settled(files: Files) -> None:
    slices = grouped(files, (HU, BOTH))
    publish_rejections(files, "r1", rejection("s:1"), rejection("s:2", reason="non-finite scores"))
    assert pending(files, slices) == (Pending((), 2, 0, 0), [])


def test_a_rejection_settles_only_while_its_model_is_the_one_of_the_group(files: Files) -> None:
    slices = grouped(files, (HU, BOTH))
    publish_rejections(files, "r1", rejection("s:1", model="other@1"), rejection("s:2"))
    found, ids = pending(files, slices)
    assert (ids, found.settled, found.replacing) == ([["s:1"]], 1, 0)


def test_no_model_settles_only_while_there_is_none(files: Files) -> None:
    slices = grouped(files, (HU, BOTH))
    publish_rejections(files, "r1", rejection("s:1", reason=NO_MODEL), rejection("s:2"))
    assert pending(files, slices, frozenset({DE}))[0] == Pending((), 2, 0, 0)
    found, ids = pending(files, slices, frozenset({HU}))
    assert (ids, found.settled, found.replacing) == ([["s:1"]], 1, 0)


def test_a_coding_counts_more_than_any_rejection(files: Files) -> None:
    slices = grouped(files, (HU, [document("1")]))
    publish_rejections(files, "20261231t235959-classify-ffffff", rejection("s:1", reason=NO_MODEL))
    publish_codings(files, "r1", coding("s:1"))
    assert pending(files, slices)[0] == Pending((), 1, 0, 0)


def test_a_document_of_another_group_than_it_was_coded_in_is_pending_and_replacing(files: Files) -> None:
    slices = grouped(files, (HU, BOTH))
    publish_codings(files, "r1", coding("s:1", DE), coding("s:2", Group("hu", "social")))
    assert pending(files, slices) == (Pending(tuple(slices), 0, 0, 2), [["s:1", "s:2"]])


def test_a_document_of_another_group_than_it_was_rejected_in_is_pending(files: Files) -> None:
    slices = grouped(files, (HU, [document("1")]))
    publish_rejections(files, "r1", rejection("s:1", DE))
    assert pending(files, slices) == (Pending(tuple(slices), 0, 0, 0), [["s:1"]])


def test_a_newer_version_is_pending_and_supersedes_the_older(files: Files) -> None:
    first = document("1")
    slices = grouped(files, (DE, [next_version(first, "Új.")]), (HU, [first, document("2")]))
    publish_codings(files, "r1", coding("s:1"))
    found, ids = pending(files, slices)
    assert (ids, found.settled, found.superseded, found.replacing) == ([["s:1"], ["s:2"]], 0, 1, 1)


def test_of_two_versions_in_one_slice_only_the_newest_is_pending(files: Files) -> None:
    first = document("1", "Régi.")
    slices = grouped(files, (HU, [first, next_version(first, "Új.")]))
    found, _ = pending(files, slices)
    assert (found.superseded, [piece.rows for piece in found.slices]) == (1, [1])
    (wanted,) = (read_pending(files, piece.pending).to_pylist() for piece in found.slices)
    assert wanted == [{"document_id": "s:1", "version": 2}]
    assert [read_slice(files, piece)["text"].to_pylist() for piece in found.slices] == [["Új."]]


def test_one_codebook_does_not_settle_another(files: Files) -> None:
    slices = grouped(files, (HU, BOTH))
    publish_codings(files, "r1", coding("s:1", book="manifesto@1"))
    publish_rejections(files, "r1", rejection("s:2", book="manifesto@1"))
    assert pending(files, slices)[0] == Pending(tuple(slices), 0, 0, 0)
    assert pending(files, slices, book="manifesto@1")[0] == Pending((), 2, 0, 0)


@dataclass(frozen=True)
class Known:
    """What is published of a document: a version, a Group and a reason, which is empty for a Coding."""

    version: int
    group: Group
    reason: str


KNOWN = st.builds(Known, st.integers(1, 3), st.sampled_from([HU, DE]), st.sampled_from(["", NO_MODEL, NO_TERM]))
PLACES = st.tuples(st.sampled_from("abcd"), st.integers(1, 3), st.sampled_from([HU, DE]))


def model(rows: Sequence[tuple[str, int, Group]], known: dict[str, Known], routed: frozenset[Group]) -> dict[str, str]:
    newest = {own: max(version for name, version, _ in rows if name == own) for own, _, _ in rows}
    states = {}
    for own, version, group in rows:
        settled = known.get(own)
        if version < newest[own]:
            state = "superseded"
        elif settled is None or settled.version < version or settled.group != group:
            state = "pending"
        else:
            state = "pending" if settled.reason == NO_MODEL and group in routed else "settled"
        states[f"{own}{version}"] = state
    return states


@settings(max_examples=25, deadline=None)
@given(
    st.lists(PLACES, min_size=1, max_size=8, unique_by=lambda place: place[:2]),
    st.dictionaries(st.sampled_from("abcde"), KNOWN),
    st.frozensets(st.sampled_from([HU, DE])),
)
def test_every_row_is_pending_settled_or_superseded_as_in_plain_python(
    rows: list[tuple[str, int, Group]], known: dict[str, Known], routed: frozenset[Group]
) -> None:
    states = model(rows, known, routed)
    expected = [f"{own}{version}" for own, version, _ in rows if states[f"{own}{version}"] == "pending"]
    coded = [(own, one) for own, one in known.items() if not one.reason]
    refused = [(own, one) for own, one in known.items() if one.reason]
    with tempfile.TemporaryDirectory() as folder:
        files = Files(folder)
        slices = []
        for number in (0, 1):  # two versions of a document may lie in one shard and even in one Slice, or in two
            shard = [(g, document(o, f"{o}{v}", version=v)) for o, v, g in rows if v % 2 == number]
            parts = [(group, [row for g, row in shard if g == group]) for group in (DE, HU)]
            slices += grouped(files, *parts, name=str(number)) if shard else []
        if coded:
            publish_codings(files, "r1", *(coding(f"s:{own}", one.group, version=one.version) for own, one in coded))
        if refused:
            publish_rejections(
                files, "r1", *(rejection(f"s:{o}", k.group, version=k.version, reason=k.reason) for o, k in refused)
            )
        found, _ = pending(files, slices, routed)
        texts = [row["text"] for piece in found.slices for row in read_slice(files, piece).to_pylist()]
    assert sorted(texts) == sorted(expected)
    numbers = [sum(piece.rows for piece in found.slices), found.settled, found.superseded]
    assert numbers == [list(states.values()).count(state) for state in ("pending", "settled", "superseded")]
    assert found.replacing == sum(not known[text[0]].reason for text in expected if text[0] in known)


def replaced(files: Files, decided: Sequence[Coding], book: str = "cap@1") -> tuple[tuple[str, ...], Staging]:
    staging = Staging(files, "r2", "rest")
    new = [stage(files, "r2", "codings", partition(HU, book), codings(*decided))] if decided else []
    return replace_rows(files, snapshot(files, "codings"), book, new, staging), staging


def address_of(group: Group, number: int, run: str = "r1") -> str:
    return f"codings/codebook=cap@1/language={group.language}/domain=media/{run}-{number}.parquet"


def test_a_file_that_loses_all_its_rows_is_removed(files: Files) -> None:
    publish_codings(files, "r1", coding("s:1"), coding("s:2"), coding("s:3", DE))
    gone, staging = replaced(files, [coding("s:1"), coding("s:2")])
    assert (gone, staging.staged) == ((address_of(HU, 1),), [])


def test_a_file_that_loses_some_rows_is_staged_anew_without_them(files: Files) -> None:
    publish_codings(files, "r1", coding("s:1"), coding("s:2", code="7"), coding("s:3"), coding("s:4", DE))
    gone, staging = replaced(files, [coding("s:1"), coding("s:3"), coding("s:9")])
    assert gone == (address_of(HU, 1),)
    (rest,) = staging.staged
    (rows,) = read_pieces(files, rest.staged)
    assert rows.to_pylist() == codings(coding("s:2", code="7")).drop_columns(list(partition())).to_pylist()
    assert (rest.rows, rest.partition, rest.final.rsplit("/", 1)[0]) == (
        1,
        partition(),
        address_of(HU, 1).rsplit("/", 1)[0],
    )


def test_what_is_decided_in_one_group_leaves_the_files_of_another(files: Files) -> None:
    publish_codings(files, "r1", coding("s:1", DE), coding("s:2", DE), coding("s:3"))
    gone, staging = replaced(files, [coding("s:1")])
    assert gone == (address_of(DE, 0),)
    assert [(file.rows, file.partition) for file in staging.staged] == [(1, partition(DE))]


def test_other_files_and_other_codebooks_stay_byte_for_byte(files: Files) -> None:
    publish_codings(files, "r1", coding("s:1"), coding("s:2", DE), coding("s:1", book="manifesto@1"))
    before = {file.address: files.read(file.address) for file in snapshot(files, "codings").files}
    decided = [coding("s:1")]
    gone, staging = replaced(files, decided)
    new = stage(files, "r2", "codings", partition(), codings(*decided))
    publish_rows(files, "r2", "codings", [(partition(), codings(*decided))], gone)
    after = {file.address: files.read(file.address) for file in snapshot(files, "codings").files}
    assert set(before) - set(after) == {address_of(HU, 1)} == set(gone)
    assert {address: data for address, data in after.items() if address != new.final} == {
        address: data for address, data in before.items() if address not in gone
    }
    assert staging.staged == []


def test_nothing_decided_replaces_nothing(files: Files) -> None:
    publish_codings(files, "r1", coding("s:1"))
    assert replaced(files, [])[0] == ()
    gone, staging = replaced(files, [coding("s:9")])
    assert (gone, staging.staged) == ((), [])


def test_a_rejection_takes_a_coding_out_too(files: Files) -> None:
    found = publish_codings(files, "r1", coding("s:1"), coding("s:2"))
    new = stage(files, "r2", "rejections", STEP, rejections(rejection("s:1")))
    staging = Staging(files, "r2", "rest")
    gone = replace_rows(files, found, "cap@1", [new], staging)
    assert (gone, [file.rows for file in staging.staged]) == ((address_of(HU, 0),), [1])
    assert ids_of(files, snapshot(files, "codings")) == ["s:1", "s:2"]
    assert [row["code"] for row in rows_of(files, found)] == ["12", "12"]
