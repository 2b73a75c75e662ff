"""Accounting: what adds up, each way of not adding up, and when a run that adds up has failed all the same."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.accounting import account, account_import, judge, judge_import
from schemas.run import Count, CountKey, Counts
from schemas.work import StagedFile


@dataclass(frozen=True)
class Rows:
    """What became of the rows of one codebook; ``rejected`` is by reason."""

    coded: int = 0
    settled: int = 0
    superseded: int = 0
    rejected: tuple[tuple[str, int], ...] = ()
    book: str = "cap@1"

    def counts(self) -> Counts:
        keys = [(CountKey("coded", self.book, "hu", "media"), self.coded)]
        keys += [(CountKey("settled", self.book), self.settled), (CountKey("superseded", self.book), self.superseded)]
        keys += [(CountKey("rejected", self.book, "hu", "media", reason), rows) for reason, rows in self.rejected]
        return Counts.of(Count(key, rows) for key, rows in keys)


def read(rows: int) -> Counts:
    return Counts.of([Count(CountKey("read"), rows)])


CAP = Rows(coded=4, settled=3, superseded=2, rejected=(("no model", 1), ("text too long", 1)))
MANIFESTO = Rows(coded=11, book="manifesto@1")
BOTH = ["cap@1", "manifesto@1"]


def said(counts: Counts, books: list[str], documents: int) -> str:
    return account(counts, books, documents, counts.rows("coded") + counts.rows("rejected"))


def test_counts_that_add_up_have_nothing_said_of_them() -> None:
    assert said(read(11) + CAP.counts() + MANIFESTO.counts(), BOTH, 11) == ""
    assert said(read(0), BOTH, 0) == ""


def test_a_row_that_replaces_a_coding_is_counted_once() -> None:
    replacing = Counts.of([Count(CountKey("replacing", "cap@1"), 4)])
    assert said(read(11) + CAP.counts() + replacing, ["cap@1"], 11) == ""


@pytest.mark.parametrize("documents", [10, 12])
def test_every_document_of_the_table_is_read(documents: int) -> None:
    expected = f"11 rows were read but the documents table has {documents}"
    assert said(read(11) + CAP.counts(), ["cap@1"], documents) == expected


@pytest.mark.parametrize("rows", [10, 12])
def test_every_row_read_has_one_outcome(rows: int) -> None:
    expected = f"cap@1: {rows} rows were read but 4 coded + 2 rejected + 3 settled + 2 superseded = 11"
    assert said(read(rows) + CAP.counts(), ["cap@1"], rows) == expected


def test_every_codebook_adds_up_by_itself() -> None:
    expected = "manifesto@1: 11 rows were read but 10 coded + 0 rejected + 0 settled + 0 superseded = 10"
    lost, doubled = Rows(coded=10, book="manifesto@1"), Rows(coded=12, book="sentiment3@1")
    counts = read(11) + CAP.counts() + lost.counts() + doubled.counts()
    assert said(counts, [*BOTH, "sentiment3@1"], 11) == expected
    assert said(counts, ["cap@1", "sentiment3@1"], 11).startswith("sentiment3@1: 11 rows were read but 12 coded")


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**9), min_size=5, max_size=5), st.integers(-3, 3))
def test_one_row_more_or_less_is_seen(numbers: list[int], off: int) -> None:
    coded, settled, superseded, one, other = numbers
    rows = Rows(coded, settled, superseded, (("no model", one), ("text too long", other)))
    total = sum(numbers) + off
    assert (said(read(total) + rows.counts(), ["cap@1"], total) == "") == (off == 0)


@pytest.mark.parametrize(
    "rows",
    [
        Rows(),
        Rows(settled=5, superseded=1),
        Rows(coded=1),
        Rows(coded=1, rejected=(("no model", 99), ("no term found", 99))),
        Rows(coded=9, rejected=(("text too long", 1),)),
        Rows(coded=8, rejected=(("text too long", 1), ("no model", 1))),
    ],
)
def test_a_run_is_good_with_up_to_the_allowed_share_rejected(rows: Rows) -> None:
    assert judge(rows.counts(), ["cap@1"], 0.1) == ""


@pytest.mark.parametrize(
    ("rejected", "reasons"),
    [
        ((("no model", 3),), "no model (3)"),
        ((("no model", 2), ("no term found", 3)), "no term found (3), no model (2)"),
        ((("text too long", 1),), "text too long (1)"),
    ],
)
def test_a_run_that_coded_nothing_of_what_was_pending_has_failed(
    rejected: tuple[tuple[str, int], ...], reasons: str
) -> None:
    rows = sum(number for _, number in rejected)
    expected = f"cap@1: nothing was coded; all {rows} rows were rejected: {reasons}"
    assert judge(Rows(settled=7, rejected=rejected).counts(), ["cap@1"], 1.0) == expected


def test_a_run_that_rejected_more_than_allowed_has_failed() -> None:
    counts = Rows(coded=17, rejected=(("no model", 1), ("undetermined language", 2), ("text too long", 1))).counts()
    expected = (
        "cap@1: 3 of 21 rows, more than --max-rejected 0.1, were rejected: "
        "undetermined language (2), no model (1), text too long (1)"
    )
    assert judge(counts, ["cap@1"], 0.1) == expected
    assert judge(counts, ["cap@1"], 3 / 21) == ""


def test_what_is_settled_does_not_dilute_the_share() -> None:
    counts = Rows(coded=1, settled=1000, rejected=(("text too long", 1),)).counts()
    assert judge(counts, ["cap@1"], 0.4).startswith("cap@1: 1 of 2 rows, more than --max-rejected 0.4,")


def test_no_other_rejection_is_allowed_with_0() -> None:
    assert judge(Rows(coded=9, rejected=(("no term found", 1),)).counts(), ["cap@1"], 0.0) == ""
    assert judge(Rows(coded=10**6, rejected=(("text too long", 1),)).counts(), ["cap@1"], 0.0) != ""


def test_each_codebook_is_judged_by_itself() -> None:
    bad = Rows(rejected=(("no model", 3),), book="manifesto@1")
    assert judge(CAP.counts() + bad.counts(), ["cap@1"], 0.5) == ""
    assert judge(CAP.counts() + bad.counts(), BOTH, 0.5) == (
        "manifesto@1: nothing was coded; all 3 rows were rejected: no model (3)"
    )


def test_the_rows_of_a_reason_are_added_up_over_groups() -> None:
    keys = [CountKey("rejected", "cap@1", language, "media", "no model") for language in ("am", "ka")]
    counts = Counts.of(Count(key, 2) for key in keys)
    assert judge(counts, ["cap@1"], 0.5) == "cap@1: nothing was coded; all 4 rows were rejected: no model (4)"


def test_what_is_counted_lies_in_the_staged_files() -> None:
    expected = "6 rows were coded or rejected but 5 were staged"
    assert account(read(11) + CAP.counts(), ["cap@1"], 11, 5) == expected


def staged(table: str, rows: int, **partition: str) -> StagedFile:
    return StagedFile(table, "s", "f", 1, rows, partition)


def test_an_import_adds_up_and_lies_in_its_files() -> None:
    keys = [("read", 6), ("imported", 3), ("rejected", 2), ("duplicate", 1), ("unannotated", 4)]
    counts = Counts.of(Count(CountKey(outcome), rows) for outcome, rows in keys)
    bad = [staged("rejections", 2, step="import"), staged("rejections", 4, step="annotate")]
    files = [staged("documents", 3, source="s"), staged("duplicates", 1, source="s"), *bad]
    assert account_import(counts, files) == ""
    assert account_import(counts, files[1:]) == "3 imported + 2 rejected + 1 duplicate, but 3 rows were staged"
    one = Counts.of([Count(CountKey("read"), 1)])
    assert account_import(counts + one, files) == "7 rows were read but 3 imported + 2 rejected + 1 duplicate = 6"


def test_an_import_that_rejects_more_than_it_may_has_failed() -> None:
    keys = [("read", 10), ("imported", 4)]
    rejected = Count(CountKey("rejected", reason="no id"), 6)
    counts = Counts.of([*(Count(CountKey(outcome), rows) for outcome, rows in keys), rejected])
    assert judge_import(counts, 0.6) == ""
    assert judge_import(counts, 0.5) == "6 of 10 rows, more than --max-rejected 0.5, were rejected: no id (6)"


def test_an_import_of_which_every_row_was_rejected_has_failed() -> None:
    rejected = Counts.of([Count(CountKey("rejected", reason="no text"), 3)])
    assert judge_import(rejected, 1) == "nothing was imported; all 3 rows were rejected: no text (3)"
    for outcome in ("imported", "duplicate"):
        assert judge_import(read(4) + rejected + Counts.of([Count(CountKey(outcome), 1)]), 1) == ""
    assert judge_import(Counts(), 0) == ""
