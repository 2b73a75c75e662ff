"""Publication: what a killed Run was publishing is finished by whoever comes next, with the same rows."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipelines.running import claimed, publish_once
from schemas.run import Begin, Count, CountKey, Counts, End, Run
from storage import ledger, publication, tables
from storage.files import Files, to_json
from storage.layout import run_file
from storage.ledger import Ledger
from storage.publication import Publication, carry_out, read_publication, settle, write_publication
from storage.tables import PublishConflict, publish, snapshot
from tests.rows import (
    HU,
    coding,
    codings,
    ids_of,
    partition,
    publish_rows,
    rejection,
    rejections,
    rows_of,
    stage,
    versions,
)

COUNTS = Counts.of([Count(CountKey("coded", "cap@1"), 2), Count(CountKey("rejected", "cap@1"), 1)])
OLD = "codings/codebook=cap@1/language=hu/domain=media/r0-0.parquet"
RUN = "r1"


@pytest.fixture(autouse=True)
def _same_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "code_version", lambda: "v1")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """A root where r0 has published a Coding of s:1, and r1 is about to replace it."""
    files = Files(str(tmp_path / "root"))
    publish_rows(files, "r0", "codings", [(partition(), codings(coding("s:1", code="1")))])
    return files


def begun(files: Files, name: str = RUN) -> Begin:
    inputs = versions(codings=1)
    begin = Begin(name, "classify", {"a": "b"}, inputs, "v1", "eva@here", datetime.now(UTC))
    files.write_once(run_file(name, "begin.json"), to_json(begin))
    return begin


def prepared(files: Files, name: str = RUN) -> Publication:
    staged = (
        stage(files, name, "codings", partition(), codings(coding("s:1", code="2"), coding("s:2", code="2"))),
        stage(files, name, "rejections", {"step": "classify"}, rejections(rejection("s:3", run=name))),
    )
    return Publication(staged, (OLD,), "done", COUNTS)


def run_of(begin: Begin) -> Run:
    return Run(begin)


def assert_published(files: Files, end: End | None, versions_after: dict[str, int]) -> None:
    found = snapshot(files, "codings")
    assert [(row["document_id"], row["code"]) for row in rows_of(files, found)] == [("s:1", "2"), ("s:2", "2")]
    assert ids_of(files, snapshot(files, "rejections")) == ["s:3"]
    assert [address for address in files.find("") if address.endswith(".parquet")] == [
        "codings/codebook=cap@1/language=hu/domain=media/r1-0.parquet",
        "rejections/step=classify/r1-0.parquet",
    ]
    assert end is not None
    assert (end.outcome, end.counts, end.outputs, end.detail) == ("done", COUNTS, versions_after, "")
    assert Ledger(files).run(RUN).end == end
    assert files.find("_staging") == []


def commits(files: Files, begin: Begin, staged: Publication, number: int) -> None:
    """Make the first commits of a publication, as a run does before it is killed."""
    for table in ("rejections", "codings")[:number]:
        mine = [file for file in staged.staged if file.table == table]
        replaced = [OLD] if table == "codings" else []
        publish(files, table, begin.run, mine, replaced, begin.inputs[table])


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_run_killed_after_so_many_commits_is_finished_by_settle(files: Files, number: int) -> None:
    begin = begun(files)
    commits(files, begin, write_publication(files, RUN, prepared(files)), number)
    end = settle(files, run_of(begin))
    assert_published(files, end, {"rejections": 0, "codings": 1})


def test_a_run_killed_before_its_publication_was_written_is_abandoned(files: Files) -> None:
    begin = begun(files)
    prepared(files)
    before = snapshot(files, "codings")
    end = settle(files, run_of(begin))
    assert (end.outcome, end.counts, end.outputs, end.detail) == ("abandoned", Counts(), {}, "its process died")
    assert snapshot(files, "codings") == before
    assert (files.find("_staging"), files.exists(OLD)) == ([], True)


@pytest.mark.parametrize("point", ["_commit", "_in_parallel", "Ledger"])
def test_a_run_killed_within_a_commit_is_finished_by_settle(
    files: Files, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    begin = begun(files)
    written = write_publication(files, RUN, prepared(files))

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(publication if point == "Ledger" else tables, point, die)
        with pytest.raises(KeyboardInterrupt):
            carry_out(files, begin, written)
    assert_published(files, settle(files, run_of(begin)), {"rejections": 0, "codings": 1})


def test_carrying_out_again_changes_nothing(files: Files) -> None:
    begin = begun(files)
    written = write_publication(files, RUN, prepared(files))
    first = carry_out(files, begin, written)
    before = (snapshot(files, "codings"), snapshot(files, "rejections"))
    carry_out(files, begin, written)
    assert (snapshot(files, "codings"), snapshot(files, "rejections")) == before
    assert_published(files, first, {"rejections": 0, "codings": 1})


def test_a_publication_is_written_once(files: Files) -> None:
    assert read_publication(files, RUN) is None
    first = prepared(files)
    assert write_publication(files, RUN, first) == first
    other = Publication((), (), "failed", Counts(), "too many rejections")
    assert write_publication(files, RUN, other) == first
    assert read_publication(files, RUN) == first


def test_settle_abandons_a_run_that_another_came_before(files: Files) -> None:
    begin = begun(files)
    write_publication(files, RUN, prepared(files))
    publish_rows(files, "r2", "codings", [(partition(), codings(coding("s:9")))])
    end = settle(files, run_of(begin))
    assert (end.outcome, end.counts) == ("abandoned", Counts())
    assert "run r1 cannot publish to" in end.detail
    assert ids_of(files, snapshot(files, "codings")) == ["s:1", "s:9"]
    assert (files.find("_staging"), files.exists(OLD)) == ([], True)
    assert (end.outputs, files.find("rejections"), snapshot(files, "rejections").files) == ({}, [], ())


def test_a_conflict_is_found_before_the_first_commit(files: Files) -> None:
    begin = begun(files)
    written = write_publication(files, RUN, prepared(files))
    publish_rows(files, "r2", "codings", [(partition(), codings(coding("s:9")))])
    before = files.find("codings")
    with pytest.raises(PublishConflict, match=r"run r1 cannot publish to .*/codings: another run has published there"):
        carry_out(files, begin, written)
    assert (files.find("rejections"), files.find("codings")) == ([], before)
    end = Ledger(files).run(RUN).end
    assert end is not None
    assert (end.outcome, end.counts, end.outputs) == ("abandoned", Counts(), {})


def test_a_conflict_leaves_none_of_the_files_that_an_earlier_attempt_placed(files: Files) -> None:
    begin = begun(files)
    written = write_publication(files, RUN, prepared(files))
    for file in written.staged:
        files.put_in_place(file.staged, file.final)
    publish_rows(files, "r2", "codings", [(partition(), codings(coding("s:9")))])
    settle(files, run_of(begin))
    assert [file.final for file in written.staged if files.exists(file.final)] == []


def test_settle_abandons_a_run_whose_staged_files_were_lost(files: Files) -> None:
    begin = begun(files)
    write_publication(files, RUN, prepared(files))
    files.delete("_staging", recursive=True)
    before = snapshot(files, "codings")
    end = settle(files, run_of(begin))
    assert (end.outcome, end.counts, end.outputs) == ("abandoned", Counts(), {})
    assert "was the staging area deleted?" in end.detail
    assert Ledger(files).run(RUN).end == end
    assert (snapshot(files, "codings"), ids_of(files, snapshot(files, "rejections"))) == (before, [])


def test_a_run_of_whose_staged_files_some_were_lost_leaves_the_others_in_no_table(files: Files) -> None:
    begin = begun(files)
    staged = [stage(files, RUN, "codings", partition(), codings(coding(f"s:{n}")), str(n)) for n in (2, 3)]
    write_publication(files, RUN, Publication(tuple(staged), (), "done", COUNTS))
    files.delete(staged[1].staged)
    assert settle(files, run_of(begin)).outcome == "abandoned"
    assert [file.final for file in staged if files.exists(file.final)] == []


def test_the_end_of_a_run_whose_files_were_lost_between_two_commits_says_what_was_published(files: Files) -> None:
    begin = begun(files)
    commits(files, begin, write_publication(files, RUN, prepared(files)), 1)
    files.delete("_staging", recursive=True)
    end = settle(files, run_of(begin))
    assert (end.outcome, ids_of(files, snapshot(files, "rejections"))) == ("abandoned", ["s:3"])
    assert end.outputs == {"rejections": 0}


def test_a_run_that_publishes_nothing_ends_with_its_counts(files: Files) -> None:
    begin = begun(files)
    end = carry_out(files, begin, Publication((), (), "failed", COUNTS, "why"))
    assert (end.outcome, end.counts, end.outputs, end.detail) == ("failed", COUNTS, {}, "why")
    assert ids_of(files, snapshot(files, "codings")) == ["s:1"]


def preparing(files: Files, name: str, asked: list[str]) -> Iterator[Publication]:
    while True:
        asked.append(name)
        staged = stage(files, name, "codings", partition(HU), codings(coding("s:2")))
        yield Publication((staged,), (), "done", COUNTS)


def test_publish_once_prepares_only_what_no_earlier_attempt_wrote_down(files: Files) -> None:
    asked: list[str] = []
    with claimed(files, "classify", {"a": "b"}) as claim:
        make = preparing(files, claim.run, asked).__next__
        first = publish_once(files, claim, make)
        second = publish_once(files, claim, make)
    assert (asked, first.outcome, first.counts) == ([claim.run], "done", COUNTS)
    assert first.outputs == second.outputs == {"codings": 1}
    assert ids_of(files, snapshot(files, "codings")) == ["s:1", "s:2"]


def test_publish_once_abandons_and_raises_where_another_run_published(files: Files) -> None:
    with claimed(files, "classify", {"a": "b"}) as claim:
        publish_rows(files, "r9", "codings", [(partition(), codings(coding("s:9")))])
        with pytest.raises(PublishConflict, match="give the same command again"):
            publish_once(files, claim, preparing(files, claim.run, []).__next__)
    end = Ledger(files).run(claim.run).end
    assert end is not None
    assert (end.outcome, end.counts) == ("abandoned", Counts())
    assert "another run has published there" in end.detail
    assert ids_of(files, snapshot(files, "codings")) == ["s:1", "s:9"]


def test_the_next_claim_finishes_what_a_dead_run_was_publishing(files: Files) -> None:
    begin = begun(files)
    commits(files, begin, write_publication(files, RUN, prepared(files)), 1)
    with claimed(files, "classify", {"a": "other"}) as claim:
        assert claim.begin.inputs["codings"] == snapshot(files, "codings").at
    assert_published(files, Ledger(files).run(RUN).end, {"rejections": 0, "codings": 1})
